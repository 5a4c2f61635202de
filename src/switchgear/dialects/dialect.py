"""What a dialect is: one row holds everything in which it differs from the others. Level 1.

Each dialect's module (or package) ends with its row, `ROW`; `registry.DIALECTS` lists them. No other code asks for a dialect by
its name: it reads a row's attribute.
"""

import re
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from switchgear.core.steps import Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, meanings
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.embeddings import EmbeddingsRequest, Vectors
from switchgear.dialects.errors import Fault, message_of
from switchgear.dialects.fitting import Rules
from switchgear.dialects.foreign_thoughts import Cleaned
from switchgear.dialects.json_node import Node, encode
from switchgear.dialects.model_lists import Card
from switchgear.dialects.rate_limit_headers import RoomsLeft
from switchgear.dialects.references import Watched
from switchgear.dialects.request import Request
from switchgear.dialects.taps import Tap
from switchgear.providers.quirks import Quirks


class ClientPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path that clients of a dialect ask for, below any `/v1`."""

    path: str
    """As records show it; `{model}` or `{id}` stands for one part."""
    operation: str
    """What is asked of a provider: a key of the provider's `operations`."""
    name: str
    """The operation as records name it."""
    method: str = "POST"
    stream: bool | None = None
    """Whether the answer streams, where the path says it."""
    in_deployments: bool = False
    """True where Azure serves it below `/openai/deployments/{model}`, too."""


class ModelList(msgspec.Struct, frozen=True):
    """How a dialect's clients read a list of models."""

    item: Callable[[Card], dict[str, Any]]
    """One model."""
    page: Callable[[list[dict[str, Any]]], dict[str, Any]]
    """All of them, in one page."""
    root: bytes = b""
    """The part of the path below which its clients ask for `/models`, where that tells them from others."""
    query: bytes = b""
    """A query parameter that only its clients send."""


class ErrorShape(msgspec.Struct, frozen=True):
    """How a dialect says an error."""

    body: Callable[[Fault], dict[str, Any]]
    """Of a plain answer."""
    event: Callable[[Fault, bytes, int], bytes]
    """(fault, its body, sequence number) → the bytes that end a broken stream: never a clean end."""
    headers: Callable[[Fault], bytes] = lambda fault: b""
    """Further header lines."""
    too_long: tuple[str, str, str] | None = None
    """What its clients look for in the sentence that says that a prompt is too long, such a sentence with `{tokens}` and
    `{limit}`, and the one that says that it would fit with a smaller limit of the answer than `{output}` ("": any). None: any
    sentence."""
    too_long_signs: tuple[bytes, ...] = ()
    """What clients look for in an error to see that a prompt is too long, one of them; () where they do not look."""
    overloaded_status: int = 503
    """What its clients take for "try again later"."""
    spent_status: int = 429
    """What its clients take for a quota that is used up."""
    tells_reset: bool = False
    """True where `retry-after` says when a budget that is spent is filled again; elsewhere clients would wait for it."""

    def is_understood(self, status: int, body: bytes) -> bool:
        """False for an error of a server of this dialect that says in other words than its maker that the prompt is too long."""
        if not self.too_long_signs or status >= 500 or any(sign in body for sign in self.too_long_signs):
            return True
        found = meanings.find(status, body, message_of(body))
        return found is None or found.meaning != "context_length"


SSE_TYPE = b"text/event-stream; charset=utf-8"


class BodyRules(msgspec.Struct, frozen=True):
    """What must be known of the body of one operation."""

    required: tuple[str, ...]
    """One of these keys must be there."""
    limits: tuple[str, ...] = ()
    """Keys that limit the output, the first one present counts; `a.b` stands in an object."""
    has_model: bool = True
    """False where the model stands in the path."""
    model: str = ""
    """What is asked where the body names no model; "" where it must."""
    user: str | None = None
    """The key that names the person behind the request."""
    limit: str = ""
    """The one of `limits` that is set where the client set none and the model's configuration says so."""
    limit_differs: bool = False
    """True where providers call that limit differently (`Quirks.max_tokens`)."""
    nested: tuple[str, ...] = ()
    """Keys below which the model of the path stands again."""
    left_out: tuple[str, ...] = ()
    """Keys that no provider gets: the attempt says them elsewhere, or its provider's row sets them again."""
    metadata_is_stored: bool = False
    """True where `metadata` belongs to an answer that is stored (`Quirks.metadata_needs_store`)."""
    adapt: Callable[[Request], None] | None = None
    """What is put right in the bodies of clients that differ from the book."""


