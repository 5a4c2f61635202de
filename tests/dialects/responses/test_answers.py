"""Responses: answers."""

import msgspec
import pytest

from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.responses import answers


def test_a_failed_response_is_no_answer():
    body = {"status": "failed", "error": {"code": "server_error", "message": "sorry"}, "output": []}
    with pytest.raises(InvalidBodyError, match="sorry"):
        answers.decode_answer(Node(body))


def test_totals_of_a_usage_are_split_into_cached_and_reasoning_tokens():
    usage = answers.usage_of_raw(
        msgspec.Raw(
            b'{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":5}}'
        )
    )
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (6, 4, 2, 5)
