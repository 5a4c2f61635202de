"""What every route of the admin API answers: types for the rows of the table, which tests compare with real answers. Level 5.

Handlers return plain values; these types say what stands in them. A field with a default may be missing.
"""

from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec

from switchgear.config.compile import Compiled, ProviderSpec
from switchgear.confine.cell import ConfinementReport
from switchgear.control import findings
from switchgear.control.refusals import Refusal
from switchgear.control.seen import Doubt
from switchgear.core.key_policy import ToldPolicy
from switchgear.core.organisation import KINDS, Kind
from switchgear.courier.verbs import CourierStatus
from switchgear.detect.finding import Finding
from switchgear.ledger import record
from switchgear.ledger.record import Record
from switchgear.store import outbox
from switchgear.store.objects import TokenRow
from switchgear.store.sums import Sums
from switchgear.vault.verbs import Metadata


class StoreChecked(msgspec.Struct):
    """Rows that are not believed."""

    doubts: list[Doubt]
    unsigned: str
    """Stands for the rows that could be signed and their content."""


class SignedName(msgspec.Struct):
    """A row that was signed."""

    kind: str
    name: str


class StoreAccepted(msgspec.Struct):
    """What was signed, and what is not believed still."""

    signed: int
    rows: list[SignedName]
    doubts: list[Doubt]


class BudgetState(msgspec.Struct):
    """One budget, or one of its values, as it stands now. Amounts are in its unit."""

    subject: str
    """Whose it is, as people write it: `key:ci-bot`."""
    label: str
    """Its name, else its unit and period."""
    budget: str
    """As it is written: `50/month`."""
    per: str | None
    value: str | None
    """Of the dimension."""
    models: list[str] | None
    unit: Literal["nanousd", "requests", "input", "output", "total"]
    limit: int
    """With what it was raised by."""
    raised: int
    settled: int
    held: int | None
    """By requests under way; null where edges cannot be asked."""
    uncertain: int | None
    """Of what is held: by requests of which nobody knows what they cost."""
    remaining: int
    percent: int
    state: Literal["ok", "spent", "overrun"]
    hard: bool
    soft: list[int]
    on_spent: str | None
    period: str
    starts_ms: int | None
    resets_ms: int | None
    timezone: str | None


class BudgetStates(msgspec.Struct):
    """Budgets."""

    budgets: list[BudgetState]


class BudgetChange(msgspec.Struct):
    """What somebody changed about a budget."""

    kind: Literal["raise", "reset", "opening"]
    label: str
    value: str | None
    unit: str
    period: int
    until_ms: int | None
    amount: int
    time_ms: int
    actor: str
    reason: str
    rolls: bool


class BudgetShown(BudgetStates):
    """The budgets of one, and what was changed about them."""

    changes: list[BudgetChange]


class Name(msgspec.Struct):
    """What was added, changed or removed."""

    name: str


class Pids(msgspec.Struct):
    """Process ids by role."""

    supervisor: int | None = None
    vault: list[int] = []
    control: int | None = None
    edge: list[int] = []
    demo: int | None = None
    courier: int | None = None
    """Where there is one."""


class Absorbed(msgspec.Struct):
    """How far the ledger is."""

    absorbed: int
    spool_bytes: int


class DoubleEntry(msgspec.Struct):
    """What the two books say of each other."""

    checked: int
    unspooled: int
    repeated: int
    contradicted: int = 0
    booked_as_nothing: int = 0
    """Whole answers with status 2xx for which the edges booked nothing."""
    booked_as_little: int = 0
    """Answers far larger than the words that were booked for them: images or sources in them."""


class InForce(msgspec.Struct):
    """Which file is in force."""

    source: str
    digest: str
    restart: list[str] = []
    """Settings that hold from the next start on."""


BreakerState = Literal["closed", "failures", "error_rate", "credential"]


class RefusedRequests(msgspec.Struct):
    """Requests that the gateway refused, by the code of the error."""

    last_minute: dict[str, int]
    total: dict[str, int]


class Attempts(msgspec.Struct):
    """Attempts at a provider since control began."""

    attempts: int
    errors: int


class Failing(msgspec.Struct):
    """A deployment that failed at its last attempts."""

    failures_in_row: int
    last_failure: str | None
    last_failure_ms: int | None
    last_success_ms: int | None


class OpenBreaker(msgspec.Struct):
    """A breaker that is open: requests go elsewhere, but for one now and then."""

    reason: Literal["failures", "error_rate", "credential"]
    since_ms: int
    tried_ms: int
    """When it was asked last."""


class DeploymentHealth(msgspec.Struct):
    """What the ledger counted of one deployment."""

    deployment: str
    """`provider/model@credential`; `(others)`: all without a row of their own."""
    health: Literal["ok", "failing", "unknown"]
    breaker: BreakerState
    """Why its requests go elsewhere; `closed`: they do not."""
    breaker_since_ms: int | None
    attempts: int
    failures: int
    outcomes: dict[str, int]
    """Attempts by how they ended."""
    failures_in_row: int
    last_failure: str | None
    last_failure_ms: int | None
    last_success_ms: int | None
    latency_p50_ms: int | None
    """An upper bound, as the other quantiles."""
    latency_p95_ms: int | None
    first_token_p50_ms: int | None
    since_ms: int


