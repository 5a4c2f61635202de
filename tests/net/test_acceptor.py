"""How connections are accepted: bounds, handshakes, and what is left of those that came to nothing."""

import asyncio
import errno
import gc
import ssl

import trustme
from tests.net.http_server import Handler, get, run

from switchgear.net import acceptor
from switchgear.net.connection import Connection
from switchgear.net.exchange import ServerLimits
from switchgear.net.server import HttpServer
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.testing.patience import until_it_is


def test_connections_of_one_address_are_bounded_with_those_whose_handshakes_are_not_done():
    clock, guard = FakeClock(), LoudGuard()
    server = HttpServer(Handler(), clock, guard, ServerLimits(connections_per_address_max=2, connections_max=5))

    def connected(address):
        made = Connection(server, address)
        made.is_admitted = server.admit(made)
        return made

    first, second, third = (connected("192.0.2.1") for _ in range(3))
    assert (first.is_admitted, second.is_admitted, third.is_admitted) == (True, True, False)
    server.forget(third)
    server.forget(first)
    server.forget(first)
    assert connected("192.0.2.1").is_admitted and connected("127.0.0.1").is_admitted
    assert connected("::1").is_admitted and connected(None).is_admitted and not connected("127.0.0.1").is_admitted


def test_handshakes_in_progress_are_bounded_and_the_oldest_make_room(monkeypatch, tmp_path):
    monkeypatch.setattr(acceptor, "HANDSHAKES_MAX", 5)
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def scenario(running):
        running.server.acceptor.tls = tls
        pending = []
        for _ in range(20):
            client = await running.client()
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            pending.append(client)
            await until_it_is(lambda: running.server.acceptor.accepting)
        await until_it_is(lambda: len(running.server.acceptor.accepting) == 5 and not running.server.acceptor.ending)
        honest = await running.client(ssl=trusting)
        honest.send(get(b"/a"))
        assert await honest.answer() == (200, b"/a 0")
        assert [await client.rest() for client in pending[:10]] == [b""] * 10
        running.server.acceptor.tls = None

    run(scenario)


def test_a_handshake_that_comes_to_nothing_leaves_nothing_to_a_collector():
    """What only the cyclic collector finds stays until it runs, and in a quiet process it does not run."""
    server = HttpServer(Handler(), FakeClock(), LoudGuard(), ServerLimits())

    def there():
        return sum(isinstance(found, Connection) for found in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = there()
        made = [Connection(server, "192.0.2.1") for _ in range(5)]
        assert there() == before + 5
        made.clear()
        assert there() == before
    finally:
        gc.enable()


class NoRoom:
    """A listener whose process has no descriptors left."""

    def __init__(self, sock):
        self.sock = sock

    def fileno(self):
        return self.sock.fileno()

    def accept(self):
        raise OSError(errno.EMFILE, "Too many open files")


def test_without_descriptors_idle_clients_are_let_go_and_others_stay():
    async def scenario(running):
        acceptor = running.server.acceptor
        idle, busy = await running.client(), await running.client()
        idle.send(get(b"/a"))
        busy.send(get(b"/wait"))
        assert await idle.answer() == (200, b"/a 0")
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        running.clock.advance(2.0)
        running.server.now_s = running.clock.monotonic_s()
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        for _ in range(3):
            assert not acceptor._accept(NoRoom(acceptor.listeners[0]))
        assert acceptor.starved == 3 and len(told) == 1 and "ulimit" in told[0]
        assert await idle.rest() == b""
        running.handler.waiting[b"/wait"].send(200, b"", b"late")
        assert await busy.answer() == (200, b"late")
        acceptor.watch(acceptor.listeners[0])
        later = await running.client()
        later.send(get(b"/b"))
        assert await later.answer() == (200, b"/b 0")

    run(scenario)


def test_a_server_with_connections_lets_others_accept_first_and_then_takes_some():
    async def scenario(running):
        clients = [await running.client() for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(get(b"/%d" % number))
        assert [await client.answer() for client in clients] == [(200, b"/%d 0" % number) for number in range(20)]
        assert len(running.server.connections) == 20

    run(scenario)


def test_a_failed_handshake_is_the_clients_affair():
    async def scenario(running):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        running.server.acceptor.tls = tls  # it has no certificate
        client = await running.client()
        client.send(b"\x16\x03\x01 this is no handshake")
        await client.rest()
        await until_it_is(lambda: not running.server.acceptor.accepting)
        assert running.guard.faults == 0 and running.server.counted == 0
        running.server.acceptor.tls = None

    run(scenario)


def test_over_tls_a_connection_that_is_too_many_is_closed_without_a_handshake():
    async def scenario(running):
        running.server.acceptor.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = await running.client()
        assert await client.rest() == b""
        assert running.server.counted == 0 and not running.server.acceptor.accepting
        running.server.acceptor.tls = None

    run(scenario, connections_max=0)


def test_without_tls_it_is_told_why():
    async def scenario(running):
        client = await running.client()
        assert (await client.rest()).startswith(b"HTTP/1.1 503 ")

    run(scenario, connections_max=0)
