"""Members that are left out, and limits that are filled in."""

import json

import pytest

from switchgear.dialects.amend import amend
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
BODIES = {
    "openai": CHAT,
    "responses": {"model": "m", "input": "hi"},
    "anthropic": CHAT,
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "bedrock": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
    "cohere": CHAT,
}


def asked(dialect="openai", **more):
    path_model = "m" if dialect in {"gemini", "bedrock"} else None
    return parse(json.dumps({**BODIES[dialect], **more}).encode(), dialect, "chat", path_model)


def sent(request, provider, drop=(), max_tokens=None, quirks=None):
    translation = open_translation(
        request, request.dialect, provider, "up", quirks or Quirks(), created=0, drop=drop, max_tokens=max_tokens
    )
    body = translation.body if isinstance(translation.body, bytes) else b"".join(translation.body)
    return json.loads(body), translation.dropped


def test_named_members_are_left_out_and_noted_in_the_same_dialect():
    body, dropped = sent(asked(logit_bias={"1": 1}, seed=3), "openai", drop=("logit_bias", "absent"))
    assert "logit_bias" not in body and body["seed"] == 3 and dropped == ["logit_bias"]


def test_named_members_are_left_out_before_a_translation():
    body, dropped = sent(asked(temperature=0.5, top_p=0.5), "gemini", drop=("temperature",))
    assert body["generationConfig"]["topP"] == 0.5 and "temperature" not in body["generationConfig"]
    assert "temperature" in dropped


def test_a_member_inside_an_object_can_be_named():
    body, dropped = sent(
        asked("gemini", generationConfig={"topK": 3, "topP": 0.5}), "gemini", drop=("generationConfig.topK",)
    )
    assert body["generationConfig"] == {"topP": 0.5} and dropped == ["generationConfig.topK"]


@pytest.mark.parametrize("dialect", BODIES)
def test_a_limit_is_filled_in_where_the_client_gave_none(dialect):
    body, _ = sent(asked(dialect), dialect, max_tokens=4096)
    for name in BY_NAME[dialect].operations["chat"].rules.limit.split("."):
        body = body[name]
    assert body == 4096


def test_the_clients_own_limit_stands():
    assert sent(asked(max_tokens=7), "openai", max_tokens=4096)[0]["max_tokens"] == 7
    body, _ = sent(asked(max_completion_tokens=7), "openai", max_tokens=4096)
    assert body["max_completion_tokens"] == 7 and "max_tokens" not in body


def test_a_filled_in_limit_is_translated():
    assert sent(asked(), "anthropic", max_tokens=77)[0]["max_tokens"] == 77
    assert sent(asked(), "gemini", max_tokens=77)[0]["generationConfig"]["maxOutputTokens"] == 77


def test_an_added_output_limit_has_the_providers_name_for_it():
    body, _ = sent(asked(), "openai", max_tokens=77, quirks=Quirks(max_tokens="max_completion_tokens"))
    assert body["max_completion_tokens"] == 77 and "max_tokens" not in body


def test_nothing_asked_is_nothing_changed():
    request = asked(seed=3)
    assert amend(request, None, (), None, "max_tokens") == (request, [])
    assert amend(request, None, ("logit_bias",), None, "max_tokens")[0] is request
