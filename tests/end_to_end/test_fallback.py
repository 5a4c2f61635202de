"""docs/contract.md §4, §6: whatever keeps a provider from answering, another deployment is asked while its client has seen nothing;
each attempt is recorded, and charged as far as it may have been."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time

import pytest
from tests.end_to_end.setups import ENVIRON

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

# Answers as the providers document them (API references of OpenAI, Anthropic, Google, Cohere, as of 2026-11).
PLAIN = {
    "openai": {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "fine"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    },
    "anthropic": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "fine"}],
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": "fine"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
    },
    "responses": {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": None,
        "output": [{"type": "message", "id": "m1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "fine", "annotations": []}]}],
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
    },
    "cohere": {
        "id": "c1", "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "fine"}]},
        "usage": {"tokens": {"input_tokens": 3, "output_tokens": 1}},
    },
}  # fmt: skip


def sse(*events):
    return b"".join(
        (b"event: %b\n" % name.encode() if name else b"") + b"data: %b\n\n" % json.dumps(data).encode()
        for name, data in events
    )


RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": None, "output": []}
STREAMS = {
    "openai": sse(
        ("", {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "fine"}, "finish_reason": None}]}),
        ("", {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        ("", {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": PLAIN["openai"]["usage"]}),
    ) + b"data: [DONE]\n\n",
    "anthropic": sse(
        ("message_start", {"type": "message_start", "message": {**PLAIN["anthropic"], "content": [], "stop_reason": None}}),
        ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "fine"}}),
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}}),
        ("message_stop", {"type": "message_stop"}),
    ),
    "gemini": sse(("", PLAIN["gemini"])),
    "responses": sse(
        ("response.created", {"type": "response.created", "sequence_number": 0, "response": {**RESPONSE, "status": "in_progress"}}),
        ("response.output_text.delta", {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m1", "output_index": 0, "content_index": 0, "delta": "fine"}),
        ("response.completed", {"type": "response.completed", "sequence_number": 2, "response": PLAIN["responses"]}),
    ),
    "cohere": sse(
        ("message-start", {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}),
        ("content-start", {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        ("content-delta", {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "fine"}}}}),
        ("content-end", {"type": "content-end", "index": 0}),
        ("message-end", {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 3, "output_tokens": 1}}}}),
    ),
}  # fmt: skip
ERRORS = {
    "openai": {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}},
    "gemini": {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}},
    "responses": {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}},
    "cohere": {"message": "overloaded"},
}
ERROR_EVENTS = {
    "openai": sse(("", ERRORS["openai"])),
    "anthropic": sse(("error", ERRORS["anthropic"])),
    "gemini": sse(("", ERRORS["gemini"])),
    "responses": sse(("error", {"type": "error", "code": "server_error", "message": "overloaded", "param": None, "sequence_number": 0})),
    "cohere": sse(("message-end", {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "overloaded"}})),
}  # fmt: skip
WORDS = 1000
LONG = sse(
    ("message_start", {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 25, "output_tokens": 1}}}),
    ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ("ping", {"type": "ping"}),
    *[
        ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word{n % 10} more"}})
        for n in range(WORDS)
    ],
)  # fmt: skip
HTML = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"


def whole(body, kind=b"application/json", status=b"200 OK"):
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
    return head % (status, kind, len(body), body)


def chunked(*pieces, ended=True):
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + (b"0\r\n\r\n" if ended else b"")


def script(dialect, name, streams):
    """Return what a provider answers, and whether it then keeps the connection open."""
    plain = json.dumps(PLAIN[dialect]).encode()
    if name == "good":
        return (chunked(STREAMS[dialect]) if streams else whole(plain)), False
    if name.isdigit():
        return whole(HTML, b"text/html", name.encode() + b" Oops"), False
    return {
        "drop": (b"", False),
        "half-head": (b"HTTP/1.1 200 OK\r\ncont", False),
        "hang": (b"", True),
        "html": (whole(HTML, b"text/html"), False),
        "html-as-json": (whole(HTML), False),
        "truncated": (whole(plain[: len(plain) * 2 // 3]), False),
        "cut": (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n" + plain[:40], False),
        "error-200": (whole(json.dumps(ERRORS[dialect]).encode()), False),
        "empty-200": (whole(b""), False),
        "empty-object": (whole(b"{}"), False),
        "list-200": (whole(b"[1]"), False),
        "no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", False),
        "error-first": (chunked(ERROR_EVENTS[dialect]), False),
        "ping-error": (chunked(b": waiting\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', ERROR_EVENTS[dialect]), False),
        "empty-stream": (chunked(), False),
        "pings-only": (chunked(b": waiting\n\n"), False),
        "page-stream": (chunked(b"data: " + HTML + b"\n\n"), False),
        "cut-stream": (chunked(b": waiting\n\n", ended=False), False),
        "hung-stream": (chunked(b": waiting\n\n", ended=False), True),
        "slow-end": (chunked(STREAMS[dialect], ended=False), True),
        "long-cut": (chunked(LONG, ended=False), False),
        "long-open": (chunked(LONG, ended=False), True),
    }[name]  # fmt: skip


class Upstream:
    """Listens, reads a request, answers with the script that the model names, and closes."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listening.getsockname()[1]
        self.seen = []
        self.bodies = []
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
            peer.settimeout(60)
            received = b""
            while b"\r\n\r\n" not in received:
                received += peer.recv(65536) or b"\r\n\r\n"
            head, _, body = received.partition(b"\r\n\r\n")
            length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), 0)
            while len(body) < length:
                body += peer.recv(65536)
            path = head.split(b" ")[1].decode()
            asked = json.loads(body)
            model = asked.get("model") or re.search(r"/models/([^:]+):", path)[1]
            dialect = path.split("/")[1]
            self.bodies.append(asked)
            self.seen.append(re.search(rb"x-client-request-id: (\S+)", head)[1].decode())
            data, stays = script(dialect, model, bool(asked.get("stream")) or "stream" in path)
            peer.sendall(data)
            if stays:
                peer.recv(1)

    def close(self):
        self.listening.close()


