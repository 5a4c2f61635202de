"""Texts of spools, made harmless where they enter control. Level 3. Pure (docs/invariants.md L5, S4).

An edge's own code writes clean texts; what a provider says (a finish reason, an id, a service tier) it passes on, and a
compromised edge writes what it likes. What is clean already is returned as it is, the same object: the common record costs one
look at its texts together.
"""

from typing import Any, TypeVar

import msgspec

from switchgear.core.text import clean, is_clean, plain
from switchgear.wire import records

T = TypeVar("T", bound=msgspec.Struct)
NAME_MAX = 256
ID_MAX = 128
MODEL_MAX = 256
TEXT_MAX = 512
LIST_MAX = 32
UNITS_MAX = 32
FAST_MAX = 400
"""Characters of a common settlement's texts together."""
OURS = frozenset(
    {"key_id", "key_name", "team", "team_id", "user", "project", "operation", "path", "dialect"}
    | {"provider", "credential_id", "credential", "price_id"}
)
"""Names that an administrator gave: never masked, or a key called "sk-production-of-team-a" could not be found by its name."""

CALLER = {
    "key_id": ID_MAX,
    "key_name": NAME_MAX,
    "team": NAME_MAX,
    "user": NAME_MAX,
    "project": NAME_MAX,
    "client_ip": NAME_MAX,
    "tool": ID_MAX,
    "client_request_id": ID_MAX,
    "trace_id": ID_MAX,
    "end_user": ID_MAX,
    "end_user_source": ID_MAX,
    "session": ID_MAX,
    "agent": ID_MAX,
    "tags": ID_MAX,
    "team_id": NAME_MAX,
}
_WHERE = {
    "provider": NAME_MAX,
    "credential_id": TEXT_MAX,
    "credential": ID_MAX,
    "upstream_model": MODEL_MAX,
    "price_id": ID_MAX,
}
CALLEE = {"operation": NAME_MAX, "path": MODEL_MAX, "dialect": NAME_MAX, "model": MODEL_MAX, **_WHERE}
RESERVE = {"end_user": ID_MAX, "tags": ID_MAX, "session": ID_MAX}
ATTEMPT = _WHERE
OUTCOME = {"error": ID_MAX, "upstream_request_id": ID_MAX, "service_tier": NAME_MAX}
SETTLE = {
    "outcome": NAME_MAX,
    "estimate_reason": TEXT_MAX,
    "finish_reason": ID_MAX,
    "response_id": MODEL_MAX,
    "service_tier": NAME_MAX,
    "error_code": NAME_MAX,
    "error_message": TEXT_MAX,
    "dropped": ID_MAX,
    "passed_over": TEXT_MAX,
}
CHECKPOINT = {"service_tier": NAME_MAX}
LATE = {"finish_reason": ID_MAX, "service_tier": NAME_MAX}
DENIAL = {
    "key_id": ID_MAX,
    "key_name": NAME_MAX,
    "team": NAME_MAX,
    "user": NAME_MAX,
    "project": NAME_MAX,
    "operation": NAME_MAX,
    "path": MODEL_MAX,
    "dialect": NAME_MAX,
    "model": MODEL_MAX,
    "code": NAME_MAX,
    "message": TEXT_MAX,
    "client_ip": NAME_MAX,
    "tool": ID_MAX,
}


def tidy(record: T, texts: dict[str, int]) -> T:
    """Clean some fields of a record: texts and lists of texts, each with the characters that it may have."""
    changes: dict[str, Any] = {}
    for name, length_max in texts.items():
        value = getattr(record, name)
        if value is None:
            continue
        if name in OURS:
            cleaned: Any = plain(value, length_max)
        elif isinstance(value, str):
            cleaned = value if is_clean(value, length_max) else clean(value, length_max)
        else:
            cleaned = [clean(text, length_max) for text in value[:LIST_MAX]]
        if cleaned != value:
            changes[name] = cleaned
    return msgspec.structs.replace(record, **changes) if changes else record


def settlement(settle: records.Settle) -> records.Settle:
    """Clean a settlement."""
    if (
        settle.error_code is None
        and settle.error_message is None
        and not (settle.dropped or settle.passed_over or settle.units)
    ):
        texts = [settle.outcome, settle.finish_reason or "", settle.response_id or "", settle.service_tier or ""]
        for outcome in settle.attempts:
            texts += (outcome.upstream_request_id or "", outcome.error or "", outcome.service_tier or "")
        if is_clean(" ".join(texts), FAST_MAX) and len(settle.outcome) <= NAME_MAX:
            return settle if settle.estimate_reason is None else tidy(settle, SETTLE)
    attempts = [tidy(outcome, OUTCOME) for outcome in settle.attempts]
    changes: dict[str, Any] = {}
    if any(new is not old for new, old in zip(attempts, settle.attempts, strict=True)):
        changes["attempts"] = attempts
    if settle.units is not None:
        units = {clean(name, NAME_MAX): count for name, count in list(settle.units.items())[:UNITS_MAX]}
        if units != settle.units:
            changes["units"] = units
    made = msgspec.structs.replace(settle, **changes) if changes else settle
    return tidy(made, SETTLE)
