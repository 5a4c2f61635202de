"""Bedrock: answers."""

import pytest

from switchgear.dialects import canonical
from switchgear.dialects.bedrock import answers
from switchgear.dialects.json_node import InvalidBodyError, Node


def test_results_of_bedrocks_own_tools_are_no_calls_for_the_client():
    content = [
        {"toolUse": {"toolUseId": "1", "name": "g", "input": {}}},
        {"toolResult": {"toolUseId": "1", "content": []}},
        {"text": "found"},
    ]
    answer = answers.decode_answer(Node({"output": {"message": {"content": content}}, "stopReason": "end_turn"}))
    assert answer.parts == [canonical.Text("found")]


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_a_malformed_answer_is_none(reason):
    body = {"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": reason}
    with pytest.raises(InvalidBodyError, match=reason):
        answers.decode_answer(Node(body))
