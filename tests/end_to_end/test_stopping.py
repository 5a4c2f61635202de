"""Stopping really stops: bodies under way, pipelined requests, running streams, every way to a model (docs/invariants.md S2, S3)."""

import http.client
import json
import socket
import threading
import time

import pytest
from tests.end_to_end.calls import call
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

MODELS = """
  quick: {alias: fast}
  quicker: {alias: quick}
  "pat/*": "fake/*"
  spare: {deployments: [{provider: dead, model: x}], fallback: [fast]}
  other: {deployments: [{provider: fake, model: no-usage}], fallback: [fast]}
"""
STREAM_S = 60


@pytest.fixture(scope="module")
def gateway(provider):
    text = config(provider.port).replace("pricing:", MODELS.strip("\n") + "\npricing:", 1)
    running = GatewayProcess(text, environ=ENVIRON)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def key(gateway):
    return gateway.key("steady", "--team", "red", "--user", "ann", "--project", "moon")


def ask(model):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})


def head(gateway, key, length, path="/v1/chat/completions"):
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


def read_status(sock):
    received = b""
    while b"\r\n" not in received:
        piece = sock.recv(65_536)
        if not piece:
            break
        received += piece
    return int(received.split(b" ", 2)[1]) if received else None


def connect(gateway):
    sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S)
    sock.settimeout(60)
    return sock


def sent_to_provider(provider):
    return sum(entry["count"] for entry in provider.seen().values())


# bodies under way and pipelined requests


@pytest.mark.parametrize("how", ["revoke", "freeze"])
def test_S2_a_body_that_ends_after_the_key_was_stopped_is_refused(gateway, provider, how):
    name = f"late-{how}"
    token = gateway.key(name)
    body = ask("fast").encode()
    with connect(gateway) as sock:
        sock.sendall(head(gateway, token, len(body)) + body[:20])
        time.sleep(0.1)
        before = sent_to_provider(provider)
        gateway.cli("key", "revoke", name, "--yes") if how == "revoke" else gateway.cli("freeze", "key", name)
        try:
            sock.sendall(body[20:])
            status = read_status(sock)
        except OSError:
            status = None  # it was let go already
        assert status in {None, 401 if how == "revoke" else 403}
    assert sent_to_provider(provider) == before


def test_S2_pipelined_requests_of_a_revoked_key_are_refused_when_their_turn_comes(gateway, provider):
    token = gateway.key("pipeline")
    first, body = ask("fake/stream-1000-10").encode()[:-1] + b', "stream": true}', ask("fast").encode()
    with connect(gateway) as sock:
        sock.sendall(head(gateway, token, len(first)) + first + (head(gateway, token, len(body)) + body) * 5)
        received = sock.recv(65_536)  # the first one runs: it was sent before
        before = sent_to_provider(provider)
        gateway.cli("key", "revoke", "pipeline", "--yes")
        gateway.cli("freeze", "key", "pipeline")  # ends the stream, and the connection with it
        while piece := sock.recv(65_536):
            received += piece
    assert received.count(b"HTTP/1.1 ") == 1
    assert sent_to_provider(provider) == before


def test_S2_a_revoked_key_gets_401_for_each_pipelined_request(gateway, provider):
    token = gateway.key("queue")
    first, body = ask("fake/slow-4000").encode(), ask("fast").encode()
    known = sent_to_provider(provider)
    with connect(gateway) as sock:
        sock.sendall(head(gateway, token, len(first)) + first + (head(gateway, token, len(body)) + body) * 5)
        time.sleep(0.5)
        gateway.cli("key", "revoke", "queue", "--yes")
        received = b""
        while received.count(b"HTTP/1.1 ") < 6 and (piece := sock.recv(65_536)):
            received += piece
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    # On a machine so busy that the answer came before the revocation, what was sent by then may be answered.
    assert statuses[-1] == b"401"
    assert sent_to_provider(provider) - known == statuses.count(b"200")


