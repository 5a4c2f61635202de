"""How one attempt goes from a client's dialect to a provider's and back. Level 1, sans-I/O.

The same dialect on both sides: bodies go verbatim and a listener reads. Another: everything goes through the hub. The rest
of the gateway sees one interface and never asks which.
"""

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from switchgear.core.errors import ProtocolError
from switchgear.core.steps import Steps, finish
from switchgear.core.usage import TokenUsage
from switchgear.dialects import (
    answer_check,
    anthropic,
    bedrock,
    cohere,
    embeddings,
    errors,
    gemini,
    hub,
    openai,
    references,
    responses,
)
from switchgear.dialects.amend import amend
from switchgear.dialects.fitting import fit
from switchgear.dialects.json_guard import JsonRefusedError, scan_steps
from switchgear.dialects.model_facts import facts_of
from switchgear.dialects.reading import BinaryListener, Ears, Listener, Reading
from switchgear.dialects.registry import BY_NAME, TRANSLATORS
from switchgear.dialects.request import LARGE_BYTES, Body, Request, upstream_body
from switchgear.dialects.shape import (
    CONTAINERS_MAX,
    TRANSLATION_ERRORS,
    VALUES_MAX,
    InvalidBodyError,
    Node,
    check_size,
    decode,
    decode_large,
    encode,
    encode_large,
    short_members,
)
from switchgear.providers.quirks import Quirks
from switchgear.wire import eventstream, sse

# What an attempt asks of a provider, by dialect and operation; `{model}` is the upstream's name, escaped.
PATHS: dict[tuple[str, str], str] = {
    ("openai", "chat"): "/chat/completions",
    ("openai", "completions"): "/completions",
    ("openai", "embeddings"): "/embeddings",
    ("openai", "images"): "/images/generations",
    ("openai", "image_edits"): "/images/edits",
    ("openai", "image_variations"): "/images/variations",
    ("openai", "transcriptions"): "/audio/transcriptions",
    ("openai", "translations"): "/audio/translations",
    ("openai", "speech"): "/audio/speech",
    ("openai", "moderations"): "/moderations",
    ("openai", "rerank"): "/rerank",
    ("responses", "chat"): "/responses",
    ("responses", "compact"): "/responses/compact",
    ("responses", "count_tokens"): "/responses/input_tokens",
    ("responses", "stored"): "/responses/{id}",
    ("responses", "stored_cancel"): "/responses/{id}/cancel",
    ("responses", "stored_items"): "/responses/{id}/input_items",
    ("anthropic", "chat"): "/messages",
    ("anthropic", "count_tokens"): "/messages/count_tokens",
    ("gemini", "chat"): "/models/{model}:generateContent",
    ("gemini", "chat_stream"): "/models/{model}:streamGenerateContent?alt=sse",
    ("gemini", "count_tokens"): "/models/{model}:countTokens",
    ("gemini", "embeddings"): "/models/{model}:embedContent",
    ("gemini", "embeddings_batch"): "/models/{model}:batchEmbedContents",
    ("bedrock", "chat"): "/model/{model}/converse",
    ("bedrock", "chat_stream"): "/model/{model}/converse-stream",
    ("bedrock", "invoke"): "/model/{model}/invoke",
    ("bedrock", "invoke_stream"): "/model/{model}/invoke-with-response-stream",
    ("bedrock", "count_tokens"): "/model/{model}/count-tokens",
    ("cohere", "chat"): "/chat",
    ("cohere", "embeddings"): "/embed",
    ("cohere", "rerank"): "/rerank",
}
STREAM_TYPES = {
    "bedrock": b"application/vnd.amazon.eventstream",
}
SSE_TYPE = b"text/event-stream; charset=utf-8"
JSON_TYPE = b"application/json"
PINGS = {
    "openai": b": ping\n\n",
    "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
    "gemini": b"\n",
    "cohere": b"\n",
    "bedrock": b"",
}
ID_PREFIXES = {"openai": "chatcmpl-", "responses": "resp_", "anthropic": "msg_"}
"""How ids of answers begin, where clients of the dialect expect it."""
SHARED_OPERATIONS = frozenset({"rerank"})
"""What has one shape in every dialect that knows it: query, documents and top_n in, index and relevance_score out (Cohere's,
which Jina, vLLM and others took over; docs.cohere.com/reference/rerank, docs.jina.ai; from memory)."""
BYTES_PER_TOKEN = 4
"""For estimates: English text and code have about four bytes a token."""
MEDIA_OPERATIONS = frozenset(
    {
        "images",
        "image_edits",
        "image_variations",
        "speech",
        "transcriptions",
        "translations",
        "moderations",
        "rerank",
        "passthrough",
    }
)
"""What is not counted in tokens alone."""
_READ_OTHERWISE = frozenset({"passthrough", "invoke"})
RAW_ANSWER_BYTES_MAX = 1_048_576
"""What names a thing that was made is small."""
_EARS: dict[str, Ears] = {
    "responses": responses.EARS,
    "anthropic": anthropic.EARS,
    "gemini": gemini.EARS,
    "cohere": cohere.EARS,
}
_READERS: dict[str, Callable[[Node], Reading]] = {
    "responses": responses.read_answer,
    "anthropic": anthropic.read_answer,
    "gemini": gemini.read_answer,
    "bedrock": bedrock.read_answer,
    "cohere": cohere.read_answer,
}


