"""A name stands in the configuration file or in the store, never in both. Level 5. Pure."""

from typing import Literal

from switchgear.config.compile import Compiled
from switchgear.control.versions import DEMO, ConfigurationState
from switchgear.core.errors import ConflictError, UserError

Kind = Literal["provider", "model"]


def names(compiled: Compiled, kind: Kind) -> set[str]:
    """Return the names of a kind that the file declares."""
    return {entry.name for entry in (compiled.providers if kind == "provider" else compiled.models)}


def check_addition(compiled: Compiled, kind: Kind, name: str) -> None:
    """Raise ConflictError for a name that the file declares: it is not added to the store."""
    if name in names(compiled, kind):
        raise ConflictError(f"the {kind} {name!r} is declared in the configuration file", "change it there")


def check_removal(compiled: Compiled, kind: Kind, name: str) -> None:
    """Raise UserError for a name that the file declares: it cannot be removed from the store."""
    if name in names(compiled, kind):
        if (kind, name) == ("provider", DEMO) and not compiled.source:
            raise UserError("the demo provider is there because of `serve --demo`", "start the gateway without it", 2)
        raise UserError(f"the {kind} {name!r} is declared in the configuration file", "remove it there", 2)


def check_apart(state: ConfigurationState) -> None:
    """Raise ConflictError for a name that stands in the file and in the store."""
    kinds: tuple[Kind, ...] = ("provider", "model")
    for kind in kinds:
        for name in sorted(names(state.compiled, kind) & state.stored[kind].keys()):
            raise ConflictError(
                f"the {kind} {name!r} is in the file and in the store",
                f"remove one: switchgear {kind} remove {name}",
            )
