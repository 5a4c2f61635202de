"""Anthropic messages: the dialect's row. Level 1."""

import re
from typing import Any

from switchgear.dialects import foreign_thoughts, rate_limit_headers, references
from switchgear.dialects.answer_metadata import plain_reader
from switchgear.dialects.anthropic import billing_line
from switchgear.dialects.anthropic.answers import decode_answer, encode_answer
from switchgear.dialects.anthropic.requests import MAKERS, decode_request, encode_request
from switchgear.dialects.anthropic.streams import StreamDecoder, StreamEncoder
from switchgear.dialects.anthropic.tap import TAP_RULES, read_answer
from switchgear.dialects.dialect import (
    ASK_WEATHER,
    WEATHER,
    BodyRules,
    ClientPath,
    Dialect,
    ErrorShape,
    Example,
    Examples,
    ModelList,
    Operation,
    Translator,
)
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import BOUNDS, COMBINATORS, IMAGES, Rules
from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.pairs import Ids
from switchgear.dialects.taps import SseTap

REFERENCES = {
    "container": "container",
    "container.id": "container",
    "container.skills.skill_id": "skill",
    "messages.content+.source.file_id": "file",
    "messages.content+.file_id": "file",
    "messages.content+.source.content+.source.file_id": "file",
    "system.source.file_id": "file",
    "previous_message_id": "message",
    "diagnostics.previous_message_id": "message",
    "thread.previous_message_id": "message",
}


# By this the SDKs go on without a thread (anthropic 2.13, lib/threads/_thread_state.py, read 2026-11-27).
_NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def _error_body(fault: Fault) -> dict[str, Any]:
    error: dict[str, Any] = {"type": fault.anthropic_type, "message": fault.message}
    if fault.param == "thread":
        error["details"] = _NO_THREADS
    return {"type": "error", "error": error, "request_id": fault.request_id}


def _model_card(card: Card) -> dict[str, Any]:
    return {
        "type": "model",
        "id": card.name,
        "display_name": card.name,
        "created_at": "2026-01-01T00:00:00Z",
        "max_input_tokens": card.context_window,
        "max_tokens": card.max_output_tokens,
    } | described(card)


def _model_page(items: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"first_id": items[0]["id"] if items else None, "last_id": items[-1]["id"] if items else None}
    return {"data": items, "has_more": False, **ends}


_MESSAGES = [{"role": "user", "content": "hello"}]


_HELLO = {"model": "{model}", "max_tokens": 1024, "messages": _MESSAGES}


ROW = Dialect(
    name="anthropic",
    errors=ErrorShape(
        _error_body,
        lambda fault, body, number: b"event: error\ndata: %b\n\n" % body,
        tells_reset=True,
        too_long=(
            "prompt is too long",
            "prompt is too long: {tokens} tokens > {limit} maximum",
            # Claude Code asks again with a smaller limit (claude-code#476)
            "input length and `max_tokens` exceed context limit: {tokens} + {output} > {limit}, decrease input length or "
            "`max_tokens` and try again",
        ),
        too_long_signs=(b"prompt is too long", b"exceed context limit"),
        overloaded_status=529,
    ),
    ping=lambda number: b'event: ping\ndata: {"type": "ping"}\n\n',
    answer_id_prefix="msg_",
    operations={
        "chat": Operation(
            "/messages",
            BodyRules(("messages",), ("max_tokens",), limit="max_tokens", left_out=("anthropic_version",)),
            members=("content",),
        ),
        "count_tokens": Operation(
            "/messages/count_tokens",
            BodyRules(("messages",), left_out=("anthropic_version",)),
            members=("input_tokens",),
        ),
    },
    references=references.watched(REFERENCES),
    read_answer=plain_reader(read_answer),
    open_tap=lambda request: SseTap(TAP_RULES),
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    cleaned=lambda request, model: foreign_thoughts.of_messages(billing_line.left_out(request, model), model),
    fit=Rules(
        searches=True,
        error_results=True,
        blank_is_white=True,
        user_turn=True,
        name_chars_max=128,
        top_words=COMBINATORS,
        output_words=BOUNDS,
        images=IMAGES,
        text_files=True,
        makers=MAKERS,
        property_chars="a-zA-Z0-9_.-",  # error text "Property keys should match pattern"
        temperature_max=1.0,
        strict_refuses=BOUNDS,
        user_max=256,  # API reference, metadata.user_id
        marks_max=4,
        marks_all=True,
        call_ids=Ids(chars="a-zA-Z0-9_-"),  # error text "String should match pattern '^[a-zA-Z0-9_-]+$'"
    ),
    client_paths=(
        ClientPath(path="/messages", operation="chat", name="messages"),
        ClientPath(path="/messages/count_tokens", operation="count_tokens", name="count_tokens"),
        # Vertex AI, "Count tokens for Claude models" (read 2026-11-27): the model stands in the body.
        ClientPath(path="/models/count-tokens:rawPredict", operation="count_tokens", name="count_tokens"),
        ClientPath(path="/models/{model}:rawPredict", operation="chat", name="messages", stream=False),
        ClientPath(path="/models/{model}:streamRawPredict", operation="chat", name="messages", stream=True),
    ),
    known_path=re.compile(rb"/messages"),
    known_header=b"anthropic-version",
    key_header="x-api-key",
    rate_limits=rate_limit_headers.anthropic,
    models=ModelList(_model_card, _model_page),
    forwarded_prefixes=(b"anthropic-", b"x-goog-"),
    headers=((b"anthropic-version", b"2023-06-01"),),  # the version that is written here
    id_header=b"request-id",
    count=lambda count: {"input_tokens": count},
    stream_usage_at=("usage",),
    early_usage=b'"message_start"',  # it tells the input, long before the end
    examples=Examples(
        models=Example("/v1/models?limit=1000", None, '"has_more"'),
        plain=Example("/v1/messages", _HELLO, '"content"'),
        stream=Example("/v1/messages?beta=true", {**_HELLO, "stream": True}, "message_stop"),
        tool_call=Example(
            "/v1/messages",
            {
                **_HELLO,
                "messages": [{"role": "user", "content": ASK_WEATHER}],
                "tools": [{"name": "weather", "input_schema": WEATHER}],
            },
            '"weather"',
        ),
        token_count=Example("/v1/messages/count_tokens", {"model": "{model}", "messages": _MESSAGES}, "input_tokens"),
    ),
)
