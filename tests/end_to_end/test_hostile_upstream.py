"""H2, H3, H6, C9: providers that answer with anything. No hang, no traceback, no clean end of a broken answer, no redirect."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest
from tests.end_to_end.setups import ENVIRON, SECRET

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

GOOD = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "fine"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
).encode()  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


# name → (bytes or a function of the socket, the statuses that are right, what the case is about)
SCRIPTS = {
    "good": (HEAD % len(GOOD) + GOOD, {200}, "so that the others mean something"),
    "second-response": (HEAD % len(GOOD) + GOOD + HEAD % len(GOOD) + GOOD.replace(b"fine", b"evil"), {200, 502}, "response splitting: the second belongs to nobody"),
    "no-http": (b"SSH-2.0-OpenSSH\r\n\r\n", {502}, "another protocol"),
    "empty": (b"", {502}, "closed at once"),
    "half-head": (b"HTTP/1.1 200 OK\r\ncontent-le", {502}, "closed in the head"),
    "half-body": (HEAD % (len(GOOD) + 50) + GOOD, {502}, "shorter than its length"),
    "two-lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", {502}, "which one?"),
    "length-and-chunked": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {502}, "which one?"),
    "bad-length": (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}", {502}, "no number"),
    "bad-chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", {502}, "no size"),
    "gzip": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00", {502}, "compressed although refused"),
    "redirect": (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/steal\r\ncontent-length: 0\r\n\r\n", {502}, "the key must not follow"),
    "early-hints-storm": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 50 + HEAD % len(GOOD) + GOOD, {502}, "more than 8 interim answers"),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + HEAD % len(GOOD) + GOOD, {200}, "a few are fine"),
    "switching": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", {502}, "nobody asked"),
    "endless-head": (lambda sock: flood(sock, b"HTTP/1.1 200 OK\r\n", b"x-a: " + b"a" * 1000 + b"\r\n"), {502}, "headers without end"),
    "html": (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>hi</html>", {502}, "a captive portal"),
    "control-characters": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nretry-after: 1\x1b[31m\r\ncontent-length: %d\r\n\r\n%b" % (len(GOOD), GOOD), {200, 502}, "a terminal escape in a header"),
    "echoes-the-key": (b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n{\"error\":{\"message\":\"bad key %b\"}}" % (SECRET.encode(), 33 + len(SECRET), SECRET.encode()), {502}, "an error that repeats the credential"),
    "stream-cut": (SSE + chunk(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'), {200}, "cut in the middle"),
    "stream-giant-line": (lambda sock: flood(sock, SSE, chunk(b"data: " + b"a" * 60_000)), {200, 502}, "an event without end"),
    "stream-garbage": (SSE + chunk(b"\xff\xfe\x00 not an event\n\n" * 100) + b"0\r\n\r\n", {502}, "no events at all"),
    "deep-json": (HEAD % 200_002 + b"[" * 100_001 + b"]" * 100_001, {200, 502}, "nested 100,000 deep"),
    "absurd-usage": (HEAD % len(GOOD.replace(b'"prompt_tokens": 3', b'"prompt_tokens": 99999999999999999999')) + GOOD.replace(b'"prompt_tokens": 3', b'"prompt_tokens": 99999999999999999999'), {200}, "a count of tokens that is none"),
    "negative-usage": (HEAD % len(GOOD.replace(b'"prompt_tokens": 3', b'"prompt_tokens": -3')) + GOOD.replace(b'"prompt_tokens": 3', b'"prompt_tokens": -3'), {200}, "less than nothing"),
}  # fmt: skip


def flood(sock, first, piece):
    sock.sendall(first)
    until = time.monotonic() + 8
    with contextlib.suppress(OSError):
        while time.monotonic() < until:
            sock.sendall(piece)


class Hostile:
    """Listens, reads a request, answers with the script that the model names, and closes."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.stolen = socket.create_server(("127.0.0.1", 0))
        self.stolen.settimeout(0.01)
        self.requests = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer):
        with peer, contextlib.suppress(OSError):
            peer.settimeout(10)
            received = b""
            while b"\r\n\r\n" not in received:
                received += peer.recv(65536) or b"\r\n\r\n"
            head, _, body = received.partition(b"\r\n\r\n")
            length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), 0)
            while len(body) < length:
                body += peer.recv(65536)
            model = json.loads(body)["model"]
            self.requests.append((model, head))
            script = SCRIPTS[model][0]
            if callable(script):
                script(peer)
            else:
                peer.sendall(script % self.stolen.getsockname()[1] if model == "redirect" else script)

    def was_visited(self):
        try:
            self.stolen.accept()[0].close()
        except TimeoutError:
            return False
        return True

    def close(self):
        self.listening.close()
        self.stolen.close()


