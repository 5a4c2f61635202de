"""Telling the service manager how far this is. Level 6. https://www.freedesktop.org/software/systemd/man/sd_notify.html
(read 2026-11-26)
"""

import contextlib
import socket


def notify(place: str, message: str) -> None:
    """Send a state, `READY=1` or `STOPPING=1`, to the socket that NOTIFY_SOCKET named; an empty place is no manager. Never fails
    and never waits: who starts this may be gone."""
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(message.encode(), address)
