"""The fake provider behaves as its model's name says, on a real socket."""

import asyncio
import json
import socket

import pytest

from switchgear.net.clock import SystemClock
from switchgear.testing.fake_provider import FakeProvider


def exchange(*requests, remember=False, is_strict=False):
    """Send requests on connections of their own, one after the other; return (status, head, body) of each, b"" where none came."""

    async def main():
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        provider = FakeProvider(SystemClock(), remember, is_strict)
        await provider.server.start(sock)
        answers = []
        for method, path, body, *headers in requests:
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            data = json.dumps(body).encode() if body is not None else b""
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}Content-Length: {len(data)}\r\n\r\n".encode()
                + data
            )
            try:
                answer = await asyncio.wait_for(reader.read(), 30)
            except ConnectionResetError:
                answer = b""
            writer.close()
            head, _, content = answer.partition(b"\r\n\r\n")
            answers.append((int(head[9:12] or 0), head, content))
        provider.server.close()
        return answers

    return asyncio.run(main())


def chat(model, **more):
    return (
        "POST",
        "/v1/chat/completions",
        {"model": model, "messages": [{"role": "user", "content": "one two"}], **more},
    )


def test_an_echo_repeats_the_last_message_and_counts_words():
    [(status, _, content)] = exchange(chat("echo"))
    answer = json.loads(content)
    assert status == 200 and answer["choices"][0]["message"]["content"] == "one two"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (2, 2)


@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_a_status_model_fails_with_that_status(status):
    [(found, _, content)] = exchange(chat(f"status-{status}"))
    assert found == status and "error" in json.loads(content)


def test_a_stream_has_as_many_words_as_asked_and_an_end():
    [(status, head, content)] = exchange(chat("stream-7-0", stream=True))
    assert status == 200 and b"text/event-stream" in head
    assert sum(b'"content":"w' in line.replace(b" ", b"") for line in content.split(b"\n")) == 7
    assert b"data: [DONE]" in content and content.endswith(b"0\r\n\r\n")


def test_a_cut_stream_has_no_end():
    [(status, _, content)] = exchange(chat("cut-1", stream=True))
    assert status == 200 and b"[DONE]" not in content and not content.endswith(b"0\r\n\r\n")


def test_a_dropped_connection_gives_no_byte():
    assert exchange(chat("drop")) == [(0, b"", b"")]


def test_a_flaky_model_fails_as_often_as_asked_and_then_answers():
    asked = (*chat("flaky-1"), ("x-client-request-id", "r1-a1"))
    statuses = [status for status, _, _ in exchange(asked, asked)]
    assert statuses[0] >= 500 and statuses[1] == 200


def test_an_unknown_model_is_404_and_a_broken_body_400():
    unknown, broken = exchange(chat("gpt-9"), ("POST", "/v1/chat/completions", [1]))
    assert (unknown[0], broken[0]) == (404, 400)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (
            "/v1/messages",
            {"model": "echo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
            "content",
        ),
        ("/v1/responses", {"model": "echo", "input": "hi"}, "output"),
        (
            "/v1beta/models/echo:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
            "candidates",
        ),
        ("/model/echo/converse", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "output"),
        ("/v2/chat", {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}, "message"),
    ],
)
def test_each_dialect_is_answered_at_its_path(path, body, field):
    [(status, _, content)] = exchange(("POST", path, body))
    assert status == 200 and field in json.loads(content), content


def test_a_response_is_kept_until_it_is_deleted():
    async_body = {"model": "echo", "input": "hi"}
    [(_, _, content)] = exchange(("POST", "/v1/responses", async_body))
    name = json.loads(content)["id"]
    answers = exchange(
        ("POST", "/v1/responses", async_body),
        ("GET", f"/v1/responses/{name}", None),
        ("DELETE", f"/v1/responses/{name}", None),
        ("GET", f"/v1/responses/{name}", None),
    )
    assert [status for status, _, _ in answers] == [200, 200, 200, 404]


def test_a_remembering_provider_tells_what_arrived_by_attempt_id():
    asked = (*chat("echo"), ("x-client-request-id", "a1"))
    _, (_, _, content) = exchange(asked, ("GET", "/_seen", None), remember=True)
    seen = json.loads(content)
    assert seen["seen"]["a1"]["count"] == 1 and seen["headers"][0]["x-client-request-id"] == "a1"
    _, (_, _, content) = exchange(asked, ("GET", "/_seen", None))
    assert json.loads(content)["seen"] == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"model": "ecko", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"model": "ecko", "input": "hi"}),
        ("/v1beta/models/ecko:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ("/v1/chat/completions", {"model": "ecko", "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/chat/completions", {"model": "ecko", "messages": [{"role": "user", "content": "hi"}], "tools": []}),
    ],
)
def test_a_mistyped_demo_model_is_not_there_in_any_dialect(path, body):
    [(status, _, content)] = exchange(("POST", path, body), is_strict=True)
    assert status == 404 and b"ecko" in content
    good = json.loads(json.dumps(body).replace("ecko", "echo"))
    assert exchange(("POST", path.replace("ecko", "echo"), good), is_strict=True)[0][0] == 200
