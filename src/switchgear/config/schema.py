"""What a configuration file may say, as types. Level 1.

A field's docstring is its documentation (docs/configuration.md is checked against this file). Keys of docs/contract.md §3 that
no feature reads yet are listed in `PLANNED`: they are refused by name, because a limit that is silently ignored is worse
than none.
"""

from typing import Annotated

import msgspec

from switchgear.core.budget_rule import Budgets
from switchgear.core.key_policy import WrittenPolicy
from switchgear.core.organisation import Profile, Project, Team, User
from switchgear.core.secret import Secret

FILE_PATH = "a file's path, relative to the file it stands in"
FilePath = Annotated[str, FILE_PATH]
"""Text that the reader turns into a path from where it stands."""


class Tls(msgspec.Struct, kw_only=True):
    """The data plane's certificate."""

    cert: FilePath
    """PEM file with the certificate chain, relative to the file this stands in."""
    key: FilePath
    """PEM file with the private key, relative to the file this stands in."""


class Listen(msgspec.Struct, kw_only=True):
    """Where to listen."""

    data: str = "127.0.0.1:4100"
    """Address of the data plane, HOST:PORT."""
    console: str = "127.0.0.1:4101"
    """Address of the console and the admin API, HOST:PORT."""
    tls: Tls | None = None
    """Certificate and key of the data plane."""
    trusted_proxies: list[str] = []
    """Networks of proxies in front whose X-Forwarded-For and X-Forwarded-Proto are believed, e.g. 127.0.0.1/32."""
    cors: list[str] = []
    """Origins of web pages that may read the data plane's answers, e.g. https://app.example; `*` for any. Default: none."""


class Limited(msgspec.Struct, kw_only=True):
    """What has limits."""

    rpm: int | None = None
    """Requests per minute."""
    tpm: int | None = None
    """Tokens per minute, input and output."""
    parallel: int | None = None
    """Requests at once."""
    limits: list[str] | None = None
    """Further limits, e.g. `5000 requests/day` or `100 requests/hour per end_user`."""
    budget: Budgets | None = None
    """What may be spent, e.g. `50/month`, `500000 tokens/day` or `{limit: 500/month, soft: 80%}`; or a list of such."""


class Limits(msgspec.Struct, kw_only=True):
    """Bounds of requests and connections."""

    body_bytes_max: int = 33_554_432
    """Largest request body in bytes."""
    head_bytes_max: int = 16_384
    """Largest request head in bytes."""
    headers_max: int = 64
    """Most header fields in a request."""
    url_bytes_max: int = 8_192
    """Longest request target in bytes."""
    head_s: float = 10.0
    """Seconds that a request head may take to arrive."""
    body_grace_s: float = 10.0
    """Seconds of each stretch in which a body must make at least `body_rate_min`."""
    body_rate_min: int = 1_024
    """Bytes per second that a body must make in each such stretch."""
    keep_alive_s: float = 75.0
    """Seconds after which an idle connection is closed."""
    write_stall_s: float = 60.0
    """Seconds without reading after which a client is dropped."""
    connections_max: int = 20_000
    """Most client connections per edge process."""
    connections_per_address_max: int = 1_000
    """Most connections from one address; loopback is not counted."""
    wait_s: float = 0.0
    """Seconds that a request waits for room under a limit before it is refused; 0: not at all."""


class Ceilings(msgspec.Struct, kw_only=True):
    """What the vault lets one credential do at most, whoever asks."""

    requests_per_s: int = 10_000
    """Requests a second."""
    concurrency: int = 20_000
    """Requests at once."""
    bytes_per_hour: int = 274_877_906_944
    """Bytes an hour, both ways."""


