"""`switchgear doctor`: is this gateway safe on this machine? Level 7. Each check has an id, a reason and a fix."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from switchgear.app.layout import Layout
from switchgear.cli.base import Output, with_client
from switchgear.cli.client import Client
from switchgear.cli.status import offline
from switchgear.confine import cell
from switchgear.core.errors import UserError

FINDINGS_EXIT = 3


class Finding(msgspec.Struct, frozen=True):
    """One thing that should be otherwise."""

    id: str
    kind: str
    severity: str
    title: str
    where: str
    fix: str


def confinement(status: dict[str, Any]) -> Iterator[Finding]:
    """What this kernel lacks, and what does not hold of the processes that run (INVARIANTS P1)."""
    for number, missing in enumerate(cell.probe()):
        fix = "use a kernel of 6.7 or newer with Landlock; until then the gateway listens on loopback only"
        yield Finding(f"kernel-{number}", "confinement", "high", missing, "kernel", fix)
    for name, held in sorted((status.get("confinement") or {}).items()):
        if held is None:
            yield Finding(f"cell-{name}", "confinement", "medium", "has not said what holds", name, "switchgear status")
            continue
        for missing in held["missing"]:
            fix = "see the kernel's findings above; switchgear listens on loopback only meanwhile"
            yield Finding(f"cell-{name}", "confinement", "high", missing, name, fix)
    uids = [held["uid"] for held in (status.get("confinement") or {}).values() if held]
    if uids and len(set(uids)) < len(uids):
        title = "all processes are one user: Landlock alone keeps them apart"
        fix = "start the gateway as root (or by deploy/switchgear.service): each process then becomes a user of its own"
        yield Finding("one-user", "confinement", "low", title, f"uid {uids[0]}", fix)


def key_encryption_key(layout: Layout, path: str) -> Iterator[Finding]:
    """Where the KEK lies and who can read it (INVARIANTS C5)."""
    if not path:
        return
    kek = Path(path)
    try:
        info = kek.stat()
    except OSError as exc:
        title = f"the KEK file cannot be looked at: {exc.strerror}"
        yield Finding("kek-unreadable", "kek", "medium", title, path, "run doctor as the gateway's user")
        return
    if layout.data.resolve() in kek.resolve().parents:
        fix = "move it out and start with --kek-file: a backup of the folder would hold lock and key"
        yield Finding("kek-inside", "kek", "high", "the KEK lies in the data folder", path, fix)
    if info.st_mode & 0o007:
        yield Finding("kek-open", "kek", "critical", "every user can read the KEK", path, f"chmod 600 {path}")
    elif info.st_mode & 0o070:
        yield Finding("kek-group", "kek", "medium", "a group can read the KEK", path, f"chmod 600 {path}")


def files(layout: Layout) -> Iterator[Finding]:
    """Modes of the data folder: nobody outside the gateway reads a file."""
    for folder, _, names in os.walk(layout.data, followlinks=False):
        if stat.S_IMODE(os.stat(folder).st_mode) & 0o002:
            yield Finding("folder-open", "files", "high", "other users can write here", folder, f"chmod o-w {folder}")
        closed = not os.stat(folder).st_mode & 0o001
        for name in names:
            path = Path(folder) / name
            info = path.lstat()
            if stat.S_ISREG(info.st_mode) and info.st_mode & 0o007 and not closed:
                title = "other users can read this file"
                yield Finding("file-open", "files", "high", title, str(path), f"chmod o-rwx {path}")


def state(status: dict[str, Any]) -> Iterator[Finding]:
    """What the gateway itself says is wrong."""
    if status["state"] == "stopped":
        yield Finding(
            "stopped", "state", "low", "the gateway does not run: its processes were not looked at", "gateway", ""
        )
    for number, problem in enumerate(status.get("problems", [])):
        yield Finding(f"problem-{number}", "state", "high", problem, "gateway", "see docs/operations.md")


@click.command(epilog="Example: switchgear doctor --json | jq '.findings[].title'")
@with_client
def doctor(client: Client, out: Output) -> int:
    """Look whether this gateway is safe here. Exit 3 when something should be otherwise."""
    try:
        status = client.call("GET", "/status")
    except UserError:
        status = offline(client)
    layout = client.layout
    found = [
        *confinement(status),
        *key_encryption_key(layout, status.get("kek", "")),
        *files(layout),
        *state(status),
    ]
    rows = [msgspec.to_builtins(finding) for finding in found]
    if out.for_people:
        for finding in found:
            click.echo(f"  {finding.severity:<8}  {finding.title}   ({finding.where})")
            if finding.fix:
                click.echo(f"            → {finding.fix}")
        held = [h for h in (status.get("confinement") or {}).values() if h]
        if held and not any(h["missing"] for h in held):
            click.echo(f"  confined  {len(held)} processes: Landlock {held[0]['landlock']}, seccomp, no capabilities")
        click.echo("nothing found" if not found else f"{len(found)} finding{'s' if len(found) != 1 else ''}")
    else:
        out.json({"findings": rows, "partial": status["state"] == "stopped"})
    return FINDINGS_EXIT if any(finding.severity != "low" for finding in found) else 0
