"""Records of a spool: their frame on disk and their payloads. Level 1, sans-I/O.

A record is `magic u16 | kind u8 | 0 u8 | length u32 | sequence u64 | crc u32` and the payload, little-endian. The CRC-32C
covers the spool's id, the record's offset, kind, length, sequence and payload: a record that is copied to another place
or another spool does not parse, and neither does a zero-filled tail (length is at least 1; docs/invariants.md L3).
"""

import struct
from enum import IntEnum
from typing import Annotated

import msgspec
from crc32c import crc32c

from switchgear.core.errors import UNREADABLE, RecordError
from switchgear.core.usage import TOKENS_MAX, TokenUsage

MAGIC = 0x5753
HEADER = struct.Struct("<HBBIQI")
_CHECKED = struct.Struct("<QBIQ")
PAYLOAD_BYTES_MAX = 65_536
SETTLE_BYTES_MAX = 5_120
"""What a reservation keeps free for its settlement; texts are capped so that it always fits."""

SEQUENCE_MAX = 1 << 62
"""No spool has so many records; what the store counts with has 63 bits."""
NUMBER_MAX = 1 << 53
"""Of anything that is counted: bytes, nano-USD. JSON's readers are exact up to here, and a sum of a thousand fits the store."""
TIME_MS_MAX = 1 << 47
"""The year 6429: what twelve hex digits of a request's id hold, and half of it."""
SPAN_MS_MAX = (1 << 31) - 1
"""24 days: no request takes longer."""
ATTEMPTS_MAX = 64
"""Attempts of one request."""

# Bounds that decoding checks, in C: encoding does not, so that they cost the edges nothing.
Number = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]
TimeMs = Annotated[int, msgspec.Meta(ge=0, lt=TIME_MS_MAX)]
SpanMs = Annotated[int, msgspec.Meta(ge=0, le=SPAN_MS_MAX)]
Status = Annotated[int, msgspec.Meta(ge=0, le=999)]
Try = Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Version = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]
Name = Annotated[str, msgspec.Meta(max_length=128)]
"""An id, a run, a spool: names that this program makes."""
BudgetName = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]
HELD_MAX = 64
"""Budgets of one attempt (counters.backend.HOLDS_MAX)."""


class Kind(IntEnum):
    """What a record says."""

    SEGMENT = 1
    RESERVE = 2
    SETTLE = 3
    CHECKPOINT = 4
    ATTEMPT = 5
    ORPHAN = 6
    DENIAL = 7
    COUNTERS = 8
    KEPT = 9
    LATE = 10
    DISPATCH = 16
    ATTEMPT_END = 17
    LINK_END = 18


class Segment(msgspec.Struct, array_like=True, frozen=True):
    """First record of each segment: whose spool, which file, which run of which process wrote it."""

    spool_id: Name
    number: Number
    run_id: Name
    time_ms: TimeMs
    version: Version = 1


class Caller(msgspec.Struct, array_like=True, frozen=True):
    """Who asks: the key as it was, and what the client's head says. The same for many requests: encoded once."""

    key_id: str
    key_name: str
    key_version: Version
    team: str | None
    user: str | None
    project: str | None
    client_ip: str | None = None
    tool: str | None = None
    client_request_id: str | None = None
    trace_id: str | None = None
    end_user: str | None = None
    end_user_source: str | None = None
    session: str | None = None
    agent: str | None = None
    tags: list[str] | None = None
    client_retry: Number | None = None
    team_id: Name | None = None
    """Where it is not the team's name."""

    @property
    def team_scope(self) -> str | None:
        """The team whose things a provider keeps: its id."""
        return self.team_id if self.team_id is not None else self.team


class Callee(msgspec.Struct, array_like=True, frozen=True):
    """What is asked of whom. The same for many requests: encoded once."""

    operation: str
    path: str
    dialect: str
    model: str
    provider: str
    credential_id: str
    credential: str
    upstream_model: str
    price_id: str | None


