"""Git history: keys that were committed once, in every version of every file. Level 5.

git reads the objects that are there; its hooks, filters, helpers and pagers stay off, no protocol is allowed (a partial clone would
fetch what is missing, with commands that its configuration names), and nothing of the repository's configuration is run.
https://git-scm.com/docs/git#Documentation/git.txt-codeGITALLOWPROTOCOLcode (read 2026-11-26)
"""

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from switchgear.core.text import file_name
from switchgear.discover.collector import Collector
from switchgear.discover.files import BINARY_ENDS, LOCK_FILES, named
from switchgear.discover.text_scanner import TextScanner

BLOB_BYTES_MAX = 64 * 1024 * 1024
_QUIET = (
    "--no-pager",
    "--no-replace-objects",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.pager=cat",
    "-c",
    "core.sshCommand=false",
    "-c",
    "core.gitProxy=false",
    "-c",
    "core.askPass=false",
    "-c",
    "core.alternateRefsCommand=false",
    "-c",
    "credential.helper=",
    "-c",
    "protocol.allow=never",
    # A repository's own `protocol.NAME.allow` beats the general one: each is named.
    *(
        part
        for name in ("file", "git", "ssh", "http", "https", "ftp", "ftps", "ext", "fd")
        for part in ("-c", f"protocol.{name}.allow=never")
    ),
)
OLDEST = (2, 30)
"""Of git: older ones lack switches that are relied on here, or checks of their own (safe.directory)."""


def scan(repository: Path, scanner: TextScanner, out: Collector) -> None:
    """Look for keys in all objects of a repository that a reference reaches."""
    shown_as = file_name(named(repository))
    try:
        version = _git(repository, "version").decode("ascii", "replace").split()
        numbers = tuple(int(part) for part in version[2].split(".")[:2] if part.isdigit()) if len(version) > 2 else ()
        if numbers < OLDEST:
            theirs = ".".join(map(str, numbers)) or "of unknown version"
            out.failed(shown_as, f"git {theirs} is too old to read a stranger's repository: 2.30 or newer")
            return
        listing = _git(repository, "rev-list", "--objects", "--all")
    except (OSError, subprocess.SubprocessError) as exc:
        reason = (
            exc.stderr.decode("utf-8", "replace").strip()
            if isinstance(exc, subprocess.CalledProcessError)
            else str(exc)
        )
        first = reason.splitlines()[0] if reason else str(exc)
        if "dubious ownership" in first:
            first += ": it belongs to another user; look as that user"
        out.failed(shown_as, f"git cannot read its history: {first}")
        return
    wanted: dict[str, str] = {}
    for line in listing.decode("utf-8", "replace").splitlines():
        oid, _, path = line.partition(" ")
        if path and not path.lower().endswith(BINARY_ENDS) and path.rpartition("/")[2] not in LOCK_FILES:
            wanted[oid] = path
    try:
        for oid, data in _contents(repository, list(wanted), out):
            shown = wanted[oid] if shown_as == os.curdir else f"{shown_as}/{wanted[oid]}"
            if b"\0" in data[:8192]:
                out.skipped["binary files"] += 1
                continue
            out.looked_at["versions in git history"] += 1
            out.looked_at["bytes"] += len(data)
            out.progress(len(data), shown)
            out.item(shown, functools.partial(_version, scanner, data, shown, oid))
    except (OSError, ValueError) as exc:  # git ended, or answered what it never does
        out.failed(shown_as, f"git stopped in the middle: {exc}")


def _version(scanner: TextScanner, data: bytes, shown: str, oid: str) -> None:
    scanner.keys_in(data, shown, lambda number: f"{shown}:{number} (in git, object {oid[:12]})")


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",  # beats every configuration, and git before 2.45 has no other switch
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C",
    }


def _git(repository: Path, *arguments: str) -> bytes:
    command = ["git", *_QUIET, "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, check=True, env=_environment(), timeout=600)  # noqa: S603
    return done.stdout


def _contents(repository: Path, oids: list[str], out: Collector) -> Iterator[tuple[str, bytes]]:
    command = ["git", *_QUIET, "-C", str(repository), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()) as process:  # noqa: S603
        assert process.stdin is not None and process.stdout is not None
        try:
            for oid in oids:
                process.stdin.write(f"{oid}\n".encode())
                process.stdin.flush()
                head = process.stdout.readline().split()
                if len(head) != 3:
                    out.failed(file_name(str(repository)), f"git object {oid[:12]} cannot be read")
                    continue
                size = int(head[2])
                if size > BLOB_BYTES_MAX:
                    _drop(process.stdout, size + 1)
                    out.failed(file_name(str(repository)), f"git object {oid[:12]} has {size:,} bytes")
                    continue
                data = process.stdout.read(size + 1)
                if head[1] == b"blob":
                    yield oid, data[:size]
        finally:
            process.stdin.close()
            process.kill()


def _drop(stream: object, size: int) -> None:
    while size > 0:
        taken = len(stream.read(min(size, 1 << 20)))  # type: ignore[attr-defined]
        if not taken:
            return
        size -= taken