class DeploymentList(msgspec.Struct):
    """All that were asked in the last 90 days."""

    deployments: list[DeploymentHealth]


class Status(msgspec.Struct, kw_only=True):
    """State of the processes, the ledger and the configuration."""

    version: str
    state: Literal["ready", "degraded", "draining", "starting", "stopped"]
    data_url: str | None = None
    console_url: str | None = None
    pids: Pids
    problems: list[str]
    data: str = ""
    confinement: dict[str, ConfinementReport | None] = {}
    kek: str = ""
    ledger: Absorbed
    double_entry: DoubleEntry
    refused_requests: RefusedRequests
    faults: dict[str, int]
    """By role: what vault and courier caught, and errors in the logs of edges and control."""
    courier: CourierStatus | None = None
    """What the courier said of itself last; None without a courier."""
    config: InForce
    freezes: dict[str, int | None]
    prices: str
    refused: dict[str, Refusal] = {}
    failing: dict[str, Failing] = {}
    """Deployments that failed at their last attempts."""
    breakers: dict[str, OpenBreaker] = {}
    """Deployments whose breaker is open."""
    providers: dict[str, Attempts] = {}


class Key(ToldPolicy, kw_only=True):
    """A virtual key, without its secret."""

    id: str
    name: str
    version: int
    source: str
    revoked_ms: int | None
    created_ms: int
    secrets: int


class HolderAnswer(msgspec.Struct, kw_only=True):
    """A team, user, project or profile; whom it names stands there by name."""

    id: str
    """It never changes; subjects of limits, budgets and freezes have it."""
    name: str
    version: int
    source: Literal["store", "file"]
    created_ms: int
    updated_ms: int


def _holder_type(kind: Kind) -> type[msgspec.Struct]:
    told = {field.name: field.type for field in msgspec.structs.fields(ToldPolicy)}
    written = {field.name: field.type for field in msgspec.structs.fields(kind.written)}
    fields = []
    for name in kind.fields:
        held = kind.written.TIMES.get(name, name)  # type: ignore[attr-defined]
        fields.append((held, told.get(held, written.get(name))))
    return msgspec.defstruct(kind.written.__name__, fields, bases=(HolderAnswer,), kw_only=True)


HOLDER: dict[str, type[msgspec.Struct]] = {kind.name: _holder_type(kind) for kind in KINDS.values()}
"""One of a kind."""
HOLDERS: dict[str, type[msgspec.Struct]] = {
    kind.name: msgspec.defstruct(kind.plural.capitalize(), [(kind.plural, GenericAlias(list, HOLDER[kind.name]))])
    for kind in KINDS.values()
}
"""All of a kind."""


class RemovedHolder(msgspec.Struct):
    """What was removed, and what belongs to another one since."""

    name: str
    moved: list[str]
    """Keys."""
    moved_holders: list[str]
    """Teams, users, projects: `project:search`."""


class NewKey(Key, kw_only=True):
    """A key with its secret, which is shown this once; of an imported one none is known."""

    key: str | msgspec.UnsetType = msgspec.UNSET


class Belonging(msgspec.Struct):
    """What a key belongs to."""

    kind: str
    id: str
    name: str


class BindingRule(msgspec.Struct):
    """A rule that binds a key, and whose it is."""

    field: str
    rule: str
    of: str
    """team, project, user, profile or key."""
    name: str


class ListedKey(Key, kw_only=True):
    """A key, and because of what it stands still."""

    frozen: list[str]
    """The frozen subjects that stop all its requests."""


class SpentKey(ListedKey, kw_only=True):
    """A key with what it spent."""

    spent_before_nanousd: int
    spent_nanousd: int
    spent_usd: str
    held_by: list[Belonging]
    """Teams from the root down, project, user, profiles."""
    binding: list[BindingRule]
    """Of what it belongs to and of itself, the tightest."""


class Keys(msgspec.Struct):
    """All keys."""

    keys: list[ListedKey]


class SumsRow(Sums, kw_only=True):
    """Sums of requests; `group` has the value of each dimension that was asked for."""

    group: dict[str, str | None]
    cost_usd: str
    what_if_nanousd: int | None = None
    """At the price of the model that `what_if` names; null where that has no rate for some of the tokens."""


class Usage(msgspec.Struct):
    """Rows by dimension, and their total."""

    rows: list[SumsRow]
    total: SumsRow


class Log(msgspec.Struct):
    """Records, newest first; `next` is the cursor of the following page."""

    records: list[record.Record]
    next: str | None


class Numbered(Record, frozen=True, kw_only=True):
    """A record and its number of settlement."""

    settled_seq: int


class Export(msgspec.Struct):
    """Records in the order of their settlement."""

    records: list[Numbered]
    next_seq: int
    """Where to go on."""
    head_seq: int
    """The last number that was given."""


class ShownCursor(outbox.Cursor, frozen=True, kw_only=True):
    """How far an exporter is."""

    behind: int
    """Numbers that it has not passed."""


