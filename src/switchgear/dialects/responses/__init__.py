"""OpenAI responses: the dialect's row. Level 1."""

import re
from typing import Any

from switchgear.dialects import foreign_thoughts, kept_things, rate_limit_headers, references
from switchgear.dialects.answer_metadata import plain_reader
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
from switchgear.dialects.fitting import COMBINATORS, Rules
from switchgear.dialects.json_node import encode
from switchgear.dialects.model_lists import Card
from switchgear.dialects.openai import error_body
from switchgear.dialects.pairs import Ids
from switchgear.dialects.responses.answers import decode_answer, encode_answer
from switchgear.dialects.responses.requests import client_tools, decode_request, encode_request
from switchgear.dialects.responses.streams import StreamDecoder, StreamEncoder
from switchgear.dialects.responses.tap import TAP_RULES, read_answer
from switchgear.dialects.taps import SseTap

REFERENCES: dict[str, str] = {
    "previous_response_id": "response",
    "conversation": "conversation",
    "conversation.id": "conversation",
    "prompt.id": "prompt",
    "prompt.variables.*.file_id": "file",
    "input.content.file_id": "file",
    "input.output.file_id": "file",
    "input.file_id": "file",
    "input.container_id": "container",
    "input.environment.container_id": "container",
    "input.approval_request_id": "item",
} | {
    f"{holder}.{path}": kind
    for holder in (
        "tools",
        "tools.tools+",
        "input.tools",
        "input.tools.tools+",
    )  # also in a namespace, and tools that were found
    for path, kind in references.TOOLS.items()
}


def _error_body(fault: Fault) -> dict[str, Any]:
    """As chat's, but for a budget that is spent: Codex stops at this type, and shows the time of `resets_at` (seconds since the
    epoch; its tests of usage limits, openai/codex, read 2026-11-28)."""
    body = error_body(fault)
    if fault.is_spent:
        body["error"] |= {"type": "usage_limit_reached", "resets_at": fault.resets_s}
    return body


def _error_event(fault: Fault, body: bytes, sequence_number: int) -> bytes:
    error = {"code": fault.openai_code or fault.openai_type, "message": fault.message}
    response = {"id": "resp_" + fault.request_id, "object": "response", "created_at": 0, "status": "failed"}
    response |= {"error": error, "incomplete_details": None, "output": [], "model": "", "usage": None}
    event = {"type": "response.failed", "sequence_number": sequence_number, "response": response}
    return b"event: response.failed\ndata: %b\n\n" % encode(event)


def _model_card(card: Card) -> dict[str, Any]:
    """Codex's catalogue (openai/codex, `codex-rs/protocol`, as of 2026-11)."""
    return {
        "slug": card.name,
        "display_name": card.name,
        "context_window": card.context_window,
        "supported_reasoning_levels": [
            {"effort": effort, "description": effort} for effort in ("low", "medium", "high")
        ],
        "default_reasoning_level": "medium",
        "shell_type": "default",
        "visibility": "list",
        "supported_in_api": True,
        "priority": 0,
    }


_HELLO = {"model": "{model}", "input": "hello"}


_WEATHER_TOOL = {"type": "function", "name": "weather", "strict": False, "parameters": WEATHER}


ROW = Dialect(
    name="responses",
    errors=ErrorShape(
        _error_body,
        _error_event,
        too_long=(
            "exceeds the context window",
            "Your input exceeds the context window of this model: {tokens} tokens > {limit}. Please adjust your input.",
            "",
        ),
        too_long_signs=(b"context_length_exceeded",),  # Codex
    ),
    keeps_answers=True,
    ping=lambda number: b'data: {"type":"keepalive","sequence_number":%d}\n\n' % number,
    numbers_events=True,
    answer_id_prefix="resp_",
    operations={
        "chat": Operation(
            "/responses",
            BodyRules(
                ("input", "previous_response_id", "prompt", "conversation"),
                ("max_output_tokens",),
                user="user",
                limit="max_output_tokens",
            ),
            members=("output",),
        ),
        "compact": Operation("/responses/compact", BodyRules(("model",)), members=("output",)),
        "count_tokens": Operation(
            "/responses/input_tokens",
            BodyRules(("input", "previous_response_id", "conversation")),
            members=("input_tokens",),
        ),
        "stored": Operation("/responses/{id}"),
        "stored_cancel": Operation("/responses/{id}/cancel"),
        "stored_items": Operation("/responses/{id}/input_items"),
    },
    references=references.watched(REFERENCES, items_in="input"),
    read_answer=plain_reader(read_answer),
    open_tap=lambda request: SseTap(TAP_RULES),
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
        client_tools,
    ),
    is_raw_answer=kept_things.may_be_response,
    cleaned=foreign_thoughts.of_input,
    fit=Rules(
        searches=True,
        instructions=True,
        top_words=COMBINATORS | {"enum", "not"},
        call_ids=Ids(
            chars_max=64
        ),  # error text "string too long. Expected a string with maximum length 64" (ungate#26)
        arguments_are_text=True,
        efforts_are_words=True,
        strict_needs_all=True,
        user_max=64,
        shares=True,
        json_word="turns",
    ),
    client_paths=(
        ClientPath(path="/responses", operation="chat", name="responses", in_deployments=True),
        ClientPath(path="/responses/compact", operation="compact", name="compact"),
        ClientPath(path="/responses/input_tokens", operation="count_tokens", name="count_tokens"),
        ClientPath(path="/responses/{id}", operation="stored", name="response", method="GET"),
        ClientPath(path="/responses/{id}/input_items", operation="stored_items", name="response", method="GET"),
        ClientPath(path="/responses/{id}/cancel", operation="stored_cancel", name="response"),
    ),
    known_path=re.compile(rb"/responses"),
    rate_limits=rate_limit_headers.openai,
    models=ModelList(_model_card, lambda items: {"models": items}, query=b"client_version"),
    count=lambda count: {"object": "response.input_tokens", "input_tokens": count},
    stream_usage_at=("response", "usage"),
    examples=Examples(
        models=Example("/v1/models", None, '"data"'),
        plain=Example("/v1/responses", _HELLO, '"output"'),
        stream=Example("/v1/responses", {**_HELLO, "stream": True}, "response.completed"),
        tool_call=Example("/v1/responses", {**_HELLO, "input": ASK_WEATHER, "tools": [_WEATHER_TOOL]}, '"weather"'),
        token_count=Example("/v1/responses/input_tokens", _HELLO, "input_tokens"),
    ),
)
