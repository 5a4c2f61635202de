"""Logs of resolvers, proxies and clouds: who talks to which provider, how often, since when. Level 5."""

import datetime
import functools
import gzip
import hashlib
import io
import zlib
from pathlib import Path

import msgspec

from switchgear.core.text import file_name
from switchgear.detect import log_lines
from switchgear.detect.finding import Finding, Severity, plain_identity
from switchgear.detect.prefilter import Prefilter
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet

PIECE = 4 * 1024 * 1024
GZIP, SQLITE = b"\x1f\x8b", b"SQLite format 3\0"
LINE_BYTES_MAX = 1024 * 1024
DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
PAIRS_MAX = 20_000
DAYS_MAX = 4_000


class Use(msgspec.Struct):
    """What one client did with one provider."""

    count: int = 0
    count_bytes: int = 0
    first: float | None = None
    last: float | None = None
    days: set[int] = msgspec.field(default_factory=set)


class LogSource:
    """Reads logs, plain or gzip."""

    def __init__(
        self,
        tools: DetectorSet,
        collector: Collector,
        own_clients: frozenset[str] = frozenset(),
        pseudonymise: bool = False,
        year: int | None = None,
    ) -> None:
        """`own_clients`: addresses of this gateway, whose traffic is governed."""
        self._tools = tools
        self._out = collector
        self._own = own_clients
        self._pseudonymise = pseudonymise
        self._year = year or datetime.datetime.now(datetime.UTC).year
        self._prefilter = Prefilter({**tools.domains.words("domain"), "bedrock": {"domain"}})
        self.uses: dict[tuple[str, str, str, str], Use] = {}

    def scan(self, path: Path) -> None:
        """Read one log; findings come with `report`."""
        self._out.item(file_name(str(path)), lambda: self._scan(path))

    def _scan(self, path: Path) -> None:
        try:
            with open(path, "rb") as raw:
                head = raw.peek(16)[:16]
                self._out.looked_at["logs"] += 1
                if head == SQLITE:
                    self._pihole(path)
                elif head[:2] == GZIP:
                    with gzip.open(raw, "rb") as unpacked:
                        self._read(unpacked, file_name(str(path)), raw)
                else:
                    self._read(raw, file_name(str(path)), raw)
        except (OSError, EOFError, zlib.error) as exc:
            self._out.failed(
                file_name(str(path)), f"cannot be read to its end: {getattr(exc, 'strerror', None) or exc}"
            )

    def _read(self, stream: io.BufferedIOBase, name: str, raw: io.BufferedIOBase) -> None:
        read, rest, kind = 0, b"", None
        while piece := stream.read(PIECE):
            block = rest + piece
            self._out.looked_at["bytes"] += len(piece)
            now = raw.tell()
            self._out.progress(now - read, name)
            read = now
            if kind is None:
                if block.lstrip()[:1] == b"{" and b'"Records"' in block[:4096]:
                    self._document(block, stream, name)
                    return
                if b"\0" in block[:8192]:
                    self._out.failed(name, "a binary file, not a log")
                    return
                kind = log_lines.detect(block[:65536].decode("utf-8", "replace").split("\n"), self._year)
                self._out.looked_at[f"logs of format {kind.name}"] += 1
            cut = block.rfind(b"\n") + 1
            if cut == 0 and len(block) > LINE_BYTES_MAX:
                self._out.failed(name, f"a line of more than {LINE_BYTES_MAX:,} bytes was left out")
                rest = b""
                continue
            rest = block[cut:]
            self._block(block[:cut], kind, name)
        if rest and kind is not None:
            self._block(rest, kind, name)

    def _pihole(self, path: Path) -> None:
        from switchgear.store import pihole  # noqa: PLC0415 - SQLAlchemy, for this one kind of log

        self._out.looked_at["logs of format pi-hole"] += 1
        for at, host, client in pihole.queries(path):
            self._entry(log_lines.Entry(client, host, at))

    def _document(self, block: bytes, stream: io.BufferedIOBase, name: str) -> None:
        document = block + stream.read(DOCUMENT_BYTES_MAX)
        self._out.looked_at["logs of format cloudtrail"] += 1
        try:
            entries = log_lines.records_of(document)
        except ValueError as exc:
            self._out.failed(name, f"not a CloudTrail document: {str(exc)[:80]}")
            return
        for entry in entries:
            self._entry(entry)

    def _block(self, block: bytes, kind: log_lines.Format, name: str) -> None:
        for start, end, _ in self._prefilter.lines(block):
            self._out.item(name, functools.partial(self._line, block[start:end], kind))

    def _line(self, line: bytes, kind: log_lines.Format) -> None:
        entry = kind.read(line.decode("utf-8", "replace"))
        if entry is not None:
            self._entry(entry)

    def _entry(self, entry: log_lines.Entry) -> None:
        name = self._tools.domains.match(entry.host)
        if name is None:
            return
        key = (entry.client, name.provider, name.use, entry.host)
        use = self.uses.get(key)
        if use is None:
            if len(self.uses) >= PAIRS_MAX:
                self._out.failed("logs", f"more than {PAIRS_MAX:,} pairs of clients and names: the rest was left out")
                return
            use = self.uses[key] = Use()
        use.count += 1
        use.count_bytes += entry.count_bytes
        at = entry.at
        if at is not None:
            if use.first is None or at < use.first:
                use.first = at
            if use.last is None or at > use.last:
                use.last = at
            day = int(at // 86_400)
            if day not in use.days and len(use.days) < DAYS_MAX:
                use.days.add(day)

    def report(self) -> None:
        """Add a finding for each client and provider."""
        merged: dict[tuple[str, str, str], list[tuple[str, Use]]] = {}
        for (client, provider, use_kind, host), use in self.uses.items():
            merged.setdefault((client, provider, use_kind), []).append((host, use))
        for (client, provider, use_kind), uses in merged.items():
            governed = client in self._own
            shown = self._pseudonym(client) if self._pseudonymise else client
            count = sum(use.count for _, use in uses)
            firsts = [use.first for _, use in uses if use.first is not None]
            lasts = [use.last for _, use in uses if use.last is not None]
            days = set().union(*(use.days for _, use in uses))
            severity: Severity = {"api": "medium", "malicious": "critical", "tunnel": "low"}.get(use_kind, "info")  # type: ignore[assignment]
            when = f", {_day(min(firsts))} to {_day(max(lasts))}" if firsts and lasts else ""
            self._out.add(
                Finding(
                    id=plain_identity("egress", client, provider, use_kind),
                    kind="egress",
                    rule=use_kind,
                    severity="info" if governed else severity,
                    verdict="governed" if governed else "bypass" if use_kind in {"api", "malicious"} else "unknown",
                    title=f"{shown} talked to {provider} ({use_kind}) {count:,} times{when}",
                    where=shown,
                    fix="" if governed else "point it at the gateway; then let only the gateway reach the provider",
                    provider=provider,
                    evidence={
                        "hosts": ", ".join(sorted({host.rstrip(".").lower() for host, _ in uses})[:10]),
                        "bytes": str(sum(use.count_bytes for _, use in uses)),
                        "days": str(len(days)),
                        "first": _time(min(firsts)) if firsts else "",
                        "last": _time(max(lasts)) if lasts else "",
                    },
                    count=count,
                )
            )

    def _pseudonym(self, client: str) -> str:
        return "client-" + hashlib.sha256(self._tools.fingerprint.identity("client", client).encode()).hexdigest()[:10]


def _day(at: float) -> str:
    return _time(at)[:10]


def _time(at: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
