"""A disk that forgets: everything that was not synced may be lost, or kept, or kept in part.

Wraps the system calls of the spool's code. Writes go to real files; what would survive a power cut is kept beside them, after the
rules that ext4 and XFS promise at least: data after fdatasync, names after fsync of their folder; of the rest any subset of pages,
and any prefix of the changes of names.
"""

import os
import pathlib
import random

PAGE = 4096


class Disk:
    """Stands in for the module `os` in the code under test. One folder."""

    def __init__(self, folder):
        self.folder = folder
        self.names = {}  # what the folder's last fsync made durable: name → inode
        self.data = {}  # inode → content that is durable
        self.dirty = {}  # inode → pages written since
        self.changes = []  # changes of names since the folder's fsync
        self.gone = {}  # inode → last content of unlinked files
        self.held = []
        self.syncs = 0
        for name in os.listdir(folder):  # what is found at the start survived already
            self.names[name] = os.stat(folder / name).st_ino
            self.data[self.names[name]] = (folder / name).read_bytes()

    def __getattr__(self, name):
        return getattr(os, name)

    # what the code calls

    def open(self, path, flags, mode=0o777, **more):
        is_new = flags & os.O_CREAT and not os.path.lexists(path)
        fd = os.open(path, flags, mode, **more)
        inode = os.fstat(fd).st_ino
        if is_new:
            self.changes.append(("create", os.path.basename(path), inode))
            self.data.setdefault(inode, b"")
        if flags & os.O_TRUNC:
            self.dirty.setdefault(inode, set())
        return fd

    def write(self, fd, data):
        self._touch(fd, os.lseek(fd, 0, os.SEEK_CUR), len(data))
        return os.write(fd, data)

    def pwrite(self, fd, data, offset):
        self._touch(fd, offset, len(data))
        return os.pwrite(fd, data, offset)

    def fdatasync(self, fd):
        os.fdatasync(fd)
        inode = os.fstat(fd).st_ino
        self.data[inode] = pathlib.Path(f"/proc/self/fd/{fd}").read_bytes()
        self.dirty.pop(inode, None)
        self.syncs += 1

    def fsync(self, fd):
        if pathlib.Path(f"/proc/self/fd/{fd}").is_dir():
            self._apply(self.names, self.changes)
            self.changes.clear()
        else:
            self.fdatasync(fd)

    def rename(self, source, target):
        if os.path.exists(target):
            self._hold(target)
        self.changes.append(("rename", os.path.basename(source), os.path.basename(target)))

    def unlink(self, path):
        self._hold(path)
        self.changes.append(("unlink", os.path.basename(path), None))

    def _hold(self, path):
        """Keep the content of a file that loses its name, and its inode, which would be given to another file."""
        self.held.append(os.open(path, os.O_RDONLY))
        self.gone[os.stat(path).st_ino] = pathlib.Path(path).read_bytes()

    def end(self):
        while self.held:
            os.close(self.held.pop())

    def _touch(self, fd, offset, size):
        pages = self.dirty.setdefault(os.fstat(fd).st_ino, set())
        pages.update(range(offset // PAGE, (offset + max(size, 1) - 1) // PAGE + 1))

    @staticmethod
    def _apply(names, changes):
        for kind, name, other in changes:
            if kind == "create":
                names[name] = other
            elif kind == "rename":
                if name in names:
                    names[other] = names.pop(name)
            else:
                names.pop(name, None)

    # the power goes

    def cut(self, target, chance):
        """Write what a machine would find after the power cut into `target`."""
        names = dict(self.names)
        self._apply(names, self.changes[: chance.randint(0, len(self.changes))])
        now = {os.stat(self.folder / name).st_ino: self.folder / name for name in os.listdir(self.folder)}
        target.mkdir()
        for name, inode in names.items():
            durable = self.data.get(inode, b"")
            current = now[inode].read_bytes() if inode in now else self.gone.get(inode, durable)
            # Metadata: the size is the synced one or today's; pages in between that were not written are zeros.
            size = chance.choice((len(durable), len(current)))
            content = bytearray(durable[:size].ljust(size, b"\0"))
            for page in self.dirty.get(inode, ()):
                piece = current[page * PAGE : (page + 1) * PAGE]
                if chance.random() < 0.5 and page * PAGE < size:
                    content[page * PAGE : page * PAGE + len(piece)] = piece
            (target / name).write_bytes(bytes(content[:size]))


def install(monkeypatch, disk, *modules):
    """Let modules use a disk instead of `os`, and tell it of renames and unlinks through pathlib."""
    for module in modules:
        monkeypatch.setattr(module, "os", disk)
    rename, unlink = pathlib.Path.rename, pathlib.Path.unlink

    def told_rename(path, target):
        if path.parent == disk.folder:
            disk.rename(path, target)
        return rename(path, target)

    def told_unlink(path, missing_ok=False):
        if path.parent == disk.folder and path.exists():
            disk.unlink(path)
        return unlink(path, missing_ok)

    monkeypatch.setattr(pathlib.Path, "rename", told_rename)
    monkeypatch.setattr(pathlib.Path, "unlink", told_unlink)


def rounds():
    """How many cuts: POWER_ROUNDS, else 60."""
    return int(os.environ.get("POWER_ROUNDS", "60"))


def seeds():
    """The seeds of the rounds: fixed, so that a failure repeats."""
    return [random.Random(20_261_124 + n).randrange(2**32) for n in range(rounds())]
