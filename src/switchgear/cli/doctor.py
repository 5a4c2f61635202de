"""`switchgear doctor`: is this gateway safe and up to date? Level 7. Each check has an id, a reason and a fix (docs/doctor.md)."""

import datetime
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from switchgear import __version__
from switchgear.app.layout import Layout
from switchgear.cli.base import Bar, Column, Output, say, with_client
from switchgear.cli.client import Client
from switchgear.cli.status import offline
from switchgear.confine import cell
from switchgear.core.errors import UserError
from switchgear.detect.advisories import AdvisoryFile, read_signed
from switchgear.detect.checks import REASONS, finding, vulnerable
from switchgear.detect.finding import SEVERITIES, Finding
from switchgear.discover import integrity

FINDINGS_EXIT = 3
ONLINE_S = 75.0
"""Longer than the courier's own deadlines."""
_PATH = click.Path(path_type=Path)


def confinement(status: dict[str, Any]) -> Iterator[Finding]:
    """What does not hold of the processes that run (docs/invariants.md P1)."""
    for name, held in sorted((status.get("confinement") or {}).items()):
        if held is None:
            yield finding("cell", "medium", "has not said what holds", name, "switchgear status", name)
            continue
        for missing in held["missing"]:
            fix = "see the kernel's findings above; switchgear listens on loopback only meanwhile"
            yield finding("cell", "high", missing, name, fix, name)
    uids = [held["uid"] for held in (status.get("confinement") or {}).values() if held]
    if uids and len(set(uids)) < len(uids):
        title = "all processes are one user: Landlock alone keeps them apart"
        fix = "start the gateway as root (or by deploy/switchgear.service): each process then becomes a user of its own"
        yield finding("one-user", "low", title, f"uid {uids[0]}", fix)


def kernel() -> Iterator[Finding]:
    """What this machine's kernel lacks."""
    for number, missing in enumerate(cell.probe()):
        fix = "use a kernel of 6.7 or newer with Landlock; until then the gateway listens on loopback only"
        yield finding("kernel", "high", missing, "kernel", fix, str(number))


def key_encryption_key(layout: Layout, path: str) -> Iterator[Finding]:
    """Where the KEK lies and who can read it (docs/invariants.md C5)."""
    if not path:
        return
    kek = Path(path)
    try:
        info = kek.stat()
    except OSError as exc:
        title = f"the KEK file cannot be looked at: {exc.strerror}"
        yield finding("kek-unreadable", "medium", title, path, "run doctor as the gateway's user")
        return
    if layout.data.resolve() in kek.resolve().parents:
        fix = "move it out and start with --kek-file: a backup of the folder would hold lock and key"
        yield finding("kek-inside", "high", "the KEK lies in the data folder", path, fix)
    if info.st_mode & 0o007:
        yield finding("kek-open", "critical", "every user can read the KEK", path, f"chmod 600 {shlex.quote(path)}")
    elif info.st_mode & 0o070:
        yield finding("kek-group", "medium", "a group can read the KEK", path, f"chmod 600 {shlex.quote(path)}")


def files(layout: Layout) -> Iterator[Finding]:
    """Modes of the data folder: nobody outside the gateway reads a file."""
    for folder, _, names in os.walk(layout.data, followlinks=False):
        mode = _mode(folder)
        if mode & 0o002:
            yield finding(
                "folder-open", "high", "other users can write here", folder, f"chmod o-w {shlex.quote(folder)}", folder
            )
        for name in names if mode & 0o001 else ():
            path = Path(folder) / name
            found = _mode(path)
            if stat.S_ISREG(found) and found & 0o007:
                title = "other users can read this file"
                yield finding("file-open", "high", title, str(path), f"chmod o-rwx {shlex.quote(str(path))}", str(path))


