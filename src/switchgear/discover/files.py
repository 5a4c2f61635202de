"""Folders and repositories: walking and reading them. Level 5.

Files are read in pieces, never followed through links, and nothing of them is kept but findings. What cannot be read is
named and makes the run partial; what is left out on purpose (binaries, dependencies) is counted.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from switchgear.core.text import file_name
from switchgear.detect import clients
from switchgear.detect.prefilter import AFTER_MAX, BEFORE_MAX
from switchgear.discover.collector import Collector
from switchgear.discover.text_scanner import TextScanner

PIECE = 4 * 1024 * 1024
FILE_BYTES_MAX = 1024**3
"""Larger files are named and not read: --max-file-size."""
SMALL_BYTES_MAX = 16 * 1024 * 1024
"""Largest manifest or client settings that is parsed as a whole."""
DEPTH_MAX = 100
SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", "site-packages", "dist-packages", ".mypy_cache", ".ruff_cache",
     ".pytest_cache", ".hypothesis", ".tox", ".nox", ".gradle", ".terraform", "bower_components"}
)  # fmt: skip
MODEL_ENDS = (".gguf", ".ggml", ".safetensors", ".onnx")
BINARY_ENDS = (
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".woff", ".woff2", ".ttf", ".eot", ".otf", ".mp3", ".mp4",
    ".mov", ".avi",
    ".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz", ".jar", ".war", ".whl", ".so", ".dylib", ".dll", ".exe",
    ".o", ".a", ".pyc", ".class", ".wasm", ".sqlite", ".db", ".mdb", ".parquet", ".pt", ".bin",
)  # fmt: skip
LOCK_FILES = frozenset(
    {"package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "poetry.lock", "uv.lock", "pdm.lock",
     "Pipfile.lock",
     "go.sum", "Cargo.lock", "gradle.lockfile", "deno.lock", "composer.lock", "Gemfile.lock", "pylock.toml"}
)  # fmt: skip
_FILE_ALLOWED = b"switchgear:allow-file"
"""In a file's first 4 KiB: it is full of samples. Such files are counted in every report."""


def named(path: Path) -> str:
    """Return a path as findings name it, however it was given: from the working folder where it lies there, else from the root. Ids
    of findings are made of it, and `./x`, `x/` and the whole path are one place."""
    try:
        whole = os.path.abspath(path)  # noqa: PTH100  of a name that may be no UTF-8, and without following links
        below = os.path.relpath(whole)
    except FileNotFoundError:  # the working folder is gone
        return str(path)
    return whole if below.split(os.sep, 1)[0] == os.pardir else below


class FileSource:
    """Looks at folders and files."""

    def __init__(self, scanner: TextScanner, collector: Collector, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self._scanner = scanner
        self._out = collector
        self._file_bytes_max = file_bytes_max
        self._folders: set[tuple[int, int]] = set()

    # walking

    def scan(self, root: Path) -> None:
        """Look at a folder and all below it, or at one file."""
        base = named(root)
        self._out.item(file_name(base), lambda: self._scan(base))

    def _scan(self, base: str) -> None:
        if not os.path.lexists(base):
            self._out.failed(file_name(base), "there is no such file or folder")
            return
        if not stat.S_ISDIR(os.stat(base).st_mode):
            self.file(base, file_name(base))
            return
        for path in self._walk(base):
            self.file(path, file_name(path))

    def _walk(self, base: str) -> Iterator[str]:
        pending = [(base, 0)]
        while pending:
            folder, depth = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda e: e.name)
                info = os.stat(folder)
            except OSError as exc:
                self._out.failed(file_name(folder), exc.strerror)
                continue
            prefix = "" if folder == os.curdir else os.path.join(folder, "")
            if (info.st_dev, info.st_ino) in self._folders:  # a bind mount that leads back
                self._out.skipped["folders seen before"] += 1
                continue
            self._folders.add((info.st_dev, info.st_ino))
            for entry in entries:
                path = prefix + entry.name
                try:
                    if entry.is_symlink():
                        self._out.skipped["links"] += 1
                    elif entry.is_dir():
                        if entry.name in SKIPPED_FOLDERS:
                            self._out.skipped["folders of dependencies and version control"] += 1
                        elif depth >= DEPTH_MAX:
                            self._out.failed(file_name(path), f"more than {DEPTH_MAX} folders deep")
                        else:
                            pending.append((path, depth + 1))
                    elif entry.is_file():
                        yield path
                    else:
                        self._out.skipped["devices, pipes and sockets"] += 1
                except OSError as exc:
                    self._out.failed(file_name(path), exc.strerror)

    # one file

    def file(self, path: str, shown: str) -> None:
        """Look at one file; `shown` is how it is named in findings."""
        self._out.item(shown, lambda: self._file(path, shown))

    def _file(self, path: str, shown: str) -> None:
        owner = clients.credential_file(shown)
        if owner is not None:
            self._scanner.credential_file(path, shown, owner)
            return
        if path.lower().endswith(MODEL_ENDS):
            self._scanner.model_file(shown)
            return
        if path.lower().endswith(BINARY_ENDS):
            self._out.skipped["binary files"] += 1
            return
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            self._out.failed(shown, exc.strerror)
            return
        with os.fdopen(fd, "rb", buffering=0) as file:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                self._out.skipped["devices, pipes and sockets"] += 1
                return
            if info.st_size > self._file_bytes_max:
                self._out.failed(shown, f"{info.st_size:,} bytes, more than {self._file_bytes_max:,} (--max-file-size)")
                return
            try:
                self._pieces(file.read, shown)
            except OSError as exc:
                self._out.failed(shown, exc.strerror)

    def _pieces(self, read: Callable[[int], bytes], shown: str) -> None:
        self._out.looked_at["files"] += 1
        carried, line, seen_until, first = b"", 1, 0, True
        base = 0
        while True:
            piece = read(PIECE)
            block = carried + piece
            if first:
                first = False
                if block.startswith((b"\xff\xfe", b"\xfe\xff")):
                    block = self._utf16(block, read)
                    piece = b""
                elif b"\0" in block[:8192]:
                    self._out.skipped["binary files"] += 1
                    return
                if _FILE_ALLOWED in block[:4096]:
                    self._out.skipped["files that say switchgear:allow-file"] += 1
                    return
                self._scanner.whole(shown, block, complete=len(piece) < PIECE)
            if not block:
                return
            self._out.looked_at["bytes"] += len(piece) or len(block)
            self._out.progress(len(piece), shown)
            last = len(piece) < PIECE
            cut = len(block) if last else block.rfind(b"\n", len(block) - AFTER_MAX) + 1 or len(block)
            self._scanner.block(block[:cut] if cut < len(block) else block, shown, line, base, seen_until)
            seen_until = base + cut
            if last:
                return
            # A line without end is read with an overlap, so that a key across the cut is seen whole.
            keep = cut if cut < len(block) else max(0, len(block) - BEFORE_MAX)
            line += block.count(b"\n", 0, keep)
            base += keep
            carried = block[keep:]

    def _utf16(self, block: bytes, read: Callable[[int], bytes]) -> bytes:
        data = block + read(SMALL_BYTES_MAX)
        return data.decode("utf-16", "replace").encode()
