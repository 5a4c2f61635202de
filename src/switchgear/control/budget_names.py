"""Whether the models that budgets name are there: named sets, models that are counted, routes that are taken at the end. Level 5.

A configuration file is checked as a whole (config/names); this is for what the admin API is given.
"""

from collections.abc import Iterator

from switchgear.core.budget_rule import SET, Budgets, models_named
from switchgear.core.errors import UserError
from switchgear.core.nearest import meant
from switchgear.core.text import shown
from switchgear.replica.entries import Snapshot
from switchgear.routing import table


def check(snapshot: Snapshot, written: Budgets | None) -> Iterator[tuple[str, str]]:
    """Return (path, message) of every name that leads nowhere."""
    for path, name in models_named(written):
        if name.startswith(SET):
            if name.removeprefix(SET) not in snapshot.model_sets:
                hint = (
                    meant(name.removeprefix(SET), snapshot.model_sets) or "; declare it under `model_sets` of the file"
                )
                yield path, f"there is no set of models {shown(name)}{hint}"
        elif "*" not in name and table.resolve(snapshot.table, name) is None:
            yield path, f"there is no model {shown(name)}{meant(name, snapshot.table.models)}"


def refuse(snapshot: Snapshot | None, written: Budgets | None) -> None:
    """Raise UserError for the first name that leads nowhere. Without a snapshot nothing is known, and nothing refused."""
    for path, message in check(snapshot, written) if snapshot is not None else ():
        raise UserError(f"{path}: {message}", "", 2)
