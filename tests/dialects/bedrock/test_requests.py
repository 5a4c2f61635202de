"""Bedrock: requests."""

import json

import pytest
from tests.dialects import golden_cases

from switchgear.dialects import canonical
from switchgear.dialects.bedrock import requests
from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks


def test_names_of_documents_are_made_what_bedrock_allows():
    part = canonical.Media("file", "application/pdf", "JVBERi0=", name="a_b/c.pdf")
    body = requests.encode_request(
        canonical.Request(model="m", messages=[canonical.Message("user", [part])]), "nova", Quirks()
    )
    assert body["messages"][0]["content"][0]["document"]["name"] == "a b c pdf"


def test_unknown_files_are_refused():
    part = canonical.Media("file", "application/x-thing", "AAAA")
    with pytest.raises(InvalidBodyError, match="x-thing"):
        requests.encode_request(
            canonical.Request(model="m", messages=[canonical.Message("user", [part])]), "nova", Quirks()
        )


def test_claudes_own_fields_are_dropped_for_other_models():
    request = canonical.Request(model="m", messages=[], top_k=5, reasoning=canonical.Reasoning("low"))
    requests.encode_request(request, "us.amazon.nova-lite-v1:0", Quirks())
    assert {"top_k", "reasoning"} <= set(request.dropped)


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("bedrock"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)


def encoded(*parts, model="anthropic.claude-sonnet-4-5-v1:0", **more):
    request = canonical.Request(model="m", messages=[canonical.Message("user", list(parts))], **more)
    return requests.encode_request(request, model, Quirks()), request


def test_documents_have_names_of_their_own_without_two_spaces_and_a_text_beside_them():
    """Amazon Bedrock API reference, DocumentBlock and ContentBlock."""
    files = [canonical.Media("file", "application/pdf", "JVBERi0=", name="a__b.pdf") for _ in range(2)]
    content = encoded(*files)[0]["messages"][0]["content"]
    assert [block["document"]["name"] for block in content[:2]] == ["a b pdf", "a b pdf 2"]
    assert content[2] == {"text": requests.BESIDE_DOCUMENT}
    assert len(encoded(files[0], canonical.Text("read"))[0]["messages"][0]["content"]) == 2


def test_models_that_choose_alone_and_cache_nothing_are_not_told_to():
    """Amazon Bedrock API reference, ToolChoice; user guide, "Prompt caching"."""
    tools, choice = [canonical.Tool("f")], canonical.ToolChoice("required")
    body, request = encoded(
        canonical.Text("x", "5m"), model="meta.llama3-3-70b-instruct-v1:0", tools=tools, choice=choice
    )
    assert "toolChoice" not in body["toolConfig"] and "tool_choice" in request.dropped
    assert body["messages"][0]["content"] == [{"text": "x"}]
    body, _ = encoded(canonical.Text("x", "5m"), tools=tools, choice=choice)
    assert body["toolConfig"]["toolChoice"] == {"any": {}} and "cachePoint" in body["messages"][0]["content"][1]


def test_a_claude_that_thinks_as_it_likes_is_told_an_effort():
    more = encoded(canonical.Text("x"), model="us.anthropic.claude-opus-4-7", reasoning=canonical.Reasoning("high"))[0]
    assert more["additionalModelRequestFields"] == {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
    }


INTERLEAVED, FINE = "interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14"
MILLION, CODE = "context-1m-2025-08-07", "claude-code-20250219"


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", [MILLION, INTERLEAVED, FINE]),
        ("anthropic.claude-sonnet-4-20250514-v1:0", [MILLION, INTERLEAVED, FINE]),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", [INTERLEAVED, FINE]),
        ("anthropic.claude-opus-4-6-v1", [MILLION]),
        ("global.anthropic.claude-opus-4-7", None),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", None),
        ("amazon.nova-pro-v1:0", None),
    ],
)
def test_betas_of_a_client_of_anthropics_stand_in_the_body_as_far_as_the_model_knows_them_at_bedrock(model, sent):
    """Bedrock user guide, "Anthropic Claude Messages API": `anthropic_beta` is a list in the body; unknown ones are a 400."""
    betas = (MILLION, INTERLEAVED, FINE, CODE)
    text = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}).encode()
    translation = open_translation(
        parse(text, "anthropic", "chat"), "anthropic", "bedrock", model, Quirks(), created=1, betas=betas
    )
    body = json.loads(translation.body if isinstance(translation.body, bytes) else b"".join(translation.body))
    assert body.get("additionalModelRequestFields", {}).get("anthropic_beta") == sent
    assert translation.dropped == [f"anthropic-beta.{beta}" for beta in betas if beta not in (sent or [])]