class Operation(msgspec.Struct, frozen=True):
    """What can be asked of a provider of the dialect."""

    path: str
    """`{model}` is the upstream's name, escaped; `{id}` that of a stored answer."""
    rules: BodyRules | None = None
    """None where the body is a form, or there is none."""
    members: tuple[str, ...] | None = None
    """Members of which a good answer has one, as an object, a list or a number; (): any body that is no error. None (an invoked
    model's own body, something stored): any that is no page."""
    stream_path: str = ""
    """The path where a stream is asked for, if it is another one."""
    read_answer: Callable[[bytes, tuple[str, ...]], AnswerMetadata] | None = None
    """Read what a plain answer says about itself, where it is not read as the dialect's other answers."""
    read_headers: Callable[[list[tuple[bytes, bytes]], bytes], TokenUsage | None] | None = None
    """Read the usage in an answer's headers, where its body is the model's own."""


class ClientTools(msgspec.Struct, frozen=True):
    """What the client's tools are that the canonical values know as plain functions: calls of them go back as such."""

    customs: frozenset[str] = frozenset()
    """Names of freeform tools."""
    spaces: dict[str, tuple[str, str]] = {}
    """A flattened name → the namespace and the name within it (Codex puts each MCP server's tools into one)."""
    search: str = ""
    """The name of the tool that finds further tools, which the client runs; empty where there is none."""

    def waits_for_all_of(self, name: str) -> bool:
        """Tell whether a call's pieces mean nothing to the client: its input is known when its JSON is whole."""
        return name in self.customs or name == self.search


PLAIN_TOOLS = ClientTools()


class StreamDecoder(Protocol):
    """Bytes of a provider's stream to events."""

    def feed(self, data: bytes) -> list[canonical.Event]:
        """Return the events that these bytes complete. Raises ProtocolError."""
        ...

    def finish(self) -> list[canonical.Event]:
        """The stream ended."""
        ...


class StreamEncoder(Protocol):
    """Events to the bytes of a client's stream."""

    def encode(self, event: canonical.Event) -> bytes:
        """Return the bytes that say this event."""
        ...


class Translator(msgspec.Struct, frozen=True):
    """A dialect to and from the canonical values."""

    decode_request: Stepwise[[Node, str, bool], canonical.Request]
    """(body, model, stream) → what the client asks. Raises InvalidBodyError."""
    encode_request: Stepwise[[canonical.Request, str, Quirks], dict[str, Any]]
    """(request, upstream model, quirks) → the body for a provider."""
    decode_answer: Stepwise[[Node], canonical.Answer]
    """A provider's answer. Raises InvalidBodyError."""
    encode_answer: Stepwise[[canonical.Answer, str, int, ClientTools], dict[str, Any]]
    """(answer, model asked for, Unix time in s, the client's tools) → the body for a client."""
    decoder: Callable[[], StreamDecoder]
    encoder: Callable[[str, int, bool, ClientTools], StreamEncoder]
    """(model asked for, Unix time in s, whether the client wants usage, its tools)."""
    client_tools: Stepwise[[Node], ClientTools] | None = None
    """Read what must be known of a client's tools to give calls back to it, where that is more than their names."""


class Embedder(msgspec.Struct, frozen=True):
    """A dialect's embeddings to and from those of others."""

    readers: dict[str, Callable[[Node], EmbeddingsRequest]]
    """Operation of a client → the reader of its body. Raises InvalidBodyError."""
    operation: str
    """The operation of a provider that takes many texts."""
    write_request: Callable[[EmbeddingsRequest, str], dict[str, Any]]
    """(what is asked, upstream model) → the body for a provider."""
    read_answer: Stepwise[[Node], Vectors]
    """A provider's answer. Raises InvalidBodyError."""
    write_answer: Callable[[Vectors, EmbeddingsRequest, str], dict[str, Any]]
    """(vectors, what was asked, model asked for) → the body for a client."""
    texts_max: int | None = None
    """The most texts of one request, where its provider has a bound of its own."""


