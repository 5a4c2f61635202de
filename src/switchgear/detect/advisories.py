"""Known-vulnerable versions: reading, checking and matching advisory data. Level 1.

The data has OSV's shape (https://ossf.github.io/osv-schema/, read 2026-11), so that an OSV export fits. A file that replaces
the shipped one is signed: Ed25519 over its bytes; its sequence may not fall and it expires.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from switchgear.core.errors import UserError
from switchgear.detect import versions
from switchgear.detect.finding import Severity

STALE_DAYS = 90
_SEVERITIES: dict[str, Severity] = {
    "low": "low",
    "moderate": "medium",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}


class _Package(msgspec.Struct, frozen=True):
    ecosystem: str
    name: str


class _Range(msgspec.Struct, frozen=True):
    type: str
    events: list[dict[str, str]] = []


class _Affected(msgspec.Struct, frozen=True):
    package: _Package
    ranges: list[_Range] = []
    versions: list[str] = []


class _Specific(msgspec.Struct, frozen=True):
    product: str = ""
    severity: str = "high"
    kev: bool = False
    source: str = ""
    reviewed: str = ""
    fix: str = ""


class Advisory(msgspec.Struct, frozen=True):
    """One advisory. Unknown fields of OSV are ignored."""

    id: str
    summary: str = ""
    aliases: list[str] = []
    affected: list[_Affected] = []
    database_specific: _Specific = _Specific()

    @property
    def severity(self) -> Severity:
        """Its severity."""
        return _SEVERITIES.get(self.database_specific.severity.lower(), "high")


class AdvisoryFile(msgspec.Struct, frozen=True):
    """Dated data."""

    schema: Literal["switchgear-advisories/1"]
    sequence: int
    as_of: str
    expires: str
    advisories: list[Advisory]


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload: str
    signature: str


class AdvisoryMatch(msgspec.Struct, frozen=True):
    """An advisory and what it means for a version: affected, or unknown when the version cannot be judged."""

    advisory: Advisory
    state: Literal["affected", "unknown"]
    fixed: str | None


def read(data: bytes, name: str = "advisories") -> AdvisoryFile:
    """Read plain data. Raises UserError."""
    try:
        return msgspec.json.decode(data, type=AdvisoryFile)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        line = data.count(b"\n", 0, _position(exc)) + 1
        raise UserError(f"{name}:{line}: not advisory data: {exc}", "see docs/discovery.md for its shape", 2) from None


def _position(exc: msgspec.DecodeError) -> int:
    digits = "".join(c for c in str(exc).rpartition("byte ")[2] if c.isdigit())
    return int(digits) if digits else 0


def read_signed(data: bytes, trusted: Iterable[bytes], newest: int, today: str) -> AdvisoryFile:
    """Read a signed file: {"payload": base64, "signature": base64}. `trusted`: raw Ed25519 public keys of 32 bytes.

    Raises UserError: not signed by one of them, older than `newest` (a sequence that was seen), or expired on `today`.
    """
    try:
        signed = msgspec.json.decode(data, type=_Signed)
        payload = base64.b64decode(signed.payload, validate=True)
        signature = base64.b64decode(signed.signature, validate=True)
    except (msgspec.MsgspecError, binascii.Error) as exc:
        raise UserError(f"not a signed advisory file: {exc}", "ask its publisher for NAME.signed.json", 2) from None
    if not any(_holds(key, signature, payload) for key in trusted):
        raise UserError("no trusted key signed this file", "give the publisher's public key with --trust FILE", 2)
    found = read(payload)
    if found.sequence < newest:
        raise UserError(
            f"sequence {found.sequence} is older than {newest}, which was used before", "fetch the newest", 2
        )
    if found.expires < today:
        raise UserError(f"the file expired on {found.expires}", "fetch the newest", 2)
    return found


def _holds(key: bytes, signature: bytes, payload: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True


class AdvisoryDetector:
    """Matches versions."""

    def __init__(self, file: AdvisoryFile) -> None:
        self.file = file
        self._by_product: dict[str, list[Advisory]] = {}
        self._by_package: dict[tuple[str, str], list[Advisory]] = {}
        for advisory in file.advisories:
            self._by_product.setdefault(advisory.database_specific.product, []).append(advisory)
            for affected in advisory.affected:
                key = (affected.package.ecosystem.lower(), normalized(affected.package.name))
                self._by_package.setdefault(key, []).append(advisory)

    def of_product(self, product: str, version: str | None) -> list[AdvisoryMatch]:
        """Return what concerns a version of a product."""
        return _matches(self._by_product.get(product, []) if product else [], version)

    def of_package(self, ecosystem: str, name: str, version: str | None) -> list[AdvisoryMatch]:
        """Return what concerns a version of a package; `ecosystem`: pypi, npm."""
        return _matches(self._by_package.get((ecosystem.lower(), normalized(name)), []), version)


def normalized(name: str) -> str:
    """Return a package's name as PyPI compares it (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-") if not name.startswith("@") else name.lower()


def _matches(advisories: list[Advisory], version: str | None) -> list[AdvisoryMatch]:
    found = []
    for advisory in advisories:
        states = [_state(affected, version) for affected in advisory.affected]
        if True in states:
            found.append(AdvisoryMatch(advisory, "affected", _fixed(advisory)))
        elif None in states:
            found.append(AdvisoryMatch(advisory, "unknown", _fixed(advisory)))
    return found


def _fixed(advisory: Advisory) -> str | None:
    fixes = [e["fixed"] for a in advisory.affected for r in a.ranges for e in r.events if "fixed" in e]
    return fixes[-1] if fixes else None


def _state(affected: _Affected, version: str | None) -> bool | None:
    if version is None or versions.parse(version) is None:
        return None
    if version.removeprefix("v") in affected.versions:
        return True
    inside: bool | None = False
    for span in affected.ranges:
        if span.type == "GIT":
            continue
        verdict = _inside(span.events, version)
        if verdict:
            return True
        inside = None if verdict is None else inside
    return inside


def _inside(events: list[dict[str, str]], version: str) -> bool | None:
    inside = False
    for event in events:  # in the order of the file, as OSV's are: introduced, then fixed or last_affected
        if "introduced" in event:
            before = False if event["introduced"] == "0" else versions.is_before(version, event["introduced"])
            if before is None:
                return None
            inside = inside or not before
        elif "fixed" in event:
            before = versions.is_before(version, event["fixed"])
            if before is None:
                return None
            inside = inside and before
        elif "last_affected" in event:
            after = versions.is_before(event["last_affected"], version)
            if after is None:
                return None
            inside = inside and not after
    return inside
