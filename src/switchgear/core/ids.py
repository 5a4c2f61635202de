"""Identifiers: request ids that sort by time, and random ids. Level 0; randomness is handed in.

A request id is 32 hex digits: 12 of milliseconds, 12 of a number drawn once per process, 8 of a counter. It sorts by
time, costs one format call, and is unique without asking anybody. An attempt's id is the request's plus `-N`.
"""

from collections.abc import Callable
from typing import NewType

RequestId = NewType("RequestId", str)
AttemptId = NewType("AttemptId", str)
KeyId = NewType("KeyId", str)

Entropy = Callable[[int], bytes]

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class IdSource:
    """Makes request ids. `entropy(n)` returns n random bytes; one source per process."""

    __slots__ = ("_count", "_node")

    def __init__(self, entropy: Entropy) -> None:
        self._node = entropy(6).hex()
        self._count = 0

    def request_id(self, wall_ms: int) -> RequestId:
        """Make the next id; `wall_ms` is the time of admission."""
        count = self._count = (self._count + 1) & 0xFFFFFFFF
        return RequestId(f"{wall_ms:012x}{self._node}{count:08x}")


def attempt_id(request_id: str, number: int) -> AttemptId:
    """Name the `number`-th upstream try (from 1) of a request."""
    return AttemptId(f"{request_id}-{number}")


def credential_id(provider: str, credential: str) -> str:
    """Name a credential: `provider/credential`."""
    return f"{provider}/{credential}"


def deployment_id(provider: str, upstream_model: str, credential: str) -> str:
    """Name a deployment: `provider/model@credential`, as in `openai/gpt-4o@main`."""
    return f"{provider}/{upstream_model}@{credential}"


def parts_of_deployment(deployment: str) -> tuple[str, str, str] | None:
    """Return provider, upstream model and credential of a deployment's name; None where it is none. Models may contain "/" and
    "@", providers and credentials do not."""
    place, at, credential = deployment.rpartition("@")
    provider, slash, upstream_model = place.partition("/")
    return (provider, upstream_model, credential) if provider and slash and at and credential else None


def request_id_floor(wall_ms: int) -> str:
    """Return the smallest request id of that millisecond: ids at or above it were made then or later."""
    return f"{max(0, wall_ms):012x}"


def base62(value: int, width: int) -> str:
    """Write a non-negative integer in base 62, most significant digit first, padded to `width`."""
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


def random_base62(entropy: Entropy, width: int) -> str:
    """Draw `width` base-62 characters, each equally likely (bytes above 247 are drawn again)."""
    out: list[str] = []
    while len(out) < width:
        out.extend(BASE62[byte % 62] for byte in entropy(width) if byte < 248)
    return "".join(out[:width])
