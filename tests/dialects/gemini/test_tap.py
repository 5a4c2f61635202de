"""Gemini: what is read in passing."""

import json

from switchgear.dialects.gemini.tap import TAP_RULES, read_answer
from switchgear.dialects.json_node import Node
from switchgear.dialects.taps import SseTap


def chunk(**more):
    return b"data: %b\r\n\r\n" % json.dumps(more, separators=(",", ":")).encode()


def grounded(*queries):
    return [{"groundingMetadata": {"webSearchQueries": list(queries)}}]


def test_the_last_running_total_counts():
    tap = SseTap(TAP_RULES)
    data = chunk(usageMetadata={"promptTokenCount": 3}, responseId="r1") + chunk(
        candidates=[{"finishReason": "STOP"}], usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 9}
    )
    assert tap.feed(data) + tap.finish() == data
    assert (tap.metadata.usage.input, tap.metadata.usage.output, tap.metadata.finish_reason) == (3, 9, "STOP")
    assert tap.is_clean


def test_searches_of_all_chunks_are_counted_once_each():
    tap = SseTap(TAP_RULES)
    tap.feed(chunk(candidates=grounded("a", "b"), modelVersion="gemini-3-pro") + chunk(candidates=grounded("b", "c")))
    assert tap.metadata.units == {"web_searches": 3}


def test_an_error_is_no_clean_end():
    tap = SseTap(TAP_RULES)
    tap.feed(chunk(error={"code": 503}))
    assert tap.error and not tap.is_clean


def test_a_blocked_prompt_says_why():
    metadata = read_answer(
        Node({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"trafficType": "ON_DEMAND_FLEX"}})
    )
    assert (metadata.finish_reason, metadata.service_tier) == ("SAFETY", "flex")
