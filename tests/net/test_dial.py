"""Connections go to judged addresses, with TLS where the endpoint says so, and through a proxy that is asked properly."""

import asyncio

import pytest
from tests.courier.rig import Server, certificates

from switchgear.net.dial import Dialer
from switchgear.providers.endpoint import Endpoint
from switchgear.testing.patience import until_it_is


class Protocol(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self):
        self.data = b""
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data


def place(port, **more):
    return Endpoint(**{"scheme": "http", "host": "there.example", "port": port, "allow_private": True, **more})


async def here(host, port):
    return ["127.0.0.1"]


async def greeting(server, reader, writer):
    writer.write(b"hello")
    await writer.drain()
    server.heard.append(await reader.read(100))


def proxy(response, target=None):
    """Return a proxy that answers so, and then is the target."""

    async def answer(server, reader, writer):
        server.heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response)
        await writer.drain()
        if target is not None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target())

            async def pump(source, sink):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()

            await asyncio.wait(
                [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            far_writer.transport.abort()

    return answer


async def opened(endpoint, resolve=here):
    protocol = await asyncio.wait_for(Dialer(resolve).open(endpoint, Protocol), 5)
    await until_it_is(lambda: protocol.data)
    protocol.transport.close()
    return protocol.data


def test_a_proxy_is_asked_for_the_host_and_passes_the_first_bytes_of_the_destination():
    async def main():
        async with (
            Server(greeting) as target,
            Server(proxy(b"HTTP/1.1 200 ok\r\nx: y\r\n\r\n", lambda: target.port)) as by,
        ):
            assert await opened(place(5432, proxy=f"127.0.0.1:{by.port}")) == b"hello"
            assert by.heard == [b"CONNECT there.example:5432 HTTP/1.1\r\nhost: there.example:5432\r\n\r\n"]

    asyncio.run(main())


def test_tls_goes_through_a_proxy_and_is_checked_against_the_destination(tmp_path):
    ours, context = certificates(tmp_path)

    async def main():
        async with (
            Server(greeting, context) as target,
            Server(proxy(b"HTTP/1.1 200 ok\r\n\r\n", lambda: target.port)) as by,
        ):
            more = {"scheme": "https", "tls_trust": ours, "proxy": f"127.0.0.1:{by.port}"}
            assert await opened(place(443, **more)) == b"hello"
            with pytest.raises(OSError):
                await opened(place(443, **more | {"host": "other.example"}))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (b"HTTP/1.1 407 no\r\n\r\n", "status 407"),
        (b"HTTP/1.1 2000 ok\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 20 ok\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1200 ok\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 101 no\r\n\r\nHTTP/1.1 200 ok\r\n\r\n", "status 101"),
        (b"HTTP/1.1 100 on\r\n\r\nHTTP/1.1 403 no\r\n\r\n", "status 403"),
        (b"HTTP/1.1 100 on\r\n\r\n" * 20, "interim answers only"),
        (b"", "the proxy 127.0.0.1"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 2", "did not answer in HTTP"),
        (b"HTTP/1.1 200 ok\r\nx: " + b"y" * 9_000, "did not answer in HTTP"),
    ],
)
def test_a_proxy_that_refuses_or_is_none_is_told(response, why):
    async def main():
        async with Server(proxy(response)) as by:
            with pytest.raises(OSError, match=why):
                await opened(place(443, proxy=f"127.0.0.1:{by.port}"))

    asyncio.run(main())


@pytest.mark.parametrize(
    "response", [b"HTTP/1.1 103 hints\r\nlink: x\r\n\r\nHTTP/1.1 200 ok\r\n\r\n", b"HTTP/1.0 204\r\n\r\n"]
)
def test_interim_answers_and_any_success_of_a_proxy_are_understood(response):
    """RFC 9110, section 15.2: a client must parse interim answers before the final one; section 9.3.6: any 2xx is success."""

    async def main():
        async with Server(greeting) as target, Server(proxy(response, lambda: target.port)) as by:
            assert await opened(place(443, proxy=f"127.0.0.1:{by.port}")) == b"hello"

    asyncio.run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
def test_a_private_address_is_not_asked_of_a_proxy_either(host):
    async def main():
        async with Server(proxy(b"HTTP/1.1 200 ok\r\n\r\n")) as by:
            with pytest.raises(OSError, match="not allowed"):
                await opened(place(443, host=host, allow_private=False, proxy=f"127.0.0.1:{by.port}"))
            assert by.heard == []

    asyncio.run(main())


def test_a_proxy_at_a_metadata_service_is_not_connected_to():
    async def metadata(host, port):
        return ["169.254.169.254"]

    with pytest.raises(OSError, match="not allowed"):
        asyncio.run(opened(place(443, proxy="proxy.example:3128"), metadata))


def test_one_private_answer_of_a_name_spoils_all():
    async def mixed(host, port):
        return ["1.1.1.1", "127.0.0.1"]

    with pytest.raises(OSError, match="not allowed"):
        asyncio.run(opened(place(443, allow_private=False), mixed))
