"""Gemini's generateContent: reads what answers and streams that pass say about themselves. Level 1."""

from switchgear.dialects.answer_metadata import AnswerMetadata, cap
from switchgear.dialects.gemini.answers import Grounds, beside_of, grounds_of, tier_of, usage_of_raw
from switchgear.dialects.gemini.requests import camel
from switchgear.dialects.json_node import (
    Node,
)
from switchgear.dialects.taps import TapRules, TapState
from switchgear.dialects.text_count import needles


def read_answer(body: Node) -> AnswerMetadata:
    """Read what a plain answer, or one chunk of a stream, says about itself."""
    body = camel(body)
    finish = next((camel(candidate).text("finishReason") for candidate in body.items("candidates")), None)
    if finish is None and body.has("promptFeedback"):
        finish = camel(body.object("promptFeedback")).text("blockReason")
    metadata = AnswerMetadata(usage_of_raw(body.raw("usageMetadata")), cap(finish), cap(body.text("responseId")))
    metadata.service_tier = tier_of(body.object("usageMetadata"))
    metadata.take_beside(beside_of(grounds_of(body), body.text("modelVersion")))
    return metadata


def _read_event(event: Node, state: TapState) -> None:
    if event.has("error"):
        state.error = True
        return
    found, before = read_answer(event), state.metadata
    state.metadata = AnswerMetadata(
        found.usage or before.usage,
        found.finish_reason or before.finish_reason,
        found.response_id or before.response_id,
        found.service_tier or before.service_tier,
    )
    model = found.model or before.model
    if not isinstance(state.memory, Grounds):
        state.memory = Grounds()
    state.memory.add(camel(event))
    state.metadata.take_beside(beside_of(state.memory, model))


TAP_RULES = TapRules(
    (b'"finishReason"', b'"error"', b'"blockReason"', b'"groundingMetadata"'),
    _read_event,
    needles("text"),
    lazy=b'"usageMetadata"',
)
