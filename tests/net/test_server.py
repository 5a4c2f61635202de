"""The HTTP server on real sockets: order, bounds, and what becomes of faults."""

import asyncio
import contextlib
import gc
import socket
import ssl

import pytest
import trustme

from switchgear.net import server as module
from switchgear.net.server import HttpServer, ServerLimits
from switchgear.policies.cors import Cors
from switchgear.policies.forwarded import Proxies
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.testing.patience import until_it_is
from switchgear.wire.http1 import Limits, RequestParser


def get(path=b"/", headers=b""):
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (path, headers)


def post(body, path=b"/", length=None, headers=b""):
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path,
        headers,
        len(body) if length is None else length,
        body,
    )


class Handler:
    """Answers with the path; `/wait…` waits until it is told; `/odd/HOOK` raises in that hook."""

    def __init__(self):
        self.events = []
        self.waiting = {}
        self.refuse_at_head = False
        self.fault_fails = False

    def _odd(self, exchange, hook):
        self.events.append((hook, exchange.head.target))
        if exchange.head.target == b"/odd/" + hook.encode():
            raise LookupError(hook)

    def on_head(self, exchange):
        exchange.id = exchange.head.target.decode()
        exchange.owner = exchange.head.headers.get(b"key", b"").decode() or exchange.owner
        self._odd(exchange, "head")
        if exchange.head.target == b"/discard":
            exchange.discard()
        if self.refuse_at_head:
            exchange.send(401, b"", b"no")

    def on_request(self, exchange):
        self._odd(exchange, "request")
        if exchange.head.target == b"/odd/status":
            exchange.send(600, b"", b"")
        if exchange.head.target.startswith(b"/wait"):
            self.waiting[exchange.head.target] = exchange
            return
        exchange.send(200, b"", exchange.head.target + b" %d" % len(exchange.body()))

    def on_gone(self, exchange):
        self._odd(exchange, "gone")

    def on_writable(self, exchange):
        self._odd(exchange, "writable")

    def on_fault(self, exchange, exc):
        self.events.append(("fault", exchange.head.target))
        exchange.connection.server.guard.caught(exc, exchange.id)
        if self.fault_fails:
            raise LookupError("fault")
        if exchange.is_ended:
            return
        if exchange.is_started:
            exchange.abort()
        else:
            exchange.send(500, b"", b"fault")

    def render(self, problem, target):
        return b"", b"%b at %b" % (problem.case.code.encode(), target)


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def answer(self):
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        return int(head[9:12]), await asyncio.wait_for(self.reader.readexactly(length), 30)

    async def rest(self):
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), 30)

    def close(self):
        self.writer.transport.abort()


class Running:
    def __init__(self, server, handler, guard, clock, port):
        self.server, self.handler, self.guard, self.clock, self.port = server, handler, guard, clock, port
        self.clients = []

    async def client(self, **more):
        found = Client(*await asyncio.open_connection("127.0.0.1", self.port, **more))
        self.clients.append(found)
        return found

    @property
    def reads_none(self):
        """True when the server waits for answers before it reads on, on each connection."""
        return not any(connection._transport.is_reading() for connection in self.server.connections)

    def after(self, seconds):
        """Let time pass, and the timer run."""
        self.clock.advance(seconds)
        self.server._timer.cancel()
        self.server._tick()


def run(scenario, proxies=None, **limits):
    async def body():
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        handler, guard, clock = Handler(), LoudGuard(), FakeClock()
        server = HttpServer(handler, clock, guard, ServerLimits(**limits), proxies)
        running = Running(server, handler, guard, clock, sock.getsockname()[1])
        await server.start(sock)
        try:
            await scenario(running)
        finally:
            for client in running.clients:
                client.close()
            await asyncio.sleep(0)
            server.close()
            await until_it_is(lambda: not server.connections and not server._accepting)
        assert server.held.total == 0 and server.queued == 0 and server._counted == 0

    asyncio.run(body())


# order


def test_pipelined_requests_are_answered_in_order_whoever_is_ready_first():
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/wait") + get(b"/b") + post(b"12345", b"/c"))
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        running.handler.waiting[b"/wait"].send(200, b"", b"first")
        assert [await client.answer() for _ in range(3)] == [(200, b"first"), (200, b"/b 0"), (200, b"/c 5")]

    run(scenario)


