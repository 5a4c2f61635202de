"""The twins over HTTP."""

import json
import urllib.error
import urllib.request

import pytest

from switchgear.testing.patience import PATIENCE_S
from switchgear.testing.twins import server
from switchgear.testing.twins.server import TwinServer

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer k"}


@pytest.fixture
def twins():
    running = TwinServer(lambda seen: server.plain({"asked": seen.dialect, "model": seen.model, "stream": seen.stream}))
    yield running
    running.stop()
    assert not running.faults


def ask(twins, path, body, headers):
    sent = json.dumps(body).encode() if body is not None else b"{"
    request = urllib.request.Request(
        f"http://127.0.0.1:{twins.port}{path}", sent, {"content-type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        return exc.code, json.loads(exc.read())


def test_a_good_request_is_answered_and_seen(twins):
    assert ask(twins, "/openai/v1/chat/completions", HELLO, KEY) == (
        200,
        {"asked": "openai", "model": "gpt-4o", "stream": False},
    )
    assert twins.seen[-1].provider == "openai" and twins.seen[-1].refusal is None


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "rule"),
    [
        ("/openai/v1/chat/completions", HELLO, {}, 401, "auth"),
        ("/openai/v1/nothing", HELLO, KEY, 404, "path"),
        ("/nobody/v1/chat/completions", HELLO, KEY, 404, "path"),
        ("/openai/v1/chat/completions", None, KEY, 400, "json"),
        ("/openai/v1/chat/completions", {**HELLO, "zzz": 1}, KEY, 400, "types"),
        ("/mistral/v1/chat/completions", {**HELLO, "zzz": 1}, KEY, 422, "mistral-fields"),
        ("/anthropic/v1/messages", {**HELLO, "max_tokens": 9}, {"x-api-key": "k"}, 400, "header"),
        ("/gemini/v1beta/models/g:streamGenerateContent", {"contents": [{"parts": [{"text": "x"}]}]}, {"x-goog-api-key": "k"}, 400, "alt"),
        ("/bedrock/model/m/converse", {"messages": []}, {"authorization": "AWS4-HMAC-SHA256 x"}, 400, "bedrock-messages"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_a_bad_request_is_refused_by_its_rule(twins, path, body, headers, status, rule):
    assert ask(twins, path, body, headers)[0] == status
    assert twins.seen[-1].refusal.rule == rule


def test_a_stream_comes_in_pieces(twins):
    reply = server.in_stream(
        "gemini", {"candidates": [{"content": {"parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}
    )
    assert reply.content_type == "text/event-stream" and len(list(reply.pieces)) > 1