class Credential(msgspec.Struct, kw_only=True):
    """One credential of a provider."""

    name: str = "default"
    """Its name; `provider/name` names it everywhere."""
    secret: Secret | None = None
    """The secret as {env: NAME} or {file: PATH}; never written out."""
    auth: str | None = None
    """How this one is presented, when not as the provider's others: e.g. instance_role."""
    sealed: bool = False
    """True when the secret was given with `credential add` and stays in the vault."""
    ceilings: Ceilings | None = None
    """Bounds that the vault enforces."""
    budget: Budgets | None = None
    """What may be spent with it, see [budgets](#budgets)."""


class Provider(Limited, kw_only=True):
    """A provider: a name from the catalogue, or a base URL with a dialect."""

    kind: str | None = None
    """Name of the catalogue row to start from, when the provider's own name is not one."""
    dialect: str | None = None
    """Wire format: openai, responses, anthropic, gemini, bedrock or cohere."""
    base_url: str | None = None
    """Base URL, e.g. https://api.openai.com/v1."""
    auth: str | None = None
    """How the secret is presented: bearer, x-api-key, api-key, x-goog-api-key, header:NAME, query, sigv4, instance_role,
    web_identity, google, workload_identity, entra, entra_federated, managed_identity, oauth or none."""
    resource: str | None = None
    """Azure: the resource's name."""
    region: str | None = None
    """The cloud's region."""
    project: str | None = None
    """Vertex AI: the project's id."""
    location: str | None = None
    """Vertex AI: the location."""
    account: str | None = None
    """The account's or workspace's name, where it stands in the URL."""
    api_version: str | None = None
    """Azure: the API's version; with it, requests go to the older paths with the deployment's name."""
    auth_parameters: dict[str, str] = {}
    """What the way to authenticate needs besides: role_arn, tenant_id, client_id, scope, audience, service_account,
    token (a file of `--identity-dir`), token_url, service."""
    max_tokens: str | None = None
    """The name of the output limit in chat completions: max_tokens or max_completion_tokens."""
    passthrough: list[str] = []
    """Raw paths that keys may be allowed to use, e.g. `POST /audio/*`; sealed with the credential."""
    drop: list[str] = []
    """Fields that the provider refuses: left out of translated requests."""
    allow_private: bool | None = None
    """Allow private addresses and plain http: for servers of your own."""
    own: bool = False
    """True for a server of your own: `traceparent` is passed on to it."""
    ca_file: FilePath | None = None
    """PEM file of a private certificate authority for this provider, or the certificate itself."""
    proxy: str | None = None
    """An HTTP proxy through which this provider is reached, http://HOST:PORT."""
    headers: dict[str, str] = {}
    """Header fields that every request to it carries, e.g. `http-referer`; no secrets."""
    pricing: str | None = None
    """Name of the provider whose list prices apply."""
    stream_usage: bool | None = None
    """False where the provider refuses `stream_options`."""
    credentials: list[Credential] = []
    """Credentials, in the order in which they are tried."""
    team: str | None = None
    """The team that alone sees and uses it, with the teams below it; default: everybody."""
    labels: dict[str, str] = {}
    """What is said of all its deployments, e.g. `region: eu`, `zdr: "yes"`; a key or model may `require` it."""


class PriceSpec(msgspec.Struct, kw_only=True):
    """A price in USD per million tokens, as decimals."""

    input_per_mtok: str | None = None
    """Uncached input."""
    output_per_mtok: str | None = None
    """Output."""
    cache_read_per_mtok: str | None = None
    """Input read from the provider's cache; default: the input price."""
    cache_write_per_mtok: str | None = None
    """Input written to the provider's cache for 5 minutes."""
    cache_write_1h_per_mtok: str | None = None
    """Input written to the provider's cache for an hour."""
    reasoning_per_mtok: str | None = None
    """Reasoning output; default: the output price."""
    audio_in_per_mtok: str | None = None
    """Audio input."""
    audio_out_per_mtok: str | None = None
    """Audio output."""
    per_image: str | None = None
    """USD for one picture that was made."""
    per_second: str | None = None
    """USD for a second of sound that was heard."""
    per_million_characters: str | None = None
    """USD for a million characters that were spoken."""
    per_search: str | None = None
    """USD for one ranking."""
    per_web_search: str | None = None
    """USD for one search of the web by a tool that the provider runs."""
    per_file_search: str | None = None
    """USD for one search of stored files by such a tool."""
    per_container: str | None = None
    per_maps_search: str | None = None
    """USD for one container of a code tool."""
    per_page: str | None = None
    """USD for one page of a document that was read."""
    per_annotated_page: str | None = None
    """USD for one page that was read and annotated."""
    per_message: str | None = None
    """USD for one text message of a voice model."""
    per_request: str | None = None
    """USD for the request itself, beside its tokens."""


