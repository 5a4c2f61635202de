"""From schema types to what control publishes: references checked, prices exact, endpoints parsed. Level 1.

The result holds no secret: whoever compiles seals the secrets and hands them over beside it.
"""

import datetime
import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

import msgspec

from switchgear.config import schema
from switchgear.core.errors import ConfigProblem
from switchgear.core.secret import Secret
from switchgear.policies import passthrough
from switchgear.pricing.catalog import FREE, nano_per_mtok
from switchgear.pricing.price import MTOK, UNIT_PRICES, Meter, Price, Rate, Unit
from switchgear.providers import endpoint
from switchgear.providers.catalogue import GENERIC, PROVIDERS, ProviderRow
from switchgear.providers.endpoint import Endpoint
from switchgear.providers.quirks import Quirks
from switchgear.routing.table import DeploymentEntry, ModelEntry, Timeouts

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
COMPATIBLE = frozenset({"litellm"})
"""Gateways whose routes and headers can be served."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_PERCENT = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,2})?)%")
_VARIABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_METERS: dict[str, Meter] = {
    "input_per_mtok": "input",
    "output_per_mtok": "output",
    "cache_read_per_mtok": "cache_read",
    "cache_write_per_mtok": "cache_write_5m",
    "cache_write_1h_per_mtok": "cache_write_1h",
    "reasoning_per_mtok": "reasoning",
    "audio_in_per_mtok": "audio_in",
    "audio_out_per_mtok": "audio_out",
}


class CeilingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a credential, as the vault enforces them."""

    requests_per_s: int = 10_000
    concurrency: int = 20_000
    bytes_per_hour: int = 256 * 1024**3


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A configured provider."""

    name: str
    dialects: tuple[str, ...]
    endpoint: Endpoint
    pricing_id: str | None
    quirks: Quirks = Quirks()
    credentials: tuple[str, ...] = ()
    """Credentials that the file declares, in order."""
    ceilings: dict[str, CeilingSpec] = {}
    own: bool = False
    """A server of the operator's: trace contexts are passed on."""
    auths: dict[str, str] = {}
    """Credentials that are presented in another way than the endpoint's."""

    def place(self, credential: str) -> Endpoint:
        """Return where and how a credential is used."""
        auth = self.auths.get(credential)
        return self.endpoint if auth is None else msgspec.structs.replace(self.endpoint, auth=auth)


