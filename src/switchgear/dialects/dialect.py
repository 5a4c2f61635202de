"""What a dialect is: one row holds everything in which it differs from the others. Level 1.

Each dialect's module (or package) ends with its row, `ROW`; `registry.DIALECTS` lists them. No other code asks for a dialect by
its name: it reads a row's attribute.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from switchgear.dialects.errors import Fault
from switchgear.dialects.model_lists import Card
from switchgear.dialects.shape import encode


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
    too_long: tuple[str, str] | None = None
    """What its clients look for in the sentence that says that a prompt is too long, and such a sentence with `{tokens}` and
    `{limit}`. None: any sentence."""
    overloaded_status: int = 503
    """What its clients take for "try again later"."""


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

    # its providers
    paths_name_things: bool = False
    """True where a part of a raw path may name a thing of any collection (`references.find_in_path`)."""

    def error(self, fault: Fault) -> tuple[bytes, bytes]:
        """Return (further header lines, body) of an error response."""
        return self.errors.headers(fault), encode(self.errors.body(fault))

    def error_event(self, fault: Fault, sequence_number: int = 0) -> bytes:
        """Return the bytes that end a broken stream."""
        return self.errors.event(fault, encode(self.errors.body(fault)), sequence_number)
