"""Refusals of the gateway itself, in the shape that belongs to the path (docs/contract.md §5), and with the headers that clients need."""

import json
import re
import socket

import pytest

from switchgear.testing.patience import PATIENCE_S

# Of the dialect's own reference: which member says what is wrong (OpenAI, Anthropic, Google AIP-193, Bedrock, Cohere).
SHAPES = {
    "openai": lambda body: isinstance(body["error"]["message"], str) and "type" in body["error"],
    "anthropic": lambda body: body["type"] == "error" and isinstance(body["error"]["type"], str),
    "gemini": lambda body: isinstance(body["error"]["code"], int) and body["error"]["status"].isupper(),
    "bedrock": lambda body: list(body) == ["message"],
    "cohere": lambda body: list(body) == ["message"],
}
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/fake%2Fecho:generateContent",
    "bedrock": "/model/fake%2Fecho/converse",
    "cohere": "/v2/chat",
}


def ask(gateway, data):
    """Send bytes; returns (status, headers, body)."""
    with socket.create_connection(("127.0.0.1", gateway.port), PATIENCE_S) as sock:
        sock.sendall(data)
        received = b""
        while b"\r\n\r\n" not in received or len(received) < _size(received):
            piece = sock.recv(65_536)
            if not piece:
                break
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


def _size(received):
    found = re.search(rb"content-length: (\d+)", received)
    return received.index(b"\r\n\r\n") + 4 + int(found.group(1)) if found else len(received) + 1


def head(method, path, *fields):
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: a", *fields, "", "")).encode("latin-1")


REFUSALS = {
    413: lambda path: head("POST", path, "Content-Length: 99999999"),
    431: lambda path: head("POST", path, "X: " + "x" * 20_000),
    414: lambda path: head("POST", path + "?" + "x" * 9_000),
    426: lambda path: head("GET", path, "Connection: Upgrade", "Upgrade: websocket"),
    400: lambda path: head("POST", path, "Host: b"),
    405: lambda path: head("PUT", path),
    401: lambda path: head("POST", path, "Content-Type: application/json", "Content-Length: 2") + b"{}",
}


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("dialect", PATHS)
def test_a_refusal_has_the_shape_of_its_path(gateway, dialect, status):
    found, headers, body = ask(gateway, REFUSALS[status](PATHS[dialect]))
    assert found == status, body
    assert SHAPES[dialect](json.loads(body)), body
    assert headers["x-request-id"] and headers["x-switchgear-error-source"] == "gateway"
    if dialect == "bedrock":
        assert headers["x-amzn-requestid"] == headers["x-request-id"] and headers["x-amzn-errortype"]
    if dialect == "anthropic":
        assert headers["request-id"] == headers["x-request-id"]
    if status == 405:  # RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response"
        assert headers["allow"] == "POST"
    if status == 413 and dialect == "anthropic":
        assert json.loads(body)["error"]["type"] == "request_too_large"  # Anthropic API reference, "Errors"


@pytest.mark.parametrize(
    ("path", "fields", "dialect"),
    [
        ("/v1/nowhere", (), "openai"),
        ("/v1beta/nowhere", (), "gemini"),
        ("/v1beta/files/x", (), "gemini"),
        ("/v1/messages/batches", (), "anthropic"),
        ("/model/x/nonsense", (), "bedrock"),
        ("/v2/nowhere", (), "cohere"),
        ("/v1/nowhere", ("Anthropic-Version: 2023-06-01",), "anthropic"),
    ],
)
def test_an_unknown_path_is_refused_in_the_shape_that_its_client_reads(gateway, path, fields, dialect):
    status, _, body = ask(gateway, head("GET", path, *fields))
    assert status == 404 and SHAPES[dialect](json.loads(body)), body


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("GET", "/v1/messages", {"POST"}),
        ("TRACE", "/v1/models", {"GET", "HEAD"}),
        ("PUT", "/v1/responses/resp_1", {"GET", "DELETE"}),
        ("TRACE", "/nowhere", set()),
    ],
)
def test_405_says_what_is_allowed(gateway, method, path, allow):
    status, headers, _ = ask(gateway, head(method, path))
    assert status == 405 and {name for name in headers["allow"].split(", ") if name} == allow


@pytest.mark.parametrize(("model", "status"), [("dead/x", 502), ("hasty", 504)])
@pytest.mark.parametrize("dialect", ["openai", "bedrock"])
def test_a_failed_attempt_says_of_whom_it_was_asked_and_how_often(gateway, key, model, status, dialect):
    path = "/v1/chat/completions" if dialect == "openai" else f"/model/{model.replace('/', '%2F')}/converse"
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        if dialect == "openai"
        else {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    ).encode()
    fields = (f"Authorization: Bearer {key}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    found, headers, _ = ask(gateway, head("POST", path, *fields) + body)
    assert found == status
    assert headers["x-switchgear-model"] and headers["x-switchgear-provider"] == ("dead" if status == 502 else "fake")
    assert int(headers["x-switchgear-attempts"]) >= 1


def test_an_offer_of_http2_is_ignored(gateway, key):
    """RFC 9110 §7.8. What Java's HttpClient sends with each first request over plain HTTP (RFC 7540 §3.2)."""
    body = json.dumps({"model": "fake/echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    fields = (
        "Connection: Upgrade, HTTP2-Settings",
        f"Content-Length: {len(body)}",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "Upgrade: h2c",
        "User-Agent: Java-http-client/21.0.2",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
    )
    status, headers, answer = ask(gateway, head("POST", "/v1/chat/completions", *fields) + body)
    assert status == 200 and json.loads(answer)["choices"] and "upgrade" not in headers
