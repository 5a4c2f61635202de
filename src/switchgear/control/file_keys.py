"""Keys that the configuration file declares, in the store. Level 5.

What left the file is revoked, and its history stays. A file that would revoke over half of all keys is refused (S1), or, at a
start, leaves them as they are.
"""

import hashlib
from collections.abc import Callable, Mapping

import msgspec
from sqlalchemy import Connection

from switchgear.config.compile import Compiled, FileKey
from switchgear.control import holders
from switchgear.core import key_policy, virtual_key
from switchgear.core.errors import ConflictError, UserError
from switchgear.core.ids import KeyId
from switchgear.store import objects
from switchgear.store.objects import KeyRow, KeySecretRow

Peppers = Mapping[int, bytes]
KEYS_FEW = 10
"""Below so many keys, losing half of them is nothing special."""


def check(connection: Connection, compiled: Compiled, peppers: Peppers, now_ms: int, drop: bool) -> None:
    """Refuse keys that are other keys of the store, and, unless `drop`, what would revoke over half of all (S1)."""
    macs = {mac: spec.name for spec in compiled.keys for mac in _macs(spec, peppers)}
    rows = {row.name: row for row in objects.keys(connection) if not row.is_forged}
    for mac, name in objects.key_names(connection, macs).items():
        if name != macs[mac] and name in rows and rows[name].source != "file":
            raise ConflictError(
                f"the key {macs[mac]!r} of the file is the key {name!r} of the store", "declare it in one place"
            )
    going = _going(list(rows.values()), compiled, now_ms)
    if going and not drop:
        raise UserError(
            f"{len(going)} keys would be revoked, over half of all: {', '.join(going[:5])}"
            + (", …" if len(going) > 5 else ""),
            "is a file missing? if it is meant: switchgear config apply FILE --drop-keys",
            2,
        )


def sync(
    connection: Connection,
    compiled: Compiled,
    peppers: Peppers,
    now_ms: int,
    keep: bool = False,
    published: Callable[[str], int] = lambda key_id: 0,
) -> list[str]:
    """Make the store's file keys those of the file; what left the file is revoked, its history stays. A row that somebody else
    wrote, or that is older than what was `published` (the version of a key by its id), is written again.

    With `keep`, over half of all keys are not revoked but left as they are; returns their names.
    """
    pepper_id = max(peppers)
    rows = objects.keys(connection)
    by_id = {row.id: row for row in rows}
    existing = {row.name: row for row in rows}
    kept = _going(rows, compiled, now_ms) if keep else []
    for declared in compiled.keys:
        named = KeyRow(id="", name=declared.name, **key_policy.fields_of(declared))
        spec = msgspec.structs.replace(declared, **key_policy.fields_of(holders.key_with_ids(connection, named)))
        secrets = [KeySecretRow(mac=mac, pepper_id=pepper_id) for mac in _macs(spec, peppers)[: bool(spec.sha256)]]
        secrets += [
            KeySecretRow(mac=bytes.fromhex(k.mac), pepper_id=k.pepper_id, not_after_ms=k.until_ms) for k in spec.keyed
        ]
        identity = KeyId("f" + hashlib.sha256(spec.name.encode()).hexdigest()[:11])
        old, other = by_id.get(identity), existing.get(spec.name)
        if other is not None and other.id != identity:
            if other.is_forged:
                continue  # somebody else took its name: what was published stays, and the row is named
            raise ConflictError(f"the key {spec.name!r} is in the file and in the store", "rename one of them")
        seen = max(old.version if old is not None else 0, published(identity))
        row = KeyRow(
            id=identity,
            name=spec.name,
            version=seen + 1,
            source="file",
            created_ms=old.created_ms if old is not None and not old.is_forged else now_ms,
            updated_ms=now_ms,
            secrets=tuple(secrets),
            **key_policy.fields_of(spec),
        )
        if old is None:
            objects.add_key(connection, row)
        elif old.is_forged:
            objects.replace_key(connection, row, None)
        elif old.version < seen or _content(old) != _content(row):
            objects.replace_key(connection, row, old.version)
    wanted = {spec.name for spec in compiled.keys} | set(kept)
    for key in rows:
        if key.source == "file" and key.name not in wanted and key.revoked_ms is None:
            version = max(key.version, published(key.id)) + 1
            gone = msgspec.structs.replace(key, version=version, revoked_ms=now_ms, updated_ms=now_ms)
            objects.replace_key(connection, gone, key.version)
    return kept


def _going(rows: list[KeyRow], compiled: Compiled, now_ms: int) -> list[str]:
    """Return the keys that a configuration would revoke, if they are over half of those that live, and not a few."""
    live = [r for r in rows if r.revoked_ms is None and (r.expires_ms is None or r.expires_ms > now_ms)]
    wanted = {spec.name for spec in compiled.keys}
    going = [row.name for row in live if row.source == "file" and row.name not in wanted]
    return going if len(live) >= KEYS_FEW and len(going) * 2 > len(live) else []


def _macs(spec: FileKey, peppers: Peppers) -> list[bytes]:
    plain = [virtual_key.keyed_hash(peppers[max(peppers)], bytes.fromhex(spec.sha256))] if spec.sha256 else []
    return plain + [bytes.fromhex(keyed.mac) for keyed in spec.keyed]


def _content(row: KeyRow) -> KeyRow:
    return msgspec.structs.replace(row, version=0, created_ms=0, updated_ms=0, revoked_ms=row.revoked_ms)
