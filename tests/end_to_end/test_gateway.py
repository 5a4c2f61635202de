"""The gateway from outside: keys, freezes, hostile clients."""

import http.client
import json
import socket
import time

import pytest
from tests.end_to_end.calls import BODY, call, raw

from switchgear.testing.patience import PATIENCE_S


def test_S2_a_revocation_holds_for_the_next_request_on_every_edge(gateway):
    key = gateway.key("short-lived")
    connections = [http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S) for _ in range(16)]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def all_statuses():
        found = set()
        for connection in connections:
            connection.request("POST", "/v1/chat/completions", BODY, headers)
            response = connection.getresponse()
            response.read()
            found.add(response.status)
        return found

    assert all_statuses() == {200}
    gateway.cli("key", "revoke", "short-lived", "--yes")
    assert all_statuses() == {401}
    for connection in connections:
        connection.close()


def test_a_frozen_key_comes_back(gateway):
    key = gateway.key("frosty")
    gateway.cli("freeze", "key", "frosty")
    status, headers, _ = call(gateway, key)
    assert (status, headers["x-switchgear-error"]) == (403, "frozen")
    gateway.cli("unfreeze", "key", "frosty")
    assert call(gateway, key)[0] == 200


def test_a_freeze_of_all_or_of_a_subject_refuses_its_requests(gateway, key):
    for subject in (
        ("all",),
        ("credential", "fake/main"),
        ("provider", "fake"),
        ("model", "fast"),
        ("team", "quality"),
    ):
        gateway.cli("freeze", *subject)
        try:
            assert call(gateway, key)[0] == 403, subject
        finally:
            gateway.cli("unfreeze", *subject)
    assert call(gateway, key)[0] == 200


def test_a_rotated_keys_old_secret_works_until_the_overlap_ends(gateway):
    old = gateway.key("turning")
    new = gateway.json("key", "rotate", "turning", "--overlap", "1h")["key"]
    assert {call(gateway, old)[0], call(gateway, new)[0]} == {200}
    assert gateway.cli("key", "rotate", "turning", check=False).returncode == 1
    last = gateway.json("key", "rotate", "turning", "--overlap", "0s", "--force")["key"]
    assert call(gateway, last)[0] == 200
    assert call(gateway, new)[0] == 401


def test_models_expiry_and_networks_limit_a_key(gateway):
    narrow = gateway.key("narrow", "--models", "fake/*")
    assert call(gateway, narrow)[0] == 404
    assert call(gateway, narrow, BODY.replace("fast", "fake/echo"))[0] == 200
    short = gateway.key("short", "--expires", "2s")
    until = time.monotonic() + 60
    while call(gateway, short)[0] != 401 and time.monotonic() < until:
        time.sleep(0.1)
    assert call(gateway, short)[0] == 401
    assert "is past" in gateway.cli("key", "create", "past", "--expires", "2020-01-01", check=False).stderr
    assert call(gateway, gateway.key("far", "--cidr", "10.0.0.0/8"))[0] == 403
    gateway.cli("key", "update", "narrow", "--models", "fast")
    assert call(gateway, narrow)[0] == 200


def test_H5_a_key_may_stand_in_several_places_if_it_is_the_same(gateway, key):
    assert call(gateway, None, authorization=None, x_api_key=key)[0] == 200
    assert call(gateway, None, authorization=None, api_key=key)[0] == 200
    assert call(gateway, key, x_api_key=key)[0] == 200
    assert call(gateway, key, x_api_key="sk-other")[0] == 400
    assert call(gateway, None, authorization=None)[0] == 401


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/v1/v1/chat/completions", "//v1//chat/completions", "/v1/chat/completions/"]
)
def test_pasted_base_urls_work(gateway, key, path):
    assert call(gateway, key, path=path)[0] == 200


def test_paths_without_a_key(gateway):
    for path in ("/healthz", "/health", "/readyz", "/ready", "/"):
        assert call(gateway, None, None, path, "GET", authorization=None)[0] == 200
    assert call(gateway, None, None, "/nothing/here", "GET", authorization=None)[0] == 404
    assert call(gateway, None, None, "/v1/chat/completions", "GET", authorization=None)[0] == 405


