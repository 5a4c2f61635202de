"""The OpenAI dialect: what is read, edited and passed on."""

import contextlib
import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.dialects import openai
from switchgear.dialects.openai import InvalidBodyError, StreamMeter, parse_request, read_answer, upstream_body


def body(**fields):
    return json.dumps({"model": "a/b", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def test_unknown_fields_stay_byte_identical():
    raw = (
        b'{"model":"a/b", "messages":[ {"role":"user" , "content":"\\u00e9 \xc3\xa9"} ],"x_new": [1.50, {"a":  null}]}'
    )
    out = upstream_body(parse_request(raw, "chat"), "b", True)
    assert b'[ {"role":"user" , "content":"\\u00e9 \xc3\xa9"} ]' in out
    assert b'[1.50, {"a":  null}]' in out
    assert json.loads(out)["model"] == "b"


def test_usage_is_asked_for_in_streams_only_where_the_client_did_not():
    asked = json.loads(upstream_body(parse_request(body(stream=True), "chat"), "b", True))
    assert asked["stream_options"] == {"include_usage": True}
    kept = upstream_body(
        parse_request(body(stream=True, stream_options={"include_usage": True, "x": 1}), "chat"), "b", True
    )
    assert json.loads(kept)["stream_options"] == {"include_usage": True, "x": 1}
    merged = upstream_body(parse_request(body(stream=True, stream_options={"x": 1}), "chat"), "b", True)
    assert json.loads(merged)["stream_options"] == {"x": 1, "include_usage": True}
    assert "stream_options" not in json.loads(upstream_body(parse_request(body(stream=True), "chat"), "b", False))
    assert "stream_options" not in json.loads(upstream_body(parse_request(body(), "chat"), "b", True))


def test_our_own_keys_are_consumed():
    out = json.loads(
        upstream_body(parse_request(body(metadata={"tags": ["a"], "x": "y"}, num_retries=3), "chat"), "b", True)
    )
    assert out["metadata"] == {"x": "y"}
    assert "num_retries" not in out
    out = json.loads(upstream_body(parse_request(body(metadata={"tags": ["a"]}), "chat"), "b", True))
    assert "metadata" not in out


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'"x"', None),
        (b"{", None),
        (b'{"messages":[]}', "model"),
        (b'{"model":"a"}', "messages"),
        (b'{"model":1,"messages":[]}', "model"),
        (b'{"model":"","messages":[]}', "model"),
        (b'{"model":"a","messages":[],"stream":"yes"}', "stream"),
        (b'{"model":"a","messages":[],"max_tokens":-1}', "max_tokens"),
        (b'{"model":"a","messages":[],"max_tokens":"9"}', "max_tokens"),
        (b'{"model":"a","messages":[],"user":5}', "user"),
        (b'{"model":"a","messages":[],"stream":true,"stream_options":[]}', "stream_options"),
        (b'{"model":"a","messages":[],"metadata":{"tags":"x"}}', "metadata"),
        (b'{"model":"a","model":"b","messages":[]}', None),
        (b'{"model":"a","mod\\u0065l":"b","messages":[]}', None),
        (b'{"model":"a","messages":"\xff"}', None),
        (b'{"model":"a","messages":' + b"[" * 100 + b"]" * 100 + b"}", None),
        (b'{"model":"a","messages":' + b"[" * 100_000, None),
    ],
)
def test_H4_bad_bodies_name_what_is_wrong(raw, param):
    with pytest.raises(InvalidBodyError) as info:
        parse_request(raw, "chat")
    assert info.value.param == param


def test_H4_depth_counts_structure_not_text():
    deep = body(messages=[{"role": "user", "content": "[" * 1000 + "{" * 1000}])
    assert parse_request(deep, "chat").model == "a/b"


@given(st.binary(max_size=200))
def test_garbage_is_an_invalid_body(raw):
    with contextlib.suppress(InvalidBodyError):
        parse_request(raw, "chat")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, TokenUsage(input=10, output=5)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            TokenUsage(input=6, cache_read=4, output=2, reasoning=3),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8},
            TokenUsage(input=2, cache_read=8, output=5),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"audio_tokens": 2},
                "completion_tokens_details": {"audio_tokens": 1},
            },
            TokenUsage(input=8, audio_in=2, output=4, audio_out=1),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_usage_is_read_into_disjoint_buckets(usage, expected):
    found = read_answer(json.dumps({"id": "x", "usage": usage, "choices": [{"finish_reason": "stop"}]}).encode()).usage
    assert found == expected


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html>", b'{"choices":5}', b'{"usage":{"prompt_tokens":1e400}}'])
def test_a_strange_answer_is_no_reading(raw):
    assert read_answer(raw).usage is None


