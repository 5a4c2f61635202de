"""`python -m switchgear.testing PORT [remember] [strict]`: the fake provider as a process. Level 5."""

import asyncio
import socket
import sys

import uvloop

from switchgear.net.clock import SystemClock
from switchgear.testing.fake_provider import FakeProvider, Judge


async def main() -> None:
    """Serve until killed."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", int(sys.argv[1])))
    sock.listen(4096)
    sock.setblocking(False)
    judge: Judge | None = None
    if "strict" in sys.argv:
        from switchgear.testing.twins import judge  # noqa: PLC0415 - it needs the SDKs, which only the tests have
    provider = FakeProvider(SystemClock(), remember="remember" in sys.argv, judge=judge)
    await provider.server.start(sock)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
