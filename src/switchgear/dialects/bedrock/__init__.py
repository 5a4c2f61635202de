"""Bedrock's Converse: the dialect's row. Level 1."""

import re

from switchgear.dialects import foreign_thoughts, openai, references
from switchgear.dialects.answer_metadata import plain_reader
from switchgear.dialects.anthropic import REFERENCES
from switchgear.dialects.anthropic.requests import MAKERS
from switchgear.dialects.bedrock.answers import decode_answer, encode_answer
from switchgear.dialects.bedrock.requests import decode_request, encode_request
from switchgear.dialects.bedrock.streams import StreamDecoder, StreamEncoder
from switchgear.dialects.bedrock.tap import open_tap, read_answer, usage_of_headers
from switchgear.dialects.dialect import (
    BodyRules,
    ClientPath,
    Dialect,
    ErrorShape,
    Example,
    Examples,
    Operation,
    Translator,
)
from switchgear.dialects.errors import Fault
from switchgear.dialects.fitting import COMBINATORS, IMAGES, Rules
from switchgear.dialects.pairs import Ids
from switchgear.wire import eventstream

_ERROR_TYPES = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    502: "ModelErrorException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


def _error_headers(fault: Fault) -> bytes:
    if fault.is_spent:
        return b"x-amzn-errortype: ServiceQuotaExceededException\r\n"
    default = "ValidationException" if fault.status < 500 else "InternalServerException"
    return b"x-amzn-errortype: %b\r\n" % _ERROR_TYPES.get(fault.status, default).encode()


def _error_event(fault: Fault, body: bytes, sequence_number: int) -> bytes:
    kind = "modelStreamErrorException" if fault.status >= 500 else "validationException"
    return eventstream.exception(kind, body)


def _path(verb: str, operation: str, name: str, stream: bool = False) -> ClientPath:
    return ClientPath(path=f"/model/{{model}}/{verb}", operation=operation, name=name, stream=stream)


_HELLO = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


ROW = Dialect(
    name="bedrock",
    errors=ErrorShape(
        lambda fault: {"message": fault.message},
        _error_event,
        _error_headers,
        spent_status=400,
        too_long=(
            "Input is too long for requested model",
            "Input is too long for requested model: {tokens} tokens > {limit}",
            "",
        ),
    ),
    stream_type=b"application/vnd.amazon.eventstream",
    is_binary=True,
    ping=lambda number: b"",
    operations={
        "chat": Operation(
            "/model/{model}/converse",
            BodyRules(
                ("messages",), ("inferenceConfig.maxTokens",), has_model=False, limit="inferenceConfig.maxTokens"
            ),
            ("output",),
            "/model/{model}/converse-stream",
        ),
        "invoke": Operation(
            "/model/{model}/invoke",
            BodyRules((), ("max_tokens", "max_gen_len", "textGenerationConfig.maxTokenCount"), has_model=False),
            stream_path="/model/{model}/invoke-with-response-stream",
            read_headers=usage_of_headers,
        ),
        "count_tokens": Operation(
            "/model/{model}/count-tokens", BodyRules(("input",), has_model=False), ("inputTokens",)
        ),
    },
    # bodies of `invoke` are the model's own, and Converse hands on what it does not know
    references=references.watched(
        REFERENCES | {f"additionalModelRequestFields.{path}": kind for path, kind in REFERENCES.items()}
    ),
    read_answer=plain_reader(read_answer),
    cleaned=foreign_thoughts.of_converse,
    has_betas=True,
    open_tap=open_tap,
    translator=Translator(
        decode_request,
        encode_request,
        decode_answer,
        encode_answer,
        StreamDecoder,
        StreamEncoder,
    ),
    fit=Rules(
        error_results=True,
        blank_is_white=True,
        user_turn=True,
        user_first=True,
        past_tools=True,
        top_words=COMBINATORS,
        images=IMAGES,
        makers=MAKERS,
        empty_result="(no output)",
        property_chars="a-zA-Z0-9_.-",  # error text "Property keys should match pattern"
        temperature_max=1.0,
        marks_max=4,
        call_ids=Ids(chars="a-zA-Z0-9_.:-"),  # API reference, ToolUseBlock: toolUseId
    ),
    client_paths=(
        _path("converse", "chat", "converse"),
        _path("converse-stream", "chat", "converse", stream=True),
        _path("invoke", "invoke", "invoke"),
        _path("invoke-with-response-stream", "invoke", "invoke", stream=True),
        _path("count-tokens", "count_tokens", "count_tokens"),
    ),
    known_path=re.compile(rb"/model/"),
    models=openai.ROW.models,
    id_header=b"x-amzn-requestid",
    count=lambda count: {"inputTokens": count},
    examples=Examples(
        plain=Example("/model/{model}/converse", _HELLO, '"output"'),
        stream=Example("/model/{model}/converse-stream", _HELLO, "messageStop"),
    ),
)