def test_the_refusal_of_a_malformed_request_follows_the_answers_that_are_due():
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/wait") + get(b"/b") + b"GET /bad\tx HTTP/1.1\r\nHost: a\r\n\r\n" + get(b"/never"))
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        running.handler.waiting[b"/wait"].send(200, b"", b"first")
        assert [await client.answer() for _ in range(3)] == [
            (200, b"first"),
            (200, b"/b 0"),
            (400, b"bad_http at /bad\tx"),
        ]
        assert await client.rest() == b""

    run(scenario)


# faults


@pytest.mark.parametrize("hook", ["head", "request", "status"])
def test_a_fault_of_one_request_is_an_answer_and_the_others_of_its_connection_go_on(hook):
    async def scenario(running):
        client, other = await running.client(), await running.client()
        other.send(get(b"/wait"))
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        client.send(get(b"/a") + get(b"/odd/" + hook.encode()) + get(b"/c"))
        assert [await client.answer() for _ in range(3)] == [(200, b"/a 0"), (500, b"fault"), (200, b"/c 0")]
        running.handler.waiting[b"/wait"].send(200, b"", b"undisturbed")
        assert await other.answer() == (200, b"undisturbed")
        assert running.guard.faults == 1 and running.guard.said[0][1]["request_id"] == "/odd/" + hook

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nOrigin: https://app.example\r\n\r\n", 400),
        (post(b"", length=10_000_000, headers=b"origin: https://app.example\r\n"), 413),
        (get(headers=b"Origin: https://app.example\r\nx: " + b"y" * 70_000 + b"\r\n"), 431),
        (get(headers=b"Origin: https://app.example\r\nx: " + b"y" * 70_000)[:-2], 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
def test_a_page_may_read_why_its_request_was_refused_before_it_was_one(sent, status):
    async def scenario(running):
        running.server.cors = Cors(["https://app.example"])
        for behind in (b"", get()):
            client = await running.client()
            client.send(behind + sent)
            if behind:
                assert (await client.answer())[0] == 200
            head = (await client.rest()).partition(b"\r\n\r\n")[0]
            assert head.startswith(b"HTTP/1.1 %d " % status), head
            assert b"access-control-allow-origin: https://app.example\r\n" in head and b"vary: origin" in head
        other = await running.client()
        other.send(sent.replace(b"https://app.", b"https://bad."))
        assert b"access-control" not in await other.rest()

    run(scenario, http=Limits(body_bytes_max=1_000_000))


def test_a_fault_of_the_fault_is_a_plain_500():
    async def scenario(running):
        running.handler.fault_fails = True
        client = await running.client()
        client.send(get(b"/odd/request") + get(b"/c"))
        assert [await client.answer() for _ in range(2)] == [(500, b"internal error\n"), (200, b"/c 0")]
        assert running.guard.faults == 2

    run(scenario)


def test_a_fault_when_a_client_is_gone_is_counted():
    async def scenario(running):
        client = await running.client()
        client.send(post(b"12", b"/odd/gone", 5))
        await until_it_is(lambda: running.handler.events)
        client.close()
        await until_it_is(lambda: running.guard.faults == 1)

    run(scenario)


def test_a_fault_of_the_parser_is_an_answer_after_those_that_are_due(monkeypatch):
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/wait"))
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        monkeypatch.setattr(RequestParser, "_judge_bytes", lambda parser, head: {}["odd"])
        client.send(get(b"/b"))
        await until_it_is(lambda: running.guard.faults == 1)
        running.handler.waiting[b"/wait"].send(200, b"", b"first")
        assert [await client.answer() for _ in range(2)] == [(200, b"first"), (500, b"internal_error at /b")]
        assert await client.rest() == b""

    run(scenario)


def test_a_fault_in_the_timer_ends_one_connection_and_not_the_timer(monkeypatch):
    check = module.Connection.check

    def odd(connection, now_s):
        if connection._current.head.target == b"/wait1":
            raise LookupError
        check(connection, now_s)

    async def scenario(running):
        first, second = await running.client(), await running.client()
        first.send(get(b"/wait1"))
        second.send(get(b"/wait2"))
        await until_it_is(lambda: len(running.handler.waiting) == 2)
        monkeypatch.setattr(module.Connection, "check", odd)
        timer = running.server._timer
        running.after(1)
        assert running.server._timer is not timer and running.guard.faults == 1
        assert await first.rest() == b""
        running.handler.waiting[b"/wait2"].send(200, b"", b"undisturbed")
        assert await second.answer() == (200, b"undisturbed")

    run(scenario)


# bounds


SMALL = {"http": Limits(body_bytes_max=100_000), "buffered_bytes_max": 400_000}


def test_bodies_are_held_by_owner_and_a_newcomer_finds_room():
    async def scenario(running):
        clients = [await running.client() for _ in range(4)]
        for client in clients:
            client.send(post(b"x" * 60_000, b"/wait", 99_000, b"Key: thief\r\n"))
        assert (
            await asyncio.wait_for(
                asyncio.wait(
                    [asyncio.ensure_future(client.answer()) for client in clients], return_when=asyncio.FIRST_COMPLETED
                ),
                30,
            )
        )[0].pop().result()[0] == 503
        await until_it_is(lambda: running.server.held.of("thief") == 180_000)
        honest = await running.client()
        honest.send(post(b"x" * 99_000, b"/mine", headers=b"Key: honest\r\n"))
        assert await honest.answer() == (200, b"/mine 99000")

    run(scenario, **SMALL)


def test_a_body_that_stalls_is_refused_however_fast_it_was_before():
    async def scenario(running):
        client = await running.client()
        client.send(post(b"x" * 90_000, b"/a", 99_000))
        await until_it_is(lambda: running.server.held.total == 90_000)
        running.after(10)
        await asyncio.sleep(0)
        assert running.server.held.total == 90_000, "it made its rate so far"
        running.after(10)
        assert await client.answer() == (408, b"request_timeout at /a")
        assert running.server.held.total == 0 and await client.rest() == b""

    run(scenario, **SMALL)


def test_a_body_that_trickles_just_fast_enough_ends_as_well():
    async def scenario(running):
        client = await running.client()
        client.send(post(b"", b"/a", 99_000))
        sent = 0
        await until_it_is(lambda: running.handler.events)
        for _ in range(8):
            client.send(b"x" * 11_000)
            sent += 11_000
            await until_it_is(lambda sent=sent: running.server.held.total == sent)
            running.after(10)
        assert await client.answer() == (408, b"request_timeout at /a")

    run(scenario, body_s=70.0, **SMALL)


def test_bodies_that_nobody_reads_are_not_held():
    async def scenario(running):
        client = await running.client()
        for _ in range(5):
            client.send(post(b"x" * 99_000, b"/discard"))
            assert await client.answer() == (200, b"/discard 0")
            assert running.server.held.total == 0

    run(scenario, **SMALL)


def test_a_body_counts_as_held_until_its_answer_ends():
    async def scenario(running):
        client = await running.client()
        client.send(post(b"x" * 50_000, b"/wait"))
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        exchange = running.handler.waiting[b"/wait"]
        assert len(exchange.body()) == 50_000 and running.server.held.total == 50_000
        exchange.send(200, b"", b"")
        assert running.server.held.total == 0

    run(scenario, **SMALL)


def test_a_body_that_waits_can_be_refused_from_outside():
    async def scenario(running):
        client, other = await running.client(), await running.client()
        client.send(post(b"x" * 50_000, b"/a", 99_000))
        other.send(get(b"/wait") + post(b"x" * 50_000, b"/b"))
        await until_it_is(lambda: running.server.held.total == 100_000)
        for exchange in running.server.arriving():
            exchange.send(401, b"", b"revoked")
        assert running.server.held.total == 0
        assert await client.answer() == (401, b"revoked")
        running.handler.waiting[b"/wait"].send(200, b"", b"first")
        assert [await other.answer() for _ in range(2)] == [(200, b"first"), (401, b"revoked")]

    run(scenario, **SMALL)


def test_a_pipeline_is_read_no_further_than_its_bound_and_all_of_it_is_answered():
    async def scenario(running):
        client = await running.client()
        count = 5_000
        client.send(get(b"/wait") + b"".join(get(b"/%d" % number) for number in range(count)))
        await until_it_is(lambda: running.server.queued == module.PIPELINE_MAX and running.reads_none)
        heads = [event for event in running.handler.events if event[0] == "head"]
        assert len(heads) == module.PIPELINE_MAX + 1
        assert 0 < running.server.held.total < 2 * 262_144, (
            "what was read and not parsed is held on the client's account"
        )
        running.handler.waiting[b"/wait"].send(200, b"", b"first")
        assert await client.answer() == (200, b"first")
        for number in range(count):
            assert await client.answer() == (200, b"/%d 0" % number)
        assert running.server.held.total == 0

    run(scenario)


def test_pipelines_are_bounded_over_all_connections(monkeypatch):
    monkeypatch.setattr(module, "QUEUED_MAX", 20)

    async def scenario(running):
        clients = [await running.client() for _ in range(10)]
        for number, client in enumerate(clients):
            client.send(get(b"/wait%d" % number) + get(b"/next") * 100)
        await until_it_is(lambda: len(running.handler.waiting) == 10 and running.reads_none)
        assert running.server.queued <= 20 + len(clients)
        for exchange in list(running.handler.waiting.values()):
            exchange.send(200, b"", b"first")
        for client in clients:
            assert await client.answer() == (200, b"first")
            for _ in range(100):
                assert await client.answer() == (200, b"/next 0")

    run(scenario)


def test_a_head_in_two_pieces_after_a_long_rest_is_in_time():
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/a"))
        assert await client.answer() == (200, b"/a 0")
        running.after(30)
        client.send(get(b"/b")[:20])
        await until_it_is(lambda: running.server.held.total == 20)
        running.after(1)
        client.send(get(b"/b")[20:])
        assert await client.answer() == (200, b"/b 0")
        client.send(get(b"/b")[:20])
        await until_it_is(lambda: running.server.held.total == 20)
        running.after(11)
        assert await client.answer() == (408, b"request_timeout at /b")

    run(scenario)


def test_a_body_behind_a_stream_may_wait_for_its_turn():
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/wait") + post(b"", b"/b", 5, b"Expect: 100-continue\r\n"))
        await until_it_is(lambda: b"/wait" in running.handler.waiting)
        for _ in range(5):
            running.after(30)
        running.handler.waiting[b"/wait"].send(200, b"", b"first")
        assert await client.answer() == (200, b"first")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"12345")
        assert await client.answer() == (200, b"/b 5")

    run(scenario)


