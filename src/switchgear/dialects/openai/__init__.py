"""OpenAI chat completions: the dialect's row. Level 1."""

from typing import Any

from switchgear.dialects import rate_limit_headers, references
from switchgear.dialects.cursor import adapt
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
from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.openai.answers import decode_answer, encode_answer
from switchgear.dialects.openai.embeddings import EMBEDDER
from switchgear.dialects.openai.media_answers import read_media_answer
from switchgear.dialects.openai.requests import decode_request, encode_request
from switchgear.dialects.openai.streams import StreamDecoder, StreamEncoder
from switchgear.dialects.openai.tap import OpenAITap, read_answer
from switchgear.dialects.pairs import Ids

REFERENCES = {
    "messages.content.file.file_id": "file",
    "messages.content.file_id": "file",
    "messages.content.image_file.file_id": "file",
    "messages.audio.id": "audio",
    "audio.voice.id": "voice",
    "voice.id": "voice",
    "image.file_id": "file",
    "images.file_id": "file",
    "mask.file_id": "file",
    "previous_response_id": "response",
    "conversation": "conversation",
    "conversation.id": "conversation",
    # what gateways and servers behind this dialect take beyond OpenAI's own
    "attachments.file_id": "file",
    "messages.attachments.file_id": "file",
    "vector_store_ids": "vector_store",
    "tool_resources.code_interpreter.file_ids": "file",
    "tool_resources.file_search.vector_store_ids": "vector_store",
} | {f"tools.{path}": kind for path, kind in references.TOOLS.items()}


def error_body(fault: Fault) -> dict[str, Any]:
    """Build an error; responses say it alike."""
    body = {"message": fault.message, "type": fault.openai_type, "param": fault.param, "code": fault.openai_code}
    return {"error": body}


def model_card(card: Card) -> dict[str, Any]:
    """Build one model's object (OpenAI API reference, "Models", as of 2026-11)."""
    return {"id": card.name, "object": "model", "created": 0, "owned_by": card.provider} | described(card)


def _path(path: str, operation: str, *, in_deployments: bool = False) -> ClientPath:
    return ClientPath(path=path, operation=operation, name=operation, in_deployments=in_deployments)


_HELLO = {"model": "{model}", "messages": [{"role": "user", "content": "hello"}]}


_WEATHER_TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
_ASK = _HELLO | {"messages": [{"role": "user", "content": ASK_WEATHER}], "tools": [_WEATHER_TOOL]}


ROW = Dialect(
    name="openai",
    errors=ErrorShape(
        error_body,
        lambda fault, body, number: b"data: %b\n\n" % body,
        too_long=(
            "maximum context length",
            "This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens.",
            "",
        ),
        too_long_signs=(b"context_length_exceeded", b"maximum context length"),
    ),
    ping=lambda number: b": ping\n\n",
    answer_id_prefix="chatcmpl-",
    operations={
        "chat": Operation(
            "/chat/completions",
            BodyRules(
                ("messages", "input"),
                ("max_completion_tokens", "max_tokens"),
                user="user",
                limit="max_tokens",
                limit_differs=True,
                metadata_is_stored=True,
                adapt=adapt,
            ),
            members=("choices",),
        ),
        "completions": Operation(
            "/completions", BodyRules(("prompt",), ("max_tokens",), user="user", limit="max_tokens"), ("choices",)
        ),
        "embeddings": Operation("/embeddings", BodyRules(("input",), user="user"), ("data", "embeddings")),
        "images": Operation(
            "/images/generations", BodyRules(("prompt",), user="user"), ("data",), read_answer=read_media_answer
        ),
        "image_edits": Operation("/images/edits", None, ("data",), read_answer=read_media_answer),
        "image_variations": Operation("/images/variations", None, ("data",), read_answer=read_media_answer),
        "transcriptions": Operation("/audio/transcriptions", None, (), read_answer=read_media_answer),
        "translations": Operation("/audio/translations", None, (), read_answer=read_media_answer),
        "speech": Operation("/audio/speech", BodyRules(("input",)), (), read_answer=read_media_answer),
        "moderations": Operation(
            "/moderations",
            BodyRules(("input",), model="omni-moderation-latest"),  # API reference, moderations/create: the default
            ("results",),
            read_answer=read_media_answer,
        ),
        "rerank": Operation("/rerank", BodyRules(("query",)), ("results", "data"), read_answer=read_media_answer),
    },
    references=references.watched(REFERENCES),
    usage_is_asked_for=True,
    read_answer=read_answer,
    open_tap=OpenAITap.of,
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    fit=Rules(
        instructions=True,
        # a history that was cut to a call and its result: GLM, Qwen (litellm#42432; read 2026-11-28)
        words_first=True,
        text_files=True,  # files of chat are PDFs; pydantic-ai, `OpenAIChatModel`, writes text into the turn as well (2026-11)
        top_words=COMBINATORS | {"enum", "not"},
        google_signatures=False,
        call_ids=Ids(
            chars_max=40
        ),  # error text "string too long. Expected a string with maximum length 40" (agno#5382)
        arguments_are_text=True,
        efforts_are_words=True,
        strict_needs_all=True,
        user_max=64,  # error text "Invalid 'user': string too long. Expected a string with maximum length 64"
        shares=True,
        json_word="anywhere",
        stop_max=4,  # API reference, chat/create: stop
    ),
    embedder=EMBEDDER,
    client_paths=(
        _path("/chat/completions", "chat", in_deployments=True),
        _path("/completions", "completions", in_deployments=True),
        _path("/embeddings", "embeddings", in_deployments=True),
        _path("/images/generations", "images", in_deployments=True),
        _path("/images/edits", "image_edits", in_deployments=True),
        _path("/images/variations", "image_variations"),
        _path("/audio/speech", "speech", in_deployments=True),
        _path("/audio/transcriptions", "transcriptions", in_deployments=True),
        _path("/audio/translations", "translations", in_deployments=True),
        _path("/moderations", "moderations"),
        _path("/rerank", "rerank"),
    ),
    rate_limits=rate_limit_headers.openai,
    models=ModelList(model_card, lambda items: {"object": "list", "data": items}),
    stream_usage_at=("usage",),
    examples=Examples(
        models=Example("/v1/models", None, '"data"'),
        plain=Example("/v1/chat/completions", _HELLO, '"choices"'),
        stream=Example("/v1/chat/completions", {**_HELLO, "stream": True}, "[DONE]"),
        tool_call=Example(
            "/v1/chat/completions",
            _ASK,
            '"weather"',
        ),
    ),
)
