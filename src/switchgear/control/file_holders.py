"""Teams, users, projects and profiles that the configuration file declares, in the store. Level 5.

A file that declares no team has those that its keys name, as files before there were any: they exist by being named. What left the
file is removed, and its history stays; one that keys of the store belong to stands in the way of such a file.
"""

from collections.abc import Callable, Iterator

import msgspec
from sqlalchemy import Connection

from switchgear.config.compile import Compiled, FileHolder
from switchgear.control.holders import with_ids
from switchgear.core import key_policy, organisation
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import holders
from switchgear.store.holders import FILE, HolderRow

Version = Callable[[str, str], int]
"""The version that was published, by kind and id."""
NAMED = 10


def _declared(compiled: Compiled) -> dict[tuple[str, str], FileHolder]:
    return {(one.kind, one.name): one for one in compiled.holders}


def _named(compiled: Compiled) -> Iterator[tuple[str, str]]:
    """Return kind and name of whatever the file names."""
    for key in compiled.keys:
        for kind in key_policy.LABELS:
            if (name := getattr(key, kind)) is not None:
                yield kind, name
    for one in compiled.holders:
        for field, kind in organisation.KINDS[one.kind].references.items():
            if kind in key_policy.LABELS and (name := getattr(one, field)) is not None:
                yield kind, name


def check(connection: Connection, compiled: Compiled) -> None:
    """Raise ConflictError for a name that stands in the file and in the store, UserError when what left the file is still what keys
    or teams of the store belong to. One of the store that says nothing but its name becomes the file's."""
    for kind, name in _declared(compiled):
        row = holders.holder_named(connection, kind, name)
        if row is not None and not row.is_forged and row.source != FILE and not _is_bare(row):
            raise ConflictError(
                f"the {kind} {name!r} is in the file and in the store", f"remove one: switchgear {kind} remove {name}"
            )
    for row in _leaving(connection, compiled):
        held = _held(connection, row)
        if held:
            raise UserError(
                f"the {row.kind} {row.name!r} is not in the file any more, and {', '.join(held[:NAMED])} "
                f"{'belongs' if len(held) == 1 else 'belong'} to it",
                f"move them first, or declare it under {organisation.KINDS[row.kind].plural}",
                2,
            )


def sync(
    connection: Connection, compiled: Compiled, now_ms: int, chance: str, published: Version = lambda kind, identity: 0
) -> None:
    """Make what the file declares and names exist in the store, before its keys are written. `chance`: a few random letters."""
    declared = _declared(compiled)
    rows: dict[tuple[str, str], HolderRow] = {}
    for kind, name in dict.fromkeys([*declared, *_named(compiled)]):
        known = holders.holder_named(connection, kind, name)
        if known is not None and known.source != FILE and (kind, name) not in declared:
            continue  # the store's
        if known is None:
            known = holders.holder_of(connection, kind, name)
            if known is not None and (known.source != FILE or known.is_forged):
                known = None
        identity = known.id if known is not None else holders.new_id(connection, kind, name, chance)
        row = HolderRow(
            kind=kind,
            id=identity,
            name=name,
            version=max(known.version if known is not None else 0, published(kind, identity)),
            source=FILE,
            created_ms=known.created_ms if known is not None and not known.is_forged else now_ms,
            updated_ms=now_ms,
        )
        if known is None:
            row = msgspec.structs.replace(row, version=row.version + 1)
            holders.add_holder(connection, row)
        elif known.is_forged or known.removed_ms is not None or known.source != FILE:
            row = msgspec.structs.replace(row, version=row.version + 1)
            holders.replace_holder(connection, row, None)
        rows[kind, name] = row
    for at, row in rows.items():  # when all exist, so that they may name one another
        said = declared.get(at)
        policy = organisation.HolderPolicy()
        if said is not None:
            named = msgspec.convert(organisation.fields_of(said), organisation.HolderPolicy)
            policy = with_ids(connection, named, organisation.KINDS[row.kind].references)
        there = holders.holder_of(connection, row.kind, row.id)
        assert there is not None
        seen = max(there.version, published(row.kind, row.id))
        if organisation.policy_of(there) != policy or there.version < seen:
            fields = organisation.fields_of(policy)
            changed = msgspec.structs.replace(row, **fields, version=seen + 1)
            holders.replace_holder(connection, changed, there.version)


def drop(connection: Connection, compiled: Compiled, now_ms: int) -> list[str]:
    """Remove what left the file, after its keys are written; returns what stays because keys of the store belong to it."""
    kept = []
    for row in _leaving(connection, compiled):
        if _held(connection, row):
            kept.append(f"{row.kind} {row.name}")
            continue
        gone = msgspec.structs.replace(row, version=row.version + 1, removed_ms=now_ms, updated_ms=now_ms)
        holders.replace_holder(connection, gone, row.version)
    return kept


def _is_bare(row: HolderRow) -> bool:
    return organisation.policy_of(row) == organisation.HolderPolicy()


def _leaving(connection: Connection, compiled: Compiled) -> list[HolderRow]:
    wanted = {*_declared(compiled), *_named(compiled)}
    return [
        row
        for row in holders.holders(connection, source=FILE)
        if row.removed_ms is None and not row.is_forged and (row.kind, row.name) not in wanted
    ]


def _held(connection: Connection, row: HolderRow) -> list[str]:
    """Return what of the store belongs to one of the file, in words."""
    keys = [key.name for key in holders.keys_of(connection, row.kind, row.id) if key.source != FILE]
    others = [
        f"the {one.kind} {one.name!r}" for one, _ in holders.naming(connection, row.kind, row.id) if one.source != FILE
    ]
    return [*(f"the key {name!r}" for name in keys), *others]
