"""The benchmark's client counts what a real server sends, and stops at what is wrong."""

import asyncio
import json
import stat

import pytest

from switchgear.bench import load


def serve(answers, scenario):
    """Run `scenario(port)` beside a server that writes one of `answers` per request."""

    async def main():
        async def on_connection(reader, writer):
            writers.append(writer)
            while True:
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    break
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                seen.append((head, await reader.readexactly(size)))
                writer.write(answers[min(len(seen), len(answers)) - 1])
                await writer.drain()
            writer.close()

        seen, writers = [], []
        server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
        try:
            return await scenario(server.sockets[0].getsockname()[1]), seen
        finally:
            server.close()
            for writer in writers:
                writer.close()
            await asyncio.sleep(0.02)  # transports close in a later turn

    return asyncio.run(main())


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
STREAM = CHUNKED.replace(b"2\r\n{}", b"1e\r\ndata: {1}\n\ndata: {2}\n\ndata: x\n\n")


def test_a_fixed_rate_gives_one_latency_per_request():
    latencies, seen = serve([PLAIN, CHUNKED], lambda port: load.fixed_rate(port, "sk", "m", 200, 0.1))
    assert len(latencies) == len(seen) == 20
    assert all(latency > 0 for latency in latencies)
    head, body = seen[0]
    assert b"Authorization: Bearer sk\r\n" in head and json.loads(body)["model"] == "m"


def test_an_answer_that_is_an_error_ends_the_benchmark():
    with pytest.raises(SystemExit, match="503"):
        serve(
            [b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"],
            lambda port: load.large(port, "sk", ("/", "a/b", b"x"), 1, int),
        )


def test_events_of_all_streams_are_counted():
    count, seen = serve([STREAM], lambda port: load.streams(port, "sk", "m", 5))
    assert count == 15 and all(json.loads(body)["stream"] for _, body in seen)


def test_a_stream_that_is_cut_is_an_error_and_no_smaller_number():
    async def scenario(port):
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        try:
            await load.streams(server.sockets[0].getsockname()[1], "sk", "m", 1)
        finally:
            server.close()

    with pytest.raises(ConnectionError, match="a stream was cut"):
        asyncio.run(scenario(0))


def test_the_highest_measure_while_large_requests_are_in_flight_is_kept():
    measures = iter([3, 9, *[1] * 1_000])
    highest, seen = serve(
        [PLAIN], lambda port: load.large(port, "sk", load.picture("m", 1_000), 3, lambda: next(measures))
    )
    assert highest == 9 or (highest == 3 and len(seen) == 3)
    assert {body for _, body in seen} == {load.picture("m", 1_000)[2]}


def test_large_bodies_are_what_they_say():
    path, kind, body = load.picture("m", 300)
    assert (path, kind) == ("/v1/chat/completions", "application/json")
    assert json.loads(body)["messages"][0]["content"][0]["image_url"]["url"].endswith("A" * 300)
    path, kind, body = load.upload("m", 300)
    assert kind.partition("boundary=")[2].encode() in body and bytes(300) in body and body.endswith(b"--cut--\r\n")


REPORT = """Running 1s test
  {errors}
  {requests} requests in 1.00s, 1.00MB read
  {bad}
Requests/sec:    123.50
"""


@pytest.mark.parametrize(
    ("errors", "bad", "count"),
    [
        ("", "", 0),
        ("", "Non-2xx or 3xx responses: 4", 4),
        ("Socket errors: connect 1, read 2, write 3, timeout 4", "Non-2xx or 3xx responses: 5", 15),
    ],
)
def test_a_report_of_wrk_is_read_with_its_errors(monkeypatch, tmp_path, errors, bad, count):
    program = tmp_path / "wrk"
    text = REPORT.format(errors=errors, bad=bad, requests=77)
    program.write_text(f'#!/bin/sh\ncp "$5" {tmp_path}/script.lua\ncat <<EOT\n{text}EOT\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    result = load.wrk(1, "sk", "m", 1, 1, {"x-more": "1"})
    assert (result.requests, result.rate, result.errors) == (77, 123.5, count)
    script = (tmp_path / "script.lua").read_text()
    assert '"Bearer sk"' in script and '"x-more"' in script
