"""Whether the models that budgets name are there: named sets, models that are counted, routes that are taken at the end. Level 5.

A configuration file is checked as a whole (config/names); this is for what the admin API is given.
"""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from switchgear.core import pattern
from switchgear.core.budget_rule import SET, Budgets, models_named
from switchgear.core.errors import UserError
from switchgear.core.nearest import meant
from switchgear.core.text import shown
from switchgear.policies import access
from switchgear.replica.entries import Snapshot
from switchgear.routing import table
from switchgear.store import holders, objects
from switchgear.store.holders import HolderRow
from switchgear.store.objects import KeyRow

ROUTE = ".route"
NAMED_MAX = 10


def check(
    snapshot: Snapshot, written: Budgets | None, allowed: Sequence[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Return (path, message) of every name that leads nowhere. `allowed`: what the budgets' holder may call; None: all."""
    for path, name in models_named(written):
        is_route = path.endswith(ROUTE)
        entry = snapshot.table.models.get(name)
        if name.startswith(SET):
            if name.removeprefix(SET) not in snapshot.model_sets:
                hint = (
                    meant(name.removeprefix(SET), snapshot.model_sets) or "; declare it under `model_sets` of the file"
                )
                yield path, f"there is no set of models {shown(name)}{hint}"
        elif "*" not in name and table.resolve(snapshot.table, name) is None:
            yield path, f"there is no model {shown(name)}{meant(name, snapshot.table.models)}"
        elif is_route and not access.may_call(name, allowed):
            yield path, f"{shown(name)} is none of its `models`, so nobody could be sent there"
        elif not is_route and entry is not None and entry.alias is not None:
            text = (
                f"{shown(name)} is an alias, and what is served is counted by its own name: write {shown(entry.alias)}"
            )
            yield path, text


def refuse(snapshot: Snapshot | None, written: Budgets | None, allowed: Sequence[str] | None = None) -> None:
    """Raise UserError for the first name that leads nowhere. Without a snapshot nothing is known, and nothing refused."""
    for path, message in check(snapshot, written, allowed) if snapshot is not None else ():
        raise UserError(f"{path}: {message}", "", 2)


def refuse_loss(connection: Connection, gone: Iterable[str], left: Iterable[str]) -> None:
    """Raise UserError where budgets of the store's keys, or of what they belong to, lead to models that go. `gone`, `left`: the
    names and patterns of models before and after."""
    gone, left = set(gone), set(left)
    lost = [name for name in gone if name not in left]
    if not lost:
        return

    def is_lost(name: str) -> bool:
        return any(pattern.matches(one, name) for one in lost) and not any(pattern.matches(one, name) for one in left)

    holding: list[tuple[str, str, KeyRow | HolderRow]]
    holding = [("key", row.name, row) for row in objects.keys(connection) if row.revoked_ms is None]
    holding += [(row.kind, row.name, row) for row in holders.holders(connection) if row.removed_ms is None]
    routes: dict[str, list[str]] = {}
    for kind, name, row in holding:
        if row.budget and row.source != holders.FILE:
            for path, model in models_named(row.budget):
                if path.endswith(ROUTE) and is_lost(model):
                    routes.setdefault(model, []).append(f"{kind}:{name}")
    for model, subjects in routes.items():
        more = ", …" if len(subjects) > NAMED_MAX else ""
        raise UserError(
            f"the model {shown(model)} is not removed: {', '.join(subjects[:NAMED_MAX])}{more} would send "
            "requests there once a budget is spent",
            f"change that first: switchgear {subjects[0].replace(':', ' update ', 1)} --budget …",
            2,
        )
