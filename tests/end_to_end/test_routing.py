"""A dead deployment among three, and one that fails half of the time: real edges, real providers (docs/configuration.md, Routing)."""

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.end_to_end.setups import ENVIRON

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

ANSWER = json.dumps(
    {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "fine"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
).encode()  # fmt: skip
PROBE_S = 6.0


class Provider:
    """A server of OpenAI's dialect that may be dead, or fail every other time."""

    def __init__(self):
        self.fails_half = False
        self.touched = []
        self.connections = set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                provider.connections.add(self.connection)

            def finish(self):
                provider.connections.discard(self.connection)
                super().finish()

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                provider.touched.append(time.monotonic())
                is_bad = provider.fails_half and len(provider.touched) % 2 == 0
                self.send_response(500 if is_bad else 200)
                body = b'{"error": {"message": "down", "type": "server_error"}}' if is_bad else ANSWER
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._handler = Handler
        self.port = 0
        self.revive()

    def revive(self):
        """Listen, again at the same port."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def die(self):
        """Listen no longer: connections are refused, and those that are kept alive end."""
        self.server.shutdown()
        self.server.server_close()
        for one in list(self.connections):
            with contextlib.suppress(OSError):  # its client closed it first
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def providers():
    found = {name: Provider() for name in "abc"}
    yield found
    for one in found.values():
        one.die()


@pytest.fixture(scope="module")
def gateway(providers):
    def provider(name, port):
        url = f"http://127.0.0.1:{port}/v1"
        return f'  {name}: {{dialect: openai, base_url: "{url}", allow_private: true, auth: none}}\n'

    text = "providers:\n" + "".join(provider(name, one.port) for name, one in providers.items())
    deployments = ", ".join(f"{{provider: {name}, model: m}}" for name in "abc")
    text += (
        f"models:\n  spread: {{strategy: weighted, deployments: [{deployments}], breaker: {{probe_s: {PROBE_S}}}}}\n"
    )
    one = GatewayProcess(text, workers=2, environ=ENVIRON)
    yield one
    assert "Traceback" not in one.log.read_text()
    assert one.stop() == 0


class Client:
    def __init__(self, gateway, key):
        self._gateway, self._key = gateway, key
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)

    def ask(self):
        body = json.dumps({"model": "spread", "messages": [{"role": "user", "content": "hello"}]})
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        self.connection.request("POST", "/v1/chat/completions", body, headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer


@pytest.fixture(autouse=True)
def all_well(providers):
    yield
    for one in providers.values():
        one.fails_half = False


def clients(gateway, key, count=4):
    """Several connections, so that every edge has some."""
    return [Client(gateway, key) for _ in range(count)]


def close(clients):
    for one in clients:
        one.connection.close()


def until(condition, clients):
    """Ask until it holds; returns how long that took in seconds."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_S, "it never came so far"
        for one in clients:
            assert one.ask().status == 200
    return time.monotonic() - begun


BACK_S = float(os.environ.get("BACK_S", PATIENCE_S))
"""How soon edges hear of each other: BACK_S=3 on a machine that does nothing else."""


def test_a_dead_deployment_is_touched_once_per_probe_interval_and_back_in_use_within_one(gateway, providers):
    asking = clients(gateway, gateway.key("dead"))
    until(lambda: all(one.touched for one in providers.values()), asking)
    dead = providers["b"]
    dead.die()

    def attempts():
        known = gateway.json("model", "health")["deployments"]
        return sum(one["attempts"] for one in known if one["deployment"].startswith("b/"))

    until(lambda: gateway.json("status")["breakers"], asking)
    time.sleep(0.6)  # the other edge looks four times a second
    before, begun = attempts(), time.monotonic()
    until(lambda: time.monotonic() - begun > 2 * PROBE_S, asking)
    touched, intervals = attempts() - before, (time.monotonic() - begun) / PROBE_S
    assert touched <= 2 * intervals + 1, (
        f"{touched} requests in {intervals:.1f} intervals: an edge asks in each, perhaps the other too before it hears of it"
    )
    (opened,) = gateway.json("status")["breakers"].values()
    assert opened["reason"] == "failures"
    explained = gateway.json("model", "explain", "spread")
    assert [one["provider"] for one in explained["candidates"] if one["breaker"] != "closed"] == ["b"]

    dead.revive()
    known = len(dead.touched)
    took_s = until(lambda: len(dead.touched) >= known + 3, asking)
    assert took_s <= PROBE_S + BACK_S, "one probe, then what the edges tell each other"
    until(lambda: not gateway.json("status")["breakers"], asking)
    close(asking)


def test_where_a_provider_fails_half_of_the_time_every_request_is_answered(gateway, providers):
    providers["a"].fails_half = True
    asking = clients(gateway, gateway.key("half"))
    statuses, served = Counter(), Counter()
    for number in range(1_000):
        answer = asking[number % len(asking)].ask()
        statuses[answer.status] += 1
        served[answer.headers["x-switchgear-provider"]] += 1
    close(asking)
    assert statuses == {200: 1_000}
    assert served["b"] > 100 and served["c"] > 100
