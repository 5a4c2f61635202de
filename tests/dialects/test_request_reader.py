"""What is read of a body before it is sent on."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.registry import DIALECTS
from switchgear.dialects.request_reader import parse

RULES = {
    (row.name, name): operation.rules
    for row in DIALECTS
    for name, operation in row.operations.items()
    if operation.rules is not None
}


def body(**fields):
    return json.dumps({"model": "a/b", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


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
        (b'{"model":"a","messages":[],"metadata":{"tags":[{}]}}', "metadata.tags"),
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


@pytest.mark.parametrize(("dialect", "operation"), [key for key, rules in RULES.items() if rules.required])
def test_every_shape_names_its_missing_key(dialect, operation):
    rules = RULES[dialect, operation]
    with pytest.raises(InvalidBodyError) as info:
        parse(
            b'{"model":"m"}' if rules.required != ("model",) else b"{}",
            dialect,
            operation,
            None if rules.has_model else "m",
        )
    assert info.value.param == rules.required[0]


def test_tags_may_be_numbers():
    body = b'{"model":"a","messages":[],"metadata":{"tags":["eu",7,1.5,true]}}'
    assert parse(body, "openai", "chat").tags == ["eu", "7", "1.5", "true"]


@pytest.mark.parametrize(
    ("user_id", "person", "session"),
    [
        ("ann", "ann", None),
        ("user_0a_account_1b_session_2c", None, "2c"),
        ('{"device_id":"d","session_id":"s9"}', None, "s9"),
        # As Claude Code sends it, of which members may be null or objects (seen in public code, 2026-11-27).
        ('{"device_id":"d","account_uuid":null,"session_id":"s9","more":{"a":1}}', None, "s9"),
        ({"device_id": "d", "session_id": "s9"}, None, "s9"),
        ("{not json", None, None),
    ],
)
def test_claude_codes_user_id_is_a_session_and_no_person(user_id, person, session):
    body = json.dumps({"model": "m", "messages": [], "max_tokens": 1, "metadata": {"user_id": user_id}}).encode()
    request = parse(body, "anthropic", "chat")
    assert (request.end_user, request.session) == (person, session)


def test_a_moderation_names_its_model_or_gets_the_default():
    """OpenAI API reference, moderations/create: `model` is optional and defaults to omni-moderation-latest."""
    found = parse(b'{"input":"x"}', "openai", "moderations")
    assert found.model == "omni-moderation-latest" and found.is_default_model
    found = parse(b'{"input":"x","model":"judge"}', "openai", "moderations")
    assert found.model == "judge" and not found.is_default_model
