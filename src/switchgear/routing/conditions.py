"""When a deployment may be asked, and which one must be: conditions on requests, labels and what is required. Level 1, pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Need = Literal["images", "tools", "json_schema", "context"]
CONTEXT: Need = "context"
"""More tokens, with the answer that is asked for, than the model's other deployments take."""
NEEDS: tuple[Need, ...] = ("images", "tools", "json_schema", CONTEXT)
"""What a request may need of a model."""


class When(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions of a deployment: it is asked where all of them hold. None: whatever the request says."""

    tags: tuple[str, ...] | None = None
    """One of these stands on the request or on its key."""
    keys: tuple[str, ...] | None = None
    teams: tuple[str, ...] | None = None
    tokens_min: int | None = None
    """Of input, about."""
    tokens_max: int | None = None
    needs: tuple[str, ...] | None = None
    """The request needs all of these."""
    without: tuple[str, ...] | None = None
    """The request needs none of these: what the deployment cannot do."""


class Traits(msgspec.Struct, frozen=True):
    """What conditions look at."""

    key: str = ""
    team: str | None = None
    tags: frozenset[str] = frozenset()
    tokens: int = 0
    needs: frozenset[str] = frozenset()


def names_context(when: When | None) -> bool:
    """Tell whether conditions ask how much context a request needs."""
    return when is not None and CONTEXT in (*(when.needs or ()), *(when.without or ()))


def reads_body(when: When) -> bool:
    """Tell whether conditions ask what stands in a request's body."""
    return any(need != CONTEXT for need in (*(when.needs or ()), *(when.without or ())))


def mismatch(when: When, traits: Traits) -> str | None:
    """Say which condition does not hold; None where all do."""
    if when.keys is not None and traits.key not in when.keys:
        return f"it is for the keys {', '.join(when.keys)}"
    if when.teams is not None and traits.team not in when.teams:
        return f"it is for the teams {', '.join(when.teams)}"
    if when.tags is not None and not traits.tags.intersection(when.tags):
        return f"it is for the tags {', '.join(when.tags)}"
    if when.tokens_min is not None and traits.tokens < when.tokens_min:
        return f"it is for {when.tokens_min} tokens and more, and this is about {traits.tokens}"
    if when.tokens_max is not None and traits.tokens > when.tokens_max:
        return f"it is for {when.tokens_max} tokens at most, and this is about {traits.tokens}"
    missing = [need for need in when.needs or () if need not in traits.needs]
    if missing:
        return f"it is for requests with {', '.join(missing)}"
    beyond = [need for need in when.without or () if need in traits.needs]
    return f"it is for requests without {', '.join(beyond)}" if beyond else None


def lacks(required: Mapping[str, str], labels: Mapping[str, str]) -> str | None:
    """Say which required label a deployment has not; None where it has all. A value may be several, with `|` between."""
    for name, wanted in required.items():
        has = labels.get(name)
        if has is None or has not in wanted.split("|"):
            return f"{name}: {wanted} is required, and it " + (f"is {has}" if has is not None else "does not say")
    return None
