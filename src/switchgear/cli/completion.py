"""`switchgear completion`. Level 7."""

import click

from switchgear.cli.base import Choice, examples

SHELLS = ("bash", "zsh", "fish")


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
    click.echo(kind(ctx.find_root().command, {}, "switchgear", "_SWITCHGEAR_COMPLETE").source())
