"""Schemas of tools beside what providers take: JSON Schema 2020-12, and OpenAI's and Anthropic's rules for strict ones."""

import json
import re

import jsonschema
import pytest
from msgspec import Raw

from switchgear.dialects.schemas import is_strict, mended, renamed, with_safe_names

CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def raw(schema):
    return Raw(json.dumps(schema).encode())


def better(schema):
    return json.loads(bytes(mended(raw(schema))))


def test_arrays_get_items_wherever_they_stand():
    """ "array schema missing items" (archestra#3864, spacectl#402, hermes-agent#24208)."""
    schema = {
        "type": "object",
        "properties": {
            "array": {"type": "array"},
            "maybe": {"type": ["array", "null"]},
            "either": {"anyOf": [{"type": "array"}, {"type": "null"}]},
            "good": {"type": "array", "items": {"type": "string"}},
        },
    }
    found = better(schema)["properties"]
    assert found["array"]["items"] == found["maybe"]["items"] == found["either"]["anyOf"][0]["items"] == {}
    assert found["good"] == schema["properties"]["good"]


def test_keywords_of_older_drafts_become_those_of_2020_12():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            "b": {"type": "number", "maximum": 9, "exclusiveMaximum": False},
            "c": {"type": "string", "required": True},
            "d": {"type": "array", "items": [{"type": "string"}]},
        },
    }
    with pytest.raises(jsonschema.SchemaError):
        jsonschema.Draft202012Validator.check_schema(schema)
    found = better(schema)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["properties"]["a"] == {"type": "number", "exclusiveMinimum": 0}
    assert found["properties"]["b"] == {"type": "number", "maximum": 9}
    assert found["properties"]["d"]["prefixItems"] == [{"type": "string"}]


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED,
        {"type": "object", "properties": {"required": {"type": "boolean"}, "items": {"type": "string"}}},
        {"type": "object", "properties": {"x": {"const": {"type": "array"}}, "y": {"enum": ["array"]}}},
        {"$ref": "#/$defs/P", "$defs": {"P": {"type": "object"}}},
    ],
)
def test_a_good_schema_stays_as_its_bytes(schema):
    assert mended(raw(schema)) is not None and bytes(mended(raw(schema))) == json.dumps(schema).encode()


@pytest.mark.parametrize("text", [b"", b"{", b'{"type":"array"', b"[]", b"null", b'"array"'])
def test_what_is_no_schema_stays_as_it_came(text):
    assert bytes(mended(Raw(text))) == text


def test_a_strict_schema_is_closed_and_for_openai_requires_everything():
    """ "'additionalProperties' is required to be supplied and to be false" (OpenAI), vercel/ai#20681 (Anthropic)."""
    optional = {**CLOSED, "required": []}
    nested = {**CLOSED, "properties": {"a": {"type": "object", "properties": {}}}}
    assert is_strict(raw(CLOSED), True, frozenset()) and is_strict(raw(CLOSED), False, frozenset())
    assert not is_strict(raw(optional), True, frozenset()) and is_strict(raw(optional), False, frozenset())
    assert not is_strict(raw(nested), False, frozenset())
    bounded = {**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}}
    assert not is_strict(raw(bounded), False, frozenset({"minimum"}))
    assert not is_strict(Raw(b"{"), False, frozenset())


BAD = {"type": "object", "properties": {"$top": {"type": "integer"}, "_top": {}, "q" * 70: {}}, "required": ["$top"]}


def test_properties_get_names_of_the_providers_alphabet():
    """ "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'" (composio#3500, claude-code#79418)."""
    found, names = with_safe_names(raw(BAD), "a-zA-Z0-9_.-", 64)
    schema = json.loads(bytes(found))
    assert all(re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name) for name in schema["properties"])
    assert len(schema["properties"]) == 3 and set(names.values()) == {"$top", "q" * 70}
    assert [names[name] for name in schema["required"]] == ["$top"]
    assert with_safe_names(raw(CLOSED), "a-zA-Z0-9_.-", 64) == (raw(CLOSED), {})
    assert with_safe_names(Raw(b"{"), "a-z", 64) == (Raw(b"{"), {})


def test_arguments_are_renamed_and_what_is_no_object_stays():
    assert json.loads(renamed('{"a": {"a": 1}, "b": 2}', {"a": "$a"})) == {"$a": {"a": 1}, "b": 2}
    assert renamed('{"a": 12345678901234567890123}', {}) == '{"a":12345678901234567890123}'
    for text in ("", "[", "[1]", '{"a'):
        assert renamed(text, {"a": "b"}) == text
