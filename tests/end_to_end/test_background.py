"""Answers that are made in the background: booked as an estimate, corrected once somebody is told what they cost.

OpenAI, "Background mode" (read 2026-11): the first answer has the status `queued` and no usage; GET /v1/responses/{id} has both when
it is finished. What the fake provider will charge it says in the usage of that answer.
"""

import json
import os
import signal
import time

import pytest
from tests.end_to_end.calls import call
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

PRICES = """    native/echo: {input_per_mtok: 100, output_per_mtok: 200}
    native/slow-1000: {input_per_mtok: 100, output_per_mtok: 200}
    native/slow-8000: {input_per_mtok: 100, output_per_mtok: 200}
"""
TEXT = "one two three four five"


@pytest.fixture
def running(tmp_path):
    provider = ProviderProcess()
    rules = '{passthrough: ["POST /responses", "GET /responses/*"], dialect: responses,'
    text = config(provider.port, PRICES).replace("{dialect: responses,", rules)
    gateway = GatewayProcess(text, folder=tmp_path, environ=ENVIRON, workers=1)
    allowed = ("native POST /responses", "native GET /responses/*")
    gateway.token = gateway.key(
        "later", "--team", "us", *(word for rule in allowed for word in ("--passthrough", rule))
    )
    yield gateway
    gateway.stop()
    provider.stop()


def begin(gateway, model):
    body = json.dumps({"model": model, "input": TEXT, "background": True})
    status, headers, data = call(gateway, gateway.token, body, "/v1/responses")
    answer = json.loads(data)
    assert status == 200, data
    assert (answer["status"], answer["usage"]) == ("queued", None)
    return headers["x-request-id"], answer["id"]


def corrections(gateway, count=1):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            found = [record for record in gateway.records() if record["kind"] == "correction"]
        except RuntimeError:  # control is on its way back
            found = []
        if len(found) >= count:
            return found
        time.sleep(0.2)
    raise AssertionError("nothing was corrected")


def price_of(usage):
    """100 and 200 USD a million, in nano-USD."""
    return usage["input_tokens"] * 100_000 + usage["output_tokens"] * 200_000


def agrees(gateway, first, usage):
    """Everything that tells a sum tells what the provider charged."""
    records = gateway.records()
    mine = [record for record in records if first in {record["id"], record["corrects"]}]
    assert {record["kind"] for record in mine} == {"request", "correction"} and len(mine) == 2
    assert sum(record["cost_nanousd"] for record in mine) == price_of(usage)
    assert sum(record["tokens"]["output"] for record in mine) == usage["output_tokens"]
    (correction,) = [record for record in mine if record["kind"] == "correction"]
    assert sum(line["cost_nanousd"] for line in correction["cost_lines"]) == correction["cost_nanousd"]
    for by in ("", "key", "provider", "deployment", "model"):
        total = gateway.json("usage", *(("--by", by) if by else ()))["total"]
        assert total["cost_nanousd"] == price_of(usage), by
        assert total["estimated_requests"] == 0
    verdict = gateway.json("ledger", "verify")
    assert verdict["differences"] == [] and verdict["gaps"] == [] and verdict["unreadable"] == 0
    status = json.loads(gateway.cli("status", "--json", check=False).stdout)
    assert [text for text in status["problems"] if "attempt" in text or "spool" in text] == []


def test_a_client_that_asks_later_corrects_what_was_booked(running):
    first, response_id = begin(running, "native/echo")
    status, _, data = call(running, running.token, None, f"/v1/responses/{response_id}", "GET")
    usage = json.loads(data)["usage"]
    assert status == 200 and usage["output_tokens"] > 0
    corrections(running)
    for _ in range(2):  # it is told again, and booked once
        assert call(running, running.token, None, f"/v1/responses/{response_id}", "GET")[0] == 200
    assert len(corrections(running)) == 1
    agrees(running, first, usage)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:  # what the key is told itself follows
        told = json.loads(call(running, running.token, None, "/v1/key", "GET")[2])
        if told["spend_today"]["cost_nanousd"] == price_of(usage):
            break
        time.sleep(0.2)
    assert told["spend_today"]["cost_nanousd"] == price_of(usage)


def test_the_gateway_asks_where_no_client_does(running):
    first, response_id = begin(running, "native/slow-1000")
    (correction,) = corrections(running)
    assert correction["corrects"] == first
    usage = json.loads(call(running, running.token, None, f"/v1/responses/{response_id}", "GET")[2])["usage"]
    agrees(running, first, usage)
    asked = [record for record in running.records() if (record["client"] or {}).get("tool") == "switchgear"]
    assert asked and all(record["cost_nanousd"] == 0 and record["team"]["id"] == "us" for record in asked)


def test_an_answer_that_was_begun_on_a_raw_path_is_corrected_once(running):
    body = json.dumps({"model": "echo", "input": TEXT, "background": True})
    status, headers, data = call(running, running.token, body, "/passthrough/native/responses")
    assert status == 200 and json.loads(data)["status"] == "queued"
    first, path = headers["x-request-id"], f"/passthrough/native/responses/{json.loads(data)['id']}"
    usage = json.loads(call(running, running.token, None, path, "GET")[2])["usage"]
    corrections(running)
    assert call(running, running.token, None, path, "GET")[0] == 200
    agrees(running, first, usage)


@pytest.mark.parametrize("role", ["edge", "control", "vault", "supervisor"])
def test_M2_a_killed_process_keeps_no_answer_from_being_corrected_once(running, role):
    first, response_id = begin(running, "native/slow-8000")
    until = time.monotonic() + PATIENCE_S
    while not any(record["id"] == first for record in running.records()) and time.monotonic() < until:
        time.sleep(0.1)
    (pid,) = running.pids(role)
    os.kill(pid, signal.SIGKILL)
    if role == "supervisor":
        running.process.wait()
        running.start()
    (correction,) = corrections(running)
    assert correction["corrects"] == first
    usage = json.loads(call(running, running.token, None, f"/v1/responses/{response_id}", "GET")[2])["usage"]
    agrees(running, first, usage)


def test_a_stream_that_its_client_left_is_charged_to_its_end(running):
    body = json.dumps({"model": "native/echo", "input": TEXT, "background": True, "stream": True})
    status, headers, _ = call(running, running.token, body, "/v1/responses")
    assert status == 200
    until = time.monotonic() + PATIENCE_S
    found = []
    while not found and time.monotonic() < until:
        found = [record for record in running.records() if record["id"] == headers["x-request-id"]]
    assert found[0]["cost_estimated"] is False, "a stream that came whole needs no correction"