# proxies in front (docs/invariants.md H7)


async def who(running, headers, path=b"/wait"):
    """Return what the server makes of a request's client: for records, for rules, and whether it came encrypted."""
    client = await running.client()
    client.send(get(path, headers))
    await until_it_is(lambda: path in running.handler.waiting)
    exchange = running.handler.waiting.pop(path)
    exchange.send(200, b"", b"")
    await client.answer()
    return exchange.client_address, exchange.certain_address, exchange.is_tls


def test_H7_a_trusted_proxy_says_who_the_client_is():
    async def scenario(running):
        assert await who(running, b"X-Forwarded-For: 203.0.113.7\r\n") == ("203.0.113.7", "203.0.113.7", False)
        several = b"X-Forwarded-For: 1.2.3.4\r\nx-forwarded-for: 203.0.113.7\r\nX-FORWARDED-FOR: 127.0.0.9\r\n"
        assert await who(running, several) == ("203.0.113.7", "203.0.113.7", False)
        assert await who(running, b"X-Forwarded-For: 203.0.113.7, ?\r\n") == ("127.0.0.1", None, False)
        assert await who(running, b"Forwarded: for=203.0.113.7\r\n") == ("127.0.0.1", "127.0.0.1", False)
        assert await who(running, b"X-Forwarded-Proto: https\r\n") == ("127.0.0.1", "127.0.0.1", True)
        assert await who(running, b"X-Forwarded-Proto: https, http\r\n") == ("127.0.0.1", "127.0.0.1", False)

    run(scenario, Proxies(["127.0.0.0/8"]))


