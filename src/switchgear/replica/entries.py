"""What stands in the replica. Level 2.

Keys: `epoch` (u64), `snapshot` (Snapshot), `k` + key id (KeyEntry), `h` + keyed hash (key id; for keys that were imported
by hash and so carry no id of ours), `u` + key id (Spend), `r` + the id of something that a provider keeps (Stored), `b` + the id of
an answer that is made in the background (Pending), `health` (routing/states).
"""

import msgspec

from switchgear.core.budget_rule import BudgetRule
from switchgear.core.key_policy import KeyPolicy
from switchgear.core.limit_rule import LimitRule
from switchgear.policies.budgets import Raise
from switchgear.pricing.price import Price
from switchgear.routing.states import Health
from switchgear.routing.table import RouteTable

EPOCH = b"epoch"
SNAPSHOT = b"snapshot"
KEY_PREFIX = b"k"
HASH_PREFIX = b"h"
SPEND_PREFIX = b"u"
STORED_PREFIX = b"r"
PENDING_PREFIX = b"b"
HEALTH = b"health"
STORED_MS = 30 * 86_400_000
"""How long a provider keeps a response (OpenAI API reference, "Responses", as of 2026-11)."""


class SecretHash(msgspec.Struct, array_like=True, frozen=True):
    """One accepted secret of a key: HMAC(pepper, SHA-256(token)), which pepper, and until when (None: no end)."""

    mac: bytes
    pepper_id: int
    not_after_ms: int | None = None


class KeyEntry(KeyPolicy, frozen=True):
    """A virtual key as the edges need it."""

    id: str
    name: str
    version: int
    secrets: list[SecretHash]
    revoked: bool = False


class Spend(msgspec.Struct, array_like=True, frozen=True):
    """What a key used on one UTC day, as far as the ledger had it at `as_of_ms`. `/v1/key` shows it; no decision uses it."""

    day: int
    """Days since 1970-01-01."""
    as_of_ms: int
    models: dict[str, tuple[int, int]]
    """Requests and cost in nano-USD by model."""
    before_nanousd: int = 0
    """What it spent before that day, here and at another gateway that it was imported from."""


class StoredThing(msgspec.Struct, array_like=True, frozen=True):
    """Something that a provider keeps: whose it is, and where. Nobody else can name it."""

    scope: str
    credential_id: str
    model: str
    until_ms: int


class Pending(msgspec.Struct, array_like=True, frozen=True):
    """An answer that its provider makes in the background: what it costs is not known yet."""

    request_id: str
    """The request that is booked as an estimate."""
    scope: str
    who: bytes
    """records.Who, encoded: who is booked."""
    model: str
    provider: str
    credential: str
    credential_id: str
    upstream_model: str
    since_ms: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but keys: small, replaced as a whole."""

    store_id: str
    epoch: int
    table: RouteTable = RouteTable()
    freezes: dict[str, int | None] = {}
    """Frozen subject → end in ms or None."""
    price_snapshot: str = ""
    price_overrides: dict[str, Price] = {}
    discounts_bp: dict[str, int] = {}
    unpriced: str = "allow"
    compat: tuple[str, ...] = ()
    """Other gateways whose routes and headers are served."""
    limits: tuple[LimitRule, ...] = ()
    """Of all keys together."""
    budgets: tuple[BudgetRule, ...] = ()
    """Of all keys together."""
    timezone: str = "UTC"
    """Whose calendar budgets follow that name no other."""
    model_sets: dict[str, tuple[str, ...]] = {}
    """Names and patterns of models, by the name of their set, without its `@`."""
    raises: dict[str, Raise] = {}
    """By how much limits of budgets are raised, by the balance's name (`policies.budgets.name_of`)."""
    cache_epoch: int = 0
    """When kept answers were purged last, in ms."""


encode = msgspec.msgpack.Encoder().encode
_decode_key = msgspec.msgpack.Decoder(KeyEntry).decode
decode_spend = msgspec.msgpack.Decoder(Spend).decode
decode_stored = msgspec.msgpack.Decoder(StoredThing).decode
decode_snapshot = msgspec.msgpack.Decoder(Snapshot).decode
decode_health = msgspec.msgpack.Decoder(Health).decode
decode_pending = msgspec.msgpack.Decoder(Pending).decode


_FIRST_LAYOUT = (
    *(
        "id",
        "name",
        "version",
        "secrets",
        "team",
        "user",
        "project",
        "models",
        "cidrs",
        "expires_ms",
        "revoked",
        "tags",
    ),
    "passthrough",
)
"""The places of an entry's values in the arrays that version 0.1.0 wrote, with or without the last."""


def decode_key(raw: bytes) -> KeyEntry:
    """Read an entry. One that an older program published is read as it was meant, since edges serve from the replica that they
    find until control has written its own. Raises msgspec.ValidationError for one with a limit that this program does not know."""
    try:
        return _decode_key(raw)
    except msgspec.ValidationError:
        values = msgspec.msgpack.decode(raw)
        if not isinstance(values, list):
            raise
        return msgspec.convert(dict(zip(_FIRST_LAYOUT, values, strict=False)), KeyEntry)


def stored_key(name: str) -> bytes:
    """Return the key of something stored. LMDB takes 511 bytes."""
    return STORED_PREFIX + name.encode()[:400]


def pending_key(name: str) -> bytes:
    """Return the key of a pending answer. LMDB takes 511 bytes."""
    return PENDING_PREFIX + name.encode()[:400]


def scope_of(key_id: str, team: str | None) -> str:
    """Return who shares what a provider keeps: a team, or a key that has none."""
    return f"team:{team}" if team else f"key:{key_id}"
