"""Findings of `discover` that were stored, with what people decided about them; and recognising keys. Level 5.

A finding is open, accepted (with a reason, until a date) or fixed. It is fixed when a complete run of the same sources no
longer has it; an acceptance that ran out is open again. Stored findings hold no secret: `detect.finding` never does.
"""

import contextlib
import re
from collections.abc import Iterable
from typing import Literal

import msgspec
from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.core import virtual_key
from switchgear.core.errors import UserError
from switchgear.core.text import clean
from switchgear.detect.finding import Finding, cleaned
from switchgear.store import objects
from switchgear.vault import verbs

KIND = "finding"
STORED_MAX = 20_000
ASKED_AT_ONCE = 400
_ID = re.compile(r"[0-9a-f]{1,64}")
State = Literal["open", "accepted", "fixed"]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A stored finding."""

    finding: Finding
    sources: str
    """The run's sources, as `discover` names them: only a run of the same ones says that it is gone."""
    first_seen_ms: int
    last_seen_ms: int
    state: State = "open"
    reason: str | None = None
    accepted_by: str | None = None
    accepted_until_ms: int | None = None


class Recorded(msgspec.Struct, frozen=True):
    """What a run changed."""

    new: int
    seen: int
    fixed: int


def everything(connection: Connection, now_ms: int) -> list[Stored]:
    """Return all stored findings; acceptances that ran out count as open."""
    found = []
    for raw in objects.objects(connection, KIND).values():
        with contextlib.suppress(msgspec.DecodeError):  # a run of discovery records it again
            found.append(msgspec.json.decode(raw, type=Stored))
    return [_current(stored, now_ms) for stored in found]


def _current(stored: Stored, now_ms: int) -> Stored:
    if stored.state == "accepted" and stored.accepted_until_ms is not None and stored.accepted_until_ms <= now_ms:
        return msgspec.structs.replace(stored, state="open")
    return stored


def record(
    connection: Connection,
    found: list[Finding],
    sources: str,
    partial: bool,
    actor: str,
    now_ms: int,
    also_seen: Iterable[str] = (),
) -> Recorded:
    """Store a run's findings. `also_seen`: ids of the run that came in earlier calls (as partial ones: a large run takes
    several). Raises UserError when too many are stored already.
    """
    earlier = {stored.finding.id: stored for stored in everything(connection, now_ms)}
    fresh = {finding.id: cleaned(finding) for finding in found}
    for identity in fresh:
        if not _ID.fullmatch(identity):
            raise UserError(f"{identity[:64]!r} is not the id of a finding", "16 hexadecimal digits", 2)
    sources = clean(sources, 2_000)
    if len(earlier.keys() | fresh.keys()) > STORED_MAX:
        raise UserError(f"more than {STORED_MAX:,} findings would be stored", "record less, or fix some first")
    new = 0
    for identity, finding in fresh.items():
        old = earlier.get(identity)
        new += old is None
        stored = Stored(finding=finding, sources=sources, first_seen_ms=now_ms, last_seen_ms=now_ms)
        if old is not None:
            state: State = "open" if old.state == "fixed" else old.state
            stored = msgspec.structs.replace(old, finding=finding, sources=sources, last_seen_ms=now_ms, state=state)
        _put(connection, stored, now_ms)
    fixed = 0
    seen = fresh.keys() | set(also_seen)
    for identity, old in earlier.items():
        if identity not in seen and old.sources == sources and old.state != "fixed" and not partial:
            fixed += 1
            _put(connection, msgspec.structs.replace(old, state="fixed"), now_ms)
    recorded = Recorded(new=new, seen=len(fresh) - new, fixed=fixed)
    objects.write_audit(connection, now_ms, actor, "findings.record", sources[:200], msgspec.to_builtins(recorded))
    return recorded


def decide(
    connection: Connection,
    identity: str,
    state: State,
    reason: str | None,
    until_ms: int | None,
    actor: str,
    now_ms: int,
) -> Stored:
    """Accept a finding with a reason, or open it again. Raises UserError."""
    raw = objects.objects(connection, KIND).get(identity)
    if raw is None:
        raise UserError(f"there is no stored finding {identity[:64]!r}", "list them: switchgear findings list", 2)
    if state == "accepted" and not (reason or "").strip():
        raise UserError("an acceptance needs a reason", "--reason 'why it may stay'", 2)
    stored = msgspec.structs.replace(
        msgspec.json.decode(raw, type=Stored),
        state=state,
        reason=clean(reason or "", 1_000) if state == "accepted" else None,
        accepted_by=actor if state == "accepted" else None,
        accepted_until_ms=until_ms if state == "accepted" else None,
    )
    _put(connection, stored, now_ms)
    objects.write_audit(
        connection, now_ms, actor, f"finding.{state}", identity, {"reason": reason, "until_ms": until_ms}
    )
    return stored


def _put(connection: Connection, stored: Stored, now_ms: int) -> None:
    objects.set_object(connection, KIND, stored.finding.id, msgspec.json.encode(stored), now_ms)


async def recognise(control: Control, digests: list[str]) -> dict[str, tuple[str, str]]:
    """Return hex digest → (virtual_key | credential, name) of what this gateway issued or holds.

    Keys are compared by their keyed hashes, credentials by the vault's: nothing is unsealed for it.
    """
    asked = [bytes.fromhex(digest) for digest in digests]
    macs = {virtual_key.keyed_hash(pepper, digest): digest for digest in asked for pepper in control.peppers.values()}

    def issued(connection: Connection) -> dict[str, tuple[str, str]]:
        return {macs[mac].hex(): ("virtual_key", name) for mac, name in objects.key_names(connection, macs).items()}

    known = await control.read(issued)
    for at in range(0, len(asked), ASKED_AT_ONCE):
        held = await control.ask_vault(verbs.RECOGNISE, asked[at : at + ASKED_AT_ONCE])
        known |= {digest: ("credential", name) for digest, name in held.items()}
    return known