class When(msgspec.Struct, kw_only=True):
    """Conditions on the requests of a deployment: all that are given hold."""

    tags: list[str] | None = None
    """One of these tags stands on the request or on its key."""
    keys: list[str] | None = None
    """Names of keys."""
    teams: list[str] | None = None
    """Teams of keys."""
    tokens_min: int | None = None
    """The least tokens of input, about."""
    tokens_max: int | None = None
    """The most tokens of input, about."""
    needs: list[str] | None = None
    """The request has all of these: images, tools, json_schema, context."""
    without: list[str] | None = None
    """The request has none of these: what the deployment cannot do."""


class Deployment(Limited, kw_only=True):
    """One place where a model can be served."""

    provider: str
    """The provider's name."""
    model: str
    """The model's name there."""
    credential: str | None = None
    """One credential of the provider; default: all of them in order."""
    tier: int = 1
    """Lower tiers are tried first."""
    price: PriceSpec | str | None = None
    """Its price, or `free`."""
    weight: float = 1.0
    """Its share of the requests, beside those of its neighbours, where the strategy goes by weight."""
    labels: dict[str, str] = {}
    """What is said of it, e.g. `region: eu`; beside its provider's `labels`."""
    when: When | None = None
    """Which requests it is for; default: all."""
    canary: str | None = None
    """The share of sessions that try it first, e.g. `5%`; the others never do. Default: it is no canary."""
    share: dict[str, str] = {}
    """What is guaranteed of its limits by key, team or tag of a key, e.g. `{prod: 60%, dev: 20%}`; lent while nobody asks."""


class Retry(msgspec.Struct, kw_only=True):
    """Retries of one deployment."""

    max: int = 1
    """Most retries, 0 to 3."""
    on: list[str | int] | None = None
    """What is tried again: statuses (503, 5xx), `connect`, `timeout`, `broken`; default: connect, 408, 429, 5xx."""
    backoff_s: float = 0.1
    """The first pause in seconds, where the provider names none; each further one is twice as long, half of it by lot."""


class Hedge(msgspec.Struct, kw_only=True):
    """A second attempt beside one whose first byte is late: the first to answer counts, the other is cancelled and booked."""

    after_s: float
    """Seconds without a first byte."""


class Breaker(msgspec.Struct, kw_only=True):
    """When a deployment is left alone while there are others."""

    failures: int = 5
    """Failures in a row that open it."""
    error_rate: str = "50%"
    """A share of failures above it opens it, too."""
    requests_min: int = 20
    """Of at least so many attempts in 30 to 60 s."""
    probe_s: float = 15.0
    """Seconds until one request is sent there again."""


class Timeouts(msgspec.Struct, kw_only=True):
    """Deadlines in seconds."""

    connect_s: float = 10.0
    """To connect."""
    first_byte_s: float = 300.0
    """To the response's head."""
    first_event_s: float | None = None
    """To the first event of a stream; default: first_byte_s."""
    idle_s: float = 300.0
    """Between two pieces of a response."""
    total_s: float = 3600.0
    """For all attempts of a request."""


class ModelDefaults(msgspec.Struct, kw_only=True):
    """What is filled in where a request says nothing."""

    max_tokens: int | None = None
    """The most tokens of an answer."""