@pytest.mark.parametrize("proxies", [None, Proxies(["10.0.0.0/8"])])
def test_H7_forwarding_headers_of_an_untrusted_peer_are_ignored(proxies):
    async def scenario(running):
        claim = b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 203.0.113.7\r\n"
        assert await who(running, claim) == ("127.0.0.1", "127.0.0.1", False)

    run(scenario, proxies)


def test_H7_requests_of_several_clients_on_one_connection_of_a_proxy_stay_apart():
    async def scenario(running):
        client = await running.client()
        seen = []
        for number in (1, 2, 1):
            client.send(post(b"x", b"/wait", headers=b"X-Forwarded-For: 203.0.113.%d\r\n" % number))
            await until_it_is(lambda: b"/wait" in running.handler.waiting)
            exchange = running.handler.waiting.pop(b"/wait")
            seen.append((exchange.client_address, exchange.owner))
            exchange.send(200, b"", b"")
            await client.answer()
        assert seen == [(f"203.0.113.{n}", f"203.0.113.{n}") for n in (1, 2, 1)]

    run(scenario, Proxies(["127.0.0.1/32"]))


def test_H7_connections_of_a_trusted_proxy_are_not_counted_per_address():
    server = HttpServer(
        Handler(), FakeClock(), LoudGuard(), ServerLimits(connections_per_address_max=1), Proxies(["10.0.0.0/8"])
    )
    proxied = [module.Connection(server, "10.0.0.1") for _ in range(3)]
    others = [module.Connection(server, "192.0.2.1") for _ in range(2)]
    assert [server._admit(connection) for connection in (*proxied, *others)] == [True, True, True, True, False]


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_a_client_that_hangs_up_is_noticed_although_its_pipeline_is_full(how):
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/wait") + get(b"/next") * 100)
        await until_it_is(lambda: running.server.queued == module.PIPELINE_MAX)
        running.after(1)
        assert len(running.server.connections) == 1
        client.close() if how == "reset" else client.writer.close()

        def is_noticed():
            running.after(1)
            return not running.server.connections

        await until_it_is(is_noticed)
        assert ("gone", b"/wait") in running.handler.events

    run(scenario)


