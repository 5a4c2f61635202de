"""What stands in the replica. Level 2.

Keys: `epoch` (u64), `snapshot` (Snapshot), `k` + key id (KeyEntry), `h` + keyed hash (key id; for keys that were imported
by hash and so carry no id of ours), `o` + kind + `:` + id (HolderEntry: a team, user, project or profile), `generation` (u64: rises
whenever one of these changes), `u` + key id (Spend), `r` + the id of something that a provider keeps (Stored), `b` + the id of
an answer that is made in the background (Pending), `d` + an attempt's id (1: what edges hold for it has ended), `health`
(routing/states).
"""

from collections.abc import Sequence

import msgspec

from switchgear.core.budget_rule import BudgetRule
from switchgear.core.key_policy import LABELS, KeyPolicy
from switchgear.core.limit_rule import LimitRule
from switchgear.core.organisation import HolderPolicy
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
HOLDER_PREFIX = b"o"
GENERATION = b"generation"
ENDED_PREFIX = b"d"
HEALTH = b"health"
STORED_MS = 30 * 86_400_000
"""How long a provider keeps a response (OpenAI API reference, "Responses", as of 2026-11)."""


class SecretHash(msgspec.Struct, array_like=True, frozen=True):
    """One accepted secret of a key: HMAC(pepper, SHA-256(token)), which pepper, and until when (None: no end)."""

    mac: bytes
    pepper_id: int
    not_after_ms: int | None = None


class HolderEntry(HolderPolicy, frozen=True, kw_only=True):
    """A team, user, project or profile as the edges need it."""

    kind: str
    id: str
    name: str
    version: int
    removed: bool = False

    @property
    def subject(self) -> str:
        """Under what it is counted and frozen."""
        return f"{self.kind}:{self.id}"


class KeyEntry(KeyPolicy, frozen=True):
    """A virtual key as the edges need it."""

    id: str
    name: str
    version: int
    secrets: list[SecretHash]
    revoked: bool = False

    @property
    def team_id(self) -> str | None:
        """The id of its team."""
        return self.team

    @property
    def model_lists(self) -> tuple[Sequence[str] | None, ...]:
        """Lists that a model's name must match, each of them; None allows all."""
        return (self.models,)

    @property
    def passthrough_lists(self) -> tuple[Sequence[str], ...]:
        """Lists of which each must allow a raw path; none: no raw path."""
        return (self.passthrough,) if self.passthrough is not None else ()

    @property
    def held_by(self) -> tuple[HolderEntry, ...]:
        """What it belongs to: teams from the root down, project, user, profiles."""
        return ()

    @property
    def subjects(self) -> list[str]:
        """By what it can be frozen, but for itself."""
        return [f"{kind}:{value}" for kind in LABELS if (value := getattr(self, kind)) is not None]


class HeldKey(KeyEntry, frozen=True):
    """A key with what it belongs to. Its limits are its own; what else its fields say is the tightest of all of them, and whom they
    name has its present name."""

    holders: tuple[HolderEntry, ...] = ()
    own: KeyPolicy = KeyPolicy()
    """What the key itself says, with ids."""
    lists: tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]] = ((), ())
    """Of models, and of raw paths."""

    @property
    def team_id(self) -> str | None:
        """The id of its team: its own, or its project's."""
        return next((holder.id for holder in reversed(self.holders) if holder.kind == "team"), None)

    @property
    def model_lists(self) -> tuple[Sequence[str] | None, ...]:
        """Lists that a model's name must match, each of them."""
        return self.lists[0]

    @property
    def passthrough_lists(self) -> tuple[Sequence[str], ...]:
        """Lists of which each must allow a raw path; none: no raw path."""
        return self.lists[1]

    @property
    def held_by(self) -> tuple[HolderEntry, ...]:
        """What it belongs to: teams from the root down, project, user, profiles."""
        return self.holders

    @property
    def subjects(self) -> list[str]:
        """By what it can be frozen, but for itself."""
        return [holder.subject for holder in self.holders if holder.kind in LABELS]


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
    unpriced: str = "refuse"
    overrun: str = "cut"
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
decode_holder = msgspec.msgpack.Decoder(HolderEntry).decode
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


def holder_key(kind: str, identity: str) -> bytes:
    """Return the key of a team, user, project or profile."""
    return HOLDER_PREFIX + f"{kind}:{identity}".encode()


def stored_key(name: str) -> bytes:
    """Return the key of something stored. LMDB takes 511 bytes."""
    return STORED_PREFIX + name.encode()[:400]


def pending_key(name: str) -> bytes:
    """Return the key of a pending answer. LMDB takes 511 bytes."""
    return PENDING_PREFIX + name.encode()[:400]


def scope_of(key_id: str, team: str | None) -> str:
    """Return who shares what a provider keeps: a team, or a key that has none."""
    return f"team:{team}" if team else f"key:{key_id}"