class Model(Limited, kw_only=True):
    """A model name that clients may ask for."""

    alias: str | None = None
    """Another model's name."""
    team: str | None = None
    """The team that alone sees and uses it, with the teams below it; default: everybody."""
    deployments: list[Deployment] = []
    """Where it is served, in order within tiers."""
    strict: bool = False
    """Refuse with a 400 what a provider's dialect cannot carry, instead of dropping it."""
    strategy: str = "ordered"
    """How the deployments of a tier are ordered: ordered, weighted, least_busy, lowest_latency, lowest_cost or sticky."""
    fallback: list[str] = []
    """Models whose deployments are tried after these."""
    fallback_on: dict[str, list[str]] = {}
    """Models that are tried after one kind of error only: `context_length`, `content_policy`."""
    require: dict[str, str] = {}
    """Labels that a deployment must have, also one of `fallback`; `a|b` is one of several."""
    retry: Retry = msgspec.field(default_factory=Retry)
    """Retries."""
    breaker: Breaker = msgspec.field(default_factory=Breaker)
    """When a deployment is left alone."""
    hedge: Hedge | None = None
    """When another deployment is asked as well; default: never."""
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)
    """Deadlines."""
    price: PriceSpec | str | None = None
    """The price of its deployments that have none of their own, or `free`."""
    drop: list[str] = []
    """Members of a request's body that are left out, in its client's words; `a.b` stands in an object. The record lists them."""
    defaults: ModelDefaults = msgspec.field(default_factory=ModelDefaults)
    """What is filled in where a request says nothing."""
    ceilings: dict[str, str | int] | None = None
    """What one request may ask at most: `output_tokens`, `effort`, `thinking_tokens`, `service_tier`, `provider_tools`, `cost`;
    `over: refuse` refuses what is over instead of bringing it down."""
    cache: dict[str, str] | None = None
    """How long answers are kept for the same request of the same team, `{ttl: 10m}`; `{ttl: off}`: never, whoever asks."""


class Key(WrittenPolicy, frozen=True, kw_only=True):
    """A virtual key by hash, never by value: `switchgear key generate --offline` makes both."""

    sha256: str | None = None
    """SHA-256 of the key, 64 hex digits."""
    keyed: list[str] | None = None
    """Instead of `sha256`, as `config export` writes keys of the store: `ID:HEX` of hashes that were made with the pepper of a
    data folder, each with ` until TIME` while a rotation's overlap lasts. Such a key holds where that pepper is."""


class Organisation(Limited, kw_only=True):
    """What holds for all keys together."""


class Pricing(msgspec.Struct, kw_only=True):
    """What is put over the shipped prices."""

    overrides: dict[str, PriceSpec | str] = {}
    """Prices by `provider/model`."""
    discount: dict[str, str] = {}
    """Discount by provider, e.g. 10%."""


class Defaults(msgspec.Struct, kw_only=True):
    """What holds unless said otherwise."""

    unpriced: str = "refuse"
    """Models without a known price: `refuse` them where a hard budget of money holds, `refuse_all`, or `allow` (cost unknown)."""
    overrun: str = "cut"
    """A stream that costs more than its request holds of a hard budget: `cut` it, or let it `finish`."""


class Retention(msgspec.Struct, kw_only=True):
    """How long things are kept."""

    ledger_days: int | None = None
    """Days that single records are kept; usage sums stay. Default: for ever."""
    journal_hours: int = 24
    """Hours that the vault's journal is kept."""


class Spool(msgspec.Struct, kw_only=True):
    """How records reach the disk."""

    durability: str = "process"
    """`process`: a killed process loses nothing; `power`: nor does a power cut, at some latency."""