class Example(msgspec.Struct, frozen=True):
    """A call as a client of a dialect makes it."""

    path: str
    """With `{model}` where the model's name stands in it."""
    body: Any
    """None for a GET."""
    marker: str
    """What stands in a good answer."""


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """One call of each kind; None where the dialect, or its clients, know none."""

    plain: Example
    models: Example | None = None
    stream: Example | None = None
    tool_call: Example | None = None
    token_count: Example | None = None


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
"""The parameters of the tool in `Examples.tool_call`, which is called `weather`."""
ASK_WEATHER = "What is the weather in Paris? Use the tool."
"""What a model answers by a call: one that is greeted does not. A choice that forces the call is refused by some that think."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One wire format: what its clients send and read, and what its providers do."""

    name: str
    errors: ErrorShape

    # its clients
    client_paths: tuple[ClientPath, ...]
    known_path: re.Pattern[bytes] | None = None
    """How paths begin (below any `/v1`) that only its clients ask for, also where they are not served."""
    known_header: bytes = b""
    """A header that only its clients send."""
    key_header: str = "authorization"
    """Where its clients put their key; `authorization` takes it after `Bearer`."""
    key_in_query: bool = False
    """True where clients may put their key into the query, as `key`."""
    models: ModelList
    forwarded_prefixes: tuple[bytes, ...] = ()
    """Beginnings of the names of its clients' headers that a provider of the dialect gets."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """What each request must bear; a client's own comes first."""
    id_header: bytes = b""
    """The header of an answer in which its clients look for the request's id, beside `x-request-id`."""
    rate_limits: Callable[[RoomsLeft, int], bytes] | None = None
    """(what is left of limits, the time in ms) → header lines that its clients read. None where they read none."""
    streams_array: bool = False
    """True where a stream is one JSON array unless the query says `alt=sse`."""
    count: Callable[[int], dict[str, Any]] | None = None
    """A number of input tokens → the answer that says it. None where the dialect has no way to ask."""
    usage_at: tuple[str, ...] = ("usage",)
    """Where a plain answer says its usage."""
    stream_usage_at: tuple[str, ...] | None = None
    """Where the event of a stream says it that tells the final usage; None where an event cannot be added to."""
    early_usage: bytes = b""
    """What marks an event that tells a usage which is not the final one."""
    examples: Examples

    # its answers
    stream_type: bytes = SSE_TYPE
    is_binary: bool = False
    """True where a stream is one of AWS's binary messages instead of server-sent events."""
    ping: Callable[[int], bytes] = lambda number: b"\n"
    """The last event's number → a keep-alive, to be sent between two events."""
    numbers_events: bool = False
    """True where the events of a stream are numbered."""
    answer_id_prefix: str = ""
    """How ids of answers begin, where clients of the dialect expect it."""

    # its providers
    operations: dict[str, Operation]
    references: Watched
    """Where a body may name something that a provider keeps."""
    usage_is_asked_for: bool = False
    """True where a stream tells its usage only when `stream_options` asks for it."""
    read_answer: Callable[[bytes, tuple[str, ...]], AnswerMetadata]
    """(body, `Operation.members`) → what a plain answer says about itself."""
    open_tap: Callable[[Request], Tap]
    """What reads from a stream that passes as it is."""
    translator: Translator
    keeps_answers: bool = False
    """True where a provider keeps an answer unless `store: false` says otherwise."""
    has_betas: bool = False
    """True where what clients of Anthropic's ask for in a header stands in the body."""
    is_raw_answer: Callable[[bytes], bool] = lambda body: False
    """True for what a raw path answers in this dialect, whatever dialect its provider is asked in."""
    cleaned: Callable[[Request, str], Cleaned] | None = None
    """(request, upstream model) → a body that passes as it is, without what would do harm at its provider."""
    fit: Rules
    """What its providers refuse of a translated request."""
    embedder: Embedder | None = None
    paths_name_things: bool = False
    """True where a part of a raw path may name a thing of any collection (`raw_references.find_in_path`)."""

    def error(self, fault: Fault) -> tuple[bytes, bytes]:
        """Return (further header lines, body) of an error response."""
        return self.errors.headers(fault), encode(self.errors.body(fault))

    def error_event(self, fault: Fault, sequence_number: int = 0) -> bytes:
        """Return the bytes that end a broken stream."""
        return self.errors.event(fault, encode(self.errors.body(fault)), sequence_number)
