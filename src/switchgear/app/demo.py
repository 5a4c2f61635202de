"""Constructs the demo provider. Level 6."""

import asyncio

from switchgear.app import child
from switchgear.app.boot import Boot
from switchgear.net.clock import SystemClock
from switchgear.testing.fake_provider import FakeProvider


def prepare(boot: Boot) -> None:
    """Nothing."""


async def main(boot: Boot, prepared: None) -> None:
    """Answer like a provider until told to stop."""
    life = child.Life(boot)
    life.watch()
    provider = FakeProvider(SystemClock(), is_strict=True)
    await provider.server.start(*(child.listening(fd) for fd in boot.listen_fds))
    life.ready()
    await life.stopping.wait()
    if not life.orphaned:
        await asyncio.sleep(0)
    provider.server.close()
