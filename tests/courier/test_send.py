"""A request to a destination: one answer, or a sentence, whatever the destination does."""

import asyncio

import pytest
from tests.courier.rig import SECRET, Server, answering, certificates, destination, request_of, service

from switchgear.core.errors import RefusedError
from switchgear.courier.send import Sending
from switchgear.courier.verbs import Reply, Request
from switchgear.net.upstream import TICK_S

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


def send(answer, tmp_path, *, tls=None, place=None, resolve=None, during=None, request=None):
    """Send one request to a server; returns (answer, server, service)."""

    async def main():
        async with Server(answer, tls) as server:
            more = {"resolve": resolve} if resolve is not None else {}
            made = service([destination(server.port, **(place or {}))], tmp_path, **more)
            made.pool.start()
            found = asyncio.get_running_loop().create_future()
            asked = request or Request(destination="there", method="POST", path="/hook", body=b"{}")
            there = made.destinations.find("there", "request")
            Sending(there, there.encode(asked), made.pool, found.set_result).begin()
            if during is not None:
                await during(made)
            try:
                return await asyncio.wait_for(found, 10), server, made
            finally:
                made.pool.close()

    return asyncio.run(main())


def test_the_answer_of_a_destination_comes_back(tmp_path):
    reply, server, made = send(answering(OK), tmp_path)
    assert reply == Reply(status=200, content_type="text/plain", retry_after="", body=b"ok")
    ((head, body),) = server.heard
    assert head.startswith(b"POST /hook HTTP/1.1\r\n") and b"authorization: Bearer " + SECRET in head and body == b"{}"
    (state,) = made.destinations.states()
    assert (state.requests, state.failures) == (1, 0)


def test_a_redirect_is_an_answer_and_is_not_followed(tmp_path):
    moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    reply, server, _ = send(answering(moved), tmp_path)
    assert reply.status == 302 and len(server.heard) == 1


def test_a_destination_that_echoes_the_secret_shows_nothing(tmp_path):
    echo = b"HTTP/1.1 400 Bad\r\nretry-after: " + SECRET + b"\r\ncontent-length: 22\r\n\r\n" + SECRET
    reply, _, _ = send(answering(echo), tmp_path)
    assert reply.body == b"[redacted]" and reply.retry_after == "[redacted]"


def test_an_endless_answer_is_cut(tmp_path):
    async def endless(server, reader, writer):
        await request_of(server, reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    said, _, made = send(endless, tmp_path)
    assert isinstance(said, RefusedError) and "more than" in str(said)
    assert made.destinations.states()[0].failures == 1


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nha"])
def test_a_destination_that_answers_slowly_ends_with_a_sentence(tmp_path, begun):
    async def silent(server, reader, writer):
        await request_of(server, reader)
        writer.write(begun)
        await asyncio.sleep(30)

    async def later(made):
        await asyncio.sleep(0.2)
        made.pool._clock.advance(60)
        await asyncio.sleep(TICK_S * 1.5)

    said, _, _ = send(silent, tmp_path, during=later)
    assert isinstance(said, RefusedError) and " s" in str(said)


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"])
def test_an_answer_that_is_none_or_is_cut_ends_with_a_sentence(tmp_path, answer):
    said, _, made = send(answering(answer), tmp_path)
    assert isinstance(said, RefusedError) and str(said).startswith("there: ")
    assert made.guard.faults == 0


def test_a_certificate_of_the_own_authority_is_trusted_and_no_other(tmp_path):
    ours, context = certificates(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = certificates(tmp_path / "other")
    for trust, host, good in (
        (ours, "there.example", True),
        (other, "there.example", False),
        ("system", "there.example", False),
        (ours, "elsewhere.example", False),
    ):
        place = {"scheme": "https", "host": host, "tls_trust": trust}
        said, server, _ = send(answering(OK), tmp_path, tls=context, place=place)
        if good:
            assert said.status == 200
        else:
            assert isinstance(said, RefusedError) and "certificate" in str(said)
            assert server.heard == [], "nothing was sent"


def test_a_name_that_leads_to_a_private_address_is_not_connected_to(tmp_path):
    async def private(host, port):
        return ["127.0.0.1"]

    said, server, _ = send(answering(OK), tmp_path, place={"scheme": "https", "allow_private": False}, resolve=private)
    assert isinstance(said, RefusedError) and "not allowed" in str(said) and server.heard == []
