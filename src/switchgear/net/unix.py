"""Unix sockets in folders of any depth, and who is at the other end. Level 2 (INVARIANTS P2, P3).

A socket's name may have 108 bytes, so it is reached as /proc/self/fd/N/NAME through an open folder.
"""

import os
import socket
import struct
from pathlib import Path

PEERCRED = struct.Struct("3i")


def bind(folder: Path, name: str, mode: int = 0o600) -> socket.socket:
    """Bind a listening socket `folder/name`, replacing a dead one. The caller holds the lock that makes this safe."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    (folder / name).unlink(missing_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        old = os.umask(0o177)
        try:
            sock.bind(f"/proc/self/fd/{fd}/{name}")
        finally:
            os.umask(old)
    finally:
        os.close(fd)
    (folder / name).chmod(mode)
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def connect(folder: Path, name: str, timeout_s: float | None = None) -> socket.socket:
    """Connect to `folder/name`. Raises OSError when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sock.settimeout(timeout_s)
        sock.connect(f"/proc/self/fd/{fd}/{name}")
    except OSError:
        sock.close()
        raise
    finally:
        os.close(fd)
    return sock


def peer_uid(sock: socket.socket) -> int:
    """Return the uid of the process that opened the other end."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEERCRED.size)
    return int(PEERCRED.unpack(data)[1])
