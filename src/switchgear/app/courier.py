"""Constructs the courier. Level 6."""

from pathlib import Path

import msgspec

from switchgear.app import child
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout
from switchgear.courier import destinations
from switchgear.courier.destinations import Destinations
from switchgear.courier.service import CourierService
from switchgear.courier.verbs import Sealed
from switchgear.net import unix
from switchgear.net.clock import SystemClock
from switchgear.net.dial import Dialer
from switchgear.net.upstream import Pool
from switchgear.vault import kek


def prepare(boot: Boot) -> Destinations:
    """Read the courier's key, which is not in the cell, and open the destinations. Says which ports the cell must leave open."""
    sealed = msgspec.json.decode(boot.destinations, type=list[Sealed])
    boot.ports = sorted(destinations.ports(sealed))
    return Destinations(sealed, kek.KeyPair(kek.read(Path(boot.courier_key), kek.COURIER)))


async def main(boot: Boot, prepared: Destinations) -> None:
    """Serve control until told to stop."""
    layout = Layout(Path(boot.data))
    clock = SystemClock()
    life = child.Life(boot)
    life.watch()
    if prepared.unopened:
        child.report(f"the courier's key does not open these destinations: {', '.join(prepared.unopened)}")
    pool, dialer = Pool(clock, child.guard), Dialer()
    peers = boot.peers.get("control", [])
    folder = layout.courier_run
    service = CourierService(
        prepared, pool, dialer, boot.run_id, boot.link_key, peers, child.report, child.guard, folder
    )
    await service.start(unix.bind(folder, "courier.sock", 0o660))
    life.ready()
    await life.stopping.wait()
    service.stop()
    pool.close()
