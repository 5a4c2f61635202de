"""Anthropic messages: reads what answers and streams that pass say about themselves. Level 1."""

from switchgear.dialects import kept_things
from switchgear.dialects.anthropic.answers import Usage, usage_of_raw
from switchgear.dialects.reading import Ears, Reading, State, cap
from switchgear.dialects.shape import Node
from switchgear.dialects.text_count import Opening, needles


def read_answer(body: Node) -> Reading:
    """Read what a plain answer says about itself."""
    usage = usage_of_raw(body.raw("usage")) or Usage()
    reading = Reading(
        usage.tokens(),
        cap(body.text("stop_reason")),
        cap(body.text("id")),
        cap(usage.tier),
        kept=kept_things.kept_by_message(body.value),
    )
    reading.take_beside(usage.beside(body.text("model")))
    return reading


def _listen(event: Node, state: State) -> None:
    kind = event.text("type")
    reading = state.reading
    if kind == "message_start":
        message = event.object("message")
        state.memory = usage_of_raw(message.raw("usage")) or Usage()
        reading.response_id = cap(message.text("id"))
        reading.model = cap(message.text("model"))
    elif kind == "message_delta":
        known = state.memory if isinstance(state.memory, Usage) else Usage()
        state.memory = known.merge(usage_of_raw(event.raw("usage")) or Usage())
        reading.finish_reason = cap(event.object("delta").text("stop_reason"))
    elif kind == "message_stop":
        state.is_done = True
    elif kind == "error":
        state.error = True
    if kept := kept_things.kept_by_message(event.value):
        reading.kept = [*reading.kept, *kept][: kept_things.KEPT_MAX]
    if isinstance(state.memory, Usage):
        reading.usage, reading.service_tier = state.memory.tokens(), cap(state.memory.tier)
        reading.take_beside(state.memory.beside(reading.model))


EARS = Ears(
    (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"', b'"file_id"'),
    _listen,
    needles("text", "thinking", "partial_json"),
    (
        Opening((b'"content_block_start"', b'tool_use"'), 38),
        Opening((b'"content_block_start"', b'"content_block":{"type":"text"'), 3),
    ),
)
