"""Who may call what: expiry, freeze, address, model. Level 1.

Every check answers with a Problem or None; a check that cannot decide denies.
"""

import ipaddress
from collections.abc import Collection, Iterable, Sequence

from switchgear.core import pattern, problems
from switchgear.core.problems import Problem

INVALID_KEY = Problem(
    problems.INVALID_KEY,
    "the API key is not valid: it must be a virtual key (sk-sg-…) made with `switchgear key create`",
)


def check_key_times(revoked: bool, expires_ms: int | None, now_ms: int) -> Problem | None:
    """Deny a revoked or expired key. Only told to the holder of the real secret."""
    if revoked:
        return Problem(problems.INVALID_KEY, "this API key was revoked; ask for a new one")
    if expires_ms is not None and now_ms >= expires_ms:
        return Problem(problems.INVALID_KEY, "this API key has expired; ask for a new one or for an extension")
    return None


def check_frozen(freezes: dict[str, int | None], subjects: Sequence[str], now_ms: int) -> Problem | None:
    """Deny while one of the subjects ("all", "key:ID", "team:NAME", …) is frozen. A value is the end in ms or None."""
    for subject in subjects:
        if subject in freezes:
            until = freezes[subject]
            if until is None or now_ms < until:
                what = "all traffic is" if subject == "all" else f"this {subject.split(':', 1)[0]} is"
                return Problem(problems.FROZEN, f"{what} frozen by an administrator")
    return None


FROZEN_MODEL = Problem(problems.FROZEN, "this model is frozen by an administrator")


def frozen_names(freezes: dict[str, int | None], kind: str, now_ms: int) -> tuple[str, ...]:
    """Return the names of a kind of subject that are frozen now."""
    mark = kind + ":"
    return tuple(
        subject[len(mark) :]
        for subject, until in freezes.items()
        if subject.startswith(mark) and (until is None or now_ms < until)
    )


def check_address(cidrs: Sequence[str] | None, address: str | None) -> Problem | None:
    """Deny an address outside the key's networks; None means any address may call."""
    if cidrs is None:
        return None
    denied = Problem(problems.FORBIDDEN, f"this API key may not be used from {address or 'an unknown address'}")
    try:
        peer = ipaddress.ip_address(address or "")
        networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    except ValueError:
        return denied
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    return None if any(peer in network for network in networks) else denied


def may_call_all(model: str, lists: Iterable[Sequence[str] | None]) -> bool:
    """Tell whether a model name matches each of several lists: a key's, and those of what it belongs to."""
    return all(may_call(model, allowed) for allowed in lists)


def may_call(model: str, allowed: Sequence[str] | None) -> bool:
    """Tell whether a model name matches a list of names and patterns; None allows all."""
    return allowed is None or any(pattern.matches(name, model) for name in allowed)


def model_not_found(model: str, callable_models: Collection[str]) -> Problem:
    """The same answer for a model that is unknown and one that is not allowed; suggests the nearest allowed name."""
    shown = model if len(model) <= 128 else model[:128] + "…"
    near = nearest(shown, callable_models)
    hint = f"; did you mean {near!r}?" if near else "; GET /v1/models lists what this key may call"
    return Problem(
        problems.MODEL_NOT_FOUND, f"the model {shown!r} does not exist or this key may not call it{hint}", "model"
    )


COMPARED_MAX = 200
COMPARED_CHARS_MAX = 48
ALIKE_MIN = 0.5


def nearest(model: str, names: Collection[str]) -> str | None:
    """Return the name that shares most with a model's, or None when none shares half: anybody with a key can ask for
    nonsense, so at most 200 names are compared, by their pairs of letters (Dice's coefficient), 48 characters of each."""
    head, tail_head = model[:3].lower(), model.rpartition("/")[2][:3].lower()
    wanted = _pairs(model)
    best, best_score = None, ALIKE_MIN
    compared = 0
    for name in names:
        tail = name.rpartition("/")[2]
        if name[:3].lower() != head and "/" in name and tail[:3].lower() != tail_head:
            continue
        compared += 1
        if compared > COMPARED_MAX:
            break
        pairs = _pairs(name if "/" in model else tail)
        score = 2 * len(wanted & pairs) / (len(wanted) + len(pairs) or 1)
        if score > best_score or (best is None and score == best_score):
            best, best_score = name, score
    return best


def _pairs(name: str) -> set[str]:
    text = f" {name[:COMPARED_CHARS_MAX].lower()}"
    return {text[at : at + 2] for at in range(len(text) - 1)}
