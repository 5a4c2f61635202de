"""Lists of models in the shape that each kind of client reads. Level 1.

OpenAI API reference, "Models"; Anthropic API reference, "List Models"; Gemini API reference, "models"; Codex's catalogue
(openai/codex, `codex-rs/protocol`). As of 2026-11. Further fields are safe and said in all shapes that have a place.
"""

from collections.abc import Callable
from typing import Any

import msgspec

_MADE = "2026-01-01T00:00:00Z"


class Card(msgspec.Struct, frozen=True):
    """What a list says of one model."""

    name: str
    provider: str = "switchgear"
    context_window: int | None = None
    pricing: dict[str, str] | None = None
    """USD per million tokens, as decimals, by `input_per_mtok` and the like; None where no price is known."""
    aliases: tuple[str, ...] = ()
    """Other names for it."""
    max_output_tokens: int | None = None


def _more(card: Card) -> dict[str, Any]:
    """Fields of our own, which clients ignore that do not know them."""
    found = {
        "context_window": card.context_window,
        "max_output_tokens": card.max_output_tokens,
        "pricing": card.pricing,
        "aliases": list(card.aliases) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _openai(card: Card) -> dict[str, Any]:
    out: dict[str, Any] = {"id": card.name, "object": "model", "created": 0, "owned_by": card.provider}
    return out | _more(card)


def _anthropic(card: Card) -> dict[str, Any]:
    return {
        "type": "model",
        "id": card.name,
        "display_name": card.name,
        "created_at": _MADE,
        "max_input_tokens": card.context_window,
        "max_tokens": card.max_output_tokens,
    } | _more(card)


def _gemini(card: Card) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": f"models/{card.name}",
        "displayName": card.name,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    limits = {"inputTokenLimit": card.context_window, "outputTokenLimit": card.max_output_tokens}
    return out | {name: value for name, value in limits.items() if value is not None} | _more(card)


def _codex(card: Card) -> dict[str, Any]:
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


_CARDS: dict[str, Callable[[Card], dict[str, Any]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "codex": _codex,
}


def render_one(shape: str, card: Card) -> dict[str, Any]:
    """Return one model's object."""
    return _CARDS[shape](card)


def render_list(shape: str, cards: list[Card]) -> dict[str, Any]:
    """Return a whole list, always complete in one page."""
    items = [_CARDS[shape](card) for card in cards]
    if shape == "anthropic":
        ids = [card.name for card in cards]
        ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        return {"data": items, "has_more": False, **ends}
    if shape in {"gemini", "codex"}:
        return {"models": items}
    return {"object": "list", "data": items}