class Destination(msgspec.Struct, kw_only=True):
    """A place outside that is no provider: reached by the courier, and by no other process."""

    url: str | None = None
    """Base URL of requests, e.g. https://api.osv.dev."""
    webhook: str | None = None
    """Instead of `url`: where `alerts` are sent, signed with `secret` (`whsec_…`) as Standard Webhooks says."""
    relay: str | None = None
    """Instead of `url`: tls://HOST:PORT of a server whose bytes are passed on unread, such as a database; tcp://HOST:PORT without
    TLS, for an address of your own."""
    auth: str = "none"
    """How the secret is presented: none, bearer, x-api-key, api-key or header:NAME."""
    secret: Secret | None = None
    """The secret as {env: NAME} or {file: PATH}; never written out."""
    allow_private: bool = False
    """Allow private addresses, and plain http: for servers of your own."""
    ca_file: FilePath | None = None
    """PEM file of a private certificate authority for this destination, or the certificate itself."""


class Courier(msgspec.Struct, kw_only=True):
    """The one door outward for all that is no provider."""

    proxy: str | None = None
    """An HTTP proxy that all destinations are reached through, http://HOST:PORT."""
    destinations: dict[str, Destination] = {}
    """Destinations by name. `doctor --online` asks `osv`. Without any there is no courier."""


class Alert(msgspec.Struct, kw_only=True):
    """Who is told of what happens, such as thresholds of budgets."""

    destination: str
    """A destination of the courier with a `webhook`."""
    subjects: list[str] = []
    """Whose: e.g. `team:research`, `key:ci-*`. Default: everybody's."""


class Config(msgspec.Struct, kw_only=True):
    """A whole configuration file."""

    version: int = 1
    """Version of this format: 1."""
    include: list[str] = []
    """Further files, as patterns relative to this one. Anything may stand in them; nothing may stand twice."""
    listen: Listen = msgspec.field(default_factory=Listen)
    """Addresses."""
    workers: int | None = None
    """Edge processes; default: one per core."""
    limits: Limits = msgspec.field(default_factory=Limits)
    """Bounds of requests."""
    providers: dict[str, Provider] = {}
    """Providers by name."""
    models: dict[str, Model | str | bool] = {}
    """Models by name; a string is short for one deployment `provider/model`. `implicit: false` stops `provider/model` from
    being callable without an entry."""
    keys: dict[str, Key] = {}
    """Virtual keys by name."""
    teams: dict[str, Team] = {}
    """Teams by name. Without any the teams that keys name exist by being named."""
    users: dict[str, User] = {}
    """Users by name. Without any the users that keys name exist by being named."""
    projects: dict[str, Project] = {}
    """Projects by name. Without any the projects that keys name exist by being named."""
    profiles: dict[str, Profile] = {}
    """Profiles by name."""
    organisation: Organisation = msgspec.field(default_factory=Organisation)
    """Limits and budgets of all keys together."""
    model_sets: dict[str, list[str]] = {}
    """Named sets of models and patterns, which budgets name as `@NAME`."""
    timezone: str = "UTC"
    """Whose calendar budgets follow, e.g. Europe/Berlin."""
    pricing: Pricing = msgspec.field(default_factory=Pricing)
    """Prices."""
    defaults: Defaults = msgspec.field(default_factory=Defaults)
    """Defaults."""
    retention: Retention = msgspec.field(default_factory=Retention)
    """Retention."""
    spool: Spool = msgspec.field(default_factory=Spool)
    """Durability."""
    courier: Courier = msgspec.field(default_factory=Courier)
    """Destinations outside that are no providers."""
    alerts: list[Alert] = []
    """Who is told when thresholds of budgets (`soft`) are passed."""
    compat: list[str] = []
    """Other gateways whose read-only routes and response headers are served too: `litellm`."""
    store: str = "sqlite"
    """Where the ledger lives: `sqlite`."""


PLANNED = frozenset(
    {
        "passthrough",
        "cache",
        "content_logging",
        "metrics",
        "export",
        "privacy",
        "cluster",
    }
)
"""Top-level keys of the contract that this version refuses by name."""


PLANNED_WITHIN: dict[str, frozenset[str]] = {
    "Key": frozenset({"trust_end_user", "content_logging"}),
}
"""Keys further down that the contract knows and this version refuses by name, by the type that would hold them."""
