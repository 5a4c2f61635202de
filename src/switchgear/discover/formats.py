"""Reports for other programs and for people: SARIF 2.1.0, CycloneDX 1.6, Markdown. Level 5. No file is read here.

SARIF: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ ; CycloneDX: https://cyclonedx.org/docs/1.6/json/ (both read 2026-11).
"""

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from switchgear.detect.finding import SEVERITIES, Finding
from switchgear.discover.report import Report

_LEVELS = {"info": "note", "low": "note", "medium": "warning", "high": "error", "critical": "error"}
_SCORES = {"info": "0.0", "low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}
_PLACE = re.compile(r"(?P<path>.+?)(?::(?P<line>\d+))?(?: \(.*\))?")


def sarif(report: Report) -> dict[str, Any]:
    """Return a SARIF log with one run."""
    rules: dict[str, dict[str, Any]] = {}
    results = []
    for finding in report.findings:
        rule = f"{finding.kind}/{finding.rule or finding.kind}"
        rules.setdefault(
            rule,
            {
                "id": rule,
                "shortDescription": {"text": f"{finding.kind}: {finding.rule or finding.kind}"},
                "properties": {"security-severity": _SCORES[finding.severity], "tags": ["security", "ai"]},
            },
        )
        results.append(
            {
                "ruleId": rule,
                "ruleIndex": list(rules).index(rule),
                "level": _LEVELS[finding.severity],
                "message": {"text": finding.title + (f". {finding.fix}" if finding.fix else "")},
                "locations": [_location(finding)],
                "partialFingerprints": {"switchgear/v1": finding.id},
                "properties": {
                    "verdict": finding.verdict,
                    "confidence": finding.confidence,
                    "severity": finding.severity,
                    **finding.evidence,
                },
            }
        )
    notes = [{"level": "error", "message": {"text": f"{p.where}: {p.reason}"}} for p in report.problems]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "switchgear discover",
                        "version": report.version,
                        "informationUri": "https://github.com/switchgear/switchgear",
                        "rules": list(rules.values()),
                    }
                },
                "invocations": [{"executionSuccessful": not report.partial, "toolExecutionNotifications": notes}],
                "results": results,
            }
        ],
    }


_ON_DISK = frozenset(
    {
        "key",
        "endpoint",
        "sdk",
        "image",
        "config",
        "mcp",
        "package",
        "credential_file",
        "flag",
        "model",
        "advisory",
        "infrastructure",
    }
)


def _location(finding: Finding) -> dict[str, Any]:
    match = _PLACE.fullmatch(finding.where)
    if finding.kind in _ON_DISK and match is not None and "/" in finding.where:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(match.group("path"))}}
        if match.group("line"):
            place["region"] = {"startLine": max(1, int(match.group("line")))}
        return {"physicalLocation": place}
    return {"logicalLocations": [{"fullyQualifiedName": finding.where, "kind": "resource"}]}


def cyclonedx(report: Report) -> dict[str, Any]:
    """Return a CycloneDX document: services that answer, components that are installed or named, vulnerabilities."""
    services, components, vulnerabilities = [], [], []
    for finding in report.findings:
        properties = [
            {"name": f"switchgear:{name}", "value": str(value)}
            for name, value in {
                "verdict": finding.verdict,
                "where": finding.where,
                "severity": finding.severity,
                **finding.evidence,
            }.items()
        ]
        if finding.kind in {"service", "process"} and ":" in finding.where:
            scheme = "https" if finding.evidence.get("tls") == "yes" else "http"
            services.append(
                {
                    "bom-ref": finding.id,
                    "name": finding.product or finding.rule,
                    **({"version": finding.version} if finding.version else {}),
                    "endpoints": [f"{scheme}://{finding.where}"],
                    **(
                        {"authenticated": finding.auth == "auth"}
                        if finding.auth in {"auth", "open", "claimable"}
                        else {}
                    ),
                    "x-trust-boundary": False,
                    "properties": properties,
                }
            )
        elif finding.kind in {"package", "image", "model"}:
            kind = {"package": "library", "image": "container", "model": "machine-learning-model"}[finding.kind]
            name = finding.evidence.get("model") or _component_name(finding)
            components.append(
                {
                    "bom-ref": finding.id,
                    "type": kind,
                    "name": name,
                    **({"version": finding.version} if finding.version else {}),
                    **({"purl": finding.evidence["purl"]} if "purl" in finding.evidence else {}),
                    "evidence": {"occurrences": [{"location": finding.where}]},
                    "properties": properties,
                }
            )
        elif finding.kind == "advisory" and finding.rule not in {"version-unknown", "malicious-file"}:
            target = next(
                (
                    f.id
                    for f in report.findings
                    if f.kind in {"service", "process", "package", "image"} and f.where == finding.where
                ),
                None,
            )
            vulnerabilities.append(
                {
                    "bom-ref": finding.id,
                    "id": finding.rule,
                    "description": finding.title,
                    "recommendation": finding.fix,
                    "ratings": [{"severity": finding.severity, "method": "other"}],
                    **({"affects": [{"ref": target}]} if target else {}),
                }
            )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, report.generated + ''.join(f.id for f in report.findings))}",
        "version": 1,
        "metadata": {
            "timestamp": report.generated,
            "tools": {
                "components": [{"type": "application", "name": "switchgear discover", "version": report.version}]
            },
            "properties": [{"name": "switchgear:partial", "value": str(report.partial).lower()}],
        },
        "components": components,
        "services": services,
        "vulnerabilities": vulnerabilities,
    }


def _component_name(finding: Finding) -> str:
    purl = finding.evidence.get("purl", "")
    if purl:
        return re.sub(r"^pkg:[a-z]+/", "", purl).rpartition("@")[0] or re.sub(r"^pkg:[a-z]+/", "", purl)
    return finding.product or finding.rule


def markdown(report: Report) -> str:
    """Return a report for people."""
    count = len(report.findings)
    lines = [
        "# AI tools outside the gateway",
        "",
        f"{report.generated} · {', '.join(report.sources)} · advisories as of {report.advisories_as_of}",
        "",
        f"**{count} finding{'s' if count != 1 else ''}**" + (": " + _sums(report) if count else ""),
    ]
    if report.partial:
        lines += ["", f"**Partial: {report.problem_count} places could not be looked at.**", ""]
        lines += [f"- {_cell(p.where)}: {_cell(p.reason)}" for p in report.problems]
    if report.findings:
        lines += ["", "| severity | verdict | what | where | what to do |", "|---|---|---|---|---|"]
        lines += [
            f"| {f.severity} | {f.verdict} | {_cell(f.title)} | {_cell(f.where)} | {_cell(f.fix)} |"
            for f in report.findings
        ]
    if report.fixed:
        lines += ["", f"{len(report.fixed)} findings of the baseline are gone."]
    return "\n".join(lines) + "\n"


def _sums(report: Report) -> str:
    counts = {severity: sum(f.severity == severity for f in report.findings) for severity in reversed(SEVERITIES)}
    return ", ".join(f"{n} {severity}" for severity, n in counts.items() if n)


def _cell(text: str) -> str:
    # What was found is somebody else's text: it may not become markup here.
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text.replace("\n", " "))


FORMATS: dict[str, Callable[[Report], dict[str, Any]]] = {"sarif": sarif, "cyclonedx": cyclonedx}
