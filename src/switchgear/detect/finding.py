"""What discovery and doctor report. Level 1."""

import hashlib
import hmac
import string
from typing import Literal

import msgspec

from switchgear.core.text import clean

Severity = Literal["info", "low", "medium", "high", "critical"]
Confidence = Literal["possible", "likely", "confirmed"]
Verdict = Literal["governed", "bypass", "unknown"]

SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
"""From harmless to urgent."""
TEXT_MAX, EVIDENCE_MAX = 512, 32
_PREFIX_MAX = 14
_SHOWN = frozenset(string.ascii_letters + string.digits + "-_")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found. Never holds a secret: a key is its kind, a keyed hash and its last four characters."""

    id: str
    """Stable: the same thing has the same id in the next run, on the same machine (`Fingerprint`)."""
    kind: str
    """key, service, process, package, image, config, endpoint, sdk, model, mcp, egress, advisory, flag, infrastructure,
    credential_file; of doctor: what a check is about."""
    severity: Severity
    title: str
    where: str
    """A path with its line, host:port, a process, a client's address."""
    fix: str
    rule: str = ""
    """The detector that found it."""
    confidence: Confidence = "confirmed"
    verdict: Verdict = "unknown"
    provider: str | None = None
    product: str | None = None
    version: str | None = None
    auth: str | None = None
    """open, auth, claimable or unknown: what a service asks of strangers."""
    owner: str | None = None
    evidence: dict[str, str] = {}
    count: int = 1


def cleaned(finding: Finding) -> Finding:
    """Return a finding whose texts, which files, hosts and other people wrote, are short and steer no terminal."""
    texts = {
        name: clean(value, TEXT_MAX)
        for name in ("title", "where", "fix", "rule", "version", "owner", "provider", "product", "auth", "kind")
        if isinstance(value := getattr(finding, name), str)
    }
    evidence = {
        clean(name, 64): clean(value, TEXT_MAX) for name, value in list(finding.evidence.items())[:EVIDENCE_MAX]
    }
    return msgspec.structs.replace(finding, **texts, evidence=evidence)


def worse(severity: Severity, steps: int) -> Severity:
    """Return a severity some steps up, or down when `steps` is negative."""
    at = SEVERITIES.index(severity) + steps
    return SEVERITIES[min(max(at, 0), len(SEVERITIES) - 1)]


class Fingerprint:
    """Hashes secrets and identities with a key of this installation, so that a report gives nothing away to guess at."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes that stay on this machine."""
        self._key = key

    def secret(self, value: bytes) -> str:
        """Return 24 hex digits that stand for a secret."""
        return hmac.digest(self._key, b"secret\0" + value, "sha256").hex()[:24]

    def identity(self, *parts: str) -> str:
        """Return 16 hex digits that stand for a finding."""
        return hmac.digest(self._key, "\0".join(("finding", *parts)).encode(), "sha256").hex()[:16]


def plain_identity(*parts: str) -> str:
    """Return 16 hex digits for a finding that involves no secret: the same on every machine."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def masked(value: bytes, shown: int) -> str:
    """Return a secret's first `shown` characters (its kind, never its random part) and its last four."""
    text = value.decode("latin-1")
    head = "".join(c if c in _SHOWN else "?" for c in text[: min(shown, _PREFIX_MAX)])
    tail = "".join(c if c in _SHOWN else "?" for c in text[-4:]) if len(text) >= 24 else ""
    return f"{head}…{tail}"
