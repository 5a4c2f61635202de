"""Routes of what discovery and doctor found. Level 5."""

from typing import Annotated, Any, Literal

import msgspec

from switchgear.control import answers, findings
from switchgear.control.api import Call, P, Route, time_of
from switchgear.detect.finding import Finding

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Recognise(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /recognise: SHA-256 digests of keys that were found somewhere."""

    digests: Annotated[list[Digest], msgspec.Meta(max_length=10_000)]


class FindingsRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /findings: a run of `discover`."""

    findings: Annotated[list[Finding], msgspec.Meta(max_length=findings.STORED_MAX)]
    sources: Annotated[str, msgspec.Meta(max_length=2_000)]
    partial: bool
    also_seen: Annotated[list[str], msgspec.Meta(max_length=findings.STORED_MAX)] = []
    """Ids of the same run that came in earlier calls, which said `partial`."""


class FindingDecide(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PATCH /findings/{id}."""

    state: Literal["open", "accepted"]
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    until: str | None = None


async def recognise(call: Call) -> Any:
    """Which of these keys this gateway issued or holds."""
    return {"known": await findings.recognise(call.control, call.body.digests)}


async def list_findings(call: Call) -> Any:
    """Stored findings with their states."""
    now = call.control.clock.wall_ms()
    return {"findings": await call.control.read(lambda c: findings.everything(c, now))}


async def record_findings(call: Call) -> Any:
    """Store what a run of `discover` found; what it no longer has is fixed."""
    body: FindingsRecord = call.body
    now = call.control.clock.wall_ms()
    return await call.control.write(
        lambda c: findings.record(c, body.findings, body.sources, body.partial, call.actor, now, body.also_seen)
    )


async def decide_finding(call: Call) -> Any:
    """Accept a finding with a reason until a date, or open it again."""
    body: FindingDecide = call.body
    now = call.control.clock.wall_ms()
    until = time_of(body.until)
    return await call.control.write(
        lambda c: findings.decide(c, call.path["id"], body.state, body.reason, until, call.actor, now)
    )


async def get_doctor(call: Call) -> Any:
    """What should be otherwise, as far as control can see: keys, credentials, prices, backlog, disk, clock, versions."""
    return {"findings": await call.services.checkup.look(), "time_ms": call.services.checkup.last_ms}


async def ask_online(call: Call) -> Any:
    """What OSV knows of the packages that this gateway runs with: their names and versions are sent, through the courier."""
    found = await call.services.courier.ask_osv(call.services.checkup.packages)
    return {"findings": found, "time_ms": call.control.clock.wall_ms()}


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/doctor", "findings:read", get_doctor, answers.Looked),
    Route("POST", f"{P}/doctor/online", "findings:write", ask_online, answers.Looked),
    Route("POST", f"{P}/recognise", "findings:write", recognise, answers.Known, Recognise),
    Route("GET", f"{P}/findings", "findings:read", list_findings, answers.Findings),
    Route("POST", f"{P}/findings", "findings:write", record_findings, findings.Recorded, FindingsRecord),
    Route("PATCH", f"{P}/findings/{{id}}", "findings:write", decide_finding, findings.Stored, FindingDecide),
)
