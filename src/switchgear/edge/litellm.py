"""What LiteLLM's clients and scripts read: its response headers and the shapes of its read-only routes. Level 4.

Served where the configuration says `compat: [litellm]`. Source: LiteLLM's documentation of response headers, /key/info and
/model/info (read 2026-11); docs/litellm.md has the table.
"""

import datetime
from collections.abc import Iterable
from typing import Any

from switchgear import __version__
from switchgear.core.money import NANO_PER_USD, format_usd
from switchgear.core.text import header_value
from switchgear.dialects.model_lists import Card
from switchgear.replica.entries import KeyEntry

_VERSION = f"switchgear-{__version__}".encode()


def deployment_headers(model: str, deployment: str) -> bytes:
    """Return the headers that a deployment's answers carry, always the same."""
    return b"x-litellm-model-group: %b\r\nx-litellm-model-id: %b\r\nx-litellm-version: %b\r\n" % (
        header_value(model),
        header_value(deployment),
        _VERSION,
    )


def headers(request_id: bytes, retries: int, elapsed_ms: int, cost_nanousd: int | None) -> bytes:
    """Return the headers of one answer."""
    lines = b"x-litellm-call-id: %b\r\nx-litellm-attempted-retries: %d\r\nx-litellm-response-duration-ms: %d\r\n" % (
        request_id,
        retries,
        elapsed_ms,
    )
    return (
        lines
        if cost_nanousd is None
        else lines + b"x-litellm-response-cost: %b\r\n" % format_usd(cost_nanousd).encode()
    )


def key_info(key: KeyEntry, spent_nanousd: int) -> dict[str, Any]:
    """Return what /key/info tells a key of itself; budgets, which this gateway does not have, are null."""
    return {
        "key": key.id,
        "info": {
            "key_name": key.name,
            "key_alias": key.name,
            "spend": spent_nanousd / NANO_PER_USD,
            "expires": None if key.expires_ms is None else _time(key.expires_ms),
            "models": key.models or [],
            "aliases": {},
            "config": {},
            "user_id": key.user,
            "team_id": key.team,
            "metadata": {"tags": list(key.tags or [])},
            "max_budget": None,
            "budget_duration": None,
            "tpm_limit": key.tpm,
            "rpm_limit": key.rpm,
            "max_parallel_requests": key.parallel,
            "blocked": False,
        },
    }


def model_info(cards: Iterable[Card]) -> dict[str, Any]:
    """Return what /model/info tells of the models that a key may call."""
    return {"data": [_model(card) for card in cards]}


def _model(card: Card) -> dict[str, Any]:
    pricing = card.pricing or {}
    names = {"input_per_mtok": "input_cost_per_token", "output_per_mtok": "output_cost_per_token"}
    costs = {theirs: float(pricing[ours]) / 1e6 for ours, theirs in names.items() if ours in pricing}
    return {
        "model_name": card.name,
        "litellm_params": {"model": card.name},
        "model_info": {"id": card.name, "mode": "chat", "max_input_tokens": card.context_window, **costs},
    }


def _time(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).isoformat(timespec="seconds")
