"""Routes of teams, users, projects and profiles: the same for each kind. Level 5."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from switchgear.control import answers, budget_names, holders
from switchgear.control.api import Call, P, Route
from switchgear.core import key_policy, organisation
from switchgear.core.errors import UserError
from switchgear.core.organisation import KINDS, Kind
from switchgear.store import holders as rows
from switchgear.store.holders import HolderRow

Spent = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""What was spent before it came here: its budgets go on from there."""


def _body(kind: Kind, action: str, *fields: Any) -> type[msgspec.Struct]:
    """Return the type of a body: a name where one is made, else what changes."""
    return msgspec.defstruct(f"{kind.written.__name__}{action}", list(fields), kw_only=True, forbid_unknown_fields=True)


CREATE: dict[str, type[msgspec.Struct]] = {
    kind.name: _body(
        kind,
        "Create",
        ("name", str),
        ("spent_nanousd", Spent | None, None),
        *((f.name, f.type, None) for f in msgspec.structs.fields(kind.written)),
    )
    for kind in KINDS.values()
}
"""Bodies of POST, by kind."""
CHANGE: dict[str, type[msgspec.Struct]] = {
    kind.name: _body(
        kind,
        "Change",
        ("name", str | msgspec.UnsetType, msgspec.UNSET),
        ("version", int | None, None),
        *((f.name, f.type | msgspec.UnsetType, msgspec.UNSET) for f in msgspec.structs.fields(kind.written)),
    )
    for kind in KINDS.values()
}
"""Bodies of PATCH, by kind: only what is given changes, null clears; a `name` is a new one."""


def _check(call: Call, kind: Kind, values: dict[str, Any]) -> None:
    for path, message in organisation.check(kind, values):
        raise UserError(f"{path}: {message}", "", 2)
    budget_names.refuse(call.services.publication.snapshot, values.get("budget"), values.get("models"))


def _told(kind: Kind, row: HolderRow, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "source": row.source,
        "created_ms": row.created_ms,
        "updated_ms": row.updated_ms,
        **organisation.told(kind, row),
        **names,
    }


async def _with_names(call: Call, kind: Kind, row: HolderRow) -> dict[str, Any]:
    return _told(kind, row, await call.control.read(lambda c: holders.with_names(c, row, kind.references)))


def _list(kind: Kind) -> Route:
    async def handler(call: Call) -> Any:
        def look(connection: Any) -> list[dict[str, Any]]:
            named = {of: rows.names_of(connection, of) for of in set(kind.references.values())}
            return [
                _told(
                    kind,
                    row,
                    {
                        field: named[of].get(identity, identity)
                        for field, of in kind.references.items()
                        if (identity := getattr(row, field)) is not None
                    },
                )
                for row in rows.holders(connection, kind.name)
                if row.removed_ms is None and not row.is_forged
            ]

        return {kind.plural: await call.control.read(look)}

    handler.__doc__ = f"All {kind.plural}, by name."
    answer = answers.HOLDERS[kind.name]
    return Route("GET", f"{P}/{kind.plural}", "organisation:read", handler, answer)


def _create(kind: Kind) -> Route:
    async def handler(call: Call) -> Any:
        written = {name: getattr(call.body, name) for name in kind.fields}
        _check(call, kind, written)
        row = await call.services.holders.create(kind, call.body.name, organisation.read(kind, call.body), call.actor)
        await call.services.budgets.open_with(f"{kind.name}:{row.id}", row, call.body.spent_nanousd or 0, call.actor)
        return await _with_names(call, kind, row)

    handler.__doc__ = f"A new {kind.name}."
    answer = answers.HOLDER[kind.name]
    return Route("POST", f"{P}/{kind.plural}", "organisation:write", handler, answer, CREATE[kind.name])


def _get(kind: Kind) -> Route:
    async def handler(call: Call) -> Any:
        row = await call.services.holders.find(kind, call.path["name"])
        return await _with_names(call, kind, row)

    handler.__doc__ = f"One {kind.name}, by its name or id."
    answer = answers.HOLDER[kind.name]
    return Route("GET", f"{P}/{kind.plural}/{{name:path}}", "organisation:read", handler, answer)


def _change(kind: Kind) -> Route:
    async def handler(call: Call) -> Any:
        body = call.body
        written = {name: value for name in kind.fields if (value := getattr(body, name)) is not msgspec.UNSET}
        _check(call, kind, written)
        new_name = body.name if body.name is not msgspec.UNSET else None
        seen = body.version if body.version is not None else call.seen_version
        changes = key_policy.converted(written)
        row = await call.services.holders.change(kind, call.path["name"], changes, new_name, call.actor, seen)
        return await _with_names(call, kind, row)

    handler.__doc__ = f"Change or rename a {kind.name}; holds for the next request of all its keys."
    answer = answers.HOLDER[kind.name]
    return Route("PATCH", f"{P}/{kind.plural}/{{name:path}}", "organisation:write", handler, answer, CHANGE[kind.name])


def _remove(kind: Kind) -> Route:
    async def handler(call: Call) -> Any:
        name, target = call.path["name"], call.query.get("move_to")
        row, moved, changed = await call.services.holders.remove(kind, name, target, call.actor)
        also = [f"{one.kind}:{one.name}" for one in changed]
        return {"name": row.name, "moved": [key.name for key in moved], "moved_holders": also}

    handler.__doc__ = f"Remove a {kind.name} that nothing belongs to, or whose keys go to another one."
    path = f"{P}/{kind.plural}/{{name:path}}"
    return Route("DELETE", path, "organisation:write", handler, answers.RemovedHolder, query=("move_to",))


def _routes() -> Iterator[Route]:
    for kind in KINDS.values():
        for make in (_list, _create, _get, _change, _remove):
            yield make(kind)


ROUTES: tuple[Route, ...] = tuple(_routes())