def test_connections_of_one_address_are_bounded_with_those_whose_handshakes_are_not_done():
    clock, guard = FakeClock(), LoudGuard()
    server = HttpServer(Handler(), clock, guard, ServerLimits(connections_per_address_max=2, connections_max=5))

    def connected(address):
        made = module.Connection(server, address)
        made.is_admitted = server._admit(made)
        return made

    first, second, third = (connected("192.0.2.1") for _ in range(3))
    assert (first.is_admitted, second.is_admitted, third.is_admitted) == (True, True, False)
    server.forget(third)
    server.forget(first)
    server.forget(first)
    assert connected("192.0.2.1").is_admitted and connected("127.0.0.1").is_admitted
    assert connected("::1").is_admitted and connected(None).is_admitted and not connected("127.0.0.1").is_admitted


def test_handshakes_in_progress_are_bounded_and_the_oldest_make_room(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "HANDSHAKES_MAX", 5)
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    async def scenario(running):
        running.server._tls = tls
        pending = []
        for _ in range(20):
            client = await running.client()
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            pending.append(client)
            await until_it_is(lambda: running.server._accepting)
        await until_it_is(lambda: len(running.server._accepting) == 5 and not running.server._ending)
        honest = await running.client(ssl=trusting)
        honest.send(get(b"/a"))
        assert await honest.answer() == (200, b"/a 0")
        assert [await client.rest() for client in pending[:10]] == [b""] * 10
        running.server._tls = None

    run(scenario)


def test_an_exchange_is_freed_with_its_answer():
    """What it keeps holds the exchange and a body; as a cycle it would stay until the collector runs."""

    async def scenario(running):
        client = await running.client()
        for target in (b"/wait", b"/wait/kept"):
            client.send(post(b"x", target))
            await until_it_is(lambda target=target: target in running.handler.waiting)
            exchange = running.handler.waiting[target]
            state, kept = [exchange], target == b"/wait/kept"
            exchange.context, exchange.is_kept = state, kept
            exchange.send(404, b"", b"")
            await client.answer()
            assert exchange.context is (state if kept else None)
            exchange.release()

    run(scenario)


def test_a_handshake_that_comes_to_nothing_leaves_nothing_to_a_collector():
    """What only the cyclic collector finds stays until it runs, and in a quiet process it does not run."""
    server = HttpServer(Handler(), FakeClock(), LoudGuard(), ServerLimits())

    def there():
        return sum(isinstance(found, module.Connection) for found in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = there()
        made = [module.Connection(server, "192.0.2.1") for _ in range(5)]
        assert there() == before + 5
        made.clear()
        assert there() == before
    finally:
        gc.enable()


def test_bytes_that_clients_do_not_read_are_counted_per_client_and_bounded():
    async def scenario(running):
        clients = [await running.client() for _ in range(3)]
        for number, client in enumerate(clients):
            client.writer.transport.pause_reading()
            client.send(get(b"/wait%d" % number, b"Key: k\r\n"))
        await until_it_is(lambda: len(running.handler.waiting) == 3)
        for exchange in list(running.handler.waiting.values()):
            exchange.send(200, b"", b"x" * 10_000_000)
        await until_it_is(lambda: len(running.server.connections) < 3)  # the kernel takes some megabytes of each
        assert 0 < running.server.held.of("k") <= 12_000_000, "half of what may be held"
        for client in clients:
            client.close()
        await until_it_is(lambda: running.server.held.total == 0)

    run(scenario, http=Limits(body_bytes_max=100_000), buffered_bytes_max=24_000_000)
