"""Anthropic messages: reads what answers and streams that pass say about themselves. Level 1."""

from switchgear.dialects import kept_things
from switchgear.dialects.answer_metadata import AnswerMetadata, cap
from switchgear.dialects.anthropic.answers import Usage, usage_of_raw
from switchgear.dialects.json_node import Node
from switchgear.dialects.taps import TapRules, TapState
from switchgear.dialects.text_count import Opening, needles


def read_answer(body: Node) -> AnswerMetadata:
    """Read what a plain answer says about itself."""
    usage = usage_of_raw(body.raw("usage")) or Usage()
    metadata = AnswerMetadata(
        usage.tokens(),
        cap(body.text("stop_reason")),
        cap(body.text("id")),
        cap(usage.tier),
        kept=kept_things.kept_by_message(body.value),
    )
    metadata.take_beside(usage.beside(body.text("model"), _has_container(body)))
    return metadata


def _has_container(holder: Node) -> bool:
    return isinstance(holder.get("container"), dict)


def _read_event(event: Node, state: TapState) -> None:
    kind = event.text("type")
    metadata = state.metadata
    if kind == "message_start":
        message = event.object("message")
        state.memory = usage_of_raw(message.raw("usage")) or Usage()
        metadata.response_id = cap(message.text("id"))
        metadata.model = cap(message.text("model"))
    elif kind == "message_delta":
        known = state.memory if isinstance(state.memory, Usage) else Usage()
        state.memory = known.merge(usage_of_raw(event.raw("usage")) or Usage())
        metadata.finish_reason = cap(event.object("delta").text("stop_reason"))
        state.noted |= _has_container(event.object("delta"))
    elif kind == "message_stop":
        state.is_done = True
    elif kind == "error":
        state.error = True
    if kept := kept_things.kept_by_message(event.value):
        metadata.kept = [*metadata.kept, *kept][: kept_things.KEPT_MAX]
    if isinstance(state.memory, Usage):
        metadata.usage, metadata.service_tier = state.memory.tokens(), cap(state.memory.tier)
        metadata.take_beside(state.memory.beside(metadata.model, bool(state.noted)))


TAP_RULES = TapRules(
    (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"', b'"file_id"'),
    _read_event,
    needles("text", "thinking", "partial_json"),
    (
        Opening((b'"content_block_start"', b'tool_use"'), 38),
        Opening((b'"content_block_start"', b'"content_block":{"type":"text"'), 3),
    ),
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
