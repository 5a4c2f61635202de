"""Bedrock: answers."""

from switchgear.dialects import hub
from switchgear.dialects.bedrock import answers
from switchgear.dialects.shape import Node


def test_results_of_bedrocks_own_tools_are_no_calls_for_the_client():
    content = [
        {"toolUse": {"toolUseId": "1", "name": "g", "input": {}}},
        {"toolResult": {"toolUseId": "1", "content": []}},
        {"text": "found"},
    ]
    answer = answers.decode_answer(Node({"output": {"message": {"content": content}}, "stopReason": "end_turn"}))
    assert answer.parts == [hub.Text("found")]
