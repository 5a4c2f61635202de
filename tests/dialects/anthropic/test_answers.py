"""Anthropic: answers."""

import json

import msgspec

from switchgear.dialects import canonical
from switchgear.dialects.anthropic import answers
from switchgear.dialects.json_node import Node


def test_blocks_of_anthropics_own_tools_leave_text_and_calls_alone():
    body = {
        "content": [
            {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "1", "content": []},
            {"type": "text", "text": "found"},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    answer = answers.decode_answer(Node(body))
    assert canonical.text_of(answer.parts) == "found" and len(answer.dropped) == 2


def test_usage_that_makes_no_sense_is_no_usage():
    assert answers.Usage(input_tokens=-1, output_tokens=5).tokens() is None
    assert answers.usage_of_raw(msgspec.Raw(json.dumps({"input_tokens": "x"}).encode())) is None