def test_held_bodies_of_a_revoked_key_are_let_go(gateway):
    token = gateway.key("holder")
    with connect(gateway) as sock:
        sock.sendall(head(gateway, token, 8_000_000) + b" " * 1_000_000)
        time.sleep(0.1)
        gateway.cli("key", "revoke", "holder", "--yes")
        assert read_status(sock) in {401, None}


# freezes cut what runs

SHAPES = {
    "chat": ("/v1/chat/completions", {"model": "fake/stream-1000-10", "messages": [{"role": "user", "content": "x"}], "stream": True}, b'"error"'),
    "responses": ("/v1/responses", {"model": "native/stream-1000-10", "input": "x", "stream": True}, b"response.failed"),
    "messages": ("/v1/messages", {"model": "claude/stream-1000-10", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": True}, b"event: error"),
    "gemini": ("/v1beta/models/google%2Fstream-1000-10:streamGenerateContent?alt=sse", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}, b'"PERMISSION_DENIED"'),
    "gemini-array": ("/v1beta/models/google%2Fstream-1000-10:streamGenerateContent", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}, None),
    "bedrock": ("/model/aws%2Fstream-1000-10/converse-stream", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, b"validationException"),
    "cohere": ("/v2/chat", {"model": "commands/stream-1000-10", "messages": [{"role": "user", "content": "x"}], "stream": True}, b'"ERROR"'),
    "translated": ("/v1/messages", {"model": "fake/stream-1000-10", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], "stream": True}, b"event: error"),
}  # fmt: skip


