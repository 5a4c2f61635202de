"""`switchgear completion`. Level 7."""

import click
from click.shell_completion import get_completion_class

from switchgear.core.errors import UserError


@click.command(epilog='Example: eval "$(switchgear completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise UserError(f"{shell!r} is not supported", "", 2)
    click.echo(kind(ctx.find_root().command, {}, "switchgear", "_SWITCHGEAR_COMPLETE").source())
