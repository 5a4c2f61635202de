"""What a list says of one model; each dialect shows it in its own shape (`Dialect.models`). Level 1."""

from typing import Any

import msgspec


class Card(msgspec.Struct, frozen=True):
    """One model."""

    name: str
    provider: str = "switchgear"
    context_window: int | None = None
    pricing: dict[str, str] | None = None
    """USD per million tokens, as decimals, by `input_per_mtok` and the like; None where no price is known."""
    aliases: tuple[str, ...] = ()
    """Other names for it."""
    max_output_tokens: int | None = None


def described(card: Card) -> dict[str, Any]:
    """Return the fields of our own, which clients ignore that do not know them; they are said in all shapes that have a place."""
    found = {
        "context_window": card.context_window,
        "max_output_tokens": card.max_output_tokens,
        "pricing": card.pricing,
        "aliases": list(card.aliases) or None,
    }
    return {name: value for name, value in found.items() if value is not None}