def run_stream(gateway, token, path, body):
    """Begin a stream; returns (connection, response, first bytes)."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=STREAM_S)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    return connection, response, response.read1(65_536)


@pytest.mark.parametrize("shape", SHAPES)
def test_S3_a_freeze_cuts_running_streams_with_the_dialects_error(gateway, shape):
    path, body, mark = SHAPES[shape]
    name = f"cut-{shape}"
    token = gateway.key(name)
    connection, response, received = run_stream(gateway, token, path, body)
    assert response.status == 200, received
    while len(received) < 2_000:  # some of the answer itself, whatever the dialect begins with
        received += response.read1(65_536)
    gateway.cli("freeze", "key", name)
    ended_well = True
    try:
        while piece := response.read1(65_536):
            received += piece
    except (http.client.IncompleteRead, ConnectionError):
        ended_well = False
    connection.close()
    assert not ended_well or response.chunked is False or not response.isclosed() or b"0\r\n\r\n" not in received
    if mark is not None:
        assert mark in received
        assert b"frozen by an administrator" in received
    else:
        assert not received.rstrip().endswith(b"]")
    (record,) = gateway.records("--key", name)
    assert (record["outcome"], record["error"]["code"]) == ("interrupted", "frozen")
    assert record["tokens"]["output"] >= 1, "what was seen is charged"
    gateway.cli("unfreeze", "key", name)


SUBJECTS = [
    ("key", "steady"),
    ("user", "ann"),
    ("team", "red"),
    ("project", "moon"),
    ("model", "fake/stream-1000-10"),
    ("credential", "fake/main"),
    ("credential", "fake"),
    ("provider", "fake"),
    ("all",),
]


@pytest.mark.parametrize("subject", SUBJECTS[:6] + SUBJECTS[7:], ids=" ".join)
def test_S3_every_scope_cuts_streams_and_waiting_requests(gateway, key, subject):
    connection, response, _ = run_stream(gateway, key, *SHAPES["chat"][:2])
    waiting = {}

    def wait():
        model = "fake/stream-1000-10" if subject[0] == "model" else "fake/silent"
        if model == "fake/silent":
            waiting["status"], waiting["headers"], _ = call(gateway, key, ask(model))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    # A model that nothing lists and that resembles a listed one is frozen by who insists.
    gateway.cli("freeze", *subject, *(["--force"] if subject[0] == "model" else []))
    try:
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while response.read1(65_536):
                pass
        thread.join(30)
        assert not thread.is_alive()
        if waiting:
            assert (waiting["status"], waiting["headers"]["x-switchgear-error"]) == (403, "frozen")
    finally:
        gateway.cli("unfreeze", *subject)
        connection.close()


def test_a_stream_of_another_key_goes_on(gateway, key):
    gateway.key("neighbour")
    connection, response, _ = run_stream(gateway, key, *SHAPES["chat"][:2])
    gateway.cli("freeze", "key", "neighbour")
    time.sleep(0.6)
    assert response.read1(65_536)
    gateway.cli("unfreeze", "key", "neighbour")
    connection.close()


# every way to a model

WAYS = ("fast", "quick", "quicker", "fake/echo", "pat/echo", "spare")


@pytest.mark.parametrize("frozen", ["fast", "quick", "fake/echo", "pat/echo", "pat/*"])
def test_a_frozen_model_is_frozen_by_whatever_name(gateway, key, frozen):
    assert {call(gateway, key, ask(way))[0] for way in WAYS} == {200}
    gateway.cli("freeze", "model", frozen)
    try:
        found = {way: call(gateway, key, ask(way))[0] for way in WAYS}
        assert found.pop("spare") in {403, 502}, "its own deployment may be asked still"
        assert set(found.values()) == {403}, found
    finally:
        gateway.cli("unfreeze", "model", frozen)
    assert call(gateway, key, ask("fast"))[0] == 200


def test_a_model_that_shares_nothing_with_a_frozen_one_goes_on(gateway, key):
    gateway.cli("freeze", "model", "fast")
    try:
        assert call(gateway, key, ask("other"))[0] == 200
        assert call(gateway, key, ask("claude/echo"))[0] == 200
    finally:
        gateway.cli("unfreeze", "model", "fast")


# names that nobody knows


@pytest.mark.parametrize(
    ("subject", "near"),
    [
        (("team", "rde"), "red"),
        (("model", "fsat"), "fast"),
        (("provider", "fke"), "fake"),
        (("credential", "fake/mian"), "fake/main"),
        (("user", "anna"), "ann"),
        (("project", "mon"), "moon"),
        (("key", "stedy"), "steady"),
        (("model", "nope/echo"), ""),
    ],
    ids=" ".join,
)
def test_freezing_an_unknown_subject_is_refused(gateway, key, subject, near):
    done = gateway.cli("freeze", *subject, check=False)
    assert done.returncode == 2
    assert near in done.stderr
    assert gateway.cli("unfreeze", *subject, check=False).returncode == 2
    said = gateway.cli("freeze", *subject, "--for", "15m", "--force").stdout
    assert f"switchgear unfreeze {subject[0]} {subject[1]}" in said
    assert gateway.cli("unfreeze", *subject).returncode == 0


# credentials


def test_a_disabled_credential_of_the_file_stays_so_through_apply_and_restart(gateway, key):
    def state():
        found = gateway.json("credential", "list")["credentials"]
        return next(one["state"] for one in found if one["id"] == "fake/main")

    gateway.cli("credential", "disable", "fake/main")
    try:
        gateway.cli("config", "apply", str(gateway.config))
        assert (state(), call(gateway, key, ask("fast"))[0]) == ("disabled", 404)
        gateway.stop(keep=True)
        gateway.start()
        assert (state(), call(gateway, key, ask("fast"))[0]) == ("disabled", 404)
        refused = gateway.cli("credential", "remove", "fake/main", "--yes", check=False)
        assert refused.returncode == 2
        assert "switchgear credential disable fake/main" in refused.stderr
    finally:
        gateway.cli("credential", "enable", "fake/main")
    assert (state(), call(gateway, key, ask("fast"))[0]) == ("active", 200)
