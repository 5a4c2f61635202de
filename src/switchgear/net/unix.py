"""Unix sockets in folders of any depth, and who is at the other end. Level 2 (docs/invariants.md P2, P3).

A socket's name may have 108 bytes, so where it would have more it is reached as
/proc/self/fd/N/NAME through an open folder.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

NAME_BYTES_MAX = 107
PEERCRED = struct.Struct("3i")


def bind(folder: Path, name: str, mode: int = 0o600) -> socket.socket:
    """Bind a listening socket `folder/name`, replacing a dead one. The caller holds the lock that makes this safe."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    (folder / name).unlink(missing_ok=True)
    old = os.umask(0o777 & ~mode)
    try:
        with _short(folder, name) as path:
            sock.bind(path)
    finally:
        os.umask(old)
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def connect(folder: Path, name: str, timeout_s: float | None = None) -> socket.socket:
    """Connect to `folder/name`. Raises OSError when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(timeout_s)
        with _short(folder, name) as path:
            sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _short(folder: Path, name: str) -> Iterator[str]:
    """Name a socket in at most 108 bytes."""
    path = str(folder / name)
    if len(os.fsencode(path)) <= NAME_BYTES_MAX:
        yield path
        return
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def peer(sock: socket.socket) -> tuple[int, int]:
    """Return the pid and uid of the process that opened the other end."""
    pid, uid, _ = PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEERCRED.size))
    return int(pid), int(uid)


def peer_uid(sock: socket.socket) -> int:
    """Return the uid of the process that opened the other end."""
    return peer(sock)[1]
