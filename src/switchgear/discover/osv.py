"""Asks OSV (https://google.github.io/osv.dev, read 2026-11) about the installed packages, when told to. Level 5.

Names and versions are sent, nothing else; an answer that makes no sense is a hint, never "all well".
"""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from switchgear.detect.checks import finding
from switchgear.detect.finding import Finding
from switchgear.discover import integrity

URL = "https://api.osv.dev/v1/querybatch"
ANSWER_BYTES_MAX = 16 * 1024 * 1024


def ask(url: str = URL) -> Iterator[Finding]:
    """Ask OSV about the installed packages: their names and versions are sent, nothing else."""
    packages = integrity.installed()
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in packages]
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request("POST", parts.path, json.dumps({"queries": queries}), {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read(ANSWER_BYTES_MAX))
        results = answer["results"] if response.status == 200 else None
        if not isinstance(results, list) or len(results) != len(packages):
            raise ValueError(f"status {response.status}")
        for (name, version), result in zip(packages, results, strict=True):
            for row in (result or {}).get("vulns", []):
                title = f"{name} {version} is vulnerable: {str(row['id'])[:64]}"
                fix = f"see https://osv.dev/vulnerability/{str(row['id'])[:64]}; update"
                yield finding("dependency-vulnerable", "high", title, name, fix, f"{name}-{row['id']}")
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as exc:
        yield finding(
            "online",
            "low",
            f"{parts.hostname} could not be asked: {exc}",
            url,
            "try again, or bring a file: --advisories",
        )
    finally:
        connection.close()
