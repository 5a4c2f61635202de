"""Plain files and nothing else: a pipe would hang, a device would not end. Level 2."""

import glob
import os
import stat
from pathlib import Path

from switchgear.config.reader import FILE_BYTES_MAX

REFERENCE_BYTES_MAX = 1024 * 1024


class Disk:
    """Files as `parts.Sources` wants them."""

    def read(self, path: str) -> str:
        """Return a file's text. Raises ValueError with why not."""
        data = read_bytes(path, FILE_BYTES_MAX)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise ValueError(f"is not UTF-8 (byte {exc.start})") from None

    def match(self, pattern: str) -> list[str]:
        """Return the files that match; folders do not."""
        return sorted(path for path in glob.iglob(pattern) if not Path(path).is_dir())  # noqa: PTH207  any folder may be named

    def identity(self, path: str) -> str:
        """Return the path without links and dots."""
        try:
            return os.path.realpath(path)
        except ValueError:  # a NUL in it: `read` says so
            return path


def read_bytes(path: str, bytes_max: int) -> bytes:
    """Return a plain file's content. Raises ValueError with why it cannot be had."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ValueError("does not exist") from None
    except OSError as exc:
        raise ValueError(f"cannot be read: {(exc.strerror or str(exc)).lower()}") from None
    except ValueError:  # a NUL in the path
        raise ValueError("is not a file's name") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("is not a plain file")
        with os.fdopen(os.dup(fd), "rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as exc:
        raise ValueError(f"cannot be read: {(exc.strerror or str(exc)).lower()}") from None
    finally:
        os.close(fd)
    if len(data) > bytes_max:
        raise ValueError(f"is over {bytes_max >> 20} MiB")
    return data


def read_text(path: str) -> str | None:
    """Return a plain file's text, or None."""
    try:
        return read_bytes(path, REFERENCE_BYTES_MAX).decode("utf-8")
    except ValueError:
        return None