DIALECTS = tuple(PLAIN)
PLAIN_CASES = (
    *(
        "501",
        "505",
        "520",
        "524",
        "529",
        "530",
        "599",
        "drop",
        "half-head",
        "hang",
        "html",
        "html-as-json",
        "truncated",
    ),
    *("cut", "error-200", "empty-200", "empty-object", "list-200", "no-content"),
)
STREAM_CASES = ("error-first", "ping-error", "empty-stream", "pings-only", "page-stream", "cut-stream", "hung-stream", "html", "520", "drop")  # fmt: skip


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(upstream):
    def provider(name, dialect):
        return (
            f"  {name}: {{dialect: {dialect}, base_url: 'http://127.0.0.1:{upstream.port}/{dialect}', allow_private: true, "
            "credentials: [{name: main, secret: {env: FAKE_KEY}}]}\n"
        )

    config = "providers:\n"
    models, prices = "", ""
    for dialect in DIALECTS:
        config += provider(f"bad-{dialect}", dialect) + provider(f"good-{dialect}", dialect)
        prices += f"    bad-{dialect}/hang: {{input_per_mtok: 1, output_per_mtok: 1}}\n"
        prices += f"    good-{dialect}/good: {{input_per_mtok: 1, output_per_mtok: 1}}\n"
        for case in sorted({*PLAIN_CASES, *STREAM_CASES}):
            limits = "timeouts: {first_byte_s: 0.6, idle_s: 0.6}, retry: {max: 0}"
            first = f"{{provider: bad-{dialect}, model: '{case}'}}"
            models += f"  {dialect}-{case}: {{deployments: [{first}, {{provider: good-{dialect}, model: good, tier: 2}}], {limits}}}\n"
            models += f"  only-{dialect}-{case}: {{deployments: [{first}], {limits}}}\n"
        models += f"  lean-{dialect}: {{deployments: [{{provider: good-{dialect}, model: good, price: free}}], drop: [seed], defaults: {{max_tokens: 77}}}}\n"
        prices += f"    bad-{dialect}/long-cut: {{input_per_mtok: 3, output_per_mtok: 15}}\n"
    made = GatewayProcess(f"{config}models:\n{models}pricing:\n  overrides:\n{prices}", environ=ENVIRON)
    made.app = made.key("app")
    yield made
    assert "Traceback" not in made.log.read_text()
    assert made.stop() == 0


