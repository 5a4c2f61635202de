"""Gemini: its spellings, ids, signatures and counts."""

import json

import msgspec
import pytest

from switchgear.dialects import gemini, hub
from switchgear.dialects.shape import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks


def test_snake_case_is_read_too():
    body = {
        "contents": [],
        "generation_config": {"max_output_tokens": 5},
        "system_instruction": {"parts": [{"text": "x"}]},
    }
    request = gemini.decode_request(Node(body), "m", False)
    assert request.max_tokens == 5 and request.system[0].text == "x" and request.dropped == []


def test_calls_without_ids_get_them_and_results_find_their_call():
    call = {"functionCall": {"name": "f", "args": {}}}
    answer = {"functionResponse": {"name": "f", "response": {"output": "1"}}}
    body = {"contents": [{"role": "model", "parts": [call, call]}, {"role": "user", "parts": [answer, answer]}]}
    request = gemini.decode_request(Node(body), "m", False)
    made = [part.id for part in request.messages[0].parts]
    assert made == [part.call_id for part in request.messages[1].parts] and len(set(made)) == 2


def test_googles_schema_becomes_json_schema():
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True},
            "min_items": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": 2},
        },
    }
    assert gemini.lower_types(schema) == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"]},
            "min_items": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        },
    }


def test_gemini_3_wants_a_signature_with_every_call():
    request = hub.Request(model="m", messages=[hub.Message("assistant", [hub.ToolCall("1", "f", "{}")])])
    part = gemini.encode_request(request, "gemini-3-pro", Quirks())["contents"][0]["parts"][0]
    assert part["thoughtSignature"] == gemini.SKIP_SIGNATURE
    part = gemini.encode_request(request, "gemini-2.5-pro", Quirks())["contents"][0]["parts"][0]
    assert "thoughtSignature" not in part


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 3},
            (6, 4, 5, 3, None, None),
        ),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 7}, (17, None, 0, None, None, None)),
        (
            {
                "promptTokenCount": 10,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}],
                "candidatesTokenCount": 2,
            },
            (2, None, 2, None, 8, None),
        ),
        (
            {
                "promptTokenCount": 1,
                "candidatesTokenCount": 9,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 9}],
            },
            (1, None, 0, None, None, 9),
        ),
    ],
)
def test_usage_goes_into_disjoint_buckets(usage, expected):
    found = gemini.usage_of_raw(msgspec.Raw(json.dumps(usage).encode()))
    assert (found.input, found.cache_read, found.output, found.reasoning, found.audio_in, found.image) == expected


def test_a_blocked_prompt_is_an_answer_without_content():
    answer = gemini.decode_answer(
        Node({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    )
    assert answer.finish == "content_filter" and answer.parts == [] and answer.usage.input == 3


def test_pictures_asked_of_others_are_refused():
    with pytest.raises(InvalidBodyError, match="TEXT"):
        gemini.decode_request(Node({"contents": [], "generationConfig": {"responseModalities": ["IMAGE"]}}), "m", False)


def test_log_probabilities_keep_their_values():
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    answer = gemini.decode_answer(
        Node({"candidates": [{"content": {"parts": [{"text": "a"}]}, "logprobsResult": result}]})
    )
    assert msgspec.json.decode(answer.logprobs)[0]["top_logprobs"][0]["logprob"] == -1.5
    assert (
        gemini.encode_answer(answer, "m", 1)["candidates"][0]["logprobsResult"]["chosenCandidates"][0]["logProbability"]
        == -0.5
    )
