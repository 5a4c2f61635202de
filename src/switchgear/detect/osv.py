"""What OSV is asked about installed packages, and what its answer means. Level 1.

https://google.github.io/osv.dev/post-v1-querybatch (read 2026-11). Names and versions are sent, nothing else; an answer that
makes no sense is a hint, never "all well".
"""

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.core.text import clean
from switchgear.detect.checks import finding
from switchgear.detect.finding import Finding

PATH = "/v1/querybatch"
"""Below https://api.osv.dev."""
ID_CHARACTERS_MAX = 64

Package = tuple[str, str]
"""Name and version."""


class _Vulnerability(msgspec.Struct):
    id: str


class _Result(msgspec.Struct):
    vulns: list[_Vulnerability] = []


class _Answer(msgspec.Struct):
    results: list[_Result | None]


def question(packages: list[Package]) -> bytes:
    """Return the body of the request about Python packages."""
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages]
    return msgspec.json.encode({"queries": queries})


def judge(packages: list[Package], status: int, body: bytes) -> list[Finding]:
    """Return what an answer says about the packages that were asked about."""
    try:
        results = msgspec.json.decode(body, type=_Answer).results if status == 200 else None
    except UNREADABLE:
        results = None
    if results is None or len(results) != len(packages):
        return [unasked(f"its answer makes no sense (status {status})")]
    found = []
    for (name, version), result in zip(packages, results, strict=True):
        for vulnerability in result.vulns if result is not None else ():
            number = clean(vulnerability.id, ID_CHARACTERS_MAX)
            title = f"{name} {version} is vulnerable: {number}"
            fix = f"see https://osv.dev/vulnerability/{number}; update"
            found.append(finding("dependency-vulnerable", "high", title, name, fix, f"{name}-{number}"))
    return found


def unasked(why: str) -> Finding:
    """Return the hint that nobody could be asked."""
    fix = "try again, or bring a file: --advisories"
    return finding("online", "low", f"the online source could not be asked: {why}", "osv", fix)