@pytest.fixture(scope="module")
def hostile():
    made = Hostile()
    yield made
    made.close()


@pytest.fixture(scope="module")
def exposed(hostile):
    config = f"""
providers:
  bad: {{dialect: openai, base_url: "http://127.0.0.1:{hostile.port}/v1", allow_private: true, credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}
pricing: {{overrides: {{bad/good: {{input_per_mtok: 1, output_per_mtok: 1}}}}}}
"""
    gateway = GatewayProcess(config, environ=ENVIRON)
    gateway.victim = gateway.key("app")
    yield gateway
    assert "Traceback" not in gateway.log.read_text()
    assert gateway.stop() == 0


def ask(gateway, model):
    body = {
        "model": f"bad/{model}",
        "messages": [{"role": "user", "content": "x"}],
        "stream": model.startswith("stream"),
    }
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {gateway.victim}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        try:
            return response.status, dict(response.getheaders()), response.read(), True
        except http.client.IncompleteRead as exc:
            return response.status, dict(response.getheaders()), exc.partial, False
    finally:
        connection.close()


@pytest.mark.parametrize("model", SCRIPTS, ids=list(SCRIPTS))
def test_H2_a_hostile_answer_of_a_provider_ends_in_a_well_formed_response(exposed, hostile, model):
    _, right, _ = SCRIPTS[model]
    status, headers, body, whole = ask(exposed, model)
    assert status in right, (status, headers, body[:300])
    assert SECRET.encode() not in body and SECRET not in str(headers)
    assert not hostile.was_visited(), "a redirect was followed"
    assert b"evil" not in body
    if model.startswith("stream") and status == 200:
        # H6: broken is never a clean end: an error event, or a cut connection.
        assert b'"error"' in body or not whole, body[-300:]
        assert b"[DONE]" not in body or b'"error"' in body
    assert "\x1b" not in str(headers)


def test_H2_afterwards_everybody_is_served(exposed):
    for _ in range(3):
        status, _, body, whole = ask(exposed, "good")
        assert status == 200 and whole and b"fine" in body


def test_H3_a_request_that_a_closed_connection_swallowed_is_its_own_attempt(exposed, hostile):
    """A pooled connection that the provider closes: sent again only on a new connection, under a new attempt id."""
    for _ in range(4):
        assert ask(exposed, "good")[0] == 200
    ids = [
        line
        for model, head in hostile.requests
        if model == "good"
        for line in head.split(b"\r\n")
        if line.startswith(b"x-client-request-id")
    ]
    assert len(ids) == len(set(ids)), "an attempt was sent twice"


def test_L5_absurd_counts_are_not_money(exposed):
    ask(exposed, "absurd-usage")
    ask(exposed, "negative-usage")
    found = exposed.records("--model", "bad/absurd-usage", count=1) + exposed.records(
        "--model", "bad/negative-usage", count=1
    )
    assert found
    for record in found:
        assert (record["cost_nanousd"] or 0) >= 0
        assert (record["tokens"] or {}).get("input") in {None, *range(100)}, record["tokens"]
