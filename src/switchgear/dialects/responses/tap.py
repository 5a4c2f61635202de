"""OpenAI responses: reads what answers and streams that pass say about themselves. Level 1."""

from switchgear.dialects import kept_things
from switchgear.dialects.answer_metadata import AnswerMetadata, cap
from switchgear.dialects.json_node import TRANSLATION_ERRORS, Node
from switchgear.dialects.responses.answers import beside_of, usage_of_raw
from switchgear.dialects.taps import TapRules, TapState
from switchgear.dialects.text_count import BYTES_PER_TOKEN, Opening, needles


def read_answer(body: Node) -> AnswerMetadata:
    """Read what a plain answer, or the last event of a stream, says about itself."""
    reason = body.object("incomplete_details").text("reason")
    metadata = AnswerMetadata(
        usage_of_raw(body.raw("usage")),
        cap(reason or body.text("status")),
        cap(body.text("id")),
        cap(body.text("service_tier")),
        kept=kept_things.kept_by_response(body.value),
    )
    metadata.take_beside(beside_of(body))
    if metadata.usage is None or not metadata.usage.output_total:
        metadata.written = _written(body)
    return metadata


def _written(body: Node) -> int | None:
    """Estimate what an answer shows: its texts, its calls and what it tells of its thoughts. A list of odd things shows nothing."""
    size = 0
    try:
        for item in body.items("output"):
            size += sum(len((item.text(name) or "").encode()) for name in ("arguments", "input"))
            for piece in [*item.items("content"), *item.items("summary")]:
                size += sum(len((piece.text(name) or "").encode()) for name in ("text", "refusal"))
    except TRANSLATION_ERRORS:
        return None
    return -(-size // BYTES_PER_TOKEN) or None


def _read_event(event: Node, state: TapState) -> None:
    kind = event.text("type")
    if kind == "response.created":
        state.metadata.response_id = cap(event.object("response").text("id"))
    elif kind in {"response.completed", "response.incomplete", "response.failed"}:
        state.metadata = read_answer(event.object("response"))
        state.is_done = True
        state.error = kind == "response.failed"
    elif kind == "error":
        state.error = True


TAP_RULES = TapRules(
    (b'"response.created"', b'"response.completed"', b'"response.incomplete"', b'"response.failed"', b'"type":"error"'),
    _read_event,
    needles("delta"),
    (
        Opening((b'"type":"response.output_item.added"', b'"type":"message"'), 2),
        Opening((b'"type":"response.output_item.added"', b'_call"'), 14),
    ),
)
