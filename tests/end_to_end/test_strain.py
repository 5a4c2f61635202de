"""Clocks that jump, parts of different versions, descriptors that run out, books that are not ingested, bodies made to hurt."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from tests.end_to_end.altered import HERE, boottime
from tests.end_to_end.setups import ENVIRON, config
from tests.end_to_end.test_endurance import ask
from tests.end_to_end.test_kill import Load

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

DAY_S = 86_400


@pytest.fixture
def own(provider):
    made = []

    def start(spec=None, more="", **options):
        program = (HERE, "serve", json.dumps(spec)) if spec is not None else ("-m", "switchgear.cli")
        gateway = GatewayProcess(config(provider.port, more), environ=ENVIRON, program=program, **options)
        made.append(gateway)
        return gateway

    yield start
    for gateway in made:
        gateway.stop()


def booked(gateway, wanted):
    """Wait until the ledger holds so many requests."""
    until = time.monotonic() + PATIENCE_S
    while count(gateway) < wanted and time.monotonic() < until:
        time.sleep(0.2)
    return count(gateway)


def count(gateway):
    """All that the ledger holds, whatever the clocks said."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3 * DAY_S))
    return int(gateway.json("usage", "--since", "5d", "--until", until)["total"]["requests"])


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Clocks


@pytest.mark.parametrize("days", [(1, 0), (-1, 0), (1, -1)], ids=["ahead and back", "back and ahead", "both"])
def test_N2_a_clock_that_jumps_a_day_costs_no_request_and_no_record(own, days):
    """Under load, with an edge killed after the jump: every request is booked once, and orphans find their evidence."""
    now = boottime()
    first, second = now + 3, now + 5
    gateway = own({"clock": [[first, days[0] * DAY_S], [second, days[1] * DAY_S]]})
    key = gateway.key("app")
    load = Load(gateway.port, key)
    while boottime() < first + 0.7:
        time.sleep(0.05)
    os.kill(gateway.pids("edge")[0], signal.SIGKILL)
    while boottime() < second + 1.5:
        time.sleep(0.05)
    load.stop()
    assert load.longest_gap < PATIENCE_S, "no request waited for a clock"
    assert booked(gateway, len(load.answered)) >= len(load.answered)
    verdict = gateway.json("ledger", "verify", "--since", "4d")
    assert verdict["differences"] == []
    status = gateway.json("status")
    assert status["double_entry"]["unspooled"] == 0 and status["double_entry"]["repeated"] == 0
    outcomes = {record["outcome"] for record in gateway.records("--outcome", "not_sent", count=0)}
    assert outcomes <= {"not_sent"}


# Versions


@pytest.mark.parametrize("role", ["edge", "vault"])
def test_L1_parts_of_different_versions_refuse_each_other_and_lose_nothing(own, role):
    """An old edge beside a new vault, and the other way round: requests are refused as "not ready", the log says why, and the
    right version serves as soon as it is there."""
    until = boottime() + 1e6
    gateway = own({"protocol": [role, 99, until]}, start=False)
    gateway.start(wait=False)
    deadline = time.monotonic() + PATIENCE_S
    while "speaks protocol" not in gateway.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    log = gateway.log.read_text()
    assert "speaks protocol 99, not 1" in log or "speaks protocol 1, not 99" in log, log[-2000:]
    assert "Traceback" not in log
    assert gateway.status().get("state") != "ready"
    gateway.stop(keep=True)
    gateway.use_program("-m", "switchgear.cli")
    gateway.start()
    assert ask(gateway.port, gateway.key("app"))[0] == 200
    assert booked(gateway, 1) == 1


# Descriptors


def test_H7_an_edge_without_descriptors_waits_and_serves_again(own):
    gateway = own({"files": ["edge", 40]}, workers=1)
    key = gateway.key("app")
    assert ask(gateway.port, key)[0] == 200
    [edge] = gateway.pids("edge")
    crowd = []
    for _ in range(80):
        sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")  # a head that does not end: nobody may be let go
        crowd.append(sock)
    time.sleep(0.5)
    before = cpu_s(edge)
    time.sleep(2.0)
    assert cpu_s(edge) - before < 0.5, "it does not spin over what it cannot accept"
    assert gateway.pids("edge") == [edge], "and it does not die of it"
    for sock in crowd:
        sock.close()
    assert served(gateway, key)
    log = gateway.log.read_text()
    assert 1 <= log.count("file descriptors") <= 2, "it is said, and not a thousand times"
    assert "Traceback" not in log


