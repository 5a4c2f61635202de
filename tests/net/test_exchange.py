"""An exchange on real sockets: what it holds, who its client is, and what becomes of faults."""

import asyncio

import pytest
from tests.net.http_server import Handler, get, post, run

from switchgear.net.connection import Connection
from switchgear.net.exchange import ServerLimits
from switchgear.net.server import HttpServer
from switchgear.policies.cors import Cors
from switchgear.policies.forwarded import Proxies
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.testing.patience import until_it_is
from switchgear.wire.http_requests import Limits

SMALL = {"http": Limits(body_bytes_max=100_000), "buffered_bytes_max": 400_000}


async def who(running, headers, path=b"/wait"):
    """Return what the server makes of a request's client: for records, for rules, and whether it came encrypted."""
    client = await running.client()
    client.send(get(path, headers))
    await until_it_is(lambda: path in running.handler.waiting)
    exchange = running.handler.waiting.pop(path)
    exchange.send(200, b"", b"")
    await client.answer()
    return exchange.client_address, exchange.certain_address, exchange.is_tls


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
    proxied = [Connection(server, "10.0.0.1") for _ in range(3)]
    others = [Connection(server, "192.0.2.1") for _ in range(2)]
    assert [server.admit(connection) for connection in (*proxied, *others)] == [True, True, True, True, False]


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


async def waiting(running, sent, path=b"/wait"):
    """Send a request whose answer waits; returns its client and its exchange."""
    client = await running.client()
    client.send(sent)
    await until_it_is(lambda: path in running.handler.waiting)
    return client, running.handler.waiting.pop(path)


def test_a_streamed_answer_is_chunked_and_the_next_one_follows_its_terminator():
    """RFC 9112 §7.1; an empty piece is no chunk, since that would be the terminator."""

    async def scenario(running):
        client, exchange = await waiting(running, get(b"/wait") + get(b"/b"))
        exchange.start(200, b"content-type: text/plain\r\n", b"one")
        for piece in (b"two", b"", b"x" * 2_000):
            exchange.write(piece)
        exchange.end()
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked\r\n" in head and b"content-length" not in head
        body = b"3\r\none\r\n3\r\ntwo\r\n7d0\r\n" + b"x" * 2_000 + b"\r\n0\r\n\r\n"
        assert await client.reader.readexactly(len(body)) == body
        assert await client.answer() == (200, b"/b 0")

    run(scenario)


def test_a_streamed_answer_to_a_client_of_1_0_ends_with_the_connection():
    async def scenario(running):
        client, exchange = await waiting(running, b"GET /wait HTTP/1.0\r\nHost: a\r\n\r\n")
        exchange.start(200, b"", b"one")
        exchange.write(b"two")
        exchange.end()
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert body == b"onetwo" and b"chunked" not in head and b"connection: close" in head

    run(scenario)


def test_H6_a_streamed_answer_that_breaks_off_has_no_terminator():
    async def scenario(running):
        client, exchange = await waiting(running, get(b"/wait"))
        exchange.start(200, b"", b"one")
        exchange.abort()
        rest = await client.rest()
        assert rest.endswith(b"3\r\none\r\n") and exchange.is_ended

    run(scenario)


def test_an_answer_to_head_names_the_length_and_has_no_body():
    """RFC 9110 §9.3.2."""

    async def scenario(running):
        client = await running.client()
        client.send(b"HEAD /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert b"content-length: 4\r\n" in head and body == b""

    run(scenario)


def test_a_pages_preflight_is_answered_without_the_handler_and_its_answers_name_its_origin():
    async def scenario(running):
        running.server.cors = Cors(["https://app.example"])
        origin = b"Origin: https://app.example\r\n"
        client = await running.client()
        client.send(b"OPTIONS /b HTTP/1.1\r\nHost: a\r\n" + origin + b"Access-Control-Request-Method: POST\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 20") and b"access-control-allow-origin: https://app.example\r\n" in head
        assert running.handler.events == []
        client, exchange = await waiting(running, get(b"/wait", origin))
        exchange.start(200, b"")
        exchange.end()
        assert b"access-control-allow-origin: https://app.example\r\n" in await client.reader.readuntil(b"\r\n\r\n")

    run(scenario)


@pytest.mark.parametrize(("rest", "is_kept_open"), [(1_000, True), (70_000, False)])
def test_a_short_rest_of_a_refused_body_is_thrown_away_and_a_long_one_closes_the_connection(rest, is_kept_open):
    async def scenario(running):
        running.handler.refuse_at_head = True
        client = await running.client()
        client.send(post(b"x" * 10, b"/b", 10 + rest))
        status, body = await client.answer()
        assert (status, body) == (401, b"no")
        running.handler.refuse_at_head = False
        if is_kept_open:
            client.send(b"x" * rest + get(b"/next"))
            assert await client.answer() == (200, b"/next 0")
        else:
            assert await client.rest() == b""
        assert running.server.held.total == 0

    run(scenario)


def test_what_a_handler_keeps_counts_until_it_is_let_go_and_is_bounded():
    async def scenario(running):
        client, exchange = await waiting(running, get(b"/wait"))
        assert exchange.hold(150_000) and running.server.held.total == 150_000
        assert not exchange.hold(400_000) and running.server.held.total == 150_000
        exchange.is_kept = True
        client.close()
        await until_it_is(lambda: ("gone", b"/wait") in running.handler.events)
        assert running.server.held.total == 150_000
        exchange.release()
        assert running.server.held.total == 0

    run(scenario, **SMALL)


def test_a_client_that_reads_again_is_told_of():
    async def scenario(running):
        client, exchange = await waiting(running, get(b"/wait"))
        exchange.start(200, b"")
        while not exchange.is_blocked:
            exchange.write(b"x" * 65_536)
            await asyncio.sleep(0)
        reading = asyncio.ensure_future(client.rest())
        await until_it_is(lambda: ("writable", b"/wait") in running.handler.events)
        exchange.end()
        client.close()
        await reading

    run(scenario)