def _mode(path: Path | str) -> int:
    """Return the mode of what lies there, 0 when it is gone: spools come and go while one looks."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def exposure(status: dict[str, Any]) -> Iterator[Finding]:
    """Where the gateway listens, and how."""
    for name, url in (("data", status.get("data_url")), ("console", status.get("console_url"))):
        parts = urlsplit(url or "")
        host = parts.hostname or ""
        if not host or host == "localhost" or host.startswith("127.") or host == "::1":
            continue
        if name == "console":
            fix = "leave it on 127.0.0.1 and reach it through ssh -L 4101:127.0.0.1:4101 HOST"
            yield finding("console-exposed", "high", f"the console listens on {host}", str(url), fix)
            continue
        fix = "give keys networks: switchgear key update NAME --cidr 10.0.0.0/8"
        yield finding("data-exposed", "info", f"the data plane listens on {host}", str(url), fix)
        if parts.scheme != "https":
            fix = "give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a TLS proxy on the same machine"
            yield finding("data-plain", "critical", f"the data plane listens on {host} without TLS", str(url), fix)


def state(status: dict[str, Any]) -> Iterator[Finding]:
    """What the gateway itself says is wrong."""
    if status["state"] == "stopped":
        title = "the gateway does not run: its processes were not looked at"
        yield finding("stopped", "low", title, "gateway", "switchgear serve")
    for number, problem in enumerate(status.get("problems", [])):
        yield finding("problem", "high", problem, "gateway", "see docs/operations.md", str(number))


# advisories that the operator brings


def bring_advisories(file: Path, trust: Path | None) -> AdvisoryFile:
    """Read a signed advisory file and remember its sequence, so that an older one is refused later. Raises UserError."""
    if trust is None:
        raise UserError(
            "--advisories needs --trust FILE: the publisher's public key", "32 bytes in hex, as they publish it", 2
        )
    try:
        keys = [
            bytes.fromhex(line.strip())
            for line in trust.read_text().splitlines()
            if line.strip() and not line.startswith("#")
        ]
    except (OSError, ValueError) as exc:
        raise UserError(f"--trust {trust}: {exc}", "one public key a line, 64 hex digits", 2) from None
    seen = _seen_path(os.environ)
    try:
        newest = int(seen.read_text())
    except (OSError, ValueError):
        newest = 0
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise UserError(f"--advisories {file}: {exc.strerror}", "", 2) from None
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    found = read_signed(data, keys, newest, today)
    seen.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = seen.with_suffix(".new")
    new.write_text(str(found.sequence))
    new.replace(seen)
    return found


def _seen_path(environ: Any) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "switchgear" / "advisories.sequence"


_CLOSED = {"file-open": 0o007, "folder-open": 0o002}


def mend(layout: Layout, found: list[Finding]) -> list[Finding]:
    """Close what others can read or write in the data folder; returns what is left.

    The folder's parts belong to the gateway's lesser users, who could put a link where a file was: every step down is opened
    without following one. The KEK's place is what control says it is, so its mode is left to people.
    """
    left = []
    for one in found:
        if one.rule in _CLOSED and _take_away(layout.data, Path(one.where), _CLOSED[one.rule]):
            say(f"  mended    {one.title}: {one.fix}", err=True)
        else:
            left.append(one)
    return left


def _take_away(root: Path, path: Path, bits: int) -> bool:
    try:
        parts = path.relative_to(root).parts
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    try:
        for part in parts:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & ~bits)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


@click.command(
    epilog="""Examples:

\b
  switchgear doctor
  switchgear doctor --self-test                           a request through every process
  switchgear doctor --json | jq '.findings[].title'
  switchgear doctor --advisories feed.json --trust publisher.pub
  switchgear doctor --online                              asks osv.dev through the courier; names and versions of packages

