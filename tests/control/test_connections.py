"""A full port serves whoever says something; what says nothing ends."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from switchgear.control import connections
from switchgear.control.connections import Bounds, bounded
from switchgear.testing.patience import PATIENCE_S


async def app(scope, receive, send):
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def run(scenario, bounds):
    async def main():
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen(64)
        config = uvicorn.Config(app, http=bounded(bounds), lifespan="off", ws="none", log_level="error", loop="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            await scenario(sock.getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            await task

    asyncio.run(main())


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        found = await reader.read(12)
    writer.close()
    return found


def test_idle_connections_make_room_for_one_that_asks():
    bounds = Bounds(8)

    async def scenario(port):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        for _, writer in held:
            writer.write(b"G")
        assert await ask(port) == b"HTTP/1.1 200"
        assert len(bounds.open) <= 8
        for _, writer in held:
            writer.close()

    run(scenario, bounds)


@pytest.mark.parametrize("said", [b"", b"G", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx"])
def test_a_connection_whose_head_or_body_is_late_is_closed(monkeypatch, said):
    monkeypatch.setattr(connections, "HEAD_S", 0.1)
    monkeypatch.setattr(connections, "BODY_S", 0.1)

    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

    run(scenario, Bounds(8))


def test_a_connection_whose_second_head_trickles_is_closed(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.2)

    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            await reader.readuntil(b"ok")
            writer.write(b"G")
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

    run(scenario, Bounds(8))
