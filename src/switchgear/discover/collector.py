"""Gathers findings, what could not be looked at, and what was left out on purpose. Level 5."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from switchgear.core import guard
from switchgear.core.text import clean
from switchgear.detect.advisories import AdvisoryMatch
from switchgear.detect.finding import SEVERITIES, TEXT_MAX, Finding, cleaned, plain_identity, worse

PROBLEMS_NAMED_MAX = 200
FINDINGS_MAX = 20_000
"""What a report holds, and what can be stored: a folder full of samples must not fill the memory."""


class Unreadable(msgspec.Struct, frozen=True):
    """Something that could not be looked at: the run is partial."""

    where: str
    reason: str


def _do(look: Callable[[], object]) -> object:
    return look()


class Collector:
    """One run's results. The same finding seen again counts up."""

    def __init__(self, progress: Callable[[int, str], None] = lambda n, what: None) -> None:
        self._found: dict[str, Finding] = {}
        self._digests: dict[str, str] = {}
        self.problems: list[Unreadable] = []
        self.problem_count = 0
        self.skipped: Counter[str] = Counter()
        self.looked_at: Counter[str] = Counter()
        self.progress = progress
        """Called with bytes (or steps) done and what is being looked at."""

    @property
    def partial(self) -> bool:
        """True when something could not be looked at."""
        return self.problem_count > 0

    def add(self, finding: Finding, digest: str | None = None) -> None:
        """Add a finding; `digest`: SHA-256 of its secret in hex, kept for `recognise` only and never written."""
        earlier = self._found.get(finding.id)
        if earlier is not None:
            changed = msgspec.structs.replace(earlier, count=earlier.count + finding.count)
            if SEVERITIES.index(finding.severity) > SEVERITIES.index(earlier.severity):
                changed = msgspec.structs.replace(finding, count=changed.count)
            self._found[finding.id] = changed
            return
        if len(self._found) >= FINDINGS_MAX:
            self.skipped["findings beyond the bound"] += 1
            if self.skipped["findings beyond the bound"] == 1:
                self.failed(finding.where, f"more than {FINDINGS_MAX:,} findings: the rest was left out")
            return
        self._found[finding.id] = cleaned(finding)
        if digest is not None:
            self._digests[finding.id] = digest

    def advise(
        self, matches: Iterable[AdvisoryMatch], product: str, version: str | None, where: str, is_sample: bool = False
    ) -> None:
        """Add what advisories say of a version that was found; in tests and documentation it counts less."""
        unknown = []
        for match in matches:
            if match.state == "unknown":
                unknown.append(match.advisory.id)
                continue
            advisory = match.advisory
            fixed = advisory.database_specific.fix or (f"update to {match.fixed} or newer" if match.fixed else "update")
            evidence = {"advisory": advisory.id, "version": version or "", "source": advisory.database_specific.source}
            if advisory.database_specific.kev:
                evidence["exploited"] = "known to be exploited (CISA KEV)"
            self.add(
                Finding(
                    id=plain_identity("advisory", advisory.id, product, where),
                    kind="advisory",
                    rule=advisory.id,
                    severity=worse(advisory.severity, -2) if is_sample else advisory.severity,
                    title=f"{product} {version}: {advisory.summary} ({advisory.id})",
                    where=where,
                    fix=fixed,
                    product=product,
                    version=version,
                    evidence=evidence,
                )
            )
        if unknown:
            self.add(
                Finding(
                    id=plain_identity("advisory-unknown", product, where),
                    kind="advisory",
                    rule="version-unknown",
                    severity="info",
                    confidence="possible",
                    title=f"{product}: its version is not known; {len(unknown)} advisories cannot be judged",
                    where=where,
                    fix="find out its version; unknown is not safe",
                    product=product,
                    evidence={"advisories": ", ".join(unknown[:20])},
                )
            )

    def failed(self, where: str, reason: object) -> None:
        """Note that something could not be looked at."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_NAMED_MAX:
            self.problems.append(Unreadable(clean(where, TEXT_MAX), clean(str(reason), 200)))

    def item(self, where: str, look: Callable[[], object]) -> None:
        """Look at one file, line, process, package or host: a fault of this program ends that one, is counted and named."""
        guard.each((look,), _do, lambda _, exc: self.fault(where, exc))

    def fault(self, where: str, exc: Exception) -> None:
        """Note that looking at something failed unexpectedly."""
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else None
        self.failed(where, reason or f"a fault of this program: {type(exc).__name__} in {guard.place_of(exc)}")

    def digests(self) -> list[str]:
        """Return the digests of all keys that were found."""
        return sorted(set(self._digests.values()))

    def recognise(self, known: dict[str, tuple[str, str]]) -> None:
        """Mark keys that this gateway issued or holds: digest → (virtual_key | credential, name)."""
        for identity, digest in self._digests.items():
            if digest not in known:
                continue
            kind, name = known[digest]
            found = self._found[identity]
            if kind == "virtual_key":
                changed = msgspec.structs.replace(
                    found,
                    verdict="governed",
                    severity="medium",
                    title=f"virtual key {name!r} of this gateway lies here",
                    fix=f"move it to a secret store; if others can read it: switchgear key rotate {name}",
                    evidence={**found.evidence, "virtual_key": name},
                )
            else:
                provider, _, own = name.partition("/")
                changed = msgspec.structs.replace(
                    found,
                    verdict="bypass",
                    severity="critical",
                    title=f"the secret of credential {name}, which this gateway holds, lies here in plain text",
                    fix=f"make a new one at the provider (switchgear credential add {provider} --name {own}), "
                    "end the old one there, and give out a virtual key instead",
                    evidence={**found.evidence, "credential": name},
                )
            self._found[identity] = changed

    def findings(self) -> list[Finding]:
        """Return all findings, worst first."""
        return sorted(self._found.values(), key=lambda f: (-SEVERITIES.index(f.severity), f.kind, f.where, f.id))
