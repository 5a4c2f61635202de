"""Gemini: requests."""

import pytest
from tests.dialects import golden_cases

from switchgear.dialects import canonical
from switchgear.dialects.gemini import requests
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks


def test_a_request_in_snake_case_is_read():
    body = {
        "contents": [],
        "generation_config": {"max_output_tokens": 5},
        "system_instruction": {"parts": [{"text": "x"}]},
    }
    request = requests.decode_request(Node(body), "m", False)
    assert request.max_tokens == 5 and request.system[0].text == "x" and request.dropped == []


def test_calls_without_ids_get_them_and_results_find_their_call():
    call = {"functionCall": {"name": "f", "args": {}}}
    answer = {"functionResponse": {"name": "f", "response": {"output": "1"}}}
    body = {"contents": [{"role": "model", "parts": [call, call]}, {"role": "user", "parts": [answer, answer]}]}
    request = requests.decode_request(Node(body), "m", False)
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
    assert requests.lower_types(schema) == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"]},
            "min_items": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        },
    }


def test_counts_that_google_writes_as_text_become_numbers():
    """int64 is text in Google's JSON (API reference, `Schema`); `propertyOrdering` is Google's alone."""
    schema = {
        "type": "ARRAY",
        "items": {
            "type": "OBJECT",
            "properties": {"minItems": {"type": "STRING", "maxLength": "12", "pattern": "1"}},
            "propertyOrdering": ["minItems"],
        },
        "minItems": "1",
        "maxItems": "x",
    }
    found = requests.lower_types(schema)
    inner = {"type": "object", "properties": {"minItems": {"type": "string", "maxLength": 12, "pattern": "1"}}}
    assert found == {"type": "array", "items": inner, "minItems": 1, "maxItems": "x"}


def test_gemini_3_wants_a_signature_with_every_call():
    request = canonical.Request(
        model="m", messages=[canonical.Message("assistant", [canonical.ToolCall("1", "f", "{}")])]
    )
    part = requests.encode_request(request, "gemini-3-pro", Quirks())["contents"][0]["parts"][0]
    assert part["thoughtSignature"] == requests.SKIP_SIGNATURE
    part = requests.encode_request(request, "gemini-2.5-pro", Quirks())["contents"][0]["parts"][0]
    assert "thoughtSignature" not in part


def test_pictures_asked_of_others_are_refused():
    with pytest.raises(InvalidBodyError, match="TEXT"):
        requests.decode_request(
            Node({"contents": [], "generationConfig": {"responseModalities": ["IMAGE"]}}), "m", False
        )


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("gemini"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)


@pytest.mark.parametrize(("model", "is_3"), [("gemini-2.5-pro", False), ("gemini-3-pro", True)])
def test_ids_and_pictures_within_results_are_gemini_3s(model, is_3):
    """litellm#34603, opencode#50504: before Gemini 3 `Unknown name "id"`."""
    picture = canonical.Media("image", "image/png", "AAAA")
    messages = [
        canonical.Message("assistant", [canonical.ToolCall("1", "f", "{}")]),
        canonical.Message("user", [canonical.ToolResult("1", [canonical.Text("x"), picture], "f")]),
    ]
    contents = requests.encode_request(canonical.Request(model="m", messages=messages), model, Quirks())["contents"]
    call, result = contents[0]["parts"][0]["functionCall"], contents[1]["parts"][0]["functionResponse"]
    assert ("id" in call) is ("id" in result) is is_3
    assert ("parts" in result) is is_3 and (len(contents[1]["parts"]) == 2) is not is_3