Exit: 0 all well (or only hints), 3 something is wrong, 4 the gateway was not reached."""
)
@click.option("--fix", is_flag=True, help="Close files that others can read or write.")
@click.option("--self-test", "test", is_flag=True, help="Send a request through every process.")
@click.option("--advisories", type=_PATH, help="A signed advisory file, newer than the shipped one.")
@click.option("--trust", type=_PATH, help="With --advisories: file with the publisher's public keys, in hex.")
@click.option("--online", is_flag=True, help="Have the gateway ask osv.dev about its packages.")
@with_client
def doctor(
    client: Client,
    out: Output,
    fix: bool,
    test: bool,
    advisories: Path | None,
    trust: Path | None,
    online: bool,
) -> int:
    """Look whether this gateway is safe and up to date. Exit 3 when something should be otherwise."""
    if trust is not None and advisories is None:
        raise UserError("--trust belongs to --advisories FILE", "e.g. --advisories feed.json --trust publisher.pub", 2)
    remote: list[Finding] = []
    partial = False
    is_elsewhere = (
        client.server is not None
    )  # then this machine's kernel, files and packages say nothing of the gateway's
    try:
        status = client.call("GET", "/status")
    except UserError:
        if is_elsewhere:
            raise
        status, partial = offline(client), True
    if not partial:
        try:
            remote = [msgspec.convert(f, Finding) for f in client.call("GET", "/doctor")["findings"]]
        except UserError as exc:
            if is_elsewhere:
                partial = True
                say(f"not looked at: keys, credentials, prices ({exc})", err=True)
            else:
                fix_it = exc.hint or "see `switchgear status`"
                remote = [finding("store", "high", f"control cannot look: {exc}", "store", fix_it)]
    layout = client.layout
    found = [*confinement(status), *exposure(status), *state(status), *remote]
    if is_elsewhere:
        say("not looked at from here: kernel, files and installed code (run doctor on the gateway's machine)", err=True)
    else:
        found += [*kernel(), *key_encryption_key(layout, status.get("kek", "")), *files(layout)]
        with Bar(None, "installed code", sys.stderr.isatty()) as step:
            for folder in integrity.site_folders():
                found += integrity.check(folder, step)
    if advisories is not None:
        found += vulnerable(integrity.installed(), bring_advisories(advisories, trust))
    if online:
        if partial:
            raise UserError(
                "--online: the gateway asks, through its courier, and it was not reached", "switchgear serve"
            )
        say("the gateway asks osv.dev about its packages: names and versions are sent", err=True)
        answer = client.call("POST", "/doctor/online", give_up_s=ONLINE_S)
        found += [msgspec.convert(one, Finding) for one in answer["findings"]]
    if test and not partial:
        from switchgear.cli.self_test import self_test  # noqa: PLC0415 - it seals and serves; for this alone

        found += self_test(client, status)
    if fix:
        found = mend(layout, found)
    found.sort(key=lambda f: -SEVERITIES.index(f.severity))
    _write(out, found, status, partial, test)
    if partial and status["state"] != "stopped":
        return 4
    return FINDINGS_EXIT if any(SEVERITIES.index(f.severity) >= SEVERITIES.index("medium") for f in found) else 0


_COLUMNS = tuple(Column(name.upper(), name) for name in ("id", "kind", "severity", "title", "where", "fix", "reason"))


def _write(out: Output, found: list[Finding], status: dict[str, Any], partial: bool, tested: bool) -> None:
    if not out.for_people:
        rows = [{**msgspec.to_builtins(one), "reason": REASONS[one.rule]} for one in found]
        out.rows({"findings": rows, "partial": partial, "version": __version__}, rows, _COLUMNS)
        return
    for one in found:
        if one.severity == "info" and out.kind != "wide":
            continue
        say(f"  {one.severity:<8}  {one.title}   ({one.where})")
        if out.kind == "wide":
            say(f"            {REASONS[one.rule]}")
        if one.fix:
            say(f"            → {one.fix}")
    held = [h for h in (status.get("confinement") or {}).values() if h]
    if held and not any(h["missing"] for h in held):
        say(f"  confined  {len(held)} processes: Landlock {held[0]['landlock']}, seccomp, no capabilities")
    if tested and not partial and all(one.rule != "self-test" for one in found):
        say("  tested    a request went through edge, vault and provider into the ledger")
    hints = sum(one.severity == "info" for one in found)
    counted = len(found) - hints
    told = f"{counted} finding{'s' if counted != 1 else ''}" if counted else "nothing found"
    if hints and out.kind != "wide":
        told += f", and {hints} hint{'s' if hints != 1 else ''} (-o wide shows them)"
    say(told)