class Held(msgspec.Struct, array_like=True, frozen=True):
    """What an attempt holds of one budget, in one period."""

    budget: BudgetName
    """Its identity, with the value of its dimension where it has one (`policies.budgets.name_of`)."""
    period: Number
    """Of its calendar; of a rolling budget the sub-window by the wall clock: time in ms ÷ `width_ms`."""
    amount: Number
    """At most so much will be used."""
    unit: Annotated[str, msgspec.Meta(pattern="^(nanousd|requests|input|output|total)$")] = "nanousd"
    ends_ms: TimeMs | None = None
    """When the period is over; None: never."""
    width_ms: Number = 0
    """Of a rolling budget; 0: it has a calendar."""
    is_hard: bool = True
    """Whether it refuses what it has no room for."""


HeldList = Annotated[list[Held], msgspec.Meta(max_length=HELD_MAX)]


class Reserve(msgspec.Struct, array_like=True, frozen=True):
    """A request that is about to go upstream: everything that is known before the first byte leaves."""

    id: str
    time_ms: TimeMs
    caller: msgspec.Raw
    """Caller, encoded."""
    callee: msgspec.Raw
    """Callee of the first attempt, encoded."""
    stream: bool
    input_estimate: Tokens
    expect_nanousd: Number | None
    hold_nanousd: Number | None
    bytes_in: Number
    end_user: str | None = None
    """From the body, when the head names none."""
    tags: list[str] | None = None
    """From the body."""
    session: str | None = None
    """From the body, when the head names none."""
    output_max: Tokens | None = None
    """Tokens that the answer may have, of a request whose answer may be made in the background."""
    budgets: HeldList | None = None
    """What its first attempt holds."""
    held_us: Number = 0
    """When that was taken, by the counters' clock."""
    lasts_s: Number = 0
    """How long its provider may charge for it at most."""


class Attempt(msgspec.Struct, array_like=True, frozen=True):
    """A further attempt (retry or fallback) is about to go upstream."""

    request_id: str
    number: Try
    provider: str
    credential_id: str
    credential: str
    upstream_model: str
    price_id: str | None
    budgets: HeldList | None = None
    held_us: Number = 0
    lasts_s: Number = 0
    """As in Reserve."""


class AttemptOutcome(msgspec.Struct, array_like=True, frozen=True):
    """How one attempt ended. Times are milliseconds since the request's admission."""

    number: Try
    status: Status | None
    error: str | None
    start_ms: SpanMs
    first_byte_ms: SpanMs | None
    end_ms: SpanMs
    connect_ms: SpanMs | None
    upstream_request_id: str | None
    tokens: TokenUsage | None = None
    """What an attempt before the last one used, as far as it may have been charged; the last one's stand in Settle."""
    cost_nanousd: Number | None = None
    """What that comes to; None where `tokens` is None or there is no price."""
    is_estimated: bool = False
    service_tier: str | None = None
    units: dict[str, Number] | None = None
    """As in Settle, of an attempt before the last one."""


class OtherModel(msgspec.Struct, array_like=True, frozen=True):
    """What a further model used for an answer, and the price that it is charged by."""

    model: str
    price_id: str | None
    tokens: TokenUsage


