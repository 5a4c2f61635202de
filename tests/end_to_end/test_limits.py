"""docs/invariants.md N1, N3: limits hold over all edges of a machine, hot and cold, and a killed edge keeps nothing."""

import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

import anthropic
import openai
import pytest
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

EDGES = 4
CLIENTS = 12


@pytest.fixture(scope="module")
def limited(provider):
    running = GatewayProcess(config(provider.port), environ=ENVIRON, workers=EDGES)
    yield running
    assert running.stop() == 0


def ask(port, key, model="fake/echo", **more):
    """Return (status, headers, body) of a chat on a connection of its own, so that any edge may get it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], **more})
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def ask_at_once(gateway, key, count, model="fake/echo"):
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda _: ask(gateway.port, key, model), range(count)))


def statuses(answers):
    return {status: sum(1 for one, _, _ in answers if one == status) for status, _, _ in answers}


def test_N3_all_edges_together_admit_a_keys_limit_and_no_more_also_after_a_restart(provider):
    gateway = GatewayProcess(config(provider.port), environ=ENVIRON, workers=EDGES)
    try:
        key = gateway.key("rpm", "--limit", "30 requests/hour")
        assert statuses(ask_at_once(gateway, key, 120)) == {200: 30, 429: 90}
        gateway.stop(keep=True)
        gateway.start()
        assert statuses(ask_at_once(gateway, key, 20)) == {429: 20}
    finally:
        gateway.stop()


def test_N3_in_any_second_no_more_is_admitted_than_a_second_may_have(limited):
    key = limited.key("per-second", "--limit", "10 requests/second")
    spans, stop = [], time.monotonic() + 4

    def hammer():
        while time.monotonic() < stop:
            begun = time.monotonic()
            status, _, _ = ask(limited.port, key)
            if status == 200:
                spans.append((begun, time.monotonic()))

    threads = [threading.Thread(target=hammer) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spans) >= 20, "it goes on admitting"
    for _, first_end in spans:  # what was surely admitted within one second
        inside = [1 for begun, ended in spans if begun >= first_end - 0 and ended <= first_end + 1.0]
        assert len(inside) <= 10


def test_N1_no_more_requests_run_at_once_than_a_key_may_have(limited):
    key = limited.key("parallel", "--parallel", "3")
    answers = ask_at_once(limited, key, CLIENTS, "fake/slow-700")
    assert statuses(answers)[200] == 3
    assert {headers["retry-after"] for status, headers, _ in answers if status == 429} == {"1"}
    assert ask(limited.port, key)[0] == 200


def test_N1_a_killed_edge_leaks_no_slot_for_longer_than_its_successor_needs(limited):
    key = limited.key("killed", "--parallel", "4")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            running = [pool.submit(_ask_or_fail, limited.port, key) for _ in range(4)]
            _until(lambda: ask(limited.port, key)[0] == 429)
            for pid in limited.pids("edge"):
                os.kill(pid, signal.SIGKILL)
            killed_s = time.monotonic()
            for future in running:
                future.result()
            _until(lambda: statuses(ask_at_once(limited, key, 1)).get(200) == 1)
            assert time.monotonic() - killed_s < BACK_S + limited.start_s  # a successor cannot be quicker than a start
            _until(lambda: len(limited.pids("edge")) == EDGES and limited.status()["state"] == "ready")
            assert statuses(ask_at_once(limited, key, 4, "fake/slow-300")) == {200: 4}, "all four slots are free again"


BACK_S = float(os.environ.get("BACK_S", PATIENCE_S))
"""How soon slots are free again after a kill: BACK_S=2 on a machine that does nothing else."""


def _ask_or_fail(port, key):
    """Hold a slot until the edge is killed. One that has just begun may say 503, and who looks whether all are held may hold one."""
    status = 503
    while status in {429, 503}:
        try:
            status = ask(port, key, "fake/slow-20000")[0]
        except (OSError, http.client.HTTPException):
            status = 0
    return status


def _until(condition):
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_true_retry_after_admits_whoever_waits_so_long(limited):
    key = limited.key("patient", "--limit", "2 requests/second")
    assert [ask(limited.port, key)[0] for _ in range(2)] == [200, 200]
    status, headers, _ = ask(limited.port, key)
    assert status == 429
    time.sleep(int(headers["retry-after"]))
    assert ask(limited.port, key)[0] == 200


def test_a_revoked_key_is_refused_as_one_also_when_it_is_at_its_limit(limited):
    key = limited.key("gone", "--limit", "1 requests/hour")
    assert [ask(limited.port, key)[0] for _ in range(2)] == [200, 429]
    limited.cli("key", "revoke", "gone", "--yes")
    assert ask(limited.port, key)[0] == 401


def test_a_changed_limit_holds_for_the_next_request(limited):
    key = limited.key("changed", "--rpm", "1")
    assert [ask(limited.port, key)[0] for _ in range(2)] == [200, 429]
    limited.cli("key", "update", "changed", "--rpm", "3")
    assert [ask(limited.port, key)[0] for _ in range(3)] == [200, 200, 429]
    shown = limited.json("key", "show", "changed")
    assert shown["rpm"] == 3
    limited.cli("key", "update", "changed", "--rpm", "")
    assert ask(limited.port, key)[0] == 200
    assert limited.json("key", "show", "changed")["rpm"] is None


def test_limits_in_the_file_hold_for_deployments_models_and_all_keys(provider):
    more = """
