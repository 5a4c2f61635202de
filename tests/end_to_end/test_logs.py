"""The log and the counters of a running gateway: what an operator sees of what went wrong, and what nobody sees."""

import contextlib
import http.client
import json
import os
import signal
import time

import pytest

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

WAIT_S = 90.0
CONFIG = """
providers:
  up: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", auth: none, allow_private: true}}
  away: {{dialect: openai, base_url: "http://127.0.0.1:9/v1", auth: none, allow_private: true}}
models:
  fast: {{deployments: [{{provider: away, model: echo}}, {{provider: up, model: echo, tier: 2}}]}}
"""


def lines(gateway):
    return [json.loads(line) for line in gateway.log.read_text().splitlines()]


def until(found, what=lambda value: value, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not what(value := found()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def call(gateway, key, model="fast", path="/v1/chat/completions", text="hello"):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]})
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    connection.request("POST", path, body, {"authorization": f"Bearer {key}", "content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("x-request-id")


@pytest.fixture(scope="module")
def gateway():
    provider = ProviderProcess()
    made = GatewayProcess(
        CONFIG.format(port=provider.port), workers=1, arguments=("--access-log", "--log-format", "json")
    )
    yield made
    made.stop()
    provider.stop()


def metrics(gateway):
    token = gateway.json("token", "create", f"m{time.monotonic_ns()}", "--role", "viewer")["token"]
    connection = http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
    connection.request("GET", "/metrics", headers={"authorization": f"Bearer {token}"})
    text = connection.getresponse().read().decode()
    connection.close()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")


def test_requests_without_a_valid_key_are_counted_told_and_not_recorded(gateway):
    before = gateway.total()
    ids = [call(gateway, "sk-sg-nobody")[1] for _ in range(40)]
    refused = until(
        lambda: gateway.json("status")["refused_requests"], lambda r: r["total"].get("invalid_api_key", 0) >= 40
    )
    assert refused["total"]["invalid_api_key"] == 40
    assert metrics(gateway)['switchgear_refused_requests_total{reason="invalid_api_key"}'] == "40.0"
    told = [line for line in lines(gateway) if line["message"] == "a request is refused: invalid_api_key"]
    assert len(told) == 10 and told[0]["request_id"] == ids[0] and told[0]["status"] == 401
    shown = gateway.cli("log", "show", ids[0], check=False)
    assert shown.returncode == 2 and "counted, not recorded" in shown.stderr
    assert gateway.total() == before


def test_a_provider_that_fails_is_a_line_and_a_request_one_in_the_access_log(gateway):
    key = gateway.key("app", "--team", "research")
    secret = "prompt-canary-4711"
    status, request_id = call(gateway, key, text=secret)
    assert status == 200
    mine = until(
        lambda: [line for line in lines(gateway) if line.get("request_id") == request_id],
        lambda found: "request" in [line["message"] for line in found],
    )
    assert [line["message"] for line in mine] == ["away: an attempt failed"] * 2 + ["request"]  # and one retry
    assert mine[0]["level"] == "warning" and mine[0]["provider"] == "away"
    access = mine[-1]
    assert (access["method"], access["path"], access["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (access["key"], access["team"], access["model"], access["provider"]) == ("app", "research", "fast", "up")
    assert access["attempts"] == 3 and access["outcome"] == "ok"
    assert secret not in gateway.log.read_text() and key not in gateway.log.read_text()
    found = until(
        lambda: metrics(gateway), lambda m: any(name.startswith("switchgear_latency_seconds_count") for name in m)
    )
    assert found['switchgear_latency_seconds_count{model="fast",provider="up"}'] == "1.0"
    assert found['switchgear_answers_total{model="fast",provider="up",status="200"}'] == "1.0"
    assert found["switchgear_in_flight_requests"] == "0.0"


def test_the_life_of_the_gateway_is_told():
    made = GatewayProcess("{}", workers=1, arguments=("--log-format", "json"))
    [edge] = made.pids("edge")
    os.kill(edge, signal.SIGKILL)
    until(lambda: made.pids("edge") not in ([], [edge]) and made.status().get("state") == "ready")
    folder = made.folder
    made.stop(keep=True)
    found = [line for line in lines(made) if line["process"] == "supervisor"]
    told = [line["message"] for line in found]
    assert told == [
        "starting", "ready", "edge-0 ended (signal SIGKILL); starting it again", "edge-0 is ready", "draining", "stopped",
    ]  # fmt: skip
    assert all(line["time"].endswith("Z") and line["level"] in {"info", "error"} for line in found)
    with contextlib.suppress(OSError):
        import shutil

        shutil.rmtree(folder)


def test_reloads_are_told_good_and_refused(provider):
    made = GatewayProcess(CONFIG.format(port=provider.port), workers=1, arguments=("--log-format", "json"))
    try:
        made.config.write_text(CONFIG.format(port=provider.port) + "  more: up/echo\n")
        made.process.send_signal(signal.SIGHUP)
        told = until(
            lambda: [line["message"] for line in lines(made)], lambda found: "the configuration was applied" in found
        )
        assert "SIGHUP: reading the configuration and TLS files again" in told
        made.config.write_text("modles: {}\n")
        made.process.send_signal(signal.SIGHUP)
        refused = until(
            lambda: [line for line in lines(made) if line["message"].startswith("the new configuration is not used")]
        )
        assert refused[0]["level"] == "error" and refused[0]["exit_code"] == 2 and "'models'" in refused[0]["trace"]
        assert made.status()["pids"]["supervisor"] == made.process.pid
    finally:
        made.stop()