def served(gateway, key):
    """Ask until it is answered."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if ask(gateway.port, key, timeout=30)[0] == 200:
                return True
        time.sleep(0.1)
    return False


def test_H7_idle_clients_make_room_for_those_who_ask(own):
    gateway = own({"files": ["edge", 40]}, workers=1)
    key = gateway.key("app")
    idle = [socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) for _ in range(80)]
    time.sleep(2.5)
    assert served(gateway, key)
    for sock in idle:
        sock.close()


def test_H3_a_vault_without_descriptors_fails_requests_honestly_and_recovers(own):
    """Thirty streams at once, connections for a part of them: the others get a 502, are booked, and the next one is served."""
    gateway = own({"files": ["vault", 30]}, workers=1)
    key = gateway.key("app")
    assert ask(gateway.port, key)[0] == 200
    [vault] = gateway.pids("vault")
    body = {"model": "fake/stream-20-10", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        statuses = [done[0] for done in pool.map(lambda _: ask(gateway.port, key, body), range(60))]
    assert set(statuses) == {200, 502}, statuses
    assert ask(gateway.port, key)[0] == 200
    assert booked(gateway, 62) == 62
    assert gateway.pids("vault") == [vault]
    assert gateway.json("status")["double_entry"]["unspooled"] == 0


# Books that nobody ingests


def test_L7_a_backlog_at_its_bound_refuses_new_work_and_is_ingested_afterwards(own):
    """Control stands still; spools may hold four segments of 256 KiB."""
    gateway = own({"segment": 262_144, "backlog": 1, "silence": 2 * PATIENCE_S})
    key = gateway.key("app")
    [control] = gateway.pids("control")
    os.kill(control, signal.SIGSTOP)
    load = Load(gateway.port, key)
    try:
        until, refused = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < until and refused is None:
            status, _, headers = ask(gateway.port, key)
            assert status in {200, 503}, gateway.log.read_text()[-4000:]
            refused = headers if status == 503 else None
        assert refused is not None, "it is bounded"
        assert refused["x-switchgear-error"] == "ledger_unavailable" and "retry-after" in refused
        held = sum(path.stat().st_size for path in (gateway.data / "spool").glob("edge-*/*"))
        assert held <= 2 * 7 * 262_144
    finally:
        load.stop()  # it would fill four small segments again as fast as they are ingested
        os.kill(control, signal.SIGCONT)
    assert served(gateway, key), "it serves again by itself"
    assert booked(gateway, len(load.answered)) >= len(load.answered)
    assert gateway.json("ledger", "verify")["differences"] == []


# Durability


def test_L2_with_durability_power_everything_works_and_each_dispatch_waits_for_the_disk(own):
    gateway = own({"segment": 65_536}, more="spool: {durability: power}\n", workers=1)
    key = gateway.key("app")
    load = Load(gateway.port, key)
    until = time.monotonic() + PATIENCE_S
    while len(load.answered) < 1_500 and time.monotonic() < until:  # many segments: the next one is always prepared
        time.sleep(0.05)
    assert len(load.answered) >= 1_500, "it goes on, segment after segment"
    os.kill(gateway.pids("edge")[0], signal.SIGKILL)
    time.sleep(1.5)
    load.stop()
    assert gateway.json("status")["state"] in {"ready", "degraded"}
    assert booked(gateway, len(load.answered)) >= len(load.answered)
    assert gateway.json("ledger", "verify")["differences"] == []


# Bodies made to hurt

DEEP = 100_000
BOMBS = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "deep inside a message": '{"model":"fake/echo","messages":[{"role":"user","content":'
    + "[" * 2_000
    + "]" * 2_000
    + "}]}",
    "open for ever": "[" * DEEP,
    "the model twice": '{"model":"fake/echo","model":"fake/other","messages":[]}',
    "the model twice, escaped": '{"model":"fake/echo","m\\u006fdel":"fake/other","messages":[]}',
    "not UTF-8": b'{"model":"fake/echo","messages":[{"role":"user","content":"\xff\xfe"}]}',
    "a lone surrogate as bytes": b'{"model":"fake/echo\xed\xa0\x80","messages":[]}',
    "an endless number": '{"model":"fake/echo","max_tokens":'
    + "9" * 50_000
    + ',"messages":[{"role":"user","content":"x"}]}',
    "a huge exponent": '{"model":"fake/echo","max_tokens":1e999999999,"messages":[{"role":"user","content":"x"}]}',
    "NaN": '{"model":"fake/echo","temperature":NaN,"messages":[{"role":"user","content":"x"}]}',
    "a comment": '{"model":"fake/echo",/* */"messages":[]}',
    "a byte order mark": b'\xef\xbb\xbf{"model":"fake/echo","messages":[]}',
    "UTF-16": '{"model":"fake/echo","messages":[]}'.encode("utf-16"),
    "two values": '{"model":"fake/echo","messages":[]}{"model":"fake/other"}',
    "a trailing comma": '{"model":"fake/echo","messages":[],}',
    "a zero byte": '{"model":"fake/echo\0","messages":[]}',
    "a list": "[]",
    "a string": '"fake/echo"',
    "nothing": "",
    "the model is an object": '{"model":{"a":1},"messages":[]}',
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v2/chat"])
def test_H4_bodies_made_to_hurt_are_refused_at_once(shared, path):
    gateway, key = shared
    for name, body in BOMBS.items():
        raw = body if isinstance(body, bytes) else body.encode()
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
        sent = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", path, raw, sent)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        assert response.status == 400, (name, response.status, data[:300])
        assert json.loads(data), name
    assert "Traceback" not in gateway.log.read_text()


def test_H4_a_million_keys_cost_no_more_than_their_bytes(shared):
    """Wide rather than deep: a frame of its own for each key would keep the edge busy for half a minute."""
    gateway, key = shared
    [edge] = gateway.pids("edge")
    wide = ",".join(f'"k{number}":0' for number in range(1_000_000))
    body = f'{{"model":"fake/echo","messages":[{{"role":"user","content":"x"}}],{wide}}}'.encode()
    before = cpu_s(edge)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    connection.request(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    status = connection.getresponse().status
    connection.close()
    assert status in {200, 400, 413}
    assert gateway.pids("edge") == [edge]
    assert cpu_s(edge) - before < 8


@pytest.fixture(scope="module")
def shared(provider):
    gateway = GatewayProcess(config(provider.port), environ=ENVIRON, workers=1)
    yield gateway, gateway.key("app")
    gateway.stop()
