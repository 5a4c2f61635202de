"""How much room the spools take and the disk has. Level 5."""

import contextlib
import itertools
import os
from pathlib import Path

FILES_MAX = 2_000


def spool_bytes(folder: Path) -> int:
    """Return the bytes of the edges' segments; of a folder that somebody filled with files, those of the first FILES_MAX."""
    total = 0
    for spool in folder.glob("edge-*"):
        with contextlib.suppress(OSError), os.scandir(spool) as entries:
            for entry in itertools.islice(entries, FILES_MAX):
                if entry.name.endswith(".seg"):
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def free_share(folder: Path) -> float:
    """Return which part of the disk is free for this user, 0 to 1."""
    found = os.statvfs(folder)
    return found.f_bavail / found.f_blocks if found.f_blocks else 1.0
