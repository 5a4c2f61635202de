"""Rows of everything but the ledger: objects, keys, freezes, tokens, audit. Level 2. Functions of a connection."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from switchgear.core import key_policy
from switchgear.core.errors import UNREADABLE, ConflictError, UserError
from switchgear.core.key_policy import KeyPolicy
from switchgear.store import tables


class KeySecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted secret of a key, hashed."""

    mac: bytes
    pepper_id: int
    not_after_ms: int | None = None


class KeyRow(KeyPolicy, frozen=True, kw_only=True):
    """A virtual key at rest."""

    id: str
    name: str
    version: int = 1
    source: str = "store"
    """`store`, or `file` for keys that a configuration file declares."""
    revoked_ms: int | None = None
    created_ms: int = 0
    updated_ms: int = 0
    secrets: tuple[KeySecretRow, ...] = ()
    is_damaged: bool = False
    """Its policy cannot be read: it is shown, and nobody can use it."""


def _columns(key: KeyRow) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "version": key.version,
        "source": key.source,
        "policy": key_policy.encode(key_policy.policy_of(key)),
        "revoked_ms": key.revoked_ms,
        "created_ms": key.created_ms,
        "updated_ms": key.updated_ms,
    }


def add_key(connection: Connection, key: KeyRow) -> None:
    """Insert a key with its secrets. Raises ConflictError for a name that exists."""
    try:
        connection.execute(insert(tables.keys), [_columns(key)])
    except IntegrityError:
        raise ConflictError(
            f"a key named {key.name!r} exists already", "choose another name, or revoke that one"
        ) from None
    _put_secrets(connection, key)


def replace_key(connection: Connection, key: KeyRow, seen_version: int) -> None:
    """Replace a key and its secrets. Raises ConflictError when it changed since `seen_version`."""
    result = connection.execute(
        update(tables.keys)
        .where(tables.keys.c.id == key.id, tables.keys.c.version == seen_version)
        .values(**_columns(key))
    )
    if result.rowcount != 1:
        raise ConflictError(f"the key {key.name!r} changed in the meantime", "look at it again and repeat the change")
    connection.execute(delete(tables.key_secrets).where(tables.key_secrets.c.key_id == key.id))
    _put_secrets(connection, key)


def _put_secrets(connection: Connection, key: KeyRow) -> None:
    rows = [
        {
            "key_id": key.id,
            "mac": s.mac,
            "pepper_id": s.pepper_id,
            "not_after_ms": s.not_after_ms,
            "created_ms": key.updated_ms,
        }
        for s in key.secrets
    ]
    if rows:
        connection.execute(insert(tables.key_secrets), rows)


def key_labels(connection: Connection, field: str) -> set[str]:
    """Return what a label of all keys' policies says, revoked ones too: their teams, users or projects."""
    policies = connection.execute(select(tables.keys.c.policy).distinct()).scalars()
    labels = (getattr(_policy(body)[0], field) for body in policies)
    return {label for label in labels if label is not None}


def keys(connection: Connection, name: str | None = None) -> list[KeyRow]:
    """Return all keys, or the one of that name or id."""
    query = select(tables.keys).order_by(tables.keys.c.name)
    secrets = select(tables.key_secrets)
    if name is not None:
        query = query.where((tables.keys.c.name == name) | (tables.keys.c.id == name))
        ids = select(tables.keys.c.id).where((tables.keys.c.name == name) | (tables.keys.c.id == name))
        secrets = secrets.where(tables.key_secrets.c.key_id.in_(ids))
    found: dict[str, list[KeySecretRow]] = {}
    for row in connection.execute(secrets):
        secret = KeySecretRow(mac=row.mac, pepper_id=row.pepper_id, not_after_ms=row.not_after_ms)
        found.setdefault(row.key_id, []).append(secret)
    return [_key(row, tuple(found.get(row.id, ()))) for row in connection.execute(query)]


def _policy(body: bytes) -> tuple[KeyPolicy, bool]:
    """Return a stored policy, and True when it cannot be read, or has a field of a newer program: it allows nothing then."""
    try:
        return key_policy.decode(body), False
    except (*UNREADABLE, TypeError):
        return key_policy.NOBODY, True


def _key(row: Any, secrets: tuple[KeySecretRow, ...]) -> KeyRow:
    """Build a key of its row. A policy that cannot be read leaves it without a secret: one damaged row stops nobody else."""
    policy, is_damaged = _policy(row.policy)
    return KeyRow(
        id=row.id,
        name=row.name,
        version=row.version,
        source=row.source,
        revoked_ms=row.revoked_ms,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        secrets=() if is_damaged else secrets,
        is_damaged=is_damaged,
        **key_policy.fields_of(policy),
    )


def key_list(connection: Connection) -> list[tuple[str, str]]:
    """Return id and name of every key, revoked ones too."""
    query = select(tables.keys.c.id, tables.keys.c.name).order_by(tables.keys.c.name)
    return [(row.id, row.name) for row in connection.execute(query)]


def key_names(connection: Connection, macs: Iterable[bytes]) -> dict[bytes, str]:
    """Return keyed hash → name of the keys in force that have secrets with these hashes."""
    joined = tables.keys.join(tables.key_secrets, tables.keys.c.id == tables.key_secrets.c.key_id)
    query = select(tables.key_secrets.c.mac, tables.keys.c.name).select_from(joined)
    query = query.where(tables.keys.c.revoked_ms.is_(None))
    wanted = list(macs)
    found: dict[bytes, str] = {}
    for at in range(0, len(wanted), 500):
        rows = connection.execute(query.where(tables.key_secrets.c.mac.in_(wanted[at : at + 500])))
        found |= {bytes(mac): name for mac, name in rows}
    return found