class StillCharged(msgspec.Struct, array_like=True, frozen=True):
    """An attempt that its provider may charge beyond what is booked, as much as its budgets held."""

    number: Try
    lasts_s: Annotated[int, msgspec.Meta(ge=0, le=SPAN_MS_MAX // 1_000)]
    """How long after the settlement."""


class Settle(msgspec.Struct, array_like=True, frozen=True):
    """The outcome of a reserved request. Tokens, units, tier and cost are the last attempt's."""

    id: str
    status: Status
    outcome: str
    attempts: Annotated[list[AttemptOutcome], msgspec.Meta(max_length=ATTEMPTS_MAX)]
    tokens: TokenUsage | None
    cost_nanousd: Number | None
    estimate_reason: str | None
    finish_reason: str | None
    response_id: str | None
    service_tier: str | None
    bytes_out: Number
    latency_ms: SpanMs
    ttft_ms: SpanMs | None
    error_code: str | None = None
    error_message: str | None = None
    dropped: list[str] | None = None
    """What the client asked and the provider's dialect could not carry."""
    units: dict[str, Number] | None = None
    """What is counted otherwise than in tokens: images, seconds, characters, searches."""
    others: Annotated[list[OtherModel], msgspec.Meta(max_length=8)] | None = None
    """What further models used for this answer."""
    charged_nanousd: Number | None = None
    """What the provider says that it charges, where its row says so."""
    priced_as: tuple[str, str] | None = None
    """The model that the answer named and its price, where the asked name has none or another model's."""
    states_cost: bool = False
    """The answer states a cost, and no row says how to read it: not booked."""
    passed_over: list[str] | None = None
    """Deployments that would have been asked before the one that was, and why they were not: `provider/model@credential: why`."""
    is_cached: bool = False
    """The answer was kept here: nobody was asked."""
    saved_nanousd: Number | None = None
    """What it cost when it was made."""
    queue_ms: SpanMs | None = None
    """How long it waited for room under limits and budgets."""
    is_untold: bool = False
    """The whole answer came, and its provider reported no usage: hard budgets count what was held for it."""
    still_charged: Annotated[list[StillCharged], msgspec.Meta(max_length=ATTEMPTS_MAX)] | None = None
    """Attempts whose edge does not know what they cost, where they hold budgets."""


class Checkpoint(msgspec.Struct, array_like=True, frozen=True):
    """What a long stream has shown so far."""

    id: str
    number: Number
    output_tokens_estimate: Tokens
    bytes_out: Number
    elapsed_ms: SpanMs
    status: Status
    tokens: TokenUsage | None = None
    """Usage that the provider reported already; the client may have seen it."""
    service_tier: str | None = None


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """Things that a provider keeps since it answered an open request: whose they are follows from its reservation."""

    id: str
    kept: list[str]


class Late(msgspec.Struct, array_like=True, frozen=True):
    """What an answer came to that was made in the background, as an open request was told that asked for it."""

    id: str
    response_id: Annotated[str, msgspec.Meta(max_length=256)]
    finish_reason: str | None
    tokens: TokenUsage | None
    """None where it ended without telling."""
    service_tier: str | None = None
    units: dict[str, Number] | None = None
    others: Annotated[list[OtherModel], msgspec.Meta(max_length=8)] | None = None
    charged_nanousd: Number | None = None
    priced_as: tuple[str, str] | None = None
    """As in Settle."""
    output_tokens_estimate: Tokens | None = None
    """Of an answer that ended without usage: the tokens of what it shows, None where it shows nothing."""


class Orphan(msgspec.Struct, array_like=True, frozen=True):
    """A reservation whose writer died; control decides from the vault's journal what became of it."""

    id: str
    run_id: Name
    time_ms: TimeMs


class Denial(msgspec.Struct, array_like=True, frozen=True):
    """A request of a valid key that was refused before anything was reserved."""

    id: str
    time_ms: TimeMs
    key_id: str
    key_name: str
    key_version: Version
    team: str | None
    user: str | None
    project: str | None
    operation: str
    path: str
    dialect: str
    model: str | None
    status: Status
    code: str
    message: str
    client_ip: str | None
    tool: str | None
    count: Count = 1


class Counters(msgspec.Struct, array_like=True, frozen=True):
    """What an edge counts and never records (docs/invariants.md L7): since its last record of this kind."""

    time_ms: TimeMs
    refused: dict[Name, Count]
    """Requests that were refused, by the code of the error: of valid keys and of none."""
    connections: Count
    """Open connections, now."""
    lines_lost: Count = 0
    """Lines of its log that could not be written."""
    errors: Count = 0
    """Lines of its log of the level error: faults that a guard caught are among them."""
    limited: dict[Name, Count] | None = None
    """Refusals by a limit, by what it limits, e.g. `key requests/minute`."""


class Dispatch(msgspec.Struct, array_like=True, frozen=True):
    """Journal: request bytes are about to leave for the provider."""

    attempt_id: Name
    credential_id: Annotated[str, msgspec.Meta(max_length=512)]
    time_ms: TimeMs
    link: Name


class AttemptEnd(msgspec.Struct, array_like=True, frozen=True):
    """Journal: what an attempt came to."""

    attempt_id: Name
    status: Status | None
    reason: Name | None
    bytes_in: Number
    bytes_out: Number
    time_ms: TimeMs


class LinkEnd(msgspec.Struct, array_like=True, frozen=True):
    """Journal: a link ended; nothing of that run that was not dispatched will be."""

    run_id: Name
    time_ms: TimeMs


Payload = (
    Segment
    | Reserve
    | Settle
    | Checkpoint
    | Attempt
    | Orphan
    | Denial
    | Counters
    | Kept
    | Late
    | Dispatch
    | AttemptEnd
    | LinkEnd
)

encode_payload = msgspec.msgpack.Encoder().encode
decode_caller = msgspec.msgpack.Decoder(Caller).decode
decode_callee = msgspec.msgpack.Decoder(Callee).decode
PAYLOADS: dict[int, msgspec.msgpack.Decoder[Payload]] = {
    Kind.SEGMENT: msgspec.msgpack.Decoder(Segment),
    Kind.RESERVE: msgspec.msgpack.Decoder(Reserve),
    Kind.SETTLE: msgspec.msgpack.Decoder(Settle),
    Kind.CHECKPOINT: msgspec.msgpack.Decoder(Checkpoint),
    Kind.ATTEMPT: msgspec.msgpack.Decoder(Attempt),
    Kind.ORPHAN: msgspec.msgpack.Decoder(Orphan),
    Kind.DENIAL: msgspec.msgpack.Decoder(Denial),
    Kind.COUNTERS: msgspec.msgpack.Decoder(Counters),
    Kind.KEPT: msgspec.msgpack.Decoder(Kept),
    Kind.LATE: msgspec.msgpack.Decoder(Late),
    Kind.DISPATCH: msgspec.msgpack.Decoder(Dispatch),
    Kind.ATTEMPT_END: msgspec.msgpack.Decoder(AttemptEnd),
    Kind.LINK_END: msgspec.msgpack.Decoder(LinkEnd),
}


def decode_payload(kind: int, payload: bytes) -> Payload:
    """Decode strictly. Raises RecordError."""
    decoder = PAYLOADS.get(kind)
    if decoder is None:
        raise RecordError(f"unknown record kind {kind}")
    try:
        return decoder.decode(payload)
    except UNREADABLE as exc:
        raise RecordError(f"a record of kind {kind} does not decode: {exc}") from exc


_decode_any = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.msgpack.Decoder(str).decode


def id_of(payload: bytes) -> str | None:
    """Return the first field of a payload that does not decode otherwise, if it is a text: whose record it is."""
    try:
        return _decode_text(_decode_any(payload)[0])
    except (*UNREADABLE, IndexError):
        return None


def seed_of(spool_id: str) -> int:
    """Return the CRC that every record of a spool starts from."""
    return int(crc32c(spool_id.encode()))


def frame(seed: int, offset: int, kind: int, sequence: int, payload: bytes) -> bytes:
    """Frame a payload for the position `offset` of its segment file."""
    size = len(payload)
    crc = crc32c(payload, crc32c(_CHECKED.pack(offset, kind, size, sequence), seed))
    return HEADER.pack(MAGIC, kind, 0, size, sequence, crc) + payload


def parse(seed: int, base: int, data: bytes, position: int) -> tuple[int, int, bytes, int] | None:
    """Read the record at `data[position:]`, which lies at file offset `base + position`.

    Returns (kind, sequence, payload, end position), or None where no whole, valid record stands (a torn tail, zeros).
    """
    if len(data) - position < HEADER.size:
        return None
    magic, kind, pad, size, sequence, crc = HEADER.unpack_from(data, position)
    if magic != MAGIC or pad or not 1 <= size <= PAYLOAD_BYTES_MAX:
        return None
    start = position + HEADER.size
    end = start + size
    if end > len(data):
        return None
    payload = data[start:end]
    if crc32c(payload, crc32c(_CHECKED.pack(base + position, kind, size, sequence), seed)) != crc:
        return None
    return kind, sequence, payload, end
