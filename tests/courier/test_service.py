"""The courier's process listens for its links and relays, and stops with them."""

import asyncio
import os

import pytest
from tests.courier.rig import destination, service

from switchgear.net import unix


def test_relays_are_bound_at_the_start_and_closed_at_the_end(tmp_path):
    async def main():
        made = service([destination(1), destination(5432, "db", "relay", auth="none", secret=b"")], tmp_path)
        await made.start(unix.bind(tmp_path, "courier.sock"))
        assert sorted(os.listdir(tmp_path)) == ["courier.sock", "db.relay"]
        made.stop()
        made.pool.close()
        await asyncio.sleep(0.05)
        for name in ("courier.sock", "db.relay"):
            with pytest.raises(OSError):
                unix.connect(tmp_path, name, 1.0)

    asyncio.run(main())


def test_a_process_is_a_peer_while_one_of_its_links_lasts(tmp_path):
    class Link:
        pid, uid = 7, 8

    async def main():
        made = service([], tmp_path)
        one, other = Link(), Link()
        made.links |= {one, other}
        assert made.is_peer(7, 8) and not made.is_peer(7, 9) and not made.is_peer(8, 8)
        made.forget(one)
        assert made.is_peer(7, 8)
        made.forget(other)
        assert not made.is_peer(7, 8)

    asyncio.run(main())
