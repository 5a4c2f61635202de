"""Rows of everything but the ledger: objects, keys, freezes, tokens, audit. Level 2. Functions of a connection.

What control acts on carries its MAC (store/macs): it is written with each row here and looked at with each row that is read. Rows
that are published are never deleted: removing one writes that it is removed, so that one that is gone was taken by somebody else.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from switchgear.core import key_policy
from switchgear.core.errors import UNREADABLE, ConflictError, UserError
from switchgear.core.key_policy import KeyPolicy
from switchgear.store import tables
from switchgear.store.macs import macs_of

PUBLISHED = ("provider", "model", "price", "budget")
"""Kinds of objects that edges are told of."""
FREEZE = "freeze"
"""Stands for the kind of a freeze, where freezes are told with the objects."""
REMOVED = b""
"""The spec of an object that was removed."""


class SignedRow(msgspec.Struct, frozen=True):
    """An object or a freeze as it stands in the store."""

    version: int
    body: bytes | None
    """Of a freeze when it ends, as JSON; None: it was removed."""
    is_signed: bool = True
    """This gateway's control wrote it."""


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
    is_forged: bool = False
    """It is not as this gateway's control wrote it: nothing of it may be believed, published, or signed."""


def _columns(connection: Connection, key: KeyRow) -> dict[str, Any]:
    values = {
        "id": key.id,
        "name": key.name,
        "version": key.version,
        "source": key.source,
        "policy": key_policy.encode(key_policy.policy_of(key)),
        "revoked_ms": key.revoked_ms,
        "created_ms": key.created_ms,
        "updated_ms": key.updated_ms,
    }
    return {**values, "mac": macs_of(connection).of("keys", *values.values(), _secret_values(key.secrets))}


def _secret_values(secrets: Iterable[KeySecretRow]) -> list[tuple[bytes, int, int | None]]:
    values = [(s.mac, s.pepper_id, s.not_after_ms) for s in secrets]
    try:
        return sorted(values)
    except TypeError:  # values of several types: no MAC of this gateway's is over such a row
        return sorted(values, key=repr)


def key_values(row: Any, secrets: Iterable[KeySecretRow]) -> tuple[Any, ...]:
    """Return what the MAC of a row of `keys` is over."""
    return (
        *(row.id, row.name, row.version, row.source, row.policy),
        *(row.revoked_ms, row.created_ms, row.updated_ms, _secret_values(secrets)),
    )


def add_key(connection: Connection, key: KeyRow) -> None:
    """Insert a key with its secrets. Raises ConflictError for a name that exists."""
    try:
        connection.execute(insert(tables.keys), [_columns(connection, key)])
    except IntegrityError:
        raise ConflictError(
            f"a key named {key.name!r} exists already", "choose another name, or revoke that one"
        ) from None
    _put_secrets(connection, key)


def replace_key(connection: Connection, key: KeyRow, seen_version: int | None) -> None:
    """Replace a key and its secrets. Raises ConflictError when it changed since `seen_version`; None: whatever stands there."""
    statement = update(tables.keys).where(tables.keys.c.id == key.id).values(**_columns(connection, key))
    if seen_version is not None:
        statement = statement.where(tables.keys.c.version == seen_version)
    result = connection.execute(statement)
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


def keys(connection: Connection, name: str | None = None) -> list[KeyRow]:
    """Return all keys, or the one of that name or id; each says whether it is as this gateway wrote it."""
    macs = macs_of(connection)
    return [
        _key(row, secrets, not macs.holds(row.mac, "keys", *key_values(row, secrets)))
        for row, secrets in key_rows(connection, name)
    ]


def key_rows(connection: Connection, name: str | None = None) -> Iterator[tuple[Any, tuple[KeySecretRow, ...]]]:
    """Return rows of `keys` with their secrets: all, or the one of that name or id."""
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
    for row in connection.execute(query):
        yield row, tuple(found.get(row.id, ()))


def _policy(body: bytes) -> tuple[KeyPolicy, bool]:
    """Return a stored policy, and True when it cannot be read, or has a field of a newer program: it allows nothing then."""
    try:
        return key_policy.decode(body), False
    except (*UNREADABLE, TypeError):
        return key_policy.NOBODY, True


def text_of(value: Any) -> str:
    """Return a name as a text, whatever type somebody gave it."""
    return value if isinstance(value, str) else repr(value)