def test_a_key_reads_its_own_name_team_and_spend(gateway, key):
    found = json.loads(call(gateway, key, None, "/v1/key", "GET")[2])
    assert found["name"] == "tests" and found["team"] == "quality"
    assert found["spend_today"]["since_ms"] % 86_400_000 == 0


def test_a_key_sees_what_it_spent_today_by_model(gateway):
    key = gateway.key("spender")
    for _ in range(3):
        assert call(gateway, key)[0] == 200
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        spend = json.loads(call(gateway, key, None, "/v1/key", "GET")[2])["spend_today"]
        if spend["requests"] == 3:
            break
        time.sleep(0.2)
    assert spend["requests"] == 3 and spend["as_of_ms"] >= spend["since_ms"]
    assert spend["cost_nanousd"] == sum(model["cost_nanousd"] for model in spend["models"].values()) > 0
    listed = gateway.json("log", "list", "--key", "spender")["records"]
    assert spend["cost_nanousd"] == sum(record["cost_nanousd"] for record in listed)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ('{"model":"fast"}', 400),
        ('{"messages":[]}', 400),
        ('{"model":5,"messages":[]}', 400),
        ('{"model":"fast","messages":' + "[" * 200 + "]" * 200 + "}", 400),
        ('{"model":"fast","model":"fast","messages":[]}', 400),
        (b'{"model":"fast","messages":"\xff"}', 400),
        ('{"model":"' + "x" * 600 + '","messages":[]}', 400),
        ('{"model":"a\\r\\nx: y","messages":[]}', 404),
        ('{"model":"fake/a\\r\\nx-evil: 1","messages":[]}', 400),
    ],
)
def test_bad_bodies_are_4xx(gateway, key, body, status):
    got, headers, data = call(gateway, key, body)
    assert got in {status, 404, 200} and got < 500, data
    assert "x-evil" not in headers


def test_a_body_of_another_media_type_or_encoding_is_refused(gateway, key):
    assert call(gateway, key, content_type="text/plain")[0] == 415
    assert call(gateway, key, content_encoding="gzip")[0] == 415


def test_pipelined_requests_are_answered_in_order(gateway, key):
    def one(text, close=False):
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": text}]})
        end = "Connection: close\r\n" if close else ""
        return f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{end}Content-Length: {len(body)}\r\n\r\n{body}"

    bad = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    received = raw(gateway, (one("first") + bad + one("second") + one("third", True)).encode()).decode()
    places = [
        received.index(text)
        for text in ('"content":"first"', "there is nothing at", '"content":"second"', '"content":"third"')
    ]
    assert places == sorted(places)


def test_a_client_that_expects_100_continue_is_told_to_go_on(gateway, key):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nExpect: 100-continue\r\n"
            f"Connection: close\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
        )
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY.encode())
        received = b""
        while piece := sock.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200")


def test_H5_no_body_is_read_without_a_key(gateway):
    received = raw(
        gateway,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n",
    )
    assert received.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_garbage_gets_an_answer_and_a_close(gateway, data):
    received = raw(gateway, data + b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 4")


def test_a_large_body_travels_whole(gateway, key):
    body = json.dumps({"model": "fake/echo", "messages": [{"role": "user", "content": "x" * 3_000_000}]})
    status, _, data = call(gateway, key, body)
    assert status == 200
    assert len(data) > 3_000_000


def test_a_slow_reader_gets_everything(gateway, key):
    body = json.dumps({"model": "fake/stream-50000-0", "messages": [{"role": "user", "content": "a"}], "stream": True})
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(1.0)
        received = 0
        tail = b""
        while piece := sock.recv(262144):
            received += len(piece)
            tail = (tail + piece)[-40:]
    assert received > 50000 * 100
    assert tail.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_a_client_that_goes_away_is_recorded(gateway, key):
    body = json.dumps(
        {"model": "fake/stream-1000-50", "messages": [{"role": "user", "content": "bye"}], "stream": True}
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert b"200 OK" in sock.recv(65536)
        time.sleep(0.3)
    records = gateway.records("--outcome", "client_gone", "--model", "fake/stream-1000-50", seconds=12)
    assert records[0]["cost_estimated"]
    assert 5 <= records[0]["tokens"]["output"] <= 500
