"""The data folder of a gateway that is about to start: made, held, its pepper. Level 6."""

import fcntl
import os
import shlex
from collections.abc import Callable
from pathlib import Path

from switchgear.app.layout import ROW_KEY_BYTES, Layout, read_peppers, read_row_key
from switchgear.core.errors import UserError


def own_config(layout: Layout) -> Path | None:
    """Return the configuration that lies in the data folder; None without one. Raises UserError."""
    path = layout.data / "switchgear.yaml"
    try:
        return path if path.is_file() else None
    except OSError as exc:
        raise _closed(layout.data, exc) from None


def _closed(folder: Path, exc: OSError) -> UserError:
    return UserError(
        f"the data folder {folder} cannot be used: {exc.strerror}",
        "run as its owner, choose another with --data DIR, or make it yours: chown",
        2,
    )


def make_folder(layout: Layout, workers: int | None = None) -> None:
    """Make the folder, and with `workers` all below it, which is for who holds its lock alone: a folder that a second start makes
    belongs to none of the first's processes. Raises UserError for one that another user has."""
    try:
        if workers is None:
            layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            layout.make(workers)
        owner = layout.data.stat().st_uid
    except OSError as exc:
        raise _closed(layout.data, exc) from None
    if owner != os.geteuid():
        raise UserError(
            f"the data folder {layout.data} belongs to uid {owner}, not to you (uid {os.geteuid()})",
            "run as that user, or choose another with --data DIR",
            2,
        )
    for folder in layout.folders(workers) if workers is not None else [layout.data]:
        if os.geteuid() != 0 and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise UserError(f"the folder {folder} is closed to you", f"run: chmod u+rwx {shlex.quote(str(folder))}", 2)
    if os.geteuid() != 0:
        layout.data.chmod(0o700)  # for root, app/ownership has the table


def take_lock(path: Path) -> int | None:
    """Take the data folder's lock; None when another supervisor lives."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def make_pepper(layout: Layout) -> None:
    """Make the pepper of virtual keys, unless there is one. Raises UserError for one that is damaged."""
    _make_secret(layout.pepper, f"1 {os.urandom(32).hex()}\n", read_peppers)


def make_row_key(layout: Layout) -> None:
    """Make the key of the store's rows, unless there is one. Raises UserError for one that is damaged."""
    _make_secret(layout.row_key, f"{os.urandom(ROW_KEY_BYTES).hex()}\n", read_row_key)


def _make_secret(path: Path, text: str, read: Callable[[Path], object]) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        read(path)  # says what is wrong with it; the value is dropped
        return
    os.write(fd, text.encode())
    os.fsync(fd)
    os.close(fd)