def asked(dialect, model, streams):
    """Return (path, body) of a call."""
    hello = [{"role": "user", "content": "x" * 400}]
    if dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if streams else "generateContent"
        return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": "x" * 400}]}]}
    path = {
        "openai": "/v1/chat/completions",
        "anthropic": "/v1/messages",
        "responses": "/v1/responses",
        "cohere": "/v2/chat",
    }
    body = {"model": model, "stream": streams}
    body |= {"input": "x" * 400} if dialect == "responses" else {"messages": hello}
    return path[dialect], body | ({"max_tokens": 100} if dialect == "anthropic" else {})


def ask(gateway, dialect, model, streams=False, **more):
    return send(gateway, *asked(dialect, model, streams), **more)


def send(gateway, path, body, **more):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {gateway.app}", "content-type": "application/json", **more}
    try:
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        try:
            data = response.read()
        except http.client.IncompleteRead as exc:
            data = exc.partial + b"<CUT>"
        return response.status, {name.lower(): value for name, value in response.getheaders()}, data
    finally:
        connection.close()


def record(gateway, request_id):
    until = time.monotonic() + 30
    while (done := gateway.cli("log", "show", request_id, "--json", check=False)).returncode != 0:
        assert time.monotonic() < until, done.stderr
        time.sleep(0.1)
    return json.loads(done.stdout)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_another_deployment_answers_where_the_first_did_not(gateway, upstream, dialect):
    before = len(upstream.seen)
    failed = [
        (case, status, headers.get("x-switchgear-attempts"), data[:200])
        for case in PLAIN_CASES
        for status, headers, data in [ask(gateway, dialect, f"{dialect}-{case}")]
        if status != 200 or json.loads(data) != PLAIN[dialect] or headers["x-switchgear-attempts"] != "2"
    ]
    assert not failed
    attempts = upstream.seen[before:]
    assert len(attempts) == len(set(attempts)) == 2 * len(PLAIN_CASES)  # H3: each has an id of its own


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_says_nothing_or_an_error_first_goes_elsewhere(gateway, dialect):
    failed = [
        (case, status, headers.get("x-switchgear-attempts"), data[:200])
        for case in STREAM_CASES
        for status, headers, data in [ask(gateway, dialect, f"{dialect}-{case}", streams=True)]
        if status != 200 or b"fine" not in data or b"overloaded" in data or b"<CUT>" in data
    ]
    assert not failed


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_another_deployment_the_client_gets_a_typed_error_and_never_garbage(gateway, dialect):
    wrong = []
    for streams, cases in ((False, PLAIN_CASES), (True, STREAM_CASES)):
        for case in cases:
            status, headers, data = ask(gateway, dialect, f"only-{dialect}-{case}", streams=streams)
            body = json.loads(data) if data.startswith(b"{") else None
            typed = isinstance(body, dict) and ("error" in body or (dialect == "cohere" and "message" in body))
            if status < 500 or not typed or headers.get("x-switchgear-error-source") != "upstream":
                wrong.append((case, streams, status, data[:200]))
            if case in {"hang", "hung-stream"} and status != 504:
                wrong.append((case, streams, status, data[:200]))
    assert not wrong


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_hung_attempt_is_charged_as_an_estimate_and_an_error_is_not(gateway, dialect):
    _, headers, _ = ask(gateway, dialect, f"{dialect}-hang")
    found = record(gateway, headers["x-request-id"])
    first, last = found["attempts"]
    assert (first["provider"], first["error"], first["status"]) == (f"bad-{dialect}", "timeout", None)
    assert first["tokens"]["input"] > 100 and first["cost_nanousd"] == first["tokens"]["input"] * 1000
    assert (last["provider"], last["cost_nanousd"], last["status"]) == (f"good-{dialect}", 4000, 200)
    assert found["cost_nanousd"] == first["cost_nanousd"] + 4000 == sum(x["cost_nanousd"] for x in found["cost_lines"])
    assert found["cost_estimated"] and "attempt 1" in found["estimate_reason"] and found["outcome"] == "ok"
    _, headers, _ = ask(gateway, dialect, f"{dialect}-error-200")
    found = record(gateway, headers["x-request-id"])
    assert found["attempts"][0]["error"] == "error_200" and found["attempts"][0]["tokens"] is None
    assert (found["cost_nanousd"], found["cost_estimated"]) == (4000, False)


