"""Reading foreign JSON with paths."""

import pytest

from switchgear.dialects.json_node import InvalidBodyError, Node, foreign_tools, object_of, text_of_object


def test_every_mistake_names_its_path():
    node = Node({"a": [{"b": 5}], "n": "x", "f": 1})
    for read, path in (
        (lambda: node.items("a")[0].text("b"), "a[0].b"),
        (lambda: node.integer("n"), "n"),
        (lambda: node.number("n"), "n"),
        (lambda: node.flag("f"), "f"),
        (lambda: node.object("n"), "n"),
        (lambda: node.items("n"), "n"),
        (lambda: node.need("missing"), "missing"),
        (lambda: node.items("a")[0].items("b"), "a[0].b"),
    ):
        with pytest.raises(InvalidBodyError) as info:
            read()
        assert info.value.param == path


def test_a_member_that_is_null_counts_as_absent():
    node = Node({"a": None})
    assert node.text("a") is None and node.items("a") == [] and node.child("a") is None and node.names() == []
    assert not node.has("a") and node.object("a").value == {}


def test_a_whole_float_is_an_integer_and_a_boolean_is_no_number():
    assert Node({"a": 2.0}).integer("a") == 2
    with pytest.raises(InvalidBodyError):
        Node({"a": True}).integer("a")


@pytest.mark.parametrize(
    ("text", "value"),
    [("", b"{}"), ('{"a": 1}', b'{"a":1}'), ("[1]", b'{"_arguments":[1]}'), ("{oops", b'{"_arguments":"{oops"}')],
)
def test_arguments_become_an_object_and_lose_nothing(text, value):
    assert bytes(object_of(text)) == value


def test_an_object_becomes_text():
    assert text_of_object({"a": 1}) == '{"a":1}' and text_of_object(None) == "{}"


def test_a_providers_own_tool_is_dropped_beside_others_and_refused_alone():
    tools = Node({"tools": [{"type": "function"}, {"type": "web_search"}]}).items("tools")
    dropped = []
    kept = foreign_tools(tools, lambda tool: tool.text("type") == "function", dropped)
    assert len(kept) == 1 and dropped == ["tools[1] (web_search)"]
    with pytest.raises(InvalidBodyError, match="web_search"):
        foreign_tools(tools[1:], lambda tool: tool.text("type") == "function", dropped)
