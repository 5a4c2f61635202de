"""The official OpenAI SDK as a client."""

import asyncio
import json
import time

import openai
import pytest

from switchgear.testing.patience import PATIENCE_S


@pytest.fixture(scope="module")
def client(gateway, key):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as made:
        yield made


MESSAGES = [{"role": "user", "content": "hello gateway"}]


def test_a_plain_answer_and_its_record(client, gateway):
    raw = client.chat.completions.with_raw_response.create(model="fast", messages=MESSAGES, user="person-1")
    answer = raw.parse()
    assert answer.choices[0].message.content == "hello gateway"
    assert answer.usage.total_tokens == 4
    assert raw.headers["x-switchgear-cost-usd"] == "0.000001500"
    assert raw.headers["x-switchgear-provider"] == "fake"
    request_id = raw.headers["x-request-id"]
    record = _record(gateway, request_id)
    assert record["cost_nanousd"] == 1500
    assert record["team"]["name"] == "quality"
    assert record["end_user"] == {"id": "person-1", "source": "body.user"}
    assert record["client"]["tool"].startswith("OpenAI")
    assert record["tokens"]["input"] == 2
    assert [line["meter"] for line in record["cost_lines"]] == ["input", "output"]
    assert record["attempts"][0]["id"] == request_id + "-1"


def _record(gateway, request_id):
    until = time.monotonic() + PATIENCE_S
    while True:
        done = gateway.cli("log", "show", request_id, "--json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert time.monotonic() < until, done.stderr
        time.sleep(0.1)


def test_a_stream_hides_the_usage_it_asked_for(client, gateway):
    chunks = list(client.chat.completions.create(model="fake/stream-20-0", messages=MESSAGES, stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)
    assert "".join(c.choices[0].delta.content or "" for c in chunks).split() == [f"w{n}" for n in range(20)]


def test_a_stream_shows_usage_when_asked(client):
    chunks = list(
        client.chat.completions.create(
            model="fake/stream-20-0", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].usage.completion_tokens == 20


def test_async_streams_at_once(gateway, key):
    async def run():
        async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key=key) as client:

            async def one():
                stream = await client.chat.completions.create(model="fake/stream-20-0", messages=MESSAGES, stream=True)
                return len([chunk async for chunk in stream])

            return await asyncio.gather(*(one() for _ in range(20)))

    assert set(asyncio.run(run())) == {22}


def test_tools_embeddings_completions_and_extra_body(client):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    answer = client.chat.completions.create(
        model="fast", messages=MESSAGES, tools=[tool], extra_body={"x_unknown": [1]}
    )
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"
    assert client.embeddings.create(model="fast", input="a b", encoding_format="float").data[0].embedding[0] == 0.25
    assert client.completions.create(model="fast", prompt="a b").choices[0].text == "a b"


def test_the_sdk_lists_models_and_an_unknown_one_is_not_found(client):
    assert {"fast", "safe", "careful"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("fast").id == "fast"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        ("nope", openai.NotFoundError, "does not exist"),
        ("fake/status-500", openai.InternalServerError, "status 500 as asked"),
        ("fake/status-429", openai.RateLimitError, "status 429"),
        ("fake/status-400", openai.BadRequestError, "status 400"),
        ("fake/status-401", openai.InternalServerError, "refused the gateway's credential"),
        ("fake/drop", openai.InternalServerError, "closed the connection"),
        ("fake/cut-1", openai.InternalServerError, "closed the connection"),
        ("dead/x", openai.InternalServerError, "cannot be reached"),
        ("hasty", openai.InternalServerError, "too slow"),
    ],
)
def test_errors_have_their_class_and_their_reason(client, model, error, text):
    with pytest.raises(error) as info:
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert text in str(info.value)


def test_a_wrong_key_is_an_authentication_error(gateway):
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="fast", messages=MESSAGES)


def test_H6_a_broken_stream_ends_with_an_error(client):
    with pytest.raises(openai.APIError, match="closed the connection"):
        list(client.chat.completions.create(model="fake/cut-1", messages=MESSAGES, stream=True))


def test_retry_and_fallback_are_seen_in_the_record(client, gateway):
    raw = client.chat.completions.with_raw_response.create(model="fake/flaky-1", messages=MESSAGES)
    assert raw.headers["x-switchgear-attempts"] == "2"
    raw = client.chat.completions.with_raw_response.create(model="safe", messages=MESSAGES)
    record = _record(gateway, raw.headers["x-request-id"])
    assert record["provider"] == "fake"
    assert record["attempts"][0]["deployment"].startswith("dead/") and record["attempts"][0]["error"] == "connect"
    raw = client.chat.completions.with_raw_response.create(model="careful", messages=MESSAGES)
    record = _record(gateway, raw.headers["x-request-id"])
    assert [a["status"] for a in record["attempts"]] == [500, 200]
    assert record["outcome"] == "ok"


def test_the_credential_and_client_headers_stay_where_they_belong(client, provider, key):
    strange = {"cookie": "a=b", "x-secret": "x"}
    raw = client.chat.completions.with_raw_response.create(model="fast", messages=MESSAGES, extra_headers=strange)
    seen = provider.headers()
    head = next(head for head in seen if head.get("x-client-request-id") == raw.headers["x-request-id"] + "-1")
    assert head["authorization"].startswith("Bearer sk-provider-")
    assert all("cookie" not in head and "x-secret" not in head for head in seen)
    assert all(key not in str(head) for head in seen)
