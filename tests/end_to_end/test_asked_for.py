"""What a client may ask for beside its request: the cost in the usage, a dry run, its trace passed on; and what lists say."""

import json
import re
import time

import pytest
from tests.end_to_end.calls import call
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def gateway(provider):
    text = config(provider.port)
    own = f'  mine: {{dialect: openai, base_url: "http://127.0.0.1:{provider.port}/v1", allow_private: true, own: true, auth: none}}\n'
    text = text.replace("models:\n", own + "models:\n  quick: {alias: fast}\n", 1)
    text += "    fake/whisper: {per_second: 0.0001}\n    fake/pixels: {per_image: 0.04}\n    fake/voice: {per_million_characters: 15}\n"
    made = GatewayProcess(text, environ=ENVIRON, workers=1)
    made.token = made.key("asks")
    yield made
    made.stop()


def booked(gateway, request_id):
    """Wait for a record."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        for record in gateway.records():
            if record["id"] == request_id:
                return record
    raise AssertionError(f"{request_id} was not booked")


def asked(model, **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "one two three"}], **more})


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/chat/completions", asked("fake/echo"), ("usage",)),
        ("/v1/messages", asked("fake/echo", max_tokens=50), ("usage",)),
        ("/v1/responses", json.dumps({"model": "fake/echo", "input": "one two three"}), ("usage",)),
        ("/v1beta/models/fake/echo:generateContent", json.dumps({"contents": [{"parts": [{"text": "one two"}]}]}), ("usageMetadata",)),
    ],
)  # fmt: skip
def test_the_usage_tells_the_cost_to_who_asks(gateway, path, body, where):
    status, headers, data = call(gateway, gateway.token, body, path, x_switchgear_include="cost")
    assert status == 200
    found = json.loads(data, parse_float=str)
    for name in where:
        found = found[name]
    assert f"{float(found['cost']):.9f}" == headers["x-switchgear-cost-usd"]
    assert b'"cost"' not in call(gateway, gateway.token, body, path)[2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", asked("fake/stream-20-0", stream=True, stream_options={"include_usage": True})),
        ("/v1/messages", asked("fake/stream-20-0", stream=True, max_tokens=500)),
        ("/v1/responses", json.dumps({"model": "fake/stream-20-0", "input": "one", "stream": True})),
        ("/v1beta/models/fake/stream-20-0:streamGenerateContent?alt=sse", json.dumps({"contents": [{"parts": [{"text": "one"}]}]})),
    ],
)  # fmt: skip
def test_a_stream_tells_it_once_and_the_ledger_agrees(gateway, path, body):
    status, headers, data = call(gateway, gateway.token, body, path, x_switchgear_include="cost")
    assert status == 200
    [cost] = re.findall(rb'"cost":([0-9.]+)', data)
    record = booked(gateway, headers["x-request-id"])
    assert round(float(cost) * 1e9) == record["cost_nanousd"] > 0
    plain = call(gateway, gateway.token, body, path)[2]
    assert b'"cost"' not in plain
    assert plain.count(b"data:") == data.count(b"data:")


def test_a_dry_run_sends_nothing_and_says_what_would_be_done(gateway, provider):
    before = len(provider.seen())
    status, headers, data = call(gateway, gateway.token, asked("safe"), x_switchgear_dry_run="1")
    assert status == 200 and headers["x-switchgear-dry-run"] == "true"
    found = json.loads(data)
    assert [target["provider"] for target in found["targets"]] == ["dead", "fake"]
    assert b"main" not in data, "whose credential it would be is not told"
    assert found["model"] == "safe" and found["dry_run"] is True
    priced = json.loads(call(gateway, gateway.token, asked("fast", max_tokens=1000), x_switchgear_dry_run="true")[2])
    assert float(priced["cost_usd_estimate"]) >= 0.0006
    assert call(gateway, gateway.token, asked("nowhere"), x_switchgear_dry_run="1")[0] == 404
    assert call(gateway, gateway.token, '{"model":1}', x_switchgear_dry_run="1")[0] == 400
    assert len(provider.seen()) == before
    booked(gateway, call(gateway, gateway.token)[1]["x-request-id"])
    assert headers["x-request-id"] not in {record["id"] for record in gateway.records()}, "it is no request"


def test_a_trace_goes_on_to_ones_own_servers_only(gateway, provider):
    status, first, _ = call(gateway, gateway.token, asked("mine/echo"), traceparent=TRACE)
    assert status == 200
    assert provider.headers()[-1]["traceparent"] == TRACE
    assert call(gateway, gateway.token, asked("fake/echo"), traceparent=TRACE)[0] == 200
    assert "traceparent" not in provider.headers()[-1]
    assert call(gateway, gateway.token, asked("mine/echo"), traceparent="not a trace")[0] == 200
    assert "traceparent" not in provider.headers()[-1]
    record = booked(gateway, first["x-request-id"])
    assert record["trace_id"] == TRACE.split("-")[1]


def test_model_lists_tell_prices_and_other_names(gateway):
    models = {m["id"]: m for m in json.loads(call(gateway, gateway.token, None, "/v1/models", "GET")[2])["data"]}
    assert models["fast"]["pricing"] == {"input_per_mtok": "0.15", "output_per_mtok": "0.6"}
    assert models["fast"]["aliases"] == ["quick"]
    assert "pricing" not in models["hasty"], "unknown is not a price"
    one = json.loads(call(gateway, gateway.token, None, "/v1/models/fast", "GET")[2])
    assert one == models["fast"]
    claude = json.loads(call(gateway, gateway.token, None, "/v1/models", "GET", anthropic_version="2023-06-01")[2])
    assert next(m for m in claude["data"] if m["id"] == "fast")["pricing"]["output_per_mtok"] == "0.6"


def test_pictures_sound_and_speech_have_prices_of_their_own(gateway):
    import openai

    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=gateway.token, max_retries=0) as client:
        heard = client.audio.transcriptions.with_raw_response.create(
            model="fake/whisper", file=("a.wav", b"RIFF" * 2000)
        )
        drawn = client.images.with_raw_response.generate(model="fake/pixels", prompt="x")
        spoken = client.audio.speech.with_raw_response.create(model="fake/voice", voice="alloy", input="hello")
    for answer, cost, line in (
        (heard, 400_000, ("seconds", 4, "0.0001")),
        (drawn, 40_000_000, ("images", 1, "0.04")),
        (spoken, 75_000, ("characters", 5, "0.000015")),
    ):
        record = booked(gateway, answer.headers["x-request-id"])
        assert record["cost_nanousd"] == cost
        [found] = record["cost_lines"]
        assert (found["unit"], found["quantity"], found["unit_price"]) == line
    assert gateway.json("ledger", "verify")["differences"] == []
    assert "per_image" in gateway.json("price", "show", "fake/pixels")["units"]