class Cursors(msgspec.Struct):
    """All cursors."""

    cursors: list[ShownCursor]
    head_seq: int


Pair = Annotated[list[str], msgspec.Meta(min_length=2, max_length=2)]
"""Not a tuple: generators of clients and of tests disagree on `prefixItems`."""


class Known(msgspec.Struct):
    """Digest → (virtual_key or credential, its name)."""

    known: dict[str, Pair]


class Findings(msgspec.Struct):
    """Stored findings."""

    findings: list[findings.Stored]


class Looked(msgspec.Struct):
    """What the doctor sees, and when it looked."""

    findings: list[Finding]
    time_ms: int | None


class Provider(msgspec.Struct):
    """A configured provider."""

    name: str
    source: Literal["file", "store"]
    dialects: list[str]
    base_url: str
    auth: str
    allow_private: bool
    pricing: str | None
    credentials: list[str]
    spec: ProviderSpec


class Providers(msgspec.Struct):
    """Configured providers, and the names that the catalogue knows."""

    providers: list[Provider]
    catalogue: list[str]


class Credential(Metadata, frozen=True, kw_only=True):
    """What may be told of a credential."""

    refused: Refusal | None = None


class Credentials(msgspec.Struct):
    """All credentials."""

    credentials: list[Credential]


class VaultKey(msgspec.Struct):
    """The vault's public key, in hex."""

    public_key: str


class Model(msgspec.Struct):
    """A configured model."""

    name: str
    source: Literal["file", "store"]
    alias: str | None
    deployments: list[str]
    fallback: list[str]
    health: dict[str, Literal["ok", "failing", "unknown"]] = {}
    """By deployment, as far as they were asked."""
    frozen: list[str] = []
    """The frozen subjects because of which no request for it gets through."""


class Models(msgspec.Struct):
    """Configured models, and the patterns that are callable without."""

    models: list[Model]
    implicit: list[str]


class Candidate(msgspec.Struct):
    """A place where a request may go."""

    provider: str
    credential: str
    upstream_model: str
    priced: bool
    frozen: list[str]
    deployment: str = ""
    tier: int = 0
    weight: float = 1.0
    breaker: BreakerState = "closed"
    place: int | None = None
    """As which one it is asked, from 1; None: not."""
    left_out: str | None = None
    """Why it is not asked."""


class Explained(msgspec.Struct):
    """Where a request would go, and why."""

    model: str
    callable: bool
    frozen: list[str]
    """The frozen subjects because of which no request gets through."""
    steps: list[str]
    candidates: list[Candidate]
    strategy: str = "ordered"


class Tier(msgspec.Struct):
    """A price above an input size."""

    above_input_tokens: int
    usd_per_mtok: str


class Rates(msgspec.Struct):
    """USD per million tokens."""

    usd_per_mtok: str
    tiers: list[Tier]


class ShownPrice(msgspec.Struct, kw_only=True):
    """A price as requests are charged."""

    model: str
    matched: str
    source: str
    id: str
    discount_percent: float
    rates: dict[str, Rates]
    units: dict[str, str]
    service_tiers: list[str]


class Prices(msgspec.Struct):
    """Prices, and the date of the shipped ones."""

    prices: list[ShownPrice]
    snapshot: str


class Config(msgspec.Struct):
    """The configuration in force, without secrets."""

    compiled: Compiled


class Applied(msgspec.Struct):
    """SHA-256 of the file, with all that it includes, that is in force now."""

    digest: str
    restart: list[str] = []
    """Settings that hold from the next start on."""
    undone_at_start: str | None = None
    """A sentence where the next start has another configuration, or not all of this one."""


class Exported(msgspec.Struct):
    """File and store as one configuration."""

    document: dict[str, Any]
    """What a configuration file would say: docs/configuration.md."""
    notes: list[str]
    """What a file cannot say."""


class ShownVersion(msgspec.Struct, kw_only=True):
    """One configuration of the history."""

    number: int
    time: str
    actor: str
    action: str
    summary: str
    source: str | None


class Versions(msgspec.Struct):
    """The configurations that were in force, newest first."""

    versions: list[ShownVersion]


class RolledBack(ShownVersion, kw_only=True):
    """What was brought back, or with `dry_run` would be."""

    changes: list[str]
    stays: list[str]
    """What is not taken back."""
    restart: list[str]
    """Settings that hold from the next start on."""


class Purged(msgspec.Struct):
    """Kept answers were forgotten."""

    epoch: int
    """Of what is kept from now on."""


class Frozen(msgspec.Struct):
    """What stands still, and until when."""

    subject: str
    until_ms: int | None = None
    also_stops: list[str] = []
    """Of a model: what else can be asked for and stands still with it."""


class Token(msgspec.Struct):
    """A token that is shown this once."""

    token: str


class MadeToken(msgspec.Struct):
    """A token for automation; `token` is shown this once."""

    name: str
    role: str
    expires_ms: int | None
    token: str


class AdminTokens(msgspec.Struct):
    """Tokens for automation, without their values."""

    tokens: list[TokenRow]
