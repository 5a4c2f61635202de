"""Bodies of requests: what is read, edited and left alone."""

import contextlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects.request import SHAPES, parse, upstream_body
from switchgear.dialects.shape import InvalidBodyError


def body(**fields):
    return json.dumps({"model": "a/b", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def test_unknown_fields_stay_byte_identical():
    raw = (
        b'{"model":"a/b", "messages":[ {"role":"user" , "content":"\\u00e9 \xc3\xa9"} ],"x_new": [1.50, {"a":  null}]}'
    )
    out = upstream_body(parse(raw, "openai", "chat"), "b", True)
    assert b'[ {"role":"user" , "content":"\\u00e9 \xc3\xa9"} ]' in out
    assert b'[1.50, {"a":  null}]' in out
    assert json.loads(out)["model"] == "b"


def test_usage_is_asked_for_in_streams_only_where_the_client_did_not():
    asked = json.loads(upstream_body(parse(body(stream=True), "openai", "chat"), "b", True))
    assert asked["stream_options"] == {"include_usage": True}
    kept = upstream_body(
        parse(body(stream=True, stream_options={"include_usage": True, "x": 1}), "openai", "chat"), "b", True
    )
    assert json.loads(kept)["stream_options"] == {"include_usage": True, "x": 1}
    merged = upstream_body(parse(body(stream=True, stream_options={"x": 1}), "openai", "chat"), "b", True)
    assert json.loads(merged)["stream_options"] == {"x": 1, "include_usage": True}
    assert "stream_options" not in json.loads(upstream_body(parse(body(stream=True), "openai", "chat"), "b", False))
    assert "stream_options" not in json.loads(upstream_body(parse(body(), "openai", "chat"), "b", True))


def test_our_own_keys_are_consumed():
    out = json.loads(
        upstream_body(parse(body(metadata={"tags": ["a"], "x": "y"}, num_retries=3), "openai", "chat"), "b", True)
    )
    assert out["metadata"] == {"x": "y"}
    assert "num_retries" not in out
    out = json.loads(upstream_body(parse(body(metadata={"tags": ["a"]}), "openai", "chat"), "b", True))
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
        (b'{"model":"a","messages":[],"metadata":{"tags":[1]}}', "metadata.tags"),
        (b'{"model":"a","model":"b","messages":[]}', None),
        (b'{"model":"a","mod\\u0065l":"b","messages":[]}', None),
        (b'{"model":"a","messages":"\xff"}', None),
        (b'{"model":"a","messages":' + b"[" * 100 + b"]" * 100 + b"}", None),
        (b'{"model":"a","messages":' + b"[" * 100_000, None),
    ],
)
def test_H4_bad_bodies_name_what_is_wrong(raw, param):
    with pytest.raises(InvalidBodyError) as info:
        parse(raw, "openai", "chat")
    assert info.value.param == param


def test_H4_depth_counts_structure_not_text():
    deep = body(messages=[{"role": "user", "content": "[" * 1000 + "{" * 1000}])
    assert parse(deep, "openai", "chat").model == "a/b"


@given(st.binary(max_size=200))
def test_garbage_is_an_invalid_body(raw):
    with contextlib.suppress(InvalidBodyError):
        parse(raw, "openai", "chat")


@pytest.mark.parametrize(("dialect", "operation"), [key for key, shape in SHAPES.items() if shape.required])
def test_every_shape_names_its_missing_key(dialect, operation):
    shape = SHAPES[dialect, operation]
    with pytest.raises(InvalidBodyError) as info:
        parse(
            b'{"model":"m"}' if shape.required != ("model",) else b"{}",
            dialect,
            operation,
            None if shape.has_model else "m",
        )
    assert info.value.param == shape.required[0]


def test_the_paths_model_and_stream_win():
    request = parse(b'{"messages":[]}', "anthropic", "chat", "claude", True)
    assert json.loads(upstream_body(request, "claude", True)) == {"messages": [], "model": "claude", "stream": True}
    request = parse(b'{"contents":[],"generationConfig":{"maxOutputTokens":7}}', "gemini", "chat", "g", True)
    assert (request.output_tokens_max, request.stream) == (7, True)
    assert json.loads(upstream_body(request, "other", True)) == {
        "contents": [],
        "generationConfig": {"maxOutputTokens": 7},
    }


def test_cursors_body_is_read_as_what_it_is():
    assert parse(b'{"model":"m","input":"hi"}', "openai", "chat").dialect == "responses"


