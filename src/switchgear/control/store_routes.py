"""Routes of the store itself: whether its rows are believed, and taking it as it is. Level 5."""

from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear.control import answers
from switchgear.control.api import Call, P, Route
from switchgear.store import objects, signing


class StoreAccept(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /store/accept."""

    unsigned: bool = False
    """Also what this gateway did not write."""


async def check_store(call: Call) -> Any:
    """Look at every row that edges are told of, and at tokens, versions and findings: those that are not believed."""
    return {"doubts": await call.services.publication.look()}


async def accept_store(call: Call) -> Any:
    """Take the store as it is: after a restore, or, with `unsigned`, after somebody wrote into it who may."""
    body: StoreAccept = call.body
    now = call.control.clock.wall_ms()
    before = await call.services.publication.look()

    def work(connection: Connection) -> int:
        signed = signing.sign(connection) if body.unsigned else 0
        told = [[doubt.kind, doubt.name, doubt.why] for doubt in before]
        detail = {"unsigned": body.unsigned, "signed": signed, "doubts": told[:1_000]}
        objects.write_audit(connection, now, call.actor, "store.accept", "store", detail)
        return signed

    signed = await call.services.publication.accept(work)
    return {"signed": signed, "doubts": await call.services.publication.look()}


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/store", "config:read", check_store, answers.StoreChecked),
    Route("POST", f"{P}/store/accept", "admin:write", accept_store, answers.StoreAccepted, StoreAccept),
)
