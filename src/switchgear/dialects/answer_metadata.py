"""What an answer says about itself, in every dialect. Level 1."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.usage import Beside, Other, TokenUsage
from switchgear.dialects.json_node import LARGE_BYTES, TRANSLATION_ERRORS, Node, decode, decode_large, encode

T = TypeVar("T")


class Unfit(msgspec.Struct, frozen=True):
    """Why a body is no answer."""

    text: str
    is_error: bool = False
    """It is an error object of the provider's."""


class AnswerMetadata(msgspec.Struct):
    """What an answer says about itself; None where it does not."""

    usage: TokenUsage | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    units: dict[str, int] | None = None
    """What is counted otherwise: images, seconds, searches."""
    is_fit: bool = False
    """The body was recognised as an answer in passing. False says nothing."""
    unfit: Unfit | None = None
    """Why a plain body is no answer."""
    kept: list[str] = []
    """Ids of things that the provider keeps now (`references`)."""
    others: list[Other] | None = None
    """What further models used for this answer."""
    model: str | None = None
    """The model that answered, as it names itself."""
    cost: bytes | None = None
    """What the provider says that it charges: the members of its usage that are about it, JSON."""

    written: int | None = None
    """Tokens of the texts that an answer without usage shows, estimated; None where it shows none, or has usage."""

    def take_beside(self, beside: Beside | None) -> None:
        """Take what a translated stream said of its bill beside its tokens."""
        if beside is not None:
            self.units, self.others = beside.units, beside.others
            self.model, self.cost = cap(beside.model), beside.cost


def cap(text: str | None) -> str | None:
    """Bound a text of a provider."""
    return text if text is None or len(text) <= 128 else text[:128]


def usage_reader(kind: type[T], tokens: Callable[[T], TokenUsage | None]) -> Callable[[Raw], TokenUsage | None]:
    """Make the reader of a dialect's usage object: None where there is none, or nothing sensible in it. Absurd figures are
    not believed."""
    read = msgspec.json.Decoder(kind, strict=False).decode

    def usage_of_raw(raw: Raw) -> TokenUsage | None:
        if bytes(raw) == b"null":
            return None
        try:
            usage = tokens(read(raw))
        except UNREADABLE:
            return None
        return usage if usage is not None and usage.is_sane() else None

    return usage_of_raw


class Stated(msgspec.Struct):
    """What providers state of their charges in a usage object, each in its own place."""

    cost: Raw = Raw(b"null")
    cost_details: Raw = Raw(b"null")
    cost_in_usd_ticks: Raw = Raw(b"null")
    is_byok: Raw = Raw(b"null")


_decode_stated = msgspec.json.Decoder(Stated | None).decode
COST_BYTES_MAX = 2_048


def cost_of(usage: Raw) -> bytes | None:
    """Return what a provider states in its usage object that it charges: JSON; None where it says nothing."""
    if b'"cost' not in bytes(usage):
        return None
    try:
        stated = _decode_stated(usage)
    except UNREADABLE:
        return None
    return stated_cost(stated) if stated is not None else None


def stated_cost(stated: Stated) -> bytes | None:
    """Return the part of a usage object that is about charges: JSON; None where it states none."""
    if bytes(stated.cost) == bytes(stated.cost_in_usd_ticks) == b"null":
        return None
    said = {name: raw for name in stated.__struct_fields__ if bytes(raw := getattr(stated, name)) != b"null"}
    kept = encode(said)
    return kept if len(kept) <= COST_BYTES_MAX else None


def plain_reader(read: Callable[[Node], AnswerMetadata]) -> Callable[[bytes, tuple[str, ...]], AnswerMetadata]:
    """Make the reader of a dialect's plain answers from one of their JSON: (body, members of which a good answer has one) → what
    it says about itself. A body that does not decode yields empty metadata: it is not ours to judge."""

    def read_answer(body: bytes, members: tuple[str, ...]) -> AnswerMetadata:
        try:
            value = decode(body) if len(body) < LARGE_BYTES else decode_large(body)
            if not isinstance(value, dict):
                return AnswerMetadata()
            metadata = read(Node(value))
            if value.get("error") is None:
                for name in members:
                    if isinstance(value.get(name), list | dict):
                        metadata.is_fit = True
                        break
        except TRANSLATION_ERRORS:
            return AnswerMetadata()
        return metadata

    return read_answer