def _key(row: Any, secrets: tuple[KeySecretRow, ...], is_forged: bool) -> KeyRow:
    """Build a key of its row. A policy that cannot be read leaves it without a secret: one damaged row stops nobody else. Of a row
    that somebody else wrote nothing is taken but what it is called."""
    policy, is_damaged = _policy(row.policy)
    if is_forged:
        return KeyRow(
            id=text_of(row.id),
            name=text_of(row.name),
            version=0,
            is_forged=True,
            **key_policy.fields_of(key_policy.NOBODY),
        )
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


def object_values(row: Any) -> tuple[Any, ...]:
    """Return what the MAC of a row of `objects` is over."""
    return row.kind, row.name, row.version, row.spec, row.created_ms, row.updated_ms


def put_object(connection: Connection, kind: str, name: str, spec: bytes, now_ms: int) -> None:
    """Add an object. Raises ConflictError when it exists."""
    row = _object_row(connection, kind, name)
    if row is not None and row.spec != REMOVED:
        raise ConflictError(
            f"a {kind} named {name!r} exists already", f"remove it first: switchgear {kind} remove {name}"
        )
    set_object(connection, kind, name, spec, now_ms)


def set_object(connection: Connection, kind: str, name: str, spec: bytes, now_ms: int) -> None:
    """Add or replace an object. Its version is a time, and above the one that stands there."""
    row = _object_row(connection, kind, name)
    is_ours = row is not None and macs_of(connection).holds(row.mac, "objects", *object_values(row))
    version = row.version if is_ours else 0
    values = {
        "kind": kind,
        "name": name,
        "version": max(now_ms, version + 1),
        "spec": spec,
        "created_ms": now_ms,
        "updated_ms": now_ms,
    }
    values["mac"] = macs_of(connection).of("objects", *values.values())
    drop_object(connection, kind, name)
    connection.execute(insert(tables.objects), [values])


def drop_object(connection: Connection, kind: str, name: str) -> None:
    """Delete the row of an object if there is one; for kinds that are not published."""
    connection.execute(delete(tables.objects).where(tables.objects.c.kind == kind, tables.objects.c.name == name))


def remove_object(connection: Connection, kind: str, name: str, now_ms: int) -> None:
    """Remove an object, whoever wrote it. Raises UserError when there is none."""
    row = _object_row(connection, kind, name)
    if row is None or row.spec == REMOVED:
        raise UserError(f"there is no {kind} {name!r} in the store", f"list them: switchgear {kind} list", 2)
    if kind in PUBLISHED:
        set_object(connection, kind, name, REMOVED, now_ms)
    else:
        drop_object(connection, kind, name)


def _object_row(connection: Connection, kind: str, name: str) -> Any:
    query = select(tables.objects).where(tables.objects.c.kind == kind, tables.objects.c.name == name)
    return connection.execute(query).one_or_none()


def objects(connection: Connection, kind: str) -> dict[str, bytes]:
    """Return the objects of a kind by name, as far as this gateway wrote them."""
    rows = _signed_objects(connection, (kind,))[kind]
    return {name: row.body for name, row in rows.items() if row.is_signed and row.body is not None}


def _signed_objects(connection: Connection, kinds: Iterable[str]) -> dict[str, dict[str, SignedRow]]:
    macs = macs_of(connection)
    found: dict[str, dict[str, SignedRow]] = {kind: {} for kind in kinds}
    query = select(tables.objects).where(tables.objects.c.kind.in_(found)).order_by(tables.objects.c.name)
    for row in connection.execute(query):
        is_signed = macs.holds(row.mac, "objects", *object_values(row))
        found[row.kind][text_of(row.name)] = SignedRow(
            row.version, row.spec if row.spec != REMOVED else None, is_signed
        )
    return found


def published(connection: Connection) -> dict[str, dict[str, SignedRow]]:
    """Return by kind and name whatever edges are told of but keys, with what was removed and what somebody else wrote."""
    macs = macs_of(connection)
    frozen = {
        text_of(row.subject): SignedRow(
            row.version,
            None if row.is_lifted else msgspec.json.encode(row.until_ms),
            macs.holds(row.mac, "freezes", *freeze_values(row)),
        )
        for row in connection.execute(select(tables.freezes))
    }
    return {**_signed_objects(connection, PUBLISHED), FREEZE: frozen}


def object_names(connection: Connection, kind: str) -> list[str]:
    """Return the names of a kind's objects, sorted."""
    query = select(tables.objects.c.name).where(tables.objects.c.kind == kind, tables.objects.c.spec != REMOVED)
    return list(connection.execute(query.order_by(tables.objects.c.name)).scalars())


