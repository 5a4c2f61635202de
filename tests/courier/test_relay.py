"""Bytes go through a relay unchanged, for the process that asked and for nobody else, and never without bound."""

import asyncio
import os

import pytest
from tests.courier.rig import Server, certificates, destination, service

from switchgear.courier import relay
from switchgear.net import unix


class Peer:
    """A link, as a relay's host knows it."""

    def __init__(self, pid):
        self.pid = pid
        self.uid = os.geteuid()


def relayed(answer, scenario, tmp_path, *, tls=None, place=None, peer=None, resolve=None):
    """Run a scenario with a connection to a relay of a server: scenario(reader, writer, server, service)."""

    async def main():
        async with Server(answer, tls) as server:
            more = {"resolve": resolve} if resolve is not None else {}
            fields = {"auth": "none", "secret": b"", **(place or {})}
            made = service([destination(server.port, "db", "relay", **fields)], tmp_path, **more)
            made.links.add(peer or Peer(os.getpid()))
            await made.start(unix.bind(tmp_path, "courier.sock"))
            try:
                sock = unix.connect(tmp_path, "db.relay", 5.0)
                sock.setblocking(False)
                reader, writer = await asyncio.open_unix_connection(sock=sock)
                await asyncio.wait_for(scenario(reader, writer, server, made), 20)
                writer.close()
            finally:
                made.stop()
                made.pool.close()
                await asyncio.sleep(0.05)
        assert made.guard.faults == 0
        return made

    return asyncio.run(main())


async def echo(server, reader, writer):
    while data := await reader.read(65_536):
        server.heard.append(len(data))
        writer.write(data)
        await writer.drain()


def test_bytes_go_both_ways_and_an_end_goes_through(tmp_path):
    data = os.urandom(3_000_000)

    async def scenario(reader, writer, server, made):
        got = b""

        async def read():
            nonlocal got
            while piece := await reader.read(65_536):
                got += piece

        reading = asyncio.create_task(read())
        writer.write(data)
        await writer.drain()
        assert made.status().relayed == 1
        writer.write_eof()
        await reading
        assert got == data
        await asyncio.sleep(0.05)
        assert made.status().relayed == 0

    relayed(echo, scenario, tmp_path)


def test_a_relay_speaks_tls_to_its_destination_with_the_own_authority(tmp_path):
    ours, context = certificates(tmp_path)

    async def scenario(reader, writer, server, made):
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"

    relayed(echo, scenario, tmp_path, tls=context, place={"scheme": "https", "tls_trust": ours})


def test_a_relay_whose_destination_has_another_certificate_closes(tmp_path):
    _, context = certificates(tmp_path)

    async def scenario(reader, writer, server, made):
        writer.write(b"password")
        assert await reader.read() == b"" and server.heard == []
        assert made.destinations.states()[0].failures == 1
        assert made.told and "certificate" in made.told[0]

    relayed(echo, scenario, tmp_path, tls=context, place={"scheme": "https"})


def test_P3_a_process_without_a_link_is_cut_off(tmp_path):
    async def scenario(reader, writer, server, made):
        with pytest.raises(OSError):
            writer.write(b"x")
            await writer.drain()
            assert await reader.read() == b""
            raise OSError
        assert server.heard == [] and made.destinations.states()[0].requests == 0

    relayed(echo, scenario, tmp_path, peer=Peer(os.getppid()))


def test_a_private_address_that_is_not_allowed_is_not_relayed_to(tmp_path):
    async def scenario(reader, writer, server, made):
        assert await reader.read() == b"" and server.heard == []
        assert "not allowed" in made.told[0]

    relayed(echo, scenario, tmp_path, place={"allow_private": False, "scheme": "https"})


def test_a_destination_that_is_away_closes_the_connection(tmp_path):
    async def scenario(reader, writer, server, made):
        assert await reader.read() == b""

    async def nowhere(host, port):
        raise OSError("no such name")

    relayed(echo, scenario, tmp_path, resolve=nowhere)


def test_a_destination_that_does_not_read_stops_the_sender(tmp_path):
    async def deaf(server, reader, writer):
        reader._transport.pause_reading()
        await asyncio.sleep(30)

    async def scenario(reader, writer, server, made):
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 200_000_000:
                writer.write(bytes(65_536))
                sent += 65_536
                await asyncio.wait_for(writer.drain(), 1.0)
        (pipe,) = made.pipes
        assert pipe.far.transport.get_write_buffer_size() <= relay.BUFFER_BYTES + 2 * 262_144

    relayed(deaf, scenario, tmp_path)


def test_more_connections_than_allowed_are_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(relay, "CONNECTIONS_MAX", 2)

    async def scenario(reader, writer, server, made):
        others = []
        for _ in range(2):
            sock = unix.connect(tmp_path, "db.relay", 5.0)
            sock.setblocking(False)
            others.append(await asyncio.open_unix_connection(sock=sock))
            await asyncio.sleep(0.1)
        assert made.status().relayed == 2
        assert await others[1][0].read() == b""
        for _, other in others:
            other.close()

    relayed(echo, scenario, tmp_path)


def test_a_relayed_connection_ends_with_its_process(tmp_path):
    async def scenario(reader, writer, server, made):
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        made.forget(next(iter(made.links)))
        assert await reader.read() == b""
        assert made.status().relayed == 0

    relayed(echo, scenario, tmp_path)
