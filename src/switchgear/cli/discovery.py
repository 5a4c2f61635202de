"""What `switchgear discover` does: sources, what a running gateway knows, the report. Level 7."""

import datetime
import ipaddress
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from switchgear import __version__
from switchgear.cli.base import (
    Bar,
    Column,
    Output,
    say,
)
from switchgear.cli.client import Client
from switchgear.cli.output import json_text
from switchgear.core.errors import UserError
from switchgear.detect.finding import Finding, Fingerprint
from switchgear.discover import formats, report, scope
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet, files_of
from switchgear.discover.files import FileSource
from switchgear.discover.machine import MachineSource, listeners
from switchgear.discover.text_scanner import Origins, TextScanner

RECORDED_AT_ONCE = 1_000


def fingerprint_key(environ: dict[str, str]) -> bytes:
    """Return this user's key for hashes in reports, made at the first use with mode 0600."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = home / "switchgear" / "discovery.key"
    try:
        key = path.read_bytes()
        if len(key) == 32:
            return key
        raise UserError(f"{path} must hold 32 bytes", "remove it: the next run makes a new one, and new ids", 2)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            key = os.urandom(32)
            file.write(key)
        return key
    except OSError as exc:
        raise UserError(
            f"{path}: {exc.strerror}", "ids in reports need it; set XDG_CONFIG_HOME to a folder of yours"
        ) from None


class Known:
    """What a running gateway says of itself; nothing without one."""

    def __init__(self, client: Client, extra: tuple[str, ...], must: bool = False) -> None:
        """`must`: a gateway was named or is needed, so that its absence is an error."""
        self._client = client
        origins: set[tuple[str, int | None]] = set()
        upstreams: set[tuple[str, int]] = set()
        self.running = True
        try:
            status = client.call("GET", "/status")
            urls = [status["data_url"], status["console_url"]]
            for provider in client.call("GET", "/providers")["providers"]:
                parts = urlsplit(provider["base_url"])
                if parts.hostname is not None:
                    upstreams.add((parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)))
        except (UserError, KeyError):
            if must:
                raise
            self.running, urls = False, []
        for url in (*urls, *extra):
            parts = urlsplit(url if "://" in url else f"http://{url}")
            if parts.hostname is None:
                raise UserError(f"--gateway {url!r} is not a URL", "e.g. --gateway https://ai.acme.internal", 2)
            names = {parts.hostname, "localhost"} if parts.hostname == "127.0.0.1" else {parts.hostname}
            origins |= {(name, parts.port) for name in names}
        self.origins: Origins = frozenset(origins)
        self.upstreams = frozenset(upstreams)

    def recognise(self, out: Collector) -> None:
        """Ask the gateway about the keys that were found."""
        digests = out.digests()
        if not self.running or not digests:
            return
        known: dict[str, tuple[str, str]] = {}
        try:
            for at in range(0, len(digests), 5_000):
                answer = self._client.call("POST", "/recognise", {"digests": digests[at : at + 5_000]})
                known |= {digest: (kind, name) for digest, (kind, name) in answer["known"].items()}
        except UserError as exc:
            out.failed("the gateway", f"does not say which keys are its own: {exc}")
        out.recognise(known)


def run(
    *,
    paths: tuple[Path, ...],
    machine: bool,
    users: bool,
    root: Path,
    hosts: tuple[str, ...],
    scope_file: Path | None,
    ports: str | None,
    logs: tuple[Path, ...],
    own_client: tuple[str, ...],
    pseudonymise: bool,
    year: int | None,
    with_history: bool,
    gateway: tuple[str, ...],
    rules: Path | None,
    max_file_size: int,
    baseline: Path | None,
    diff: bool,
    record: bool,
    fail_on: Any,
    data: Path | None,
    server: str | None,
    out: Output,
) -> int:
    """Look where it was said, and write what was found. Returns the exit code."""
    client = Client(data, server)
    known = Known(client, gateway, must=record or server is not None)
    seen = Collector()
    targets = scope.targets_of(hosts, _ports(ports))
    targets += scope.read(scope_file) if scope_file is not None else []
    for address in own_client:
        _check_address(address)
    targets = [_with_listeners(target, root, seen) for target in targets]
    if not root.is_dir():
        raise UserError(f"--root {root} is not a folder", "mount the image first", 2)
    machine = machine or not (paths or hosts or scope_file or logs)
    earlier = _read(baseline) if baseline is not None else None
    own = files_of(rules) if rules is not None else None
    tools = DetectorSet.shipped(Fingerprint(fingerprint_key(dict(os.environ))), own=own)
    scanner = TextScanner(tools, seen, known.origins)
    files = FileSource(scanner, seen, max_file_size)
    shown = sys.stderr.isatty()
    sources: list[str] = []
    requests_sent = 0
    if machine:
        sources.append("machine with users" if users else "machine")
        with Bar(None, "this machine", shown) as seen.progress:
            MachineSource(tools, scanner, files, seen, root, users).scan()
    for path in paths:
        sources.append(f"{path} with history" if with_history else str(path))
        with Bar(None, str(path), shown) as seen.progress:
            files.scan(path)
            if with_history:
                from switchgear.discover import history  # noqa: PLC0415 - few runs read it

                history.scan(path, scanner, seen)
    if targets:
        sources.append("hosts " + ", ".join([*hosts, *([str(scope_file)] if scope_file else [])]))
        import asyncio  # noqa: PLC0415

        from switchgear.discover.hosts import HostSource  # noqa: PLC0415 - few runs ask hosts

        asked = HostSource(tools, seen, os.urandom(6).hex(), known.upstreams)
        count = sum(len(t.ports or (*asked.ports(), *t.more_ports)) for t in targets)
        with Bar(count, "hosts", shown) as seen.progress:
            asyncio.run(asked.scan(targets))
        requests_sent = asked.receipt.requests
    if logs:
        sources.append("logs " + ", ".join(map(str, logs)))
        from switchgear.discover.logs import LogSource  # noqa: PLC0415 - few runs read logs

        read = LogSource(tools, seen, frozenset(own_client), pseudonymise, year)
        with Bar(sum(_size(path) for path in logs), "logs", shown) as seen.progress:
            for path in logs:
                read.scan(path)
        read.report()
    known.recognise(seen)
    made = report.make(
        seen,
        version=__version__,
        generated=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        sources=sources,
        as_of=tools.advisories.file.as_of,
        requests=requests_sent,
    )
    if record:
        _record(client, made, "; ".join(sources))
    if earlier is not None:
        made = report.against(made, earlier, str(baseline))
    _write(made, out, diff)
    return report.exit_code(made, fail_on)


def _record(client: Client, made: report.Report, sources: str) -> None:
    """Store a run, in calls that fit; only the last one may say what is gone."""
    rows = msgspec.to_builtins(made.findings)
    parts = [rows[at : at + RECORDED_AT_ONCE] for at in range(0, len(rows), RECORDED_AT_ONCE)] or [[]]
    sums = {"new": 0, "seen": 0, "fixed": 0}
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        before = [row["id"] for row in rows[: number * RECORDED_AT_ONCE]] if is_last else []
        body = {"findings": part, "sources": sources, "partial": made.partial or not is_last, "also_seen": before}
        for name, count in client.call("POST", "/findings", body).items():
            sums[name] += count
    say(f"recorded: {sums['new']} new, {sums['seen']} known, {sums['fixed']} fixed", err=True)


def _with_listeners(target: scope.Target, root: Path, out: Collector) -> scope.Target:
    """Ask this machine on every port where it listens, wherever a service was put."""
    if target.ports is not None or not ipaddress.ip_address(target.address).is_loopback:
        return target
    return msgspec.structs.replace(target, more_ports=tuple(sorted({found.port for found in listeners(root, out)})))


def _ports(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--ports {text!r} is not a list of numbers", "e.g. --ports 4000,8000", 2) from None


def _check_address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise UserError(f"--own-client {text!r} is not an address", "e.g. --own-client 10.0.0.5", 2) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UserError(f"--baseline {path}: {exc.strerror}", "", 2) from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


_FOUND = (
    *(
        Column(name.upper(), name)
        for name in ("id", "kind", "severity", "verdict", "title", "where", "owner", "provider")
    ),
    Column("COUNT", "count", "number"),
    Column("FIX", "fix"),
)


def _write(made: report.Report, out: Output, diff: bool) -> None:
    output = out.kind
    if output == "csv":
        out.rows(made, msgspec.to_builtins(made.findings), _FOUND)
        return
    if output == "json":
        click.echo(json_text(msgspec.to_builtins(made)))
        return
    if output == "markdown":
        click.echo(formats.markdown(made), nl=False)
        return
    if output in formats.FORMATS:
        click.echo(json_text(formats.FORMATS[output](made)))
        return
    quiet = [f for f in made.findings if f.severity == "info"]
    listed = made.findings if output == "wide" else [f for f in made.findings if f.severity != "info"]
    for finding in _grouped(listed):
        more = f" (× {finding.count})" if finding.count > 1 and finding.kind != "egress" else ""
        say(f"  {finding.severity:<8}  {finding.verdict:<8}  {finding.title}{more}")
        owner = f", owner {finding.owner}" if finding.owner else ""
        masked = f"   {finding.evidence['key']}" if "key" in finding.evidence else ""
        say(f"            {finding.where}{owner}{masked}   [{finding.id}]")
        if finding.fix:
            say(f"            → {finding.fix}")
    if quiet and output != "wide":
        kinds = sorted({f.kind for f in quiet})
        say(f"  and {len(quiet)} for the inventory only ({', '.join(kinds)}): -o wide")
    if diff:
        for identity in made.fixed:
            say(f"  gone      {identity}")
    for problem in made.problems:
        say(f"  not read  {problem.where}: {problem.reason}", err=True)
    if made.problem_count > len(made.problems):
        say(f"  not read  {made.problem_count - len(made.problems)} more", err=True)
    seen = ", ".join(f"{n:,} {what}" for what, n in made.looked_at.items() if what != "bytes")
    count = len(listed)
    end = "nothing found" if not count else f"{count} finding{'s' if count != 1 else ''}"
    size = f", {made.looked_at['bytes'] / 1e6:,.1f} MB" if made.looked_at.get("bytes") else ""
    sent = f"; {made.requests_sent} requests sent" if made.requests_sent else ""
    say(
        f"{end}{' (partial: not everything could be read)' if made.partial else ''}; looked at {seen or 'nothing'}{size}{sent}"
    )


def _grouped(found: list[Finding]) -> list[Finding]:
    """Say once per file which providers it names; everything else stays as it is."""
    files: dict[str, list[Finding]] = {}
    for finding in found:
        if finding.kind == "endpoint":
            files.setdefault(finding.where.rpartition(":")[0], []).append(finding)
    out = []
    for finding in found:
        group = files.get(finding.where.rpartition(":")[0], []) if finding.kind == "endpoint" else []
        if len(group) <= 1:
            out.append(finding)
        elif finding is group[0]:
            names = sorted({one.provider or "" for one in group})
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            out.append(msgspec.structs.replace(finding, title=f"names {len(names)} providers directly: {shown}"))
    return out
