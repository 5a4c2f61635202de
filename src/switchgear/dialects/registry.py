"""The dialects that are spoken, and who translates each. Level 1.

Adding a dialect is a module that ends in a row, and a line in `DIALECTS` (docs/dialects.md).
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from switchgear.core.steps import Stepwise
from switchgear.dialects import anthropic, bedrock, chat, cohere, gemini, hub, responses
from switchgear.dialects.dialect import Dialect
from switchgear.dialects.shape import Node
from switchgear.providers.quirks import Quirks


class StreamDecoder(Protocol):
    """Bytes of a provider's stream to events."""

    def feed(self, data: bytes) -> list[hub.Event]:
        """Return the events that these bytes complete. Raises ProtocolError."""
        ...

    def finish(self) -> list[hub.Event]:
        """The stream ended."""
        ...


class StreamEncoder(Protocol):
    """Events to the bytes of a client's stream."""

    def encode(self, event: hub.Event) -> bytes:
        """Return the bytes that say this event."""
        ...


class Translator(msgspec.Struct, frozen=True):
    """A dialect to and from the hub."""

    decode_request: Stepwise[[Node, str, bool], hub.Request]
    """(body, model, stream) → what the client asks. Raises InvalidBodyError."""
    encode_request: Stepwise[[hub.Request, str, Quirks], dict[str, Any]]
    """(request, upstream model, quirks) → the body for a provider."""
    decode_answer: Stepwise[[Node], hub.Answer]
    """A provider's answer. Raises InvalidBodyError."""
    encode_answer: Stepwise[[hub.Answer, str, int], dict[str, Any]]
    """(answer, model asked for, Unix time in s) → the body for a client."""
    decoder: Callable[[], StreamDecoder]
    encoder: Callable[[str, int, bool], StreamEncoder]
    """(model asked for, Unix time in s, whether the client wants usage)."""


def _translator(module: Any) -> Translator:
    return Translator(
        module.decode_request,
        module.encode_request,
        module.decode_answer,
        module.encode_answer,
        module.StreamDecoder,
        module.StreamEncoder,
    )


TRANSLATORS: dict[str, Translator] = {
    "openai": _translator(chat),
    "responses": _translator(responses),
    "anthropic": _translator(anthropic),
    "gemini": _translator(gemini),
    "bedrock": _translator(bedrock),
    "cohere": _translator(cohere),
}

DIALECTS: tuple[Dialect, ...] = (chat.ROW, responses.ROW, anthropic.ROW, gemini.ROW, bedrock.ROW, cohere.ROW)
"""The first is what a client is taken to speak that does not show it."""
DEFAULT = DIALECTS[0]
BY_NAME: dict[str, Dialect] = {row.name: row for row in DIALECTS}
