"""Addresses of listeners, and sockets bound to them. Level 6."""

import errno
import socket
import time

from switchgear.config.compile import parse_listen
from switchgear.core.errors import UserError


def read_address(text: str, flag: str) -> tuple[str, int]:
    """Read HOST:PORT. Raises UserError that names the option."""
    address = parse_listen(text)
    if address is None:
        raise UserError(f"{text!r} is not HOST:PORT", f"e.g. {flag} 127.0.0.1:4100", 2)
    return address


def shown(address: tuple[str, int]) -> str:
    """Return an address as it is written in URLs."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(address: tuple[str, int], what: str, flag: str, patience_s: float = 0.0) -> socket.socket:
    """Bind and listen; waits `patience_s` for a port that is still held. Raises UserError that says what to do."""
    host, port = address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    until = time.monotonic() + patience_s
    try:
        while True:
            try:
                sock.bind(address)
                break
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        sock.listen(4096)
    except OSError as exc:
        sock.close()
        raise UserError(
            f"{what} cannot listen on {shown(address)}: {(exc.strerror or str(exc)).lower()}",
            f"stop what uses it, or choose another: {flag} {host}:{port + 10}, or SWITCHGEAR_{flag[2:].upper()}={host}:{port + 10}",
            2,
        ) from None
    return sock
