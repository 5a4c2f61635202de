"""A connection on real sockets: the order of its requests, their bounds, and what becomes of faults."""

import pytest
from tests.net.http_server import get, post, run

from switchgear.net import connection
from switchgear.net.connection import PIPELINE_MAX
from switchgear.policies.cors import Cors
from switchgear.testing.patience import until_it_is
from switchgear.wire.http_requests import Limits, RequestParser


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


def test_a_pipeline_is_read_no_further_than_its_bound_and_all_of_it_is_answered():
    async def scenario(running):
        client = await running.client()
        count = 5_000
        client.send(get(b"/wait") + b"".join(get(b"/%d" % number) for number in range(count)))
        await until_it_is(lambda: running.server.queued == PIPELINE_MAX and running.reads_none)
        heads = [event for event in running.handler.events if event[0] == "head"]
        assert len(heads) == PIPELINE_MAX + 1
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
    monkeypatch.setattr(connection, "QUEUED_MAX", 20)

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


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_a_client_that_hangs_up_is_noticed_although_its_pipeline_is_full(how):
    async def scenario(running):
        client = await running.client()
        client.send(get(b"/wait") + get(b"/next") * 100)
        await until_it_is(lambda: running.server.queued == PIPELINE_MAX)
        running.after(1)
        assert len(running.server.connections) == 1
        client.close() if how == "reset" else client.writer.close()

        def is_noticed():
            running.after(1)
            return not running.server.connections

        await until_it_is(is_noticed)
        assert ("gone", b"/wait") in running.handler.events

    run(scenario)


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