def put_object(connection: Connection, kind: str, name: str, spec: bytes, now_ms: int) -> None:
    """Add an object. Raises ConflictError when it exists."""
    try:
        connection.execute(
            insert(tables.objects),
            [{"kind": kind, "name": name, "version": 1, "spec": spec, "created_ms": now_ms, "updated_ms": now_ms}],
        )
    except IntegrityError:
        raise ConflictError(
            f"a {kind} named {name!r} exists already", f"remove it first: switchgear {kind} remove {name}"
        ) from None


def set_object(connection: Connection, kind: str, name: str, spec: bytes, now_ms: int) -> None:
    """Add or replace an object."""
    connection.execute(delete(tables.objects).where(tables.objects.c.kind == kind, tables.objects.c.name == name))
    put_object(connection, kind, name, spec, now_ms)


def drop_object(connection: Connection, kind: str, name: str) -> None:
    """Remove an object if there is one."""
    connection.execute(delete(tables.objects).where(tables.objects.c.kind == kind, tables.objects.c.name == name))


def remove_object(connection: Connection, kind: str, name: str) -> None:
    """Remove an object. Raises UserError when there is none."""
    result = connection.execute(
        delete(tables.objects).where(tables.objects.c.kind == kind, tables.objects.c.name == name)
    )
    if result.rowcount != 1:
        raise UserError(f"there is no {kind} {name!r} in the store", f"list them: switchgear {kind} list")


def objects(connection: Connection, kind: str) -> dict[str, bytes]:
    """Return the objects of a kind by name."""
    query = select(tables.objects.c.name, tables.objects.c.spec).where(tables.objects.c.kind == kind)
    return {row.name: row.spec for row in connection.execute(query.order_by(tables.objects.c.name))}


def object_names(connection: Connection, kind: str) -> list[str]:
    """Return the names of a kind's objects, sorted."""
    query = select(tables.objects.c.name).where(tables.objects.c.kind == kind)
    return list(connection.execute(query.order_by(tables.objects.c.name)).scalars())


def find_object(connection: Connection, kind: str, name: str) -> bytes | None:
    """Return one object, or None."""
    query = select(tables.objects.c.spec).where(tables.objects.c.kind == kind, tables.objects.c.name == name)
    return connection.execute(query).scalar()


def put_freeze(connection: Connection, subject: str, until_ms: int | None, actor: str, now_ms: int) -> None:
    """Freeze a subject, or change until when."""
    connection.execute(delete(tables.freezes).where(tables.freezes.c.subject == subject))
    connection.execute(
        insert(tables.freezes),
        [{"subject": subject, "until_ms": until_ms, "created_ms": now_ms, "actor": actor}],
    )


def remove_freeze(connection: Connection, subject: str) -> bool:
    """Unfreeze a subject; False when it was not frozen."""
    return connection.execute(delete(tables.freezes).where(tables.freezes.c.subject == subject)).rowcount == 1


def freezes(connection: Connection) -> dict[str, int | None]:
    """Return frozen subjects and until when."""
    return {row.subject: row.until_ms for row in connection.execute(select(tables.freezes))}


SESSION = "(session)"
"""The name of a console's session: no token for automation can have it."""


def put_token(
    connection: Connection, token_hash: bytes, name: str, kind: str, role: str, expires_ms: int | None, now_ms: int
) -> None:
    """Store the hash of an admin token or a one-time link."""
    row = {"hash": token_hash, "name": name, "kind": kind, "role": role, "expires_ms": expires_ms, "created_ms": now_ms}
    connection.execute(insert(tables.tokens), [row])


def token_role(connection: Connection, token_hash: bytes, kind: str, now_ms: int) -> tuple[str, str] | None:
    """Return (name, role) of a valid token."""
    row = connection.execute(
        select(tables.tokens).where(tables.tokens.c.hash == token_hash, tables.tokens.c.kind == kind)
    ).one_or_none()
    if row is None or (row.expires_ms is not None and row.expires_ms <= now_ms):
        return None
    return row.name, row.role


class TokenRow(msgspec.Struct, frozen=True):
    """What may be told of an admin token."""

    name: str
    role: str
    expires_ms: int | None
    created_ms: int


def tokens(connection: Connection) -> list[TokenRow]:
    """List the tokens for automation; sessions of the console are not among them."""
    columns = tables.tokens.c
    query = select(tables.tokens).where(columns.kind == "api", columns.name != SESSION).order_by(columns.name)
    return [TokenRow(r.name, r.role, r.expires_ms, r.created_ms) for r in connection.execute(query)]


def remove_token(connection: Connection, name: str) -> bool:
    """Revoke a token for automation; False when there is none of that name."""
    columns = tables.tokens.c
    done = connection.execute(delete(tables.tokens).where(columns.kind == "api", columns.name == name))
    return done.rowcount > 0


def use_once(connection: Connection, token_hash: bytes) -> bool:
    """Remove a one-time token; False when somebody else used it first."""
    return connection.execute(delete(tables.tokens).where(tables.tokens.c.hash == token_hash)).rowcount == 1


def write_audit(connection: Connection, time_ms: int, actor: str, action: str, subject: str, detail: object) -> None:
    """Append to the audit log; the detail never holds a secret."""
    row = {
        "time_ms": time_ms,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": msgspec.json.encode(detail),
    }
    connection.execute(insert(tables.audit), [row])