class Meter(Protocol):
    """Takes a provider's stream and gives the client's; knows what the stream said about itself."""

    @property
    def reading(self) -> Reading:
        """What is known so far."""
        ...

    @property
    def error(self) -> bool:
        """True after an error event of the provider's own, which was passed on."""
        ...

    @property
    def is_clean(self) -> bool:
        """True when the stream ended as it should."""
        ...

    @property
    def output_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError."""
        ...

    def finish(self) -> bytes:
        """The stream ended: return the last bytes for the client."""
        ...


class Passage:
    """One attempt's way. `path`, `body` and `dropped` are for the attempt and its record."""

    __slots__ = (
        "_answer_id",
        "_created",
        "_input_estimate",
        "_model",
        "_names",
        "_operation",
        "_ours",
        "_request",
        "_tools",
        "_wanted",
        "as_array",
        "body",
        "dialect",
        "dropped",
        "method",
        "path",
        "pending",
        "provider_dialect",
        "provider_row",
        "row",
    )

    def __init__(
        self, request: Request, dialect: str, provider_dialect: str, created: int, as_array: bool, answer_id: str | None
    ) -> None:
        self._request = request
        self._answer_id = None if answer_id is None else ID_PREFIXES.get(dialect, "") + answer_id
        self._model = request.model
        self._created = created
        self.row, self.provider_row = BY_NAME[dialect], BY_NAME[provider_dialect]
        self.dialect = dialect
        """What the client hears."""
        self.provider_dialect = provider_dialect
        self.as_array = as_array
        """True for Gemini's clients that read a stream as one JSON array."""
        self.method = "POST"
        self.path = ""
        self.body: Body = b""
        self.pending: Steps[None] | None = None
        """What is left to do before the body is there."""
        self.dropped: list[str] = []
        self._ours = dialect == provider_dialect
        self._tools = responses.PLAIN_TOOLS
        self._names: dict[str, str] = {}
        self._input_estimate = 0
        self._operation = request.operation
        """What the provider is asked for."""
        self._wanted: embeddings.Wanted | None = None

    @property
    def content_type(self) -> bytes:
        """The content type of the body."""
        form = self._request.form
        return form.content_type if form is not None else JSON_TYPE

    @property
    def is_verbatim(self) -> bool:
        """True when the answer goes to the client as it came."""
        return self._ours

    @property
    def stream_type(self) -> bytes:
        """The content type of the client's stream."""
        return JSON_TYPE if self.as_array else STREAM_TYPES.get(self.dialect, SSE_TYPE)

    def meter(self) -> Meter:
        """Return what the provider's stream is fed to."""
        request = self._request
        inner: Meter
        if not self._ours:
            inner = Crossing(self)
        elif self.dialect == "openai":
            hides = not (request.asked_usage or request.shows_usage)
            inner = openai.StreamMeter(hides, "audio" in request.fields, request.operation in MEDIA_OPERATIONS)
        elif self.dialect == "bedrock":
            inner = BinaryListener(bedrock.listen_invoke if request.operation == "invoke" else bedrock.listen)
        else:
            inner = Listener(_EARS[self.dialect], self.dialect)
        return ArrayMeter(inner) if self.as_array else inner

    def encoder(self) -> Any:
        """Return the encoder of the client's dialect."""
        asked = self._request.asked_usage or self._request.shows_usage
        if self.dialect == "responses":
            return responses.StreamEncoder(self._model, self._created, asked, self._tools)
        return TRANSLATORS[self.dialect].encoder(self._model, self._created, asked)

    def read(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> Reading:
        """Read what a plain answer says about itself, and whether it is one (`unfit`)."""
        is_other = self._request.operation in _READ_OTHERWISE
        found = self._read_operation(body, headers) if is_other else self._read(body)
        return found if found.is_fit else self._judge(found, body, headers)

    def _judge(self, found: Reading, body: bytes, headers: list[tuple[bytes, bytes]]) -> Reading:
        if self._request.operation != "passthrough":
            kind = next((value for name, value in headers if name == b"content-type"), b"").lower()
            found.unfit = answer_check.judge(self.provider_dialect, self._operation, body, kind)
        return found

    def _read_operation(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> Reading:
        if self._request.operation == "passthrough":
            found = self._read(body)
            found = found if found.usage is not None else openai.read_media_answer(body)
            found.kept = _kept_by_raw_answer(body, self.method == "POST")
            return found
        if self._request.operation == "invoke":  # the body is the model's own, the count is Bedrock's
            return Reading(bedrock.usage_of_headers(headers))
        return self._read(body)

    def read_steps(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> Steps[Reading]:
        """Do the same in steps, for a large answer. Of one with too many values only what is short is read: its usage, its
        id."""
        if body.startswith(b"{"):
            try:
                scan = yield from scan_steps(body)
                if scan.containers > CONTAINERS_MAX or scan.values > VALUES_MAX:
                    return self._read_operation(short_members(body), headers)
            except (JsonRefusedError, *TRANSLATION_ERRORS):
                return self._judge(Reading(), body, headers)
        return self.read(body, headers)

    def _read(self, body: bytes) -> Reading:
        if self.provider_dialect == "openai":
            if self._request.operation != "passthrough" and self._request.operation in MEDIA_OPERATIONS:
                return openai.read_media_answer(body)
            return openai.read_answer(body)
        try:
            value = decode(body) if len(body) < LARGE_BYTES else decode_large(body)
            if not isinstance(value, dict):
                return Reading()
            found = _READERS[self.provider_dialect](Node(value))
            if value.get("error") is None:
                for name in answer_check.MEMBERS.get((self.provider_dialect, self._operation), ()):
                    if isinstance(value.get(name), list | dict):
                        found.is_fit = True
                        break
            return found
        except TRANSLATION_ERRORS:
            return Reading()

    @property
    def is_raw(self) -> bool:
        """True for a raw path of a provider: whatever it answers is passed on as it comes."""
        return self._request.operation == "passthrough"

    @property
    def must_end_well(self) -> bool:
        """True where a proper end of a stream is known by its events."""
        return self._request.operation in {"chat", "completions"}

    def answer(self, body: bytes) -> bytes:
        """Return a plain answer for the client. Raises ProtocolError for one that cannot be translated."""
        return finish(self.answer_steps(body))

    def answer_steps(self, body: bytes) -> Steps[bytes]:
        """Do the same in steps, for a large answer."""
        if self._ours:
            return body
        try:
            translated = yield from self._translate(body)
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's answer cannot be translated: {exc}") from exc
        return translated

    def _translate(self, body: bytes) -> Steps[bytes]:
        if self._wanted is not None:
            try:
                node = yield from _node_of(body, embeddings.ANSWER_VALUES_MAX)
                vectors = yield from embeddings.read_answer.steps(self.provider_dialect, node)
            except TRANSLATION_ERRORS as exc:
                raise ProtocolError(f"the provider's answer is not of its dialect: {exc}") from exc
            return encode(embeddings.write_answer(self.dialect, vectors, self._wanted, self._model))
        answer = yield from self._decode(body)
        yield
        if self.dialect == "responses":
            said = yield from responses.encode_answer.steps(answer, self._model, self._created, self._tools)
        else:
            said = yield from TRANSLATORS[self.dialect].encode_answer.steps(answer, self._model, self._created)
        yield
        return encode(said)

    def _decode(self, body: bytes) -> Steps[hub.Answer]:
        try:
            node = yield from _node_of(body)
            answer = yield from TRANSLATORS[self.provider_dialect].decode_answer.steps(node)
        except TRANSLATION_ERRORS as exc:  # msgspec's and InvalidBodyError are ValueErrors
            raise ProtocolError(f"the provider's answer is not of its dialect: {exc}") from exc
        self.dropped += answer.dropped
        answer.id = answer.id or self._answer_id  # clients join what bears one id
        if self._names:
            for part in answer.parts:
                if isinstance(part, hub.ToolCall):
                    part.name = self._names.get(part.name, part.name)
        if len(answer.parts) > 1:  # a client would send an empty block back, and be refused
            answer.parts = [part for part in answer.parts if not isinstance(part, hub.Text) or part.text]
        if answer.finish == "stop" and any(isinstance(part, hub.ToolCall) for part in answer.parts):
            answer.finish = "tool_calls"
        return answer

    def as_stream(self, body: bytes) -> bytes:
        """Return a plain answer as the stream that the client asked for. Raises ProtocolError."""
        return finish(self.as_stream_steps(body))

    def as_stream_steps(self, body: bytes) -> Steps[bytes]:
        """Do the same in steps, for a large answer."""
        encoder = self.encoder()
        answer = yield from self._decode(body)
        pieces: list[bytes] = []
        try:
            for event in hub.events_of(answer):
                yield
                pieces.append(encoder.encode(event))
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's answer cannot be translated: {exc}") from exc
        out = b"".join(pieces)
        if not self.as_array:
            return out
        array = ArrayMeter(Listener(_EARS["gemini"], "gemini"))
        return array.feed(out) + array.finish()

    def error(self, status: int, body: bytes, request_id: str) -> tuple[int, bytes, bytes]:
        """Return (status, further header lines, body) for a provider's error: its own words where the client speaks its dialect,
        unless they are a page."""
        if self._ours and not body[:256].lstrip().startswith(b"<"):
            return status, b"", body
        return self.error_in_words(status, body, request_id)

    def error_in_words(self, status: int, body: bytes, request_id: str) -> tuple[int, bytes, bytes]:
        """The same, in the client's dialect whatever came."""
        row = self.row
        fault = errors.of_upstream(status, body, request_id, row.errors.too_long)
        more, rendered = row.error(fault)
        if fault.retry_after_s is not None:
            more += b"retry-after: %d\r\n" % fault.retry_after_s
        return fault.status, more, rendered

    def first_event(self, out: bytes) -> bytes | None:
        """Return the first event in a stream's bytes for the client that is no keep-alive, or None. Raises ProtocolError for one
        that is not of any dialect."""
        if self.dialect == "bedrock" or self.as_array:
            return out if out.strip() else None
        for event in sse.Splitter(1 << 30).feed(out + b"\n\n"):
            data = sse.event_data(event)
            if data is None or answer_check.is_idle(data):
                continue
            if not answer_check.is_event(data):
                raise ProtocolError("the provider's stream does not begin with an event")
            return data
        return None

    def said(self, meter: Meter, out: bytes) -> bytes | None:
        """Return the provider's own error in a stream, as an error object; None when the stream told none. `out` is what the
        client would have got."""
        while isinstance(meter, ArrayMeter):
            meter = meter.inner
        if isinstance(meter, Crossing):
            failed = meter.failed
            return None if failed is None else encode({"error": {"message": failed.message, "type": failed.kind}})
        if not meter.error:
            return None
        if self.dialect == "bedrock":
            messages = eventstream.Decoder().feed(out)
            return messages[-1].payload if messages else b""
        events = [sse.event_data(event) or b"" for event in sse.Splitter(1 << 30).feed(out + b"\n\n")]
        return next((data for data in reversed(events) if b"error" in data.lower()), out)

    def ping(self, meter: Meter) -> bytes:
        """Return a keep-alive, to be sent between two events."""
        if self.as_array:
            return b" "
        if self.dialect == "responses":
            number = _sequence_number(meter)
            return b'data: {"type":"keepalive","sequence_number":%d}\n\n' % number
        return PINGS[self.dialect]

    def broken(self, fault: errors.Fault, meter: Meter | None) -> bytes:
        """Return what ends a broken stream."""
        if self.as_array:
            return b""  # the missing "]" says it
        number = _sequence_number(meter) + 1 if meter is not None and self.dialect == "responses" else 0
        return self.row.error_event(fault, number)


def _node_of(body: bytes, values_max: int = VALUES_MAX) -> Steps[Node]:
    """Decode an answer for translation. Raises what TRANSLATION_ERRORS names, also for one with too many values."""
    if len(body) < LARGE_BYTES:
        return Node(decode(body))
    scan = yield from scan_steps(body)
    check_size(scan, "an answer", values_max)
    yield
    return Node(decode_large(body))


def _kept_by_raw_answer(body: bytes, is_new: bool) -> list[str]:
    if body.lstrip()[:1] != b"{" or len(body) > RAW_ANSWER_BYTES_MAX:
        return []
    try:
        return references.kept_by_raw_answer(decode(body), is_new)
    except TRANSLATION_ERRORS:
        return []


def _sequence_number(meter: Meter) -> int:
    if isinstance(meter, Crossing):
        return int(getattr(meter.encoder, "number", 0))
    data = sse.event_data(getattr(meter, "last_event", b"")) or b"{}"
    try:
        return Node(decode(data)).integer("sequence_number") or 0
    except TRANSLATION_ERRORS:
        return 0


def choose(dialect: str, operation: str, spoken: tuple[str, ...], model: str = "") -> str | None:
    """Return the dialect in which a provider is asked: the client's own where it speaks it and serves the model on it, else
    the first that a translation leads to. None when the provider cannot do this."""
    if operation == "chat" and "responses" in spoken and dialect != "responses":
        facts = facts_of(model)
        if facts.only_responses or (facts.on_responses and dialect != "openai"):
            return "responses"
    if dialect in spoken and (dialect, operation) in PATHS:
        return dialect
    if operation == "chat":
        return next((name for name in spoken if name in TRANSLATORS), None)
    if operation in embeddings.OPERATIONS:
        return next((name for name in spoken if name in embeddings.ASKED), None)
    if operation in SHARED_OPERATIONS:
        return next((name for name in spoken if (name, operation) in PATHS), None)
    return None


def open_passage(
    request: Request,
    dialect: str,
    provider_dialect: str,
    upstream_model: str,
    quirks: Quirks,
    *,
    created: int,
    as_array: bool = False,
    answer_id: str | None = None,
    at_once: bool = True,
    drop: tuple[str, ...] = (),
    max_tokens: int | None = None,
) -> Passage:
    """Prepare an attempt. `dialect` is what the client hears; `answer_id` names a translated answer whose provider gives
    it no id (Bedrock's Converse), unique to the request. Where `at_once` is False, a translation is left in `pending` for
    the caller to do in steps. `drop` and `max_tokens` are what the model's configuration leaves out and fills in. Raises
    InvalidBodyError for what cannot be carried."""
    dropped: list[str] = []
    if drop or max_tokens is not None:
        limit_name = facts_of(upstream_model).max_tokens_name or quirks.max_tokens
        request, dropped = amend(request, drop, max_tokens, limit_name)
    passage = Passage(request, dialect, provider_dialect, created, as_array, answer_id)
    passage.dropped = dropped
    operation = request.operation
    crosses = request.dialect != provider_dialect and operation not in SHARED_OPERATIONS
    if operation in SHARED_OPERATIONS:
        passage._ours = True
    if crosses and operation in embeddings.OPERATIONS:
        wanted = passage._wanted = embeddings.read_request(request.dialect, operation, request.node())
        passage.body = encode(embeddings.write_request(provider_dialect, wanted, upstream_model))
        passage.dropped += wanted.dropped
        operation = passage._operation = embeddings.ASKED[provider_dialect][0]
    name = f"{operation}_stream" if request.stream and (provider_dialect, f"{operation}_stream") in PATHS else operation
    if operation == "passthrough":
        assert request.form is not None
        passage.method, passage.path, passage.body = request.method, request.stored_path, request.form.body
        return passage
    if operation == "stored":
        passage.method = request.method
        passage.path = PATHS["responses", request.stored_path].replace("{id}", request.refers_to or "")
        return passage
    template = quirks.paths.get(name) or PATHS[provider_dialect, name]
    passage.path = template.replace("{model}", quote(upstream_model, safe="")) if "{" in template else template
    if passage._wanted is not None:
        return passage
    if not crosses:
        changes = quirks.body
        if changes and "model" in changes and "{model}" not in template:  # the path does not say it
            changes = {key: value for key, value in changes.items() if key != "model"}
        if quirks.metadata_needs_store and _has_useless_metadata(request):
            changes = {**(changes or {}), "metadata": None}
            passage.dropped.append("metadata")
        passage.body = upstream_body(request, upstream_model, quirks.stream_usage, changes)
        return passage
    crossing = _cross(passage, request, upstream_model, quirks)
    if at_once:
        finish(crossing)
    else:
        passage.pending = crossing
    return passage


def _cross(passage: Passage, request: Request, upstream_model: str, quirks: Quirks) -> Steps[None]:
    """Translate a body."""
    provider_dialect = passage.provider_dialect
    try:
        node = request.node()
        asked = yield from TRANSLATORS[request.dialect].decode_request.steps(node, request.model, request.stream)
        if request.dialect == "responses":
            passage._tools = yield from responses.client_tools.steps(node)
        del node  # a large body's texts are held once
        facts = facts_of(upstream_model)
        fitted = yield from fit.steps(asked, provider_dialect, facts)
        passage._names = fitted.names
        if facts.max_tokens_name is not None:
            quirks = msgspec.structs.replace(quirks, max_tokens=facts.max_tokens_name)
        if facts.thinking_returns:
            quirks = msgspec.structs.replace(quirks, reasoning_content=True)
        body = yield from TRANSLATORS[provider_dialect].encode_request.steps(asked, upstream_model, quirks)
    except InvalidBodyError:
        raise
    except TRANSLATION_ERRORS as exc:
        raise InvalidBodyError(f"the body cannot be translated for this model's provider: {exc}") from exc
    passage.dropped = list(dict.fromkeys((*passage.dropped, *asked.dropped)))
    del asked
    for key, value in (quirks.body or {}).items():
        if value is None:
            body.pop(key, None)
        else:
            body[key] = value
    passage.body = (yield from encode_large(body)) if request.is_large else encode(body)
    size = len(passage.body) if isinstance(passage.body, bytes) else sum(map(len, passage.body))
    passage._input_estimate = size // BYTES_PER_TOKEN + 1


def _has_useless_metadata(request: Request) -> bool:
    fields = request.fields
    return (
        "metadata" in fields
        and request.dialect == "openai"
        and request.operation == "chat"
        and bytes(fields.get("store", b"")) != b"true"
    )


class Crossing:
    """A provider's stream translated into the client's dialect."""

    def __init__(self, passage: Passage) -> None:
        self._decoder = TRANSLATORS[passage.provider_dialect].decoder()
        self.encoder = passage.encoder()
        self.reading = Reading()
        self._deltas = 0
        self.error = False
        """Always False: the provider's own error event is not passed on, the transfer renders one."""
        self.failed: hub.Failed | None = None
        self._size = 0
        self._is_ended = False
        self._has_calls = False
        self._answer_id = passage._answer_id
        self._input_estimate = passage._input_estimate
        self._names = passage._names

    @property
    def is_clean(self) -> bool:
        """True after the provider's proper end."""
        return self._is_ended and self.failed is None

    @property
    def output_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return max(self._deltas, self._size // BYTES_PER_TOKEN)

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for the client. Raises ProtocolError, also for an error event of the provider's."""
        try:
            return self._encode(self._decoder.feed(data))
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's stream cannot be translated: {exc}") from exc

    def finish(self) -> bytes:
        """The stream ended."""
        try:
            return self._encode(self._decoder.finish())
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's stream cannot be translated: {exc}") from exc

    def _encode(self, events: list[hub.Event]) -> bytes:
        out: list[bytes] = []
        reading = self.reading
        for event in events:
            if isinstance(event, hub.Delta):
                self._deltas += 1
                self._size += len(event.text) if event.text.isascii() else len(event.text.encode("utf-8", "replace"))
            elif isinstance(event, hub.PartBegin):
                self._has_calls = self._has_calls or event.kind == "tool"
                if event.name is not None and self._names:
                    event.name = self._names.get(event.name, event.name)
            elif isinstance(event, hub.Begin):
                reading.response_id = event.id[:128] if event.id else None
                event.id = event.id or self._answer_id
                reading.usage = event.usage
                if event.usage is None:  # some clients show what the answer begins with
                    event.usage = TokenUsage(input=self._input_estimate)
            elif isinstance(event, hub.End):
                self._is_ended = True
                if event.finish == "stop" and self._has_calls:  # said so by some servers although a tool is called
                    event.finish = "tool_calls"
                reading.usage, reading.finish_reason = event.usage, event.finish
                reading.service_tier = event.service_tier
                reading.take_beside(event.beside)
            elif isinstance(event, hub.Failed):
                self.failed = event
                raise ProtocolError(f"the provider broke off: {event.message[:512]}")
            out.append(self.encoder.encode(event))
        return b"".join(out)


class ArrayMeter:
    """Turns a stream of events into one JSON array, as Gemini's clients without `alt=sse` read it."""

    def __init__(self, inner: Meter) -> None:
        self.inner = inner
        self._begun = False

    @property
    def reading(self) -> Reading:
        """What is known so far."""
        return self.inner.reading

    @property
    def error(self) -> bool:
        """True after an error event of the provider's own."""
        return self.inner.error

    @property
    def is_clean(self) -> bool:
        """True when the stream ended as it should."""
        return self.inner.is_clean

    @property
    def output_estimate(self) -> int:
        """Tokens seen so far, estimated."""
        return self.inner.output_estimate

    def feed(self, data: bytes) -> bytes:
        """Return the elements that these bytes complete."""
        return self._elements(self.inner.feed(data))

    def finish(self) -> bytes:
        """Close the array, if the stream ended as it should."""
        out = self._elements(self.inner.finish())
        if not self.inner.is_clean:
            return out
        return out + (b"]" if self._begun else b"[]")

    def _elements(self, events: bytes) -> bytes:
        out: list[bytes] = []
        for event in sse.Splitter(1 << 30).feed(events):
            data = sse.event_data(event)
            if data is not None:
                out.append((b",\r\n" if self._begun else b"[") + data)
                self._begun = True
        return b"".join(out)
