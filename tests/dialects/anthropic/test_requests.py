"""Anthropic: requests."""

import pytest
from tests.dialects import golden_cases

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.dialects import canonical
from switchgear.dialects.anthropic import ROW, requests
from switchgear.dialects.errors import of_problem
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks


def test_newer_models_think_adaptively_older_ones_with_a_budget():
    request = canonical.Request(
        model="m",
        messages=[canonical.Message("user", [canonical.Text("x")])],
        reasoning=canonical.Reasoning("high"),
        max_tokens=100,
    )
    assert requests.encode_request(request, "claude-opus-4-7", Quirks())["output_config"] == {"effort": "high"}
    older = requests.encode_request(request, "claude-sonnet-4-5", Quirks())
    assert older["thinking"]["budget_tokens"] < older["max_tokens"]


def test_schemas_are_closed_at_every_level():
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}}
    closed = requests.close_objects(schema)
    assert (
        closed["additionalProperties"] is False and closed["properties"]["a"]["items"]["additionalProperties"] is False
    )


def test_results_of_tools_come_first_in_a_turn():
    request = canonical.Request(
        model="m",
        messages=[canonical.Message("user", [canonical.Text("and"), canonical.ToolResult("1", [canonical.Text("x")])])],
    )
    blocks = requests.encode_request(request, "claude", Quirks())["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["tool_result", "text"]


def test_a_text_file_is_sent_as_text():
    part = canonical.Media("file", "text/plain", "aGVsbG8=")
    body = requests.encode_request(
        canonical.Request(model="m", messages=[canonical.Message("user", [part])]), "claude", Quirks()
    )
    assert body["messages"][0]["content"] == [{"type": "text", "text": "hello"}]


@pytest.mark.parametrize(
    ("case", "provider"), golden_cases.pairs("anthropic"), ids=lambda value: getattr(value, "name", value)
)
def test_a_golden_request_from_or_to_the_dialect(case, provider):
    golden_cases.check(case, provider)


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_a_thread_is_refused_by_name_in_the_words_by_which_sdks_go_on_without(thread):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "thread": thread}
    with pytest.raises(InvalidBodyError) as info:
        requests.decode_request(Node(body), "m", False)
    fault = of_problem(Problem(problems.INVALID_BODY, str(info.value), info.value.param), "r1")
    details = ROW.errors.body(fault)["error"]["details"]
    assert details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert requests.decode_request(Node(body | {"thread": None}), "m", False).messages