@pytest.mark.parametrize(
    ("user_id", "person", "session"),
    [
        ("ann", "ann", None),
        ("user_0a_account_1b_session_2c", None, "2c"),
        ('{"device_id":"d","session_id":"s9"}', None, "s9"),
        ("{not json", None, None),
    ],
)
def test_claude_codes_user_id_is_a_session_and_no_person(user_id, person, session):
    body = json.dumps({"model": "m", "messages": [], "max_tokens": 1, "metadata": {"user_id": user_id}}).encode()
    request = parse(body, "anthropic", "chat")
    assert (request.end_user, request.session) == (person, session)


def test_a_large_body_is_made_of_parts_and_says_the_same():
    text = "é" * 400_000
    raw = body(messages=[{"role": "user", "content": text}], num_retries=1)
    parts = upstream_body(parse(raw, "openai", "chat"), "b", True, {"x": 5, "temperature": None})
    assert isinstance(parts, list)
    sent = json.loads(b"".join(parts))
    assert sent == {"model": "b", "messages": [{"role": "user", "content": text}], "x": 5}


def test_a_request_that_lets_go_keeps_its_small_values_and_not_the_body():
    large = b'{"model":"m","store":false,"messages":[{"role":"user","content":"%b"}],"stream":true}' % (b"x" * 100_000)
    asked = parse(large, "openai", "chat")
    before = sys.getrefcount(large)
    asked.let_go()
    assert bytes(asked.fields["store"]) == b"false" and bytes(asked.fields["messages"]) == b"null"
    assert sys.getrefcount(large) < before, "nothing of it points into the body any more"


def test_flat_tools_are_put_into_chats_shape_and_noted():
    flat = {"type": "function", "name": "run", "description": "d", "parameters": {"type": "object"}, "strict": True}
    body = {
        "model": "m",
        "messages": [],
        "tools": [flat, {"type": "custom", "custom": {"name": "x"}}],
        "tool_choice": {"type": "function", "name": "run"},
    }
    asked = parse(json.dumps(body).encode(), "openai", "chat")
    tools = json.loads(bytes(asked.fields["tools"]))
    assert tools[0] == {"type": "function", "function": {key: value for key, value in flat.items() if key != "type"}}
    assert tools[1] == {"type": "custom", "custom": {"name": "x"}}
    assert json.loads(bytes(asked.fields["tool_choice"])) == {"type": "function", "function": {"name": "run"}}
    assert asked.tags == ["quirk=flat-tools"]


def test_tools_in_chats_shape_stay_as_they_came():
    raw = b'{"model":"m","messages":[],"tools":[ {"type":"function" , "function" : {"name":"run"}} ]}'
    asked = parse(raw, "openai", "chat")
    assert (
        bytes(asked.fields["tools"]) == b'[ {"type":"function" , "function" : {"name":"run"}} ]' and asked.tags is None
    )


NESTED = [
    ("embeddings_batch", '{"requests":[{"model":"%s","content":{"parts":[{"text":"x"}]}}]}'),
    ("count_tokens", '{"generateContentRequest":{"model":"%s","contents":[]}}'),
    ("count_tokens", '{"generate_content_request":{"model":"%s","contents":[]}}'),
]


@pytest.mark.parametrize(("operation", "body"), NESTED)
def test_a_model_within_a_body_of_gemini_is_the_one_of_its_path(operation, body):
    # Gemini API reference, "models.batchEmbedContents": "The model in each of these requests must match the model specified".
    for other in ("models/other", "other", ""):
        with pytest.raises(InvalidBodyError):
            parse((body % other).encode(), "gemini", operation, "mine", False)
    asked = parse((body % "models/mine").encode(), "gemini", operation, "mine", False)
    sent = bytes(upstream_body(asked, "real", False)).decode()
    assert json.loads(sent) == json.loads(body % "models/real")


@pytest.mark.parametrize("key", ["Model", "MODEL"])
def test_a_model_in_other_letters_within_a_body_of_gemini_is_refused(key):
    body = f'{{"requests":[{{"model":"models/mine","{key}":"models/other"}}]}}'
    with pytest.raises(InvalidBodyError):
        parse(body.encode(), "gemini", "embeddings_batch", "mine", False)


def test_a_model_that_stands_twice_within_a_body_of_gemini_is_sent_once():
    body = b'{"requests":[{"model":"models/other","model":"models/mine"}]}'
    asked = parse(body, "gemini", "embeddings_batch", "mine", False)
    assert bytes(upstream_body(asked, "mine", False)) == b'{"requests":[{"model":"models/mine"}]}'