def chunk(**fields):
    return (
        b"data: "
        + json.dumps({"id": "c1", "choices": [{"index": 0, "delta": {"content": "word "}}], **fields}).encode()
        + b"\n\n"
    )


LAST = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = chunk(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3})
STREAM = chunk() * 3 + b": ping\n\n" + LAST + USAGE + b"data: [DONE]\n\n"


def run(pieces, hide=True):
    meter = StreamMeter(hide)
    out = b"".join(meter.feed(piece) for piece in pieces) + meter.finish()
    return meter, out


@pytest.mark.parametrize("hide", [True, False])
def test_every_cut_of_a_stream_gives_the_same_bytes_and_usage(hide):
    expected = STREAM.replace(USAGE, b"") if hide else STREAM
    for at in range(1, len(STREAM)):
        meter, out = run([STREAM[:at], STREAM[at:]], hide)
        assert out == expected
        assert meter.reading.usage == TokenUsage(input=7, output=3)
        assert meter.is_clean
        assert meter.reading.finish_reason == "stop"


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_many_cuts_too(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    meter, out = run([STREAM[a:b] for a, b in itertools.pairwise(edges)])
    assert out == STREAM.replace(USAGE, b"")
    assert meter.reading.response_id == "c1"


def test_a_provider_that_reports_usage_on_each_chunk_keeps_its_chunks():
    stream = chunk(usage={"prompt_tokens": 7, "completion_tokens": 1}) + chunk(
        usage={"prompt_tokens": 7, "completion_tokens": 2}
    )
    meter, out = run([stream])
    assert out == stream
    assert meter.reading.usage.output == 2


def test_H6_a_cut_stream_and_an_error_event_are_no_clean_end():
    meter, _ = run([chunk()])
    assert not meter.is_clean
    meter, out = run([chunk(), b'data: {"error":{"message":"x"}}\n\n'])
    assert meter.error and not meter.is_clean and b"error" in out


def test_an_estimate_counts_at_least_one_token_per_event():
    meter, _ = run([chunk() * 20])
    assert meter.output_estimate >= 20


def test_a_refusal_has_the_openai_shape_and_the_request_id():
    problem = Problem(problems.INVALID_KEY, "no", None)
    error = json.loads(openai.render_error(problem, "id1"))["error"]
    assert error == {
        "message": "no (request id: id1)",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert openai.render_stream_error(problem, "id1").startswith(b"data: {")


def test_recorded_exchanges_give_the_recorded_usage(recordings):
    checked = 0
    for file in ("openai", "groq", "mistral", "deepseek", "cerebras", "openrouter"):
        for line in (recordings / f"{file}.jsonl").read_text().splitlines():
            exchange = json.loads(line)
            if not exchange["path"].endswith(("/chat/completions", "/embeddings")) or exchange["status"] != 200:
                continue
            answer = exchange["response"]
            request = exchange["request"].get("json")
            if request is not None:
                raw = json.dumps(request).encode()
                operation = "chat" if "messages" in request else "embeddings"
                assert json.loads(upstream_body(parse_request(raw, operation), request["model"], False)) == request
            if "json" in answer:
                recorded, found = answer["json"].get("usage"), read_answer(json.dumps(answer["json"]).encode()).usage
            elif "text" in answer:
                stream = answer["text"].encode()
                meter, out = run([stream[at : at + 77] for at in range(0, len(stream), 77)], hide=False)
                assert out == stream
                found = meter.reading.usage
                chunks = [
                    json.loads(e[5:])
                    for e in answer["text"].replace("\r", "").split("\n\n")
                    if e.startswith("data:") and "[DONE]" not in e
                ]
                usages = [c.get("usage") or (c.get("x_groq") or {}).get("usage") for c in chunks]
                recorded = next((u for u in reversed(usages) if u), None)
            else:
                continue
            if recorded is None:
                assert found is None
                continue
            assert found.input_total == recorded["prompt_tokens"]
            reasoning = (recorded.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
            assert found.output_total in {
                recorded.get("completion_tokens") or 0,
                (recorded.get("completion_tokens") or 0) + reasoning,
            }
            checked += 1
    assert checked > 50


def test_bodies_are_encoded_as_given():
    assert openai.encode_body({"a": msgspec.Raw(b"1.0")}) == b'{"a":1.0}'
