"""The ledger record: one per request; what `log`, `usage`, the console and exports show (docs/contract.md §6). Level 3.

Records never change; `kind: correction` appends. Fields that no feature fills yet are null.
"""

from typing import Literal

import msgspec

from switchgear.core.usage import TokenUsage

Outcome = Literal["ok", "denied", "client_error", "upstream_error", "timeout", "client_gone", "interrupted", "not_sent"]


class Named(msgspec.Struct, frozen=True):
    """An id and the name it had at the time."""

    id: str
    name: str


class EndUser(msgspec.Struct, frozen=True):
    """What the client claims about its person, and where it said so."""

    id: str
    source: str


class Client(msgspec.Struct, frozen=True):
    """The calling tool as it names itself."""

    tool: str
    version: str | None


class Tokens(TokenUsage, frozen=True, kw_only=True, array_like=False):
    """Token counts by name; null = not reported. (A spool has them by position.)"""


class CostLine(msgspec.Struct, frozen=True):
    """One meter of the cost; `unit_price` in USD as a decimal: per million tokens, or for one of another unit."""

    meter: str
    quantity: int
    unit: str
    unit_price: str
    cost_nanousd: int


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds since the request's admission."""

    start_ms: int
    first_byte_ms: int | None
    end_ms: int
    connect_ms: int | None


class Attempt(msgspec.Struct, frozen=True):
    """One upstream try."""

    id: str
    provider: str
    deployment: str
    credential: str
    upstream_model: str
    status: int | None = None
    timings: Timings | None = None
    tokens: Tokens | None = None
    cost_nanousd: int | None = None
    upstream_request_id: str | None = None
    error: str | None = None
    list_cost_nanousd: int | None = None


class Error(msgspec.Struct, frozen=True):
    """Why a request failed."""

    code: str
    message: str


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request."""

    record_version: int = 1
    """2: `deployment` is `provider/model@credential`. It was `provider/credential` in 1."""
    kind: Literal["request", "correction"] = "request"
    corrects: str | None = None
    """Of a correction: the record that it is about. Its tokens and costs are what has to be added to that one's."""
    id: str
    time: str
    """Admission, RFC 3339, UTC, milliseconds."""
    operation: str
    path: str
    key: Named | None = None
    team: Named | None = None
    user: Named | None = None
    project: Named | None = None
    end_user: EndUser | None = None
    session: str | None = None
    agent: str | None = None
    tags: list[str] = []
    cost_center: str | None = None
    environment: str | None = None
    client: Client | None = None
    client_ip: str | None = None
    client_request_id: str | None = None
    trace_id: str | None = None
    dialect: str
    model: str | None = None
    upstream_model: str | None = None
    provider: str | None = None
    deployment: str | None = None
    credential: str | None = None
    endpoint_region: str | None = None
    service_tier: str | None = None
    billing_account: str | None = None
    attempts: list[Attempt] = []
    status: int
    outcome: Outcome
    count: int = 1
    """More than 1 for an aggregate of refusals; 0 for a correction."""
    finish_reason: str | None = None
    response_id: str | None = None
    stream: bool = False
    cached: bool = False
    dropped: list[str] = []
    passed_over: list[str] = []
    client_retry: int | None = None
    tokens: Tokens | None = None
    units: dict[str, int] | None = None
    cost_lines: list[CostLine] = []
    list_cost_nanousd: int | None = None
    cost_nanousd: int | None = None
    saved_nanousd: int | None = None
    cost_estimated: bool = False
    estimate_reason: str | None = None
    price_source: str | None = None
    price_version: str | None = None
    reserved_nanousd: int | None = None
    budgets: list[str] = []
    bytes_in: int = 0
    bytes_out: int = 0
    latency_ms: int | None = None
    ttft_ms: int | None = None
    queue_ms: int | None = None
    upstream_ms: int | None = None
    error: Error | None = None
    key_version: int | None = None
    node: str | None = None
    gateway_version: str


encode = msgspec.json.Encoder().encode
"""Encode for the store: fields at their default are left out."""
decode = msgspec.json.Decoder(Record).decode


def full(record: Record) -> dict[str, object]:
    """Return a record with every field, null where nothing is known: what users see."""
    return {name: getattr(record, name) for name in record.__struct_fields__}
