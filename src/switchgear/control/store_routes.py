"""Routes of the store itself: whether its rows are believed, and taking it as it is. Level 5."""

from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear.control import answers
from switchgear.control.api import Call, P, Route
from switchgear.control.seen import Doubt
from switchgear.core.errors import ConflictError
from switchgear.store import objects, signing


class StoreAccept(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /store/accept."""

    unsigned: bool = False
    """Also what this gateway did not write."""
    shown: str = ""
    """With `unsigned`: what GET /store said in its `unsigned`. Exactly these rows, as they were then, are signed."""


NAMED_MAX = 20
"""So many rows are named in one sentence."""


async def check_store(call: Call) -> Any:
    """Look at every row that edges are told of, and at tokens, versions and findings: those that are not believed, and what stands
    for those of them that could be signed."""
    rows = await call.control.read(lambda connection: list(signing.unsigned(connection)))
    forged = {Doubt(row.kind, row.name, "forged") for row in rows}  # each that the digest is over is shown
    return {"doubts": sorted({*await call.services.publication.look(), *forged}), "unsigned": signing.digest(rows)}


async def accept_store(call: Call) -> Any:
    """Take the store as it is: after a restore, or, with `unsigned`, after somebody wrote into it who may. Raises ConflictError
    when other rows would be signed than were shown, or the same with another content."""
    body: StoreAccept = call.body
    now = call.control.clock.wall_ms()
    before = await call.services.publication.look()

    def work(connection: Connection) -> list[list[str]]:
        rows = list(signing.unsigned(connection)) if body.unsigned else []
        if body.unsigned and signing.digest(rows) != body.shown:
            raise _changed(rows)
        signed = [[row.kind, row.name] for row in signing.sign(connection, rows)]
        told = [[doubt.kind, doubt.name, doubt.why] for doubt in before]
        detail = {"unsigned": body.unsigned, "signed": len(signed), "rows": signed[:1_000], "doubts": told[:1_000]}
        objects.write_audit(connection, now, call.actor, "store.accept", "store", detail)
        return signed

    signed = await call.services.publication.accept(work) or []
    rows = [{"kind": kind, "name": name} for kind, name in signed]
    return {"signed": len(signed), "rows": rows, "doubts": await call.services.publication.look()}


def _changed(rows: list[signing.Unsigned]) -> ConflictError:
    names = [f"the {row.kind} {row.name!r}" for row in rows if row.is_sound]
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    listed = ", ".join(names[:NAMED_MAX]) or "none"
    return ConflictError(
        f"nothing was accepted: the rows that would be signed are not those that were shown; now they are: {listed}{more}",
        "look at them again (switchgear store check), then accept them",
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/store", "config:read", check_store, answers.StoreChecked),
    Route("POST", f"{P}/store/accept", "admin:write", accept_store, answers.StoreAccepted, StoreAccept),
)
