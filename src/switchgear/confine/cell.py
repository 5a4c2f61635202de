"""Locks a process into its cell and looks whether the door holds. Level 2 (docs/invariants.md P1)."""

import errno
import os
import socket
from pathlib import Path

import msgspec

from switchgear.confine import kernel, landlock, privileges, seccomp

READ_EVERYWHERE = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/localtime",
)
"""Libraries and time zones. No secret lies there, and a rare code path of a library may load what it needs."""
RESOLVER = (
    "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/host.conf", "/etc/services",
    "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/etc/ssl", "/etc/pki", "/etc/ca-certificates",
    "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
)  # fmt: skip
"""What resolving a name and checking a certificate read."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What one process may keep."""

    reads: tuple[str, ...] = ()
    reads_opened: tuple[int, ...] = ()
    """Descriptors of open folders that it may read, wherever they lie."""
    keeps: tuple[str, ...] = ()
    """Folders whose files it may make, change and remove."""
    writes: tuple[str, ...] = ()
    """Files that are there already, whose bytes it may change: not their length."""
    serves: tuple[str, ...] = ()
    """Folders in which it binds a Unix socket."""
    root: str = ""
    """Becomes the root of the file system, where that is the only way to a folder that others cannot reach."""
    goes_out: bool = False
    """May make connections to other machines. Only the vault and the courier do."""
    ports: tuple[int, ...] = ()
    """With `goes_out`: the only TCP ports that it may connect to; any, where none is named."""


class ProcessUser(msgspec.Struct, frozen=True):
    """A user id, its group, further groups."""

    uid: int
    gid: int
    groups: list[int] = []


class ConfinementReport(msgspec.Struct, frozen=True, kw_only=True):
    """What holds of a process's confinement, as it found out by trying."""

    uid: int
    landlock: int
    """The version in force; 0: none."""
    seccomp: bool
    missing: tuple[str, ...] = ()
    """What does not hold, and what follows from that; empty when everything does."""


def lock(cell: Cell, user: ProcessUser | None = None) -> ConfinementReport:
    """Become a user, give up everything that the cell does not name, and try the door. Call once, before there is another
    thread.

    Raises RuntimeError when other threads run already: what they do would not be bound.
    """
    if kernel.IS_LINUX and len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("a process must be confined before it starts threads")
    if cell.root:
        os.chroot(cell.root)
        os.chdir("/")
    privileges.bound_capabilities()
    if user is not None:
        privileges.become(user.uid, user.gid, tuple(user.groups))
    privileges.drop_capabilities()
    privileges.no_core()
    privileges.no_new_privileges()
    missing: list[str] = []
    rules: list[tuple[Path | int, int]] = [(Path(path), landlock.READ) for path in (*READ_EVERYWHERE, *cell.reads)]
    rules += [(fd, landlock.READ) for fd in cell.reads_opened]
    rules += [(Path(path), landlock.READ) for path in RESOLVER if cell.goes_out]
    rules += [(Path(path), landlock.KEEP) for path in cell.keeps]
    rules += [(Path(path), landlock.WRITE) for path in cell.writes]
    rules += [(Path(path), landlock.SERVE) for path in cell.serves]
    try:
        version = landlock.restrict(rules, may_connect=cell.goes_out, ports=cell.ports)
    except OSError as exc:
        version = 0
        missing.append(f"Landlock was refused ({exc.strerror}): this process can open every file of its user")
    else:
        if version == 0:
            missing.append(
                "the kernel has no Landlock (5.13 or newer has): this process can open every file of its user"
            )
        elif version < landlock.NET_SINCE_ABI and not cell.goes_out:
            missing.append(
                "Landlock before version 4 (Linux 6.7) does not bind TCP: only seccomp keeps this process inside"
            )
    families = seccomp.OUTWARD if cell.goes_out else seccomp.UNIX_ONLY
    try:
        seccomp.restrict(os.getpid(), families, may_bind=bool(cell.serves))
    except OSError as exc:
        missing.append(f"seccomp was refused ({exc.strerror}): this process can execute programs and make any socket")
    missing += _try(cell, version, privileges.is_filtered())
    return ConfinementReport(
        uid=os.geteuid(), landlock=version, seccomp=privileges.is_filtered(), missing=tuple(missing)
    )


def _try(cell: Cell, version: int, filtered: bool) -> list[str]:
    """Do what must not work any more; returns what does."""
    found = []
    if privileges.is_dumpable():
        found.append("the process can be traced by its user")
    if privileges.may_gain_privileges():
        found.append("the process can gain privileges by executing")
    if privileges.has_capabilities():
        found.append("the process still has capabilities")
    if version and _opens("/"):
        found.append("Landlock is in force, and yet a path outside the cell opened")
    if filtered:
        if _error_of_exec() != errno.EPERM:
            found.append("seccomp is in force, and yet execve is not refused")
        if not cell.goes_out and _makes_socket():
            found.append("seccomp is in force, and yet an internet socket could be made")
    return found


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _error_of_exec() -> int | None:
    try:
        os.execve("/switchgear-does-not-exist", ["x"], {})  # noqa: S606  must fail, and must fail before the look-up
    except OSError as exc:
        return exc.errno


def _makes_socket() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def probe() -> tuple[str, ...]:
    """Say what this kernel lacks for full confinement; empty when nothing."""
    missing = []
    version = landlock.abi()
    if not kernel.IS_LINUX:
        return ("this system is not Linux: processes cannot be confined",)
    if version == 0:
        missing.append("the kernel has no Landlock: 5.13 or newer with `landlock` among its security modules is needed")
    elif version < landlock.NET_SINCE_ABI:
        missing.append(f"the kernel's Landlock is version {version}: TCP is bound from version 4 on (Linux 6.7)")
    if not seccomp.can_filter():
        missing.append(f"there is no table of system calls for {kernel.MACHINE}")
    return tuple(missing)
