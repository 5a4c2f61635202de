"""Routes of virtual keys. Level 5."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear.config.compile import NAME
from switchgear.control import answers, budget_names, holders
from switchgear.control.api import Call, P, Route, Span
from switchgear.control.keys import OVERLAP_MS
from switchgear.core import key_policy, organisation
from switchgear.core.errors import UserError
from switchgear.core.key_policy import ChangedPolicy, WrittenPolicy
from switchgear.core.money import format_usd
from switchgear.replica import holding
from switchgear.store import objects
from switchgear.store.database import StoreGoneError
from switchgear.store.holders import names_of
from switchgear.store.objects import KeyRow


class KeyCreate(WrittenPolicy, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /keys."""

    name: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of a key that clients hold already (of another gateway): none is made then, and none returned."""
    spent_nanousd: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    """With `sha256`: what the key spent before it came here."""


class KeyChange(ChangedPolicy, forbid_unknown_fields=True, kw_only=True):
    """Body of PATCH /keys/{name}: only what is given changes; null clears."""

    version: int | None = None


class KeyRotate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /keys/{name}/rotate."""

    overlap_ms: Span = OVERLAP_MS
    force: bool = False


def _key(row: KeyRow, names: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "source": row.source,
        **key_policy.told(row),
        **names,
        "revoked_ms": row.revoked_ms,
        "created_ms": row.created_ms,
        "secrets": len(row.secrets),
    }


async def _with_names(call: Call, row: KeyRow) -> dict[str, Any]:
    """Return a key with the names of whom it belongs to."""
    names = await call.control.read(lambda c: holders.with_names(c, row, organisation.KEY_REFERENCES))
    return _key(row, names)


def _check_policy(values: dict[str, Any]) -> None:
    """Raise UserError for the first of a policy's written values that is wrong."""
    for path, message in key_policy.check(values):
        raise UserError(f"{path}: {message}", "", 2)


def _check_expiry(call: Call, expires_ms: int | None) -> None:
    if expires_ms is not None and expires_ms <= call.control.clock.wall_ms():
        raise UserError(
            "the expiry is past: the key would not hold from the start", "to stop a key: key revoke NAME", 2
        )


async def list_keys(call: Call) -> Any:
    """All keys, never a secret."""
    standing = call.services.models.standing()

    def look(connection: Connection) -> tuple[list[KeyRow], dict[str, dict[str, str]]]:
        return objects.keys(connection), {kind: names_of(connection, kind) for kind in organisation.KINDS}

    rows, known = await call.control.read(look)

    def tell() -> list[dict[str, Any]]:
        return [
            _key(row, _names(row, known)) | {"frozen": standing.of_key(held(row)) if standing is not None else []}
            for row in rows
        ]

    held = call.services.holders.held
    return {"keys": await asyncio.to_thread(tell)}


def _names(row: KeyRow, known: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    named = {field: (of, getattr(row, field)) for field, of in organisation.KEY_REFERENCES.items()}
    return {field: known[of].get(identity, identity) for field, (of, identity) in named.items() if identity is not None}


async def create_key(call: Call) -> Any:
    """A new key; `key` is shown this once."""
    body: KeyCreate = call.body
    if not NAME.fullmatch(body.name):
        raise UserError(f"{body.name!r} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters", "", 2)
    _check_policy(msgspec.structs.asdict(body))
    budget_names.refuse(call.services.publication.snapshot, body.budget, body.models)
    row = KeyRow(id="", name=body.name, **key_policy.fields_of(key_policy.read(body)))
    if body.sha256 is None:  # an imported key may have ended where it was
        _check_expiry(call, row.expires_ms)
    if body.sha256 is not None:
        made = await call.services.keys.take_over(row, bytes.fromhex(body.sha256), body.spent_nanousd or 0, call.actor)
        await call.services.budgets.open_with(f"key:{made.id}", made, body.spent_nanousd or 0, call.actor)
        return await _with_names(call, made)
    made, token = await call.services.keys.create(row, call.actor)
    return {**await _with_names(call, made), "key": token}


async def get_key(call: Call) -> Any:
    """One key, with what it spent: here, and before it came here."""
    row = await call.services.keys.find(call.path["name"])
    before, here = await call.services.keys.spent(row)
    spent = {"spent_before_nanousd": before, "spent_nanousd": before + here, "spent_usd": format_usd(before + here)}
    standing = call.services.models.standing()
    held = await call.services.holders.held_later(row)
    frozen = standing.of_key(held) if standing is not None else []
    return {**await _with_names(call, row), "frozen": frozen, **spent, **holding.told(held)}


async def change_key(call: Call) -> Any:
    """Change a key."""
    body: KeyChange = call.body
    written = key_policy.changes_of(body)
    _check_policy(written)
    budget_names.refuse(call.services.publication.snapshot, written.get("budget"))
    changes = key_policy.converted(written)
    _check_expiry(call, changes.get("expires_ms"))
    seen = body.version if body.version is not None else call.seen_version
    return await _with_names(call, await call.services.keys.change(call.path["name"], changes, call.actor, seen))


async def rotate_key(call: Call) -> Any:
    """A new secret for a key; the old one holds until the overlap ends."""
    row, token = await call.services.keys.rotate(call.path["name"], call.body.overlap_ms, call.body.force, call.actor)
    return {**await _with_names(call, row), "key": token}


async def revoke_key(call: Call) -> Any:
    """Revoke a key."""
    row = await call.services.keys.revoke(call.path["name"], call.actor)
    try:
        return await _with_names(call, row)
    except (StoreGoneError, DatabaseError):
        return _key(row)  # it holds all the same


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/keys", "keys:read", list_keys, answers.Keys),
    Route("POST", f"{P}/keys", "keys:write", create_key, answers.NewKey, KeyCreate),
    Route("GET", f"{P}/keys/{{name}}", "keys:read", get_key, answers.SpentKey),
    Route("PATCH", f"{P}/keys/{{name}}", "keys:write", change_key, answers.Key, KeyChange),
    Route("POST", f"{P}/keys/{{name}}/rotate", "keys:write", rotate_key, answers.NewKey, KeyRotate),
    Route("POST", f"{P}/keys/{{name}}/revoke", "keys:write", revoke_key, answers.Key),
)
