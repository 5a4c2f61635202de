"""Whether the configuration on the disk is still the one that was read. Level 6."""

import contextlib
import glob
import os
import subprocess
import sys

import msgspec

from switchgear.app import boot as boots
from switchgear.app.environment import clean_environment
from switchgear.config_files.sources import Sources


class ConfigOnDisk:
    """The digest of the configuration as it is on disk now, with all that it includes: control, which tells of a drift, cannot
    open it. Files are looked at by date and size; a change is read by a process of its own, since this one parses no YAML."""

    def __init__(self, path: str, sources: Sources) -> None:
        self._path = path
        self._sources = sources
        self._seen: list[tuple[str, int, int, int]] | None = None
        self._reading: tuple[subprocess.Popen[bytes], int] | None = None
        """The process that reads, and what it writes to."""

    def digest(self) -> str:
        """Return it; empty when there is no file that can be read."""
        if not self._path:
            return ""
        if self._seen is None:
            self._seen = self._look()  # of what `serve` has read a moment ago
        elif self._reading is not None:
            process, fd = self._reading
            if process.poll() is not None:
                with contextlib.suppress(msgspec.DecodeError):
                    self._sources = boots.from_fd(fd, Sources)
                self._reading = None
        elif (seen := self._look()) != self._seen:
            self._seen = seen
            fd = os.memfd_create("sources")
            command = [sys.executable, "-I", "-m", "switchgear.config_files.watch", self._path]
            environment = clean_environment(os.environ)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=fd, env=environment, cwd="/")  # noqa: S603
            self._reading = process, fd
        return self._sources.digest

    def _look(self) -> list[tuple[str, int, int, int]]:
        paths = set(self._sources.files)
        for pattern in self._sources.patterns:
            paths.update(glob.iglob(pattern))  # noqa: PTH207  patterns of any folder
        found = []
        for path in sorted(paths):
            try:
                info = os.stat(path)
            except OSError:
                continue
            found.append((path, info.st_ino, info.st_mtime_ns, info.st_size))
        return found
