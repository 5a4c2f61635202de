"""One run's report: JSON of our own, and what is new against a baseline. Level 5."""

import msgspec

from switchgear.core.errors import UserError
from switchgear.detect.finding import SEVERITIES, Finding, Severity
from switchgear.discover.collector import Collector, Unreadable

CLEAN, FOUND, PARTIAL = 0, 3, 4


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `switchgear discover --json` prints."""

    schema: str = "switchgear-discover/1"
    version: str
    generated: str
    """ISO 8601."""
    sources: list[str]
    advisories_as_of: str
    findings: list[Finding]
    partial: bool
    problems: list[Unreadable]
    problem_count: int
    skipped: dict[str, int]
    looked_at: dict[str, int]
    requests_sent: int = 0
    fixed: list[str] = []
    """With a baseline: ids that it had and that are gone."""


class _Known(msgspec.Struct, frozen=True):
    id: str
    title: str = ""


class _Baseline(msgspec.Struct, frozen=True):
    findings: list[_Known]


def make(
    collector: Collector, *, version: str, generated: str, sources: list[str], as_of: str, requests: int = 0
) -> Report:
    """Make a report of what was gathered."""
    return Report(
        version=version,
        generated=generated,
        sources=sources,
        advisories_as_of=as_of,
        findings=collector.findings(),
        partial=collector.partial,
        problems=collector.problems,
        problem_count=collector.problem_count,
        skipped=dict(collector.skipped),
        looked_at=dict(collector.looked_at),
        requests_sent=requests,
    )


def against(report: Report, baseline: bytes, name: str) -> Report:
    """Leave only what an earlier JSON report did not have; `fixed` are its ids that are gone. Raises UserError."""
    try:
        earlier = {known.id for known in msgspec.json.decode(baseline, type=_Baseline).findings}
    except msgspec.MsgspecError as exc:
        raise UserError(
            f"{name}: not a report: {exc}", "make one: switchgear discover … --json > baseline.json", 2
        ) from None
    now = {finding.id for finding in report.findings}
    return msgspec.structs.replace(
        report, findings=[f for f in report.findings if f.id not in earlier], fixed=sorted(earlier - now)
    )


def exit_code(report: Report, fail_on: Severity) -> int:
    """0 clean, 3 findings that count, 4 partial: a partial run never looks clean."""
    if report.partial:
        return PARTIAL
    bound = SEVERITIES.index(fail_on)
    counts = any(SEVERITIES.index(f.severity) >= bound and f.verdict != "governed" for f in report.findings)
    return FOUND if counts else CLEAN
