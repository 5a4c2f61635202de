"""How rules walk through a request."""

from switchgear.testing.twins.finding import blocks_of, first_twice, is_object, items, objects, schemas_in, turns


def test_what_is_no_list_has_no_items():
    assert items(None) == items("ab") == items({}) == []
    assert objects([{"a": 1}, 2, None]) == [{"a": 1}]


def test_a_text_is_one_block():
    assert blocks_of({"content": "x"}) == [{"type": "text", "text": "x"}]
    assert blocks_of({"content": None}) == []


def test_messages_of_one_role_in_a_row_are_one_turn():
    messages = [{"role": role, "content": text} for role, text in (("user", "a"), ("user", "b"), ("assistant", "c"))]
    found = [(role, [block["text"] for block in blocks]) for role, blocks in turns(messages, blocks_of)]
    assert found == [("user", ["a", "b"]), ("assistant", ["c"])]


def test_every_schema_within_a_schema_is_found_and_names_of_properties_are_none():
    schema = {
        "properties": {
            "properties": {"type": "string"},
            "b": {"items": {"anyOf": [{"type": "null"}, {"type": "integer"}]}},
        },
        "$defs": {"d": {"additionalProperties": {"type": "boolean"}}},
    }
    kinds = [found.get("type") for found in schemas_in(schema)]
    assert sorted(kind for kind in kinds if kind) == ["boolean", "integer", "null", "string"]
    assert list(schemas_in(True)) == []


def test_an_object_is_known_by_its_type_or_one_of_its_types():
    assert is_object({"type": "object"}) and is_object({"type": ["null", "object"]})
    assert not is_object({"type": "array"}) and not is_object({})


def test_the_first_value_that_stands_twice_is_told():
    assert first_twice(["a", "b", "a"]) == "a"
    assert first_twice(["a", "b"]) is None