def test_failures_are_counted_where_they_happened(gateway):
    for _ in range(3):
        ask(gateway, "openai", "openai-520")
    until = time.monotonic() + 30
    while True:
        rows = {row["group"]["provider"]: row for row in gateway.json("usage", "--by", "provider")["rows"]}
        if rows.get("bad-openai", {}).get("errors", 0) >= 3 or time.monotonic() > until:
            break
        time.sleep(0.1)
    bad = rows["bad-openai"]
    assert bad["requests"] >= bad["errors"] >= 3
    assert any(r["attempts"][0]["provider"] == "bad-openai" for r in gateway.records("--provider", "bad-openai"))
    assert gateway.json("status")["providers"]["bad-openai"]["errors"] >= 3


def test_the_whole_request_ends_in_time_whatever_is_tried(gateway):
    status, headers, _ = ask(gateway, "openai", "openai-hang", **{"x-switchgear-timeout-s": "0.3"})
    assert (status, headers["x-switchgear-attempts"]) == (504, "1")


def test_a_client_of_another_dialect_gets_the_error_in_its_own(gateway):
    path, body = asked("anthropic", "only-openai-error-200", False)
    status, _, data = send(gateway, path, body)
    answer = json.loads(data)
    assert status == 502 and answer["type"] == "error" and answer["error"]["message"] == "overloaded"


def hang_up(gateway, dialect, model, mark):
    """Read a stream until a mark, and close; returns the request's id."""
    path, body = asked(dialect, model, True)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {gateway.app}"})
    response = connection.getresponse()
    seen = b""
    while mark not in seen:
        seen += response.read1(4096)
    response.close()
    connection.close()
    return response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("dialect", "mark"),
    [("openai", b"[DONE]\n\n"), ("anthropic", b'"message_stop"}\n\n'), ("responses", b'"response.completed"'), ("cohere", b'"message-end"')],
)  # fmt: skip
def test_a_client_that_closes_after_the_last_event_missed_nothing(gateway, dialect, mark):
    request_id = hang_up(gateway, dialect, f"bad-{dialect}/slow-end", mark)
    found = record(gateway, request_id)
    assert (found["outcome"], found["tokens"]["output"], found["cost_estimated"]) == ("ok", 1, False)


def test_a_client_that_closes_before_is_gone_and_charged_for_what_was_said(gateway):
    found = record(gateway, hang_up(gateway, "anthropic", "bad-anthropic/long-open", b"word9"))
    assert found["outcome"] == "client_gone" and found["cost_estimated"]
    assert (found["tokens"]["input"], found["tokens"]["output"]) == (
        25,
        100,
    )  # what was said, up to the client's own limit


def test_money_43_a_stream_that_breaks_off_is_charged_for_what_was_said(gateway):
    path, body = asked("anthropic", "bad-anthropic/long-cut", True)
    _, headers, data = send(gateway, path, {**body, "max_tokens": 9_999})
    assert b'"error"' in data
    found = record(gateway, headers["x-request-id"])
    assert found["outcome"] == "upstream_error" and found["tokens"]["input"] == 25
    assert 2_400 / 2 <= found["tokens"]["output"] <= 2_400 * 2  # about 2,400 tokens were said
    assert found["cost_nanousd"] == 25 * 3_000 + found["tokens"]["output"] * 15_000


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_fills_in_a_limit_leaves_out_a_member_and_has_a_price(gateway, upstream, dialect):
    path, body = asked(dialect, f"lean-{dialect}", False)
    body.pop("max_tokens", None)
    status, headers, _ = send(gateway, path, {**body, "seed": 3})
    assert status == 200
    sent = upstream.bodies[-1]
    inner = sent.get("generationConfig", sent)
    assert (
        77 in {inner.get(name) for name in ("max_tokens", "max_output_tokens", "maxOutputTokens")}
        and "seed" not in sent
    )
    found = record(gateway, headers["x-request-id"])
    assert found["dropped"] == ["seed"] and found["cost_nanousd"] == 0 and found["price_source"] == "free"


def test_a_stream_tells_its_cost_to_who_asks_for_that_alone(gateway):
    _, _, data = ask(gateway, "openai", "good-openai/good", streams=True, **{"x-switchgear-include": "cost"})
    assert b'"cost":0.000004' in data and data.endswith(b"data: [DONE]\n\n")
    _, _, data = ask(gateway, "openai", "good-openai/good", streams=True)
    assert b'"usage":{' not in data.replace(b" ", b"")
