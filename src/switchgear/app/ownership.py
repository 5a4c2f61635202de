"""Who owns what when the gateway is started as root: a user id for each process. Level 6 (docs/invariants.md P2).

The ids need no entry in /etc/passwd. `table` is the whole truth about paths, owners and modes; docs/architecture.md shows it
and a test compares the two. Started by anybody else, all processes are that user, and Landlock alone keeps them apart.
"""

import os
import pwd
import stat
from pathlib import Path

import msgspec

from switchgear.app.layout import Layout
from switchgear.confine.cell import ProcessUser
from switchgear.core.errors import UserError

UID_BASE = 59_100
"""Above what accounts get by hand, below what Debian and systemd reserve. SWITCHGEAR_UID_BASE chooses another."""
EDGES_FROM = 16
WORKERS_MAX = 64
Row = tuple[Path, int, int, int]
"""Path, owner, group, mode."""


class ProcessUsers(msgspec.Struct, frozen=True):
    """Who the processes are, all numbered from one base."""

    base: int

    @property
    def vault(self) -> ProcessUser:
        """The vault: in nobody else's group."""
        return ProcessUser(self.base, self.base)

    @property
    def control(self) -> ProcessUser:
        """Control: may reach the vault's socket; spools belong to its group, because it empties them."""
        return ProcessUser(self.base + 1, self.base + 1, [self.gates])

    @property
    def demo(self) -> ProcessUser:
        """The demo provider."""
        return ProcessUser(self.base + 2, self.base + 2)

    @property
    def courier(self) -> ProcessUser:
        """The courier: in nobody else's group."""
        return ProcessUser(self.base + 3, self.base + 3)

    @property
    def gates(self) -> int:
        """The group of those who may reach the vault's socket and read the replica: edges and control."""
        return self.base + 8

    def edge(self, number: int) -> ProcessUser:
        """One edge."""
        uid = self.base + EDGES_FROM + number
        return ProcessUser(uid, uid, [self.gates])

    def of(self, role: str, number: int) -> ProcessUser:
        """Return who fills a role."""
        single = {"vault": self.vault, "control": self.control, "demo": self.demo, "courier": self.courier}
        return single.get(role) or self.edge(number)

    def peers(self, workers: int) -> dict[str, list[int]]:
        """Return the uids that the vault expects, by role."""
        return {"edge": [self.edge(n).uid for n in range(workers)], "control": [self.control.uid]}


def process_users(environ: dict[str, str]) -> ProcessUsers | None:
    """Return who the processes will be; None when this is not root. Raises UserError for ids that accounts have."""
    if os.geteuid() != 0:
        return None
    text = environ.get("SWITCHGEAR_UID_BASE", str(UID_BASE))
    if not (text.isascii() and text.isdigit()) or not 1000 <= int(text) < 2**31:
        raise UserError(f"SWITCHGEAR_UID_BASE={text!r} is not a user id above 1000", f"e.g. {UID_BASE}", 2)
    base = int(text)
    taken = [entry.pw_name for entry in pwd.getpwall() if base <= entry.pw_uid < base + EDGES_FROM + WORKERS_MAX]
    if taken:
        raise UserError(
            f"the account {taken[0]} has one of the user ids {base} to {base + EDGES_FROM + WORKERS_MAX - 1}",
            "choose other ids: SWITCHGEAR_UID_BASE=N",
            2,
        )
    return ProcessUsers(base)


def table(layout: Layout, who: ProcessUsers, workers: int) -> list[Row]:
    """Return every folder with its owner, group and mode. Where the mode has the set-group bit, files inherit the group."""
    vault, control, gates = who.vault.uid, who.control.uid, who.gates
    return [
        (layout.data, 0, 0, 0o711),
        (layout.store.parent, control, control, 0o700),
        (layout.replica, control, gates, 0o2750),
        (layout.counters, 0, gates, 0o750),
        (layout.spool, 0, 0, 0o755),
        (layout.journal, vault, control, 0o2770),
        *((layout.edge_spool(n), who.edge(n).uid, control, 0o2770) for n in range(workers)),
        (layout.vault, vault, vault, 0o700),
        (layout.run, 0, control, 0o2711),
        (layout.vault_run, vault, gates, 0o2710),
        (layout.control_run, control, control, 0o700),
        (layout.courier_run, who.courier.uid, control, 0o2710),
    ]


def is_reachable(folder: Path) -> bool:
    """Tell whether users other than root can reach a folder: a checkout below /root is closed to them."""
    return all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents)


def give(rows: list[Row]) -> None:
    """Make it so, files in the folders included; call as root, while nothing else runs.

    A folder may have been written by somebody who means harm: nothing is followed, and a file with two names stays whose it is.
    """
    for folder, uid, gid, mode in rows:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if uid != 0:
                _give_files(fd, uid, gid, mode & 0o060 if mode & stat.S_ISGID else 0)
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)


def _give_files(folder: int, uid: int, gid: int, group_bits: int) -> None:
    """Give files, and open them to the folder's group as far as the folder is: those of a time when all processes were one user
    were closed to every other."""
    for name in os.listdir(folder):
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        mode = stat.S_IMODE(info.st_mode)
        is_right = (info.st_uid, info.st_gid) == (uid, gid) and mode & group_bits == group_bits
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1 or is_right:
            continue
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode | group_bits)
        finally:
            os.close(fd)
