"""Gemini's generateContent: reads what answers and streams that pass say about themselves. Level 1."""

from switchgear.dialects.gemini.answers import Grounds, beside_of, grounds_of, tier_of, usage_of_raw
from switchgear.dialects.gemini.requests import camel
from switchgear.dialects.reading import Ears, Reading, State, cap
from switchgear.dialects.shape import (
    Node,
)
from switchgear.dialects.text_count import needles


def read_answer(body: Node) -> Reading:
    """Read what a plain answer, or one chunk of a stream, says about itself."""
    body = camel(body)
    finish = next((camel(candidate).text("finishReason") for candidate in body.items("candidates")), None)
    if finish is None and body.has("promptFeedback"):
        finish = camel(body.object("promptFeedback")).text("blockReason")
    reading = Reading(usage_of_raw(body.raw("usageMetadata")), cap(finish), cap(body.text("responseId")))
    reading.service_tier = tier_of(body.object("usageMetadata"))
    reading.take_beside(beside_of(grounds_of(body), body.text("modelVersion")))
    return reading


def _listen(event: Node, state: State) -> None:
    if event.has("error"):
        state.error = True
        return
    found, before = read_answer(event), state.reading
    state.reading = Reading(
        found.usage or before.usage,
        found.finish_reason or before.finish_reason,
        found.response_id or before.response_id,
        found.service_tier or before.service_tier,
    )
    model = found.model or before.model
    if not isinstance(state.memory, Grounds):
        state.memory = Grounds()
    state.memory.add(camel(event))
    state.reading.take_beside(beside_of(state.memory, model))


EARS = Ears(
    (b'"finishReason"', b'"error"', b'"blockReason"', b'"groundingMetadata"'),
    _listen,
    needles("text"),
    lazy=b'"usageMetadata"',
)
