"""Routes of exporters: records by number of settlement, and cursors. Level 5."""

from typing import Annotated, Any

import msgspec

from switchgear.config.compile import NAME
from switchgear.control import answers, exports
from switchgear.control.api import Call, P, Route
from switchgear.core.errors import UserError
from switchgear.ledger import record
from switchgear.store import outbox

SEQ_MAX = (1 << 53) - 1
Seq = Annotated[int, msgspec.Meta(ge=0, le=SEQ_MAX)]


class CursorCreate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /cursors."""

    name: str
    seq: Seq | None = 0
    """Begin behind this number: 0 is the oldest record. null: only what comes from now on."""


class CursorMove(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /cursors/{name}."""

    seen: Seq
    """Where the caller saw the cursor: 409 when somebody else moved it since."""
    seq: Seq
    """Everything up to here was handed on."""


async def export(call: Call) -> Any:
    """Records in the order of their settlement, behind `after_seq`; `next_seq` goes on."""
    found = await call.services.exports.after(
        call.number("after_seq", 0, 0, SEQ_MAX), call.number("limit", 500, 1, 1_000)
    )
    records = [record.full(one) | {"settled_seq": seq} for seq, one in found.records]
    return {"records": records, "next_seq": found.next_seq, "head_seq": found.head_seq}


async def list_cursors(call: Call) -> Any:
    """How far each exporter is."""
    cursors, head_seq = await call.services.exports.cursors()
    return {"cursors": [exports.shown(cursor, head_seq) for cursor in cursors], "head_seq": head_seq}


async def add_cursor(call: Call) -> Any:
    """A cursor: records that it has not passed outlive their retention by up to seven days."""
    body: CursorCreate = call.body
    if not NAME.fullmatch(body.name):
        raise UserError(
            f"{body.name[:80]!r} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters", "", 2
        )
    return await call.services.exports.begin(body.name, body.seq, call.actor, is_admin=call.may("config:write"))


async def move_cursor(call: Call) -> Any:
    """Note what was handed on. Asking once more with the same `seq` changes nothing; 403 for another's cursor."""
    body: CursorMove = call.body
    is_admin = call.may("config:write")
    return await call.services.exports.move(call.path["name"], body.seen, body.seq, call.actor, is_admin=is_admin)


async def remove_cursor(call: Call) -> Any:
    """Remove a cursor; 403 for another's."""
    await call.services.exports.remove(call.path["name"], call.actor, is_admin=call.may("config:write"))
    return {"name": call.path["name"]}


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/export", "log:read", export, answers.Export, query=("after_seq", "limit")),
    Route("GET", f"{P}/cursors", "log:read", list_cursors, answers.Cursors),
    Route("POST", f"{P}/cursors", "log:export", add_cursor, outbox.Cursor, CursorCreate),
    Route("PUT", f"{P}/cursors/{{name}}", "log:export", move_cursor, outbox.Cursor, CursorMove),
    Route("DELETE", f"{P}/cursors/{{name}}", "log:export", remove_cursor, answers.Name),
)