organisation: {limits: [9 requests/hour]}
"""
    text = config(provider.port, more).replace(
        "  fast: fake/echo\n",
        "  fast: fake/echo\n"
        "  both: {limits: [5 requests/hour], deployments: [{provider: fake, model: echo-2, limits: [2 requests/hour]},"
        " {provider: native, model: echo, tier: 2}]}\n",
    )
    gateway = GatewayProcess(text, environ=ENVIRON, workers=2)
    try:
        keys = [gateway.key("one"), gateway.key("two")]
        answers = [ask(gateway.port, keys[number % 2], "both") for number in range(7)]
        assert [status for status, _, _ in answers] == [200] * 5 + [429] * 2
        assert [headers["x-switchgear-provider"] for _, headers, _ in answers[:5]] == ["fake"] * 2 + ["native"] * 3
        assert b"this model" in answers[5][2]
        assert statuses([ask(gateway.port, keys[0]) for _ in range(6)]) == {200: 4, 429: 2}, "nine of all keys"
    finally:
        gateway.stop()


def test_a_limit_that_is_none_is_a_configuration_error_with_path_line_and_suggestion(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "organisation: {rpm: 0}\nkeys:\n  a: {sha256: %s, limits: [5 tokns/minute]}\nmodels:\n  m: {alias: x, tpm: 5}\n"
        % ("ab" * 32)
    )
    command = [sys.executable, "-m", "switchgear.cli", "config", "check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "organisation.rpm" in said and "wrong.yaml:1" in said
    assert "keys.a.limits[0]" in said and "did you mean 'tokens'?" in said and "wrong.yaml:3" in said
    assert "models.m.tpm" in said


@pytest.mark.parametrize("arguments", [("--rpm", "0"), ("--limit", "5 apples/day"), ("--limit", "0 requests/day")])
def test_a_limit_that_is_none_is_refused_with_its_path(limited, arguments):
    done = limited.cli("key", "create", "wrong", *arguments, check=False)
    assert done.returncode == 2
    assert {"--rpm": "rpm:", "--limit": "limits[0]:"}[arguments[0]] in done.stderr


def test_official_sdks_raise_their_own_exception_and_read_the_wait(limited):
    key = limited.key("sdks", "--limit", "1 requests/hour")
    client = openai.OpenAI(api_key=key, base_url=f"{limited.url}/v1", max_retries=0)
    asked = {"model": "fake/echo", "messages": [{"role": "user", "content": "hello"}]}
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.headers["x-ratelimit-limit-requests"] == "1"
    assert raw.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(**asked)
    assert refused.value.code == "rate_limit_exceeded"
    assert 3500 < int(refused.value.response.headers["retry-after"]) <= 3660
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="fake/echo", input="hello")
    other = anthropic.Anthropic(api_key=key, base_url=limited.url, max_retries=0)
    with pytest.raises(anthropic.RateLimitError) as refused:
        other.messages.create(max_tokens=5, **asked)
    assert refused.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"


def test_a_key_sees_its_limits_and_what_is_left(limited):
    key = limited.key("sees", "--rpm", "5", "--tpm", "100000")
    ask(limited.port, key)
    connection = http.client.HTTPConnection("127.0.0.1", limited.port, timeout=PATIENCE_S)
    connection.request("GET", "/v1/key", headers={"authorization": f"Bearer {key}"})
    found = {row["rule"]: row for row in json.load(connection.getresponse())["limits"]}
    connection.close()
    assert (found["5 requests/minute"]["limit"], found["5 requests/minute"]["remaining"]) == (5, 4)
    assert found["5 requests/minute"]["of"] == "key"
    assert found["100000 tokens/minute"]["used"] < 100
