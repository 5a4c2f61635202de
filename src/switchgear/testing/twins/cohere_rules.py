"""What Cohere refuses beside unknown fields. Level 5, pure. Read on 2026-11-27; "SDK" is the official Python SDK, 7.3."""

from typing import Any

from switchgear.testing.twins.finding import Finding, items, objects


def cohere_messages(body: dict[str, Any], model: str) -> Finding | None:
    """At least one message, each with content or calls (docs.cohere.com/v2/docs, error texts)."""
    messages = items(body.get("messages"))
    if not messages:
        return Finding("cohere-messages", "invalid request: messages must not be empty")
    for message in messages:
        if not message.get("content") and not (message.get("role") == "assistant" and message.get("tool_calls")):
            return Finding(
                "cohere-messages", "invalid request: all elements in messages must have content or tool calls."
            )
    return None


def cohere_call_order(body: dict[str, Any], model: str) -> Finding | None:
    """Results are of calls before them (docs.cohere.com, "Tool use", `tool_call_id`: "the id of the tool call this result is
    for")."""
    known: set[Any] = set()
    for message in objects(body.get("messages")):
        known |= {call.get("id") for call in objects(message.get("tool_calls"))}
        if message.get("role") == "tool" and message.get("tool_call_id") not in known:
            return Finding("cohere-call-order", "invalid request: tool_call_id not found in previous tool calls.")
    return None


_BOUNDS = {"p": (0.01, 0.99), "k": (0, 500), "frequency_penalty": (0, 1), "presence_penalty": (0, 1)}


def cohere_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """Bounds of `p`, `k` and the penalties, five stop sequences (SDK, `ClientV2.chat`; llumiverse#23 met the bound of `p`), a
    choice only with tools (SDK, `tool_choice`: "the `tools` parameter must be passed")."""
    for name, (least, most) in _BOUNDS.items():
        value = body.get(name)
        if value is not None and not least <= value <= most:
            return Finding("cohere-sampling", f"invalid request: {name} must be between {least} and {most} inclusive.")
    if len(items(body.get("stop_sequences"))) > 5:
        return Finding("cohere-sampling", "invalid request: stop_sequences may have at most 5 elements.")
    if body.get("tool_choice") and not body.get("tools"):
        return Finding("cohere-sampling", "invalid request: tool_choice requires tools to be specified.")
    return None
