"""Bodies for a provider of the same dialect."""

import json

from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.request_writer import upstream_body


def written(request, *more):
    return upstream_body(request, BY_NAME[request.dialect], *more)


def body(**fields):
    return json.dumps({"model": "a/b", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def test_unknown_fields_stay_byte_identical():
    raw = (
        b'{"model":"a/b", "messages":[ {"role":"user" , "content":"\\u00e9 \xc3\xa9"} ],"x_new": [1.50, {"a":  null}]}'
    )
    out = written(parse(raw, "openai", "chat"), "b", True)
    assert b'[ {"role":"user" , "content":"\\u00e9 \xc3\xa9"} ]' in out
    assert b'[1.50, {"a":  null}]' in out
    assert json.loads(out)["model"] == "b"


def test_usage_is_asked_for_in_streams_only_where_the_client_did_not():
    asked = json.loads(written(parse(body(stream=True), "openai", "chat"), "b", True))
    assert asked["stream_options"] == {"include_usage": True}
    kept = written(
        parse(body(stream=True, stream_options={"include_usage": True, "x": 1}), "openai", "chat"), "b", True
    )
    assert json.loads(kept)["stream_options"] == {"include_usage": True, "x": 1}
    merged = written(parse(body(stream=True, stream_options={"x": 1}), "openai", "chat"), "b", True)
    assert json.loads(merged)["stream_options"] == {"x": 1, "include_usage": True}
    assert "stream_options" not in json.loads(written(parse(body(stream=True), "openai", "chat"), "b", False))
    assert "stream_options" not in json.loads(written(parse(body(), "openai", "chat"), "b", True))


def test_our_own_keys_are_consumed():
    out = json.loads(
        written(parse(body(metadata={"tags": ["a"], "x": "y"}, num_retries=3), "openai", "chat"), "b", True)
    )
    assert out["metadata"] == {"x": "y"}
    assert "num_retries" not in out
    out = json.loads(written(parse(body(metadata={"tags": ["a"]}), "openai", "chat"), "b", True))
    assert "metadata" not in out


def test_the_paths_model_and_stream_win():
    request = parse(b'{"messages":[]}', "anthropic", "chat", "claude", True)
    assert json.loads(written(request, "claude", True)) == {"messages": [], "model": "claude", "stream": True}
    request = parse(b'{"contents":[],"generationConfig":{"maxOutputTokens":7}}', "gemini", "chat", "g", True)
    assert (request.output_tokens_max, request.stream) == (7, True)
    assert json.loads(written(request, "other", True)) == {
        "contents": [],
        "generationConfig": {"maxOutputTokens": 7},
    }


def test_a_large_body_is_made_of_parts_and_says_the_same():
    text = "é" * 400_000
    raw = body(messages=[{"role": "user", "content": text}], num_retries=1)
    parts = written(parse(raw, "openai", "chat"), "b", True, {"x": 5, "temperature": None})
    assert isinstance(parts, list)
    sent = json.loads(b"".join(parts))
    assert sent == {"model": "b", "messages": [{"role": "user", "content": text}], "x": 5}