class FileKey(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual key that the file declares by hash."""

    name: str
    sha256: str
    team: str | None = None
    user: str | None = None
    project: str | None = None
    models: list[str] | None = None
    cidrs: list[str] | None = None
    expires_ms: int | None = None
    tags: list[str] | None = None
    passthrough: list[str] | None = None


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as control uses it."""

    providers: tuple[ProviderSpec, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    keys: tuple[FileKey, ...] = ()
    implicit: bool = True
    unpriced: str = "allow"
    price_overrides: dict[str, Price] = {}
    discounts_bp: dict[str, int] = {}
    compat: tuple[str, ...] = ()
    ledger_days: int | None = None
    journal_hours: int = 24
    source: str = ""
    """Path of the file, "" without one."""
    digest: str = ""
    """SHA-256 of the file's text: `status` compares it with the disk."""


class Compiler:
    """Checks what types cannot. Use once."""

    def __init__(
        self,
        config: schema.Config,
        lines: dict[str, tuple[str, int]],
        read_file: Callable[[str], str | None],
        known_providers: frozenset[str] = frozenset(),
    ) -> None:
        """`known_providers` are those of the store, which models of the file may use."""
        self._config = config
        self._lines = lines
        self._read_file = read_file
        self._known = known_providers
        self.problems: list[ConfigProblem] = []
        self.secrets: dict[tuple[str, str], Secret] = {}
        """Secrets of the file by (provider, credential)."""

    def compile(self, source: str = "", digest: str = "") -> Compiled:
        """Return the compiled configuration; look at `problems` before using it."""
        config = self._config
        self._check_top(config)
        providers = tuple(self._provider(name, spec) for name, spec in config.providers.items())
        implicit, models = True, []
        for name, model in config.models.items():
            if isinstance(model, bool):
                if name == "implicit":
                    implicit = model
                else:
                    self._problem(f"models.{name}", "must be a model, or provider/model")
            else:
                models.append(self._model(name, model))
        keys = tuple(self._key(name, key) for name, key in config.keys.items())
        overrides = {
            name: self._price(f"pricing.overrides.{name}", name, spec, "override")
            for name, spec in config.pricing.overrides.items()
        }
        return Compiled(
            providers=tuple(p for p in providers if p is not None),
            models=tuple(models),
            keys=tuple(k for k in keys if k is not None),
            implicit=implicit,
            unpriced=config.defaults.unpriced,
            price_overrides=overrides,
            discounts_bp={n: self._discount(n, text) for n, text in config.pricing.discount.items()},
            compat=tuple(config.compat),
            ledger_days=config.retention.ledger_days,
            journal_hours=config.retention.journal_hours,
            source=source,
            digest=digest,
        )

    def _problem(self, path: str, message: str) -> None:
        at = path
        while at not in self._lines and "." in at:
            at = at.rpartition(".")[0]
        file, line = self._lines.get(at, ("", 0))
        self.problems.append(ConfigProblem(file=file, line=line, path=path, message=message))

    def _check_top(self, config: schema.Config) -> None:
        if config.version != 1:
            self._problem("version", f"version {config.version} is not known; this program reads version 1")
        if config.defaults.unpriced not in {"allow", "refuse_all"}:
            self._problem("defaults.unpriced", f"{config.defaults.unpriced!r} must be allow or refuse_all")
        for number, name in enumerate(config.compat):
            if name not in COMPATIBLE:
                self._problem(f"compat[{number}]", f"{name!r} is not known; known are {', '.join(sorted(COMPATIBLE))}")
        if config.store != "sqlite":
            self._problem("store", f"{config.store!r} is not supported by this version; use sqlite")
        if config.spool.durability not in {"process", "power"}:
            self._problem("spool.durability", f"{config.spool.durability!r} must be process or power")
        if config.workers is not None and not 1 <= config.workers <= 64:
            self._problem("workers", f"{config.workers} must lie between 1 and 64")
        if not 1024 <= config.limits.body_bytes_max <= 67_108_864:
            self._problem("limits.body_bytes_max", f"{config.limits.body_bytes_max} must lie between 1024 and 67108864")
        for name in ("data", "console"):
            text = getattr(config.listen, name)
            if parse_listen(text) is None:
                self._problem(f"listen.{name}", f"{text!r} must be HOST:PORT, e.g. 127.0.0.1:4100")
        if config.retention.ledger_days is not None and config.retention.ledger_days < 1:
            self._problem("retention.ledger_days", "must be at least 1")

    def _name(self, path: str, name: str) -> None:
        if not NAME.fullmatch(name):
            self._problem(path, f"{name!r} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters")

    def _provider(self, name: str, spec: schema.Provider) -> ProviderSpec | None:
        path = f"providers.{name}"
        self._name(path, name)
        try:
            built = build_provider(name, spec, self._read_file)
        except ValueError as exc:
            self._problem(path, str(exc))
            return None
        seen: set[str] = set()
        for number, credential in enumerate(spec.credentials):
            at = f"{path}.credentials[{number}]"
            self._name(f"{at}.name", credential.name)
            if credential.name in seen:
                self._problem(at, f"the credential {credential.name!r} stands twice")
            seen.add(credential.name)
            if credential.secret is not None:
                self.secrets[name, credential.name] = credential.secret
            elif not credential.sealed and built.place(credential.name).auth not in endpoint.KEYLESS:
                self._problem(at, "needs `secret: {env: NAME}`, `secret: {file: PATH}` or `sealed: true`")
        return built

    def _model(self, name: str, model: schema.Model | str) -> ModelEntry:
        path = f"models.{name}"
        if not name or len(name) > 256 or not name.isprintable() or name.count("*") > 1:
            self._problem(path, f"{name!r} is not a model name (at most 256 characters and one *)")
        if isinstance(model, str):
            provider, slash, upstream = model.partition("/")
            if not slash or not upstream:
                self._problem(path, f"{model!r} must be provider/model, or {{alias: NAME}}")
            self._known_provider(path, provider)
            return ModelEntry(name=name, deployments=(DeploymentEntry(provider=provider, model=upstream),))
        if (model.alias is None) == (not model.deployments):
            self._problem(path, "needs either `alias` or `deployments`")
        if model.alias is not None and model.alias not in self._config.models and "/" not in model.alias:
            self._problem(f"{path}.alias", f"there is no model {model.alias!r}{self._near(model.alias)}")
        for target in model.fallback:
            if target not in self._config.models and "/" not in target:
                self._problem(f"{path}.fallback", f"there is no model {target!r}{self._near(target)}")
        if model.strategy != "ordered":
            self._problem(f"{path}.strategy", f"{model.strategy!r} is not supported by this version; use ordered")
        if not 0 <= model.retry.max <= 3:
            self._problem(f"{path}.retry.max", f"{model.retry.max} must lie between 0 and 3")
        limits = model.timeouts
        for field in ("connect_s", "first_byte_s", "idle_s", "total_s"):
            if not 0 < getattr(limits, field) <= 86_400:
                self._problem(f"{path}.timeouts.{field}", "must lie between 0 and 86400")
        deployments = []
        for number, deployment in enumerate(model.deployments):
            at = f"{path}.deployments[{number}]"
            self._known_provider(at, deployment.provider)
            price = None
            if deployment.price is not None:
                price = self._price(f"{at}.price", deployment.model, deployment.price, "deployment")
            deployments.append(
                DeploymentEntry(
                    provider=deployment.provider,
                    model=deployment.model,
                    credential=deployment.credential,
                    tier=deployment.tier,
                    price=price,
                )
            )
        return ModelEntry(
            name=name,
            alias=model.alias,
            deployments=tuple(deployments),
            fallback=tuple(model.fallback),
            retries_max=model.retry.max,
            strict=model.strict,
            timeouts=Timeouts(
                connect_s=limits.connect_s,
                first_byte_s=limits.first_byte_s,
                idle_s=limits.idle_s,
                total_s=limits.total_s,
            ),
        )

    def _near(self, name: str) -> str:
        near = get_close_matches(name, list(self._config.models), n=1)
        return f"; did you mean {near[0]!r}?" if near else ""

    def _known_provider(self, path: str, name: str) -> None:
        known = {*self._config.providers, *self._known, *PROVIDERS, "demo"}
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; declare it under providers"
            self._problem(path, f"there is no provider {name!r}{hint}")

    def _key(self, name: str, key: schema.Key) -> FileKey | None:
        path = f"keys.{name}"
        self._name(path, name)
        if not _SHA256.fullmatch(key.sha256):
            self._problem(f"{path}.sha256", "must be 64 hex digits: the SHA-256 of the key")
        for rule in key.passthrough or ():
            wrong = passthrough.check_key_rule(rule)
            if wrong is not None:
                self._problem(f"{path}.passthrough", wrong)
        for cidr in key.cidrs or ():
            try:
                ipaddress.ip_network(cidr)
            except ValueError as exc:
                self._problem(f"{path}.cidrs", str(exc))
        expires_ms = None
        if key.expires is not None:
            expires_ms = parse_time(key.expires)
            if expires_ms is None:
                self._problem(f"{path}.expires", f"{key.expires!r} is not an ISO 8601 date or time")
        return FileKey(
            name=name,
            sha256=key.sha256.lower(),
            team=key.team,
            user=key.user,
            project=key.project,
            models=key.models,
            cidrs=key.cidrs,
            expires_ms=expires_ms,
            tags=key.tags,
            passthrough=key.passthrough,
        )

    def _price(self, path: str, model: str, spec: schema.PriceSpec | str, source: str) -> Price:
        if isinstance(spec, str):
            if spec != "free":
                self._problem(path, f"{spec!r} must be `free` or a mapping such as {{input_per_mtok: 0.15, …}}")
            return FREE
        try:
            return build_price(model, spec, source)
        except ValueError as exc:
            self._problem(path, str(exc))
            return FREE

    def _discount(self, provider: str, text: str) -> int:
        match = _PERCENT.fullmatch(text)
        if match is None:
            self._problem(f"pricing.discount.{provider}", f"{text!r} must be a percentage such as 10%")
            return 0
        return int(Decimal(match.group(1)) * 100)


def build_price(model: str, spec: schema.PriceSpec, source: str) -> Price:
    """Build a price from decimals. Raises ValueError."""
    rates: dict[Meter, Rate] = {}
    for field, meter in _METERS.items():
        text = getattr(spec, field)
        if text is not None:
            try:
                rates[meter] = Rate(nano_per_mtok(text))
            except InvalidOperation:
                raise ValueError(f"{field}: {text!r} is not a decimal number") from None
    units: dict[Unit, int] = {}
    for unit, (field, factor) in UNIT_PRICES.items():
        text = getattr(spec, field)
        if text is not None:
            try:
                units[unit] = nano_per_mtok(text) * MTOK // factor
            except InvalidOperation:
                raise ValueError(f"{field}: {text!r} is not a decimal number") from None
    if not rates and not units:
        raise ValueError("a price needs at least input_per_mtok or output_per_mtok, or one per unit")
    return Price(model, source, rates, units=units)


def build_provider(
    name: str, spec: schema.Provider, read_file: Callable[[str], str | None] = lambda path: None
) -> ProviderSpec:
    """Build a provider from its catalogue row and what the spec says. Raises ValueError."""
    row = _row(name, spec)
    base_url = spec.base_url or _fill(row, spec)
    for credential in spec.credentials:
        if credential.auth is not None and not endpoint.is_auth(credential.auth):
            raise ValueError(
                f"credentials: auth {credential.auth!r} must be one of {', '.join(sorted(endpoint.AUTH_SCHEMES))}"
            )
    parameters = {key: value for key in ("region",) if (value := getattr(spec, key)) is not None}
    parameters |= {key: value for key, value in row.defaults.items() if key == "service"} | spec.auth_parameters
    auths = {spec.auth or row.auth, *(credential.auth for credential in spec.credentials if credential.auth)}
    place = endpoint.parse(
        base_url,
        auth=spec.auth or row.auth,
        allow_private=row.allow_private if spec.allow_private is None else spec.allow_private,
        query=row.query.format(**_variables(row, spec)) if row.query else "",
        auth_parameters=parameters if auths - endpoint.AUTH_HEADERS.keys() else {},
    )
    for rule in spec.passthrough:
        wrong = passthrough.check_rule(rule)
        if wrong is not None:
            raise ValueError(f"passthrough: {wrong}")
    place = msgspec.structs.replace(place, passthrough=tuple(spec.passthrough))
    if spec.ca_file is not None:
        pem = read_file(spec.ca_file)
        if pem is None or "BEGIN CERTIFICATE" not in pem:
            raise ValueError(f"ca_file: {spec.ca_file!r} cannot be read or holds no PEM certificate")
        place = msgspec.structs.replace(place, tls_trust=pem)
    credentials = tuple(credential.name for credential in spec.credentials)
    if not credentials and place.auth in endpoint.KEYLESS:
        credentials = ("none",)
    return ProviderSpec(
        name=name,
        dialects=row.dialects,
        endpoint=place,
        pricing_id=spec.pricing or row.pricing_id,
        quirks=_quirks(row, spec),
        credentials=credentials,
        ceilings={
            c.name: CeilingSpec(
                requests_per_s=c.ceilings.requests_per_s,
                concurrency=c.ceilings.concurrency,
                bytes_per_hour=c.ceilings.bytes_per_hour,
            )
            for c in spec.credentials
            if c.ceilings is not None
        },
        own=spec.own,
        auths={c.name: c.auth for c in spec.credentials if c.auth is not None},
    )


def _row(name: str, spec: schema.Provider) -> ProviderRow:
    """Return the catalogue row to start from."""
    kind = spec.kind or name
    if kind == "azure" and spec.api_version is not None:
        kind = "azure-deployments"
    if kind == "vertex" and spec.location == "global":
        kind = "vertex-global"
    row = PROVIDERS.get(kind)
    if spec.kind is not None and row is None:
        near = get_close_matches(spec.kind, list(PROVIDERS), n=1)
        raise ValueError(
            f"kind: there is no provider kind {spec.kind!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    if row is None:
        if spec.base_url is None:
            near = get_close_matches(name, list(PROVIDERS), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name!r} is not in the catalogue: give `dialect` and `base_url`{hint}")
        row = GENERIC["openai"]
    if spec.dialect is not None and spec.dialect not in row.dialects:
        if spec.dialect not in GENERIC:
            near = get_close_matches(spec.dialect, list(GENERIC), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"dialect: {spec.dialect!r} is not one of {', '.join(GENERIC)}{hint}")
        row = GENERIC[spec.dialect]
    return row


def _variables(row: ProviderRow, spec: schema.Provider) -> dict[str, str]:
    given = {
        key: value
        for key in ("resource", "region", "project", "location", "account", "api_version")
        if (value := getattr(spec, key)) is not None
    }
    for key, value in given.items():
        if not _VARIABLE.fullmatch(value):
            raise ValueError(f"{key}: {value!r} may hold only letters, digits, '.', '_' and '-'")
    return row.defaults | given


def _fill(row: ProviderRow, spec: schema.Provider) -> str:
    """Put the configuration's variables into a row's URL."""
    values = _variables(row, spec)
    for key in _PLACEHOLDER.findall(row.base_url):
        if key not in values:
            raise ValueError(f"{row.name} needs `{key}`: its URL is {row.base_url}")
    return row.base_url.format(**values)


def _quirks(row: ProviderRow, spec: schema.Provider) -> Quirks:
    changes: dict[str, object] = {}
    if spec.stream_usage is not None:
        changes["stream_usage"] = spec.stream_usage
    if spec.max_tokens is not None:
        if spec.max_tokens not in {"max_tokens", "max_completion_tokens"}:
            raise ValueError(f"max_tokens: {spec.max_tokens!r} must be max_tokens or max_completion_tokens")
        changes["max_tokens"] = spec.max_tokens
    if spec.drop:
        changes["drop"] = tuple(spec.drop)
    return msgspec.structs.replace(row.quirks, **changes) if changes else row.quirks


def parse_listen(text: str) -> tuple[str, int] | None:
    """Split HOST:PORT; None when it is not one. A host is an address or `localhost`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        return None
    if host == "localhost":
        return "127.0.0.1", int(port)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return host, int(port)


def parse_time(text: str) -> int | None:
    """Read an ISO 8601 date or time as milliseconds since the epoch; UTC unless it says otherwise."""
    try:
        value = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return int(value.timestamp() * 1000)
