"""`switchgear completion`. Level 7."""

import click

from switchgear.cli.base import Choice, examples

SHELLS = ("bash", "zsh", "fish")
_BASH = (
    (
        "    local response\n",
        r"""    local response word words=() head=""
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -gt 0 && ( $word == :* || ${words[-1]} == *: ) ]]; then words[-1]+="$word"
        else words+=("$word"); fi
    done
    [[ $COMP_WORDBREAKS == *:* && ${words[-1]} == *:* ]] && head="${words[-1]%"${words[-1]##*:}"}"
""",
    ),
    (
        'COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD',
        'COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1))',
    ),
    ("COMPREPLY+=($value)", 'COMPREPLY+=("${value#"$head"}")'),
)
"""What of Click's script is another: bash takes a colon for the end of a word (COMP_WORDBREAKS; bash manual, "Programmable
Completion"), so `key:ci` is three of them, and only what stands behind the last colon is replaced."""


@click.command(
    epilog=examples(
        'eval "$(switchgear completion bash)"',
        'eval "$(switchgear completion zsh)"',
        "switchgear completion fish | source",
    )
)
@click.argument("shell", type=Choice(SHELLS, "shell"))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell. It completes commands, options, and names of the gateway's objects."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "switchgear", "_SWITCHGEAR_COMPLETE").source()
    for old, new in _BASH if shell == "bash" else ():
        script = script.replace(old, new)
    click.echo(script)
