"""How one attempt goes from a client's dialect to a provider's and back. Level 1, sans-I/O.

The same dialect on both sides: bodies go verbatim and a tap reads. Another: everything goes through the canonical values. The rest
of the gateway sees one interface and never asks which.
"""

from urllib.parse import quote

import msgspec

from switchgear.core.errors import UNREADABLE, ProtocolError
from switchgear.core.steps import Steps, finish
from switchgear.dialects import answer_check, canonical, embeddings, errors, kept_things, schemas
from switchgear.dialects.amend import amend
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.array_tap import ArrayTap
from switchgear.dialects.dialect import PLAIN_TOOLS, BodyRules, Dialect, Embedder, StreamEncoder
from switchgear.dialects.dialect_choice import SHARED_OPERATIONS
from switchgear.dialects.fitting import fit
from switchgear.dialects.json_guard import JsonRefusedError, scan_steps
from switchgear.dialects.json_node import (
    CONTAINERS_MAX,
    LARGE_BYTES,
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
from switchgear.dialects.model_facts import facts_of
from switchgear.dialects.openai import missing_thoughts, reasoning_models, refused_members
from switchgear.dialects.openai.media_answers import read_media_answer
from switchgear.dialects.registry import BY_NAME, DIALECTS
from switchgear.dialects.request import Request
from switchgear.dialects.request_writer import Body, upstream_body
from switchgear.dialects.taps import Tap
from switchgear.dialects.translated_stream import BYTES_PER_TOKEN, TranslatedStream, made_id
from switchgear.providers.quirks import Quirks
from switchgear.wire import eventstream, sse

JSON_TYPE = b"application/json"
_PATHS = frozenset({"passthrough", "stored"})
"""What is asked by its path and method."""
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
RAW_ANSWER_BYTES_MAX = 1_048_576
"""What names a thing that was made is small."""


class Translation:
    """How one attempt asks and what its client hears. `path`, `body` and `dropped` are for the attempt and its record."""

    __slots__ = (
        "_answer_id",
        "_created",
        "_embeddings",
        "_input_estimate",
        "_is_verbatim",
        "_model",
        "_names",
        "_operation",
        "_properties",
        "_ranks",
        "_request",
        "_tools",
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
        self._model = request.model
        self._created = created
        self.row, self.provider_row = BY_NAME[dialect], BY_NAME[provider_dialect]
        self._answer_id = None if answer_id is None else self.row.answer_id_prefix + answer_id
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
        self._is_verbatim = dialect == provider_dialect
        self._ranks = False
        """Whether a ranking's list must be given the name that clients look for."""
        self._tools = PLAIN_TOOLS
        self._names: dict[str, str] = {}
        self._properties: dict[str, dict[str, str]] = {}
        self._input_estimate = 0
        self._operation = request.operation
        """What the provider is asked for."""
        self._embeddings: embeddings.EmbeddingsRequest | None = None

    @property
    def content_type(self) -> bytes:
        """The content type of the body."""
        form = self._request.form
        return form.content_type if form is not None else JSON_TYPE

    @property
    def is_verbatim(self) -> bool:
        """True when the answer goes to the client as it came."""
        return self._is_verbatim

    @property
    def stream_type(self) -> bytes:
        """The content type of the client's stream."""
        return JSON_TYPE if self.as_array else self.row.stream_type

    def tap(self) -> Tap:
        """Return what the provider's stream is fed to."""
        inner: Tap = self.row.open_tap(self._request) if self._is_verbatim else self._translated_stream()
        return ArrayTap(inner) if self.as_array else inner

    def _translated_stream(self) -> TranslatedStream:
        decoder, encoder = self.provider_row.translator.decoder(), self.encoder()
        return TranslatedStream(decoder, encoder, self._names, self._properties, self._input_estimate, self._answer_id)

    def encoder(self) -> StreamEncoder:
        """Return the encoder of the client's dialect."""
        asked = self._request.asked_usage or self._request.shows_usage
        return self.row.translator.encoder(self._model, self._created, asked, self._tools)

    def read(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> AnswerMetadata:
        """Read what a plain answer says about itself, and whether it is one (`unfit`)."""
        found = self._read_operation(body, headers)
        return found if found.is_fit else self._judge(found, body, headers)

    def _judge(self, found: AnswerMetadata, body: bytes, headers: list[tuple[bytes, bytes]]) -> AnswerMetadata:
        if not self.is_raw:
            kind = next((value for name, value in headers if name == b"content-type"), b"").lower()
            found.unfit = answer_check.judge(self._members, body, kind)
        return found

    @property
    def _members(self) -> tuple[str, ...] | None:
        asked = self.provider_row.operations.get(self._operation)
        return asked.members if asked is not None else None

    def _read_operation(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> AnswerMetadata:
        row = self.provider_row
        if self.is_raw:
            named = next((each for each in DIALECTS if each.is_raw_answer(body)), None)
            found = (named or row).read_answer(body, ())
            if found.usage is None and (named is None or found.response_id is None):
                found = read_media_answer(body)
            found.kept = _kept_by_raw_answer(body, self.method == "POST")
            return found
        asked = row.operations.get(self._operation)
        if asked is None:
            return row.read_answer(body, ())
        if asked.read_headers is not None:
            return AnswerMetadata(asked.read_headers(headers, body))
        return (asked.read_answer or row.read_answer)(body, asked.members or ())

    def read_steps(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> Steps[AnswerMetadata]:
        """Do the same in steps, for a large answer. Of one with too many values only what is short is read: its usage, its
        id."""
        if body.startswith(b"{"):
            try:
                scan = yield from scan_steps(body)
                if scan.containers > CONTAINERS_MAX or scan.values > VALUES_MAX:
                    return self._read_operation(short_members(body), headers)
            except (JsonRefusedError, *TRANSLATION_ERRORS):
                return self._judge(AnswerMetadata(), body, headers)
        return self.read(body, headers)

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
        if self._is_verbatim:
            return _with_results(body) if self._ranks else body
        try:
            translated = yield from self._translate(body)
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's answer cannot be translated: {exc}") from exc
        return translated

    def _translate(self, body: bytes) -> Steps[bytes]:
        if self._embeddings is not None:
            try:
                node = yield from _node_of(body, embeddings.ANSWER_VALUES_MAX)
                vectors = yield from _embedder(self.provider_row).read_answer.steps(node)
            except TRANSLATION_ERRORS as exc:
                raise ProtocolError(f"the provider's answer is not of its dialect: {exc}") from exc
            return encode(_embedder(self.row).write_answer(vectors, self._embeddings, self._model))
        answer = yield from self._decode(body)
        yield
        rendered = yield from self.row.translator.encode_answer.steps(answer, self._model, self._created, self._tools)
        yield
        return encode(rendered)

    def gather(self, body: bytes) -> bytes:
        """Return a plain answer's body; a stream that nobody asked for is added up to one, in the provider's dialect."""
        if (
            self._is_verbatim
            or self.provider_row.is_binary
            or not body[:64].lstrip().startswith((b"data:", b"event:", b":"))
        ):
            return body
        collector, decoder, translator = (
            canonical.Collector(),
            self.provider_row.translator.decoder(),
            self.provider_row.translator,
        )
        try:
            for event in [*decoder.feed(body), *decoder.finish()]:
                collector.add(event)
            if collector.failed is not None or not collector.is_ended:
                return body
            return encode(translator.encode_answer(collector.answer, self._model, self._created, PLAIN_TOOLS))
        except (ProtocolError, *TRANSLATION_ERRORS):
            return body

    def _decode(self, body: bytes) -> Steps[canonical.Answer]:
        try:
            node = yield from _node_of(body)
            answer = yield from self.provider_row.translator.decode_answer.steps(node)
        except TRANSLATION_ERRORS as exc:  # msgspec's and InvalidBodyError are ValueErrors
            raise ProtocolError(f"the provider's answer is not of its dialect: {exc}") from exc
        self.dropped += answer.dropped
        answer.id = answer.id or self._answer_id  # clients join what bears one id
        for number, part in enumerate(answer.parts):
            if isinstance(part, canonical.ToolCall):
                part.id = part.id or made_id(answer.id, number)
                if part.name in self._properties:
                    part.arguments = schemas.renamed(part.arguments, self._properties[part.name])
                part.name = self._names.get(part.name, part.name)
        if len(answer.parts) > 1:  # a client would send an empty block back, and be refused
            answer.parts = [part for part in answer.parts if not isinstance(part, canonical.Text) or part.text]
        if answer.finish == "stop" and any(isinstance(part, canonical.ToolCall) for part in answer.parts):
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
            for event in canonical.events_of(answer):
                yield
                pieces.append(encoder.encode(event))
        except TRANSLATION_ERRORS as exc:
            raise ProtocolError(f"the provider's answer cannot be translated: {exc}") from exc
        out = b"".join(pieces)
        if not self.as_array:
            return out
        array = ArrayTap(self.row.open_tap(self._request))
        return array.feed(out) + array.finish()

    def error(self, status: int, body: bytes, request_id: str) -> tuple[int, bytes, bytes]:
        """Return (status, further header lines, body) for a provider's error: its own words where the client speaks its dialect,
        unless they are a page, or say that the prompt is too long in words that its clients do not know."""
        is_page = body[:256].lstrip().startswith(b"<")
        if self._is_verbatim and not is_page and self.row.errors.is_understood(status, body):
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
        if self.row.is_binary or self.as_array:
            return out if out.strip() else None
        for event in sse.Splitter(1 << 30).feed(out + b"\n\n"):
            data = sse.event_data(event)
            if data is None or answer_check.is_idle(data):
                continue
            if not answer_check.is_event(data):
                raise ProtocolError("the provider's stream does not begin with an event")
            return data
        return None

    def stream_error(self, tap: Tap, out: bytes) -> bytes | None:
        """Return the provider's own error in a stream, as an error object; None when the stream told none. `out` is what the
        client would have got."""
        while isinstance(tap, ArrayTap):
            tap = tap.inner
        if isinstance(tap, TranslatedStream):
            failed = tap.failed
            return None if failed is None else encode({"error": {"message": failed.message, "type": failed.kind}})
        if not tap.error:
            return None
        if self.row.is_binary:
            messages = eventstream.Decoder().feed(out)
            return messages[-1].payload if messages else b""
        events = [sse.event_data(event) or b"" for event in sse.Splitter(1 << 30).feed(out + b"\n\n")]
        return next((data for data in reversed(events) if b"error" in data.lower()), out)

    def ping(self, tap: Tap) -> bytes:
        """Return a keep-alive, to be sent between two events."""
        if self.as_array:
            return b" "
        return self.row.ping(_sequence_number(tap) if self.row.numbers_events else 0)

    def broken(self, fault: errors.Fault, tap: Tap | None) -> bytes:
        """Return what ends a broken stream."""
        if self.as_array:
            return b""  # the missing "]" says it
        number = _sequence_number(tap) + 1 if tap is not None and self.row.numbers_events else 0
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
        return kept_things.kept_by_raw_answer(decode(body), is_new)
    except TRANSLATION_ERRORS:
        return []


def _sequence_number(tap: Tap) -> int:
    if isinstance(tap, TranslatedStream):
        return int(getattr(tap.encoder, "number", 0))
    data = sse.event_data(getattr(tap, "last_event", b"")) or b"{}"
    try:
        return Node(decode(data)).integer("sequence_number") or 0
    except TRANSLATION_ERRORS:
        return 0


def _embedder(row: Dialect) -> Embedder:
    assert row.embedder is not None
    return row.embedder


def open_translation(
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
    betas: tuple[str, ...] = (),
) -> Translation:
    """Prepare an attempt. `dialect` is what the client hears; `answer_id` names a translated answer whose provider gives
    it no id (Bedrock's Converse), unique to the request. Where `at_once` is False, a translation is left in `pending` for
    the caller to do in steps. `drop` and `max_tokens` are what the model's configuration leaves out and fills in; `betas`
    what the client asks for in `anthropic-beta`. Raises InvalidBodyError for what cannot be carried."""
    dropped = request.lowered
    if drop or max_tokens is not None:
        limit_name = facts_of(upstream_model).max_tokens_name or quirks.max_tokens
        asked = BY_NAME[request.dialect].operations.get(request.operation)
        rules = asked.rules if asked is not None else None
        request, left_out = amend(request, rules, drop, max_tokens, limit_name)
        dropped = [*dropped, *left_out]
    translation = Translation(request, dialect, provider_dialect, created, as_array, answer_id)
    if dropped:
        translation.dropped = [*dropped]
    operation = request.operation
    row, spoken = BY_NAME[request.dialect], translation.provider_row
    is_translated = request.dialect != provider_dialect and operation not in SHARED_OPERATIONS
    if operation in SHARED_OPERATIONS:
        translation._is_verbatim = True
    if is_translated and row.embedder is not None and operation in row.embedder.readers:
        embedder = _embedder(spoken)
        asked_embeddings = translation._embeddings = row.embedder.readers[operation](request.node())
        count, most = len(asked_embeddings.texts), quirks.texts_max or embedder.texts_max
        if most is not None and count > most:
            said = f"{count} texts are too many for this model's provider: at most {most} in one request"
            raise InvalidBodyError(said, "texts" if request.dialect == "cohere" else "input")
        translation.body = encode(embedder.write_request(asked_embeddings, upstream_model))
        translation.dropped += asked_embeddings.dropped
        operation = translation._operation = embedder.operation
    if operation in _PATHS:
        translation.method, translation.path = request.method, request.stored_path
        if operation == "stored":
            translation.path = row.operations[request.stored_path].path.replace("{id}", request.refers_to or "")
        else:
            assert request.form is not None
            translation.body = request.form.body
        return translation
    at = spoken.operations[operation]
    streamed = (quirks.paths.get(f"{operation}_stream") or at.stream_path) if request.stream else ""
    template = streamed or quirks.paths.get(operation) or at.path
    translation.path = template.replace("{model}", quote(upstream_model, safe="")) if "{" in template else template
    if not is_translated:
        changes = quirks.body
        facts = facts_of(upstream_model)
        if (provider_dialect, operation) == ("openai", "chat"):
            request, left_out = reasoning_models.fitted(request, facts, quirks)
            if left_out:
                translation.dropped += left_out
            if facts.thinking_demanded and quirks.takes_reasoning_content:
                request = missing_thoughts.filled_in(request)
            if not quirks.developer or not quirks.newer_limit:
                request = refused_members.with_older_words(request, quirks)
            if quirks.refused_members:
                request, left_out = refused_members.left_out(request, quirks.refused_members)
                translation.dropped += left_out
        if spoken.cleaned is not None:
            cleaned = spoken.cleaned(request, upstream_model)
            request = cleaned.request
            translation.dropped += cleaned.dropped
        if changes and "model" in changes and "{model}" not in template:  # the path does not say it
            changes = {key: value for key, value in changes.items() if key != "model"}
        if quirks.metadata_needs_store and _has_useless_metadata(request, at.rules):
            changes = {**(changes or {}), "metadata": None}
            translation.dropped.append("metadata")
        if quirks.rerank_limit and operation == "rerank":
            translation._ranks = True
            changes = {**(changes or {}), **_limit_of(request, quirks.rerank_limit)}
        translation.body = upstream_body(request, row, upstream_model, quirks.stream_usage, changes)
        return translation
    if translation._embeddings is not None:
        return translation
    steps = _translate_request(translation, request, upstream_model, quirks, betas)
    if at_once:
        finish(steps)
    else:
        translation.pending = steps
    return translation


def _translate_request(
    translation: Translation, request: Request, upstream_model: str, quirks: Quirks, betas: tuple[str, ...]
) -> Steps[None]:
    """Translate a body."""
    translator, provider = BY_NAME[request.dialect].translator, translation.provider_row
    try:
        node = request.node()
        asked = yield from translator.decode_request.steps(node, request.model, request.stream)
        asked.betas = betas
        if translator.client_tools is not None:
            translation._tools = yield from translator.client_tools.steps(node)
        del node  # a large body's texts are held once
        facts = facts_of(upstream_model)
        fitted = yield from fit.steps(asked, provider.fit, facts, quirks)
        translation._names, translation._properties = fitted.names, fitted.properties
        if facts.max_tokens_name is not None:
            quirks = msgspec.structs.replace(quirks, max_tokens=facts.max_tokens_name)
        if facts.thinking_returns and quirks.takes_reasoning_content:
            quirks = msgspec.structs.replace(quirks, reasoning_content=True)
        body = yield from provider.translator.encode_request.steps(asked, upstream_model, quirks)
    except InvalidBodyError:
        raise
    except TRANSLATION_ERRORS as exc:
        raise InvalidBodyError(f"the body cannot be translated for this model's provider: {exc}") from exc
    translation.dropped = list(dict.fromkeys((*translation.dropped, *asked.dropped)))
    del asked
    for key, value in (quirks.body or {}).items():
        if value is None:
            body.pop(key, None)
        else:
            body[key] = value
    translation.body = (yield from encode_large(body)) if request.is_large else encode(body)
    size = len(translation.body) if isinstance(translation.body, bytes) else sum(map(len, translation.body))
    translation._input_estimate = size // BYTES_PER_TOKEN + 1


def _limit_of(request: Request, name: str) -> dict[str, str | int | bool | None]:
    """Return how a ranking's `top_n` is written where it has another name. Raises InvalidBodyError."""
    if "top_n" not in request.fields:
        return {}
    try:
        return {"top_n": None, name: msgspec.json.decode(request.fields["top_n"], type=int | None)}
    except UNREADABLE as exc:
        raise InvalidBodyError(f"invalid value for 'top_n': {exc}", "top_n") from None


def _with_results(body: bytes) -> bytes:
    """Return a ranking whose list is `data` with `results`, too: what clients of Cohere's shape read."""
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return body
    return encode({**found, "results": found["data"]}) if "data" in found and "results" not in found else body


def _has_useless_metadata(request: Request, rules: BodyRules | None) -> bool:
    fields = request.fields
    return (
        "metadata" in fields
        and rules is not None
        and rules.metadata_is_stored
        and bytes(fields.get("store", b"")) != b"true"
    )