def find_object(connection: Connection, kind: str, name: str) -> bytes | None:
    """Return one object; None when there is none, or when somebody else wrote it."""
    row = _object_row(connection, kind, name)
    if row is None or row.spec == REMOVED or not macs_of(connection).holds(row.mac, "objects", *object_values(row)):
        return None
    return bytes(row.spec)


def freeze_values(row: Any) -> tuple[Any, ...]:
    """Return what the MAC of a row of `freezes` is over."""
    return row.subject, row.until_ms, row.created_ms, row.actor, row.version, row.is_lifted


def put_freeze(connection: Connection, subject: str, until_ms: int | None, actor: str, now_ms: int) -> None:
    """Freeze a subject, or change until when."""
    _write_freeze(connection, subject, until_ms, actor, now_ms, is_lifted=False)


def remove_freeze(connection: Connection, subject: str, actor: str, now_ms: int, known: bool = False) -> bool:
    """Unfreeze a subject; False when it was not frozen. `known`: it is frozen, whatever the store says."""
    row = connection.execute(select(tables.freezes).where(tables.freezes.c.subject == subject)).one_or_none()
    if not known and (row is None or row.is_lifted):
        return False
    _write_freeze(connection, subject, None, actor, now_ms, is_lifted=True)
    return True


def _write_freeze(
    connection: Connection, subject: str, until_ms: int | None, actor: str, now_ms: int, *, is_lifted: bool
) -> None:
    here = tables.freezes.c.subject == subject
    row = connection.execute(select(tables.freezes).where(here)).one_or_none()
    is_ours = row is not None and macs_of(connection).holds(row.mac, "freezes", *freeze_values(row))
    version = row.version if row is not None and is_ours else 0
    values = {
        "subject": subject,
        "until_ms": until_ms,
        "created_ms": now_ms,
        "actor": actor,
        "version": max(now_ms, version + 1),
        "is_lifted": is_lifted,
    }
    values["mac"] = macs_of(connection).of("freezes", *values.values())
    connection.execute(delete(tables.freezes).where(here))
    connection.execute(insert(tables.freezes), [values])


def freezes(connection: Connection) -> dict[str, int | None]:
    """Return frozen subjects and until when, as far as this gateway wrote them."""
    macs = macs_of(connection)
    rows = connection.execute(select(tables.freezes).where(tables.freezes.c.is_lifted.is_(False)))
    return {row.subject: row.until_ms for row in rows if macs.holds(row.mac, "freezes", *freeze_values(row))}


SESSION = "(session)"
"""The name of a console's session: no token for automation can have it."""


def put_token(
    connection: Connection, token_hash: bytes, name: str, kind: str, role: str, expires_ms: int | None, now_ms: int
) -> None:
    """Store the hash of an admin token or a one-time link."""
    row = {"hash": token_hash, "name": name, "kind": kind, "role": role, "expires_ms": expires_ms, "created_ms": now_ms}
    row["mac"] = macs_of(connection).of("tokens", *row.values())
    connection.execute(insert(tables.tokens), [row])


def token_values(row: Any) -> tuple[Any, ...]:
    """Return what the MAC of a row of `tokens` is over."""
    return row.hash, row.name, row.kind, row.role, row.expires_ms, row.created_ms


def token_role(connection: Connection, token_hash: bytes, kind: str, now_ms: int) -> tuple[str, str] | None:
    """Return (name, role) of a valid token; None for one that this gateway did not make."""
    row = connection.execute(
        select(tables.tokens).where(tables.tokens.c.hash == token_hash, tables.tokens.c.kind == kind)
    ).one_or_none()
    if row is None or (row.expires_ms is not None and row.expires_ms <= now_ms):
        return None
    if not macs_of(connection).holds(row.mac, "tokens", *token_values(row)):
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


def token_hashes(connection: Connection, kind: str, name: str | None = None) -> list[tuple[str, bytes, int | None]]:
    """Return (name, hash, when it ends) of the tokens of a kind, or of those of one name. A hash or an end that is of another type
    than this gateway writes is no token's, and left out."""
    columns = tables.tokens.c
    query = select(columns.name, columns.hash, columns.expires_ms).where(columns.kind == kind)
    rows = connection.execute(query if name is None else query.where(columns.name == name))
    return [
        (text_of(row.name), row.hash, row.expires_ms)
        for row in rows
        if isinstance(row.hash, bytes) and isinstance(row.expires_ms, int | None)
    ]


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
