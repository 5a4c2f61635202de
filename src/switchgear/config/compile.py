"""From schema types to what control publishes: references checked, prices exact, endpoints parsed. Level 1.

The result holds no secret: whoever compiles seals the secrets and hands them over beside it.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from switchgear.config import bounds, names, outward, routes, schema
from switchgear.config.names import Known
from switchgear.config.outward import DestinationSpec
from switchgear.config.reader import Reader, Suggestions, near
from switchgear.core import budget_rule, cache_rule, ceilings, key_policy, limit_rule, organisation, path_rule
from switchgear.core.budget_rule import BudgetRule
from switchgear.core.errors import ConfigProblem
from switchgear.core.iso_time import parse_time
from switchgear.core.key_policy import KeyPolicy
from switchgear.core.limit_rule import LimitRule
from switchgear.core.network import check_network
from switchgear.core.organisation import HolderPolicy
from switchgear.core.secret import Secret
from switchgear.core.text import shown
from switchgear.policies import cors
from switchgear.pricing.catalog import FREE, list_of, nano_per_mtok
from switchgear.pricing.price import MTOK, UNIT_PRICES, Meter, Price, Rate
from switchgear.providers import endpoint
from switchgear.providers.catalogue import GENERIC, PLAIN, PROVIDERS, ProviderRow
from switchgear.providers.endpoint import Endpoint
from switchgear.providers.quirks import Quirks
from switchgear.routing.strategies import STRATEGIES
from switchgear.routing.table import NEVER_DROPPED, DeploymentEntry, ModelEntry, Timeouts

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
COMPATIBLE = frozenset({"litellm"})
"""Gateways whose routes and headers can be served."""
_OF_THE_TARGET = ("fallback", "fallback_on", "require", "strict", "retry", "breaker", "hedge", "timeouts", "strategy")
"""What an alias takes from the model that it names."""
DROP_MAX = 32
STARS_MAX = 4
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(\.[A-Za-z_][A-Za-z0-9_]{0,63})?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_KEYED = re.compile(r"([0-9]{1,6}):([0-9a-fA-F]{64})(?: until (\S+))?")
_PERCENT = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,2})?)%")
_VARIABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VARIABLES = ("resource", "region", "project", "location", "account", "api_version")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
METERS_BY_KEY: dict[str, Meter] = {
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
    limits: tuple[LimitRule, ...] = ()
    budgets: tuple[BudgetRule, ...] = ()
    credential_budgets: dict[str, tuple[BudgetRule, ...]] = {}
    """By the credential's name."""
    labels: dict[str, str] = {}
    team: str | None = None
    """The team that alone sees and uses it: in the file its name, in the store its id."""
    auths: dict[str, str] = {}
    """Credentials that are presented in another way than the endpoint's."""
    references: dict[str, str] = {}
    """Where the file says that credentials come from: `env:NAME` or `file:PATH`."""

    def place(self, credential: str) -> Endpoint:
        """Return where and how a credential is used."""
        auth = self.auths.get(credential)
        return self.endpoint if auth is None else msgspec.structs.replace(self.endpoint, auth=auth)


class KeyedHash(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted secret of a key, hashed with a pepper: it holds where that pepper is."""

    pepper_id: int
    mac: str
    until_ms: int | None = None


class FileKey(KeyPolicy, frozen=True, kw_only=True):
    """A virtual key that the file declares by hash."""

    name: str
    sha256: str = ""
    keyed: tuple[KeyedHash, ...] = ()
    """Instead of `sha256`."""


class FileHolder(HolderPolicy, frozen=True, kw_only=True):
    """A team, user, project or profile that the file declares; whom it names stands there by name."""

    kind: str
    name: str


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """What processes take at their start: a change holds from the next start on."""

    data: str = schema.Listen().data
    console: str = schema.Listen().console
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    workers: int | None = None
    limits: schema.Limits = msgspec.field(default_factory=schema.Limits)
    durability: str = "process"
    destinations: tuple[DestinationSpec, ...] = ()
    """What the courier reaches."""


class AlertSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told when thresholds of budgets are passed."""

    destination: str
    subjects: tuple[str, ...] = ()
    """Names and patterns, e.g. `key:ci-*`; empty: all."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as control uses it."""

    providers: tuple[ProviderSpec, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    keys: tuple[FileKey, ...] = ()
    holders: tuple[FileHolder, ...] = ()
    """Teams, users, projects and profiles."""
    implicit: bool = True
    unpriced: str = "refuse"
    overrun: str = "cut"
    price_overrides: dict[str, Price] = {}
    discounts_bp: dict[str, int] = {}
    compat: tuple[str, ...] = ()
    limits: tuple[LimitRule, ...] = ()
    """Of all keys together."""
    budgets: tuple[BudgetRule, ...] = ()
    """Of all keys together."""
    alerts: tuple[AlertSpec, ...] = ()
    timezone: str = "UTC"
    model_sets: dict[str, tuple[str, ...]] = {}
    ledger_days: int | None = None
    journal_hours: int = 24
    process: Process = Process()
    texts: dict[str, str] = {}
    """Values of the variables that stand for plain text, for a reload: the environment is clean then."""
    source: str = ""
    """Path of the file, "" without one."""
    digest: str = ""
    """SHA-256 of the file and all that it includes: `status` compares it with the disk."""


def check_spec(spec: ProviderSpec) -> str | None:
    """Say what no compiler makes of a provider, for who is handed one; None when it may be used."""
    if not NAME.fullmatch(spec.name) or not spec.dialects or not set(spec.dialects) <= GENERIC.keys():
        return f"the provider {shown(spec.name)} has no good name or no known dialect"
    for credential in dict.fromkeys((*spec.credentials, *spec.auths, *spec.ceilings)):
        if not NAME.fullmatch(credential):
            return f"the credential {shown(credential)} of the provider {spec.name} has no good name"
    for place in (spec.endpoint, *map(spec.place, spec.auths)):
        wrong = endpoint.check(place)
        if wrong is not None:
            return f"the endpoint of the provider {spec.name} is not valid: {wrong}"
    return None


def check_compiled(compiled: Compiled) -> str | None:
    """Say what no compiler makes, for who is handed a compiled configuration; None when it may be used."""
    for spec in compiled.providers:
        wrong = check_spec(spec)
        if wrong is not None:
            return wrong
    for one in compiled.process.destinations:
        wrong = endpoint.check(one.endpoint)
        if wrong is not None:
            return f"the endpoint of the destination {shown(one.name)} is not valid: {wrong}"
    for entry in compiled.models:
        if check_model_name(entry.name) is not None:
            return f"{shown(entry.name)} is no model's name"
    for key in compiled.keys:
        hashes = [key.sha256] if key.sha256 else [keyed.mac for keyed in key.keyed]
        if not NAME.fullmatch(key.name) or not hashes or not all(_SHA256.fullmatch(one) for one in hashes):
            return f"the key {shown(key.name)} has no good name or no good hash"
        if key.sha256 and key.keyed:
            return f"the key {shown(key.name)} has two kinds of hashes"
    for holder in compiled.holders:
        if holder.kind not in organisation.KINDS or list(key_policy.check_label("name", holder.name)):
            return f"the {shown(holder.kind)} {shown(holder.name)} has no good name"
    named = [(holder.kind, holder.name) for holder in compiled.holders]
    if len(set(named)) != len(named):
        return "a name stands twice"
    for names_of in (compiled.providers, compiled.models, compiled.keys):
        seen = [one.name for one in names_of]
        if len(set(seen)) != len(seen):
            return "a name stands twice"
    return None


def check_model_name(name: str) -> str | None:
    """Say why a text cannot be a model's name, None where it can."""
    if not name or len(name) > 256 or not name.isprintable() or name.strip() != name or name.count("*") > STARS_MAX:
        return f"1 to 256 printable characters, no blank at either end, at most {STARS_MAX} *"
    return None


class Compiler:
    """Checks what types cannot. Use once."""

    def __init__(
        self,
        config: schema.Config,
        reader: Reader,
        read_file: Callable[[str], str | None],
        *,
        known: Known | None = None,
        running: Compiled | None = None,
        now_ms: int | None = None,
        at_start: bool = False,
    ) -> None:
        """`known` and `running` are a gateway's, when one is at hand: what its store and its vault hold, and the file
        configuration in force, whose secrets can stay where they are. Without `now_ms` no expiry is looked at. `at_start`: a secret
        that is not there is one provider's trouble (`unset`) and stops nobody."""
        self._config = config
        self._reader = reader
        self._read_file = read_file
        self._known = known or Known()
        self._is_running = running is not None
        self._running = {spec.name: spec for spec in running.providers} if running is not None else {}
        self._now_ms = now_ms
        self._suggestions = Suggestions()
        self.problems: list[ConfigProblem] = []
        self.warnings: list[ConfigProblem] = []
        self.secrets: dict[tuple[str, str], Secret] = {}
        """Secrets of the file by (provider, credential)."""
        self.destination_secrets: dict[str, Secret] = {}
        """Secrets of the courier's destinations by name."""
        self.kept: dict[tuple[str, str], str] = {}
        """Credentials whose variable is not set here and whose sealed secret stays, with their references."""
        self._at_start = at_start
        self.unset: dict[str, str] = {}
        """At a start: credentials whose variable or file is not there, by `provider/credential`, each with a sentence."""

    def compile(self, source: str = "", digest: str = "") -> Compiled:
        """Return the compiled configuration; look at `problems` before using it."""
        config = self._config
        for path, message in bounds.check(config):
            self._problem(path, message)
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
        holders = tuple(
            self._holder(kind, name, one)
            for kind in organisation.KINDS.values()
            for name, one in getattr(config, kind.plural).items()
        )
        overrides = {
            name: self._price(f"pricing.overrides.{name}", name.partition("/")[2], spec, "override")
            for name, spec in config.pricing.overrides.items()
        }
        discounts = {name: self._discount(name, text) for name, text in config.pricing.discount.items()}
        for found in names.check(config, self._known, self._reader.is_broken, self._suggestions):
            self._problem(*found)
        return Compiled(
            providers=tuple(p for p in providers if p is not None),
            models=tuple(models),
            keys=tuple(k for k in keys if k is not None),
            holders=holders,
            implicit=implicit,
            unpriced=config.defaults.unpriced,
            overrun=config.defaults.overrun,
            price_overrides=overrides,
            discounts_bp=discounts,
            compat=tuple(config.compat),
            limits=limit_rule.rules_of(config.organisation),
            budgets=budget_rule.rules_of(config.organisation),
            alerts=tuple(AlertSpec(destination=one.destination, subjects=tuple(one.subjects)) for one in config.alerts),
            timezone=config.timezone,
            model_sets={name: tuple(models) for name, models in config.model_sets.items()},
            ledger_days=config.retention.ledger_days,
            journal_hours=config.retention.journal_hours,
            process=Process(
                data=config.listen.data,
                console=config.listen.console,
                tls_cert=config.listen.tls.cert if config.listen.tls is not None else "",
                tls_key=config.listen.tls.key if config.listen.tls is not None else "",
                trusted_proxies=tuple(config.listen.trusted_proxies),
                cors=tuple(config.listen.cors),
                workers=config.workers,
                limits=config.limits,
                durability=config.spool.durability,
                destinations=tuple(self._destinations()),
            ),
            texts=self._reader.texts,
            source=source,
            digest=digest,
        )

    def _problem(self, path: str, message: str, is_warning: bool = False) -> None:
        if self._reader.is_broken(path):
            return  # its value is not known: that was said already
        lines = self._reader.lines
        at = path
        while at not in lines and ("." in at or "[" in at):
            at = at[: max(at.rfind("."), at.rfind("["))]
        file, line = lines.get(at, ("", 0))
        found = ConfigProblem(file=file, line=line, path=path, message=message, is_warning=is_warning)
        (self.warnings if is_warning else self.problems).append(found)

    def _check_top(self, config: schema.Config) -> None:
        if config.defaults.unpriced not in {"allow", "refuse", "refuse_all"}:
            self._problem("defaults.unpriced", f"{shown(config.defaults.unpriced)} must be refuse, refuse_all or allow")
        if config.defaults.overrun not in {"cut", "finish"}:
            self._problem("defaults.overrun", f"{shown(config.defaults.overrun)} must be cut or finish")
        for number, name in enumerate(config.compat):
            if name not in COMPATIBLE:
                self._problem(
                    f"compat[{number}]", f"{shown(name)} is not known; known are {', '.join(sorted(COMPATIBLE))}"
                )
        self._limits("organisation", config.organisation)
        wrong_zone = budget_rule.wrong_zone(config.timezone)
        if wrong_zone is not None:
            self._problem("timezone", wrong_zone)
        hooks = [name for name, spec in config.courier.destinations.items() if spec.webhook is not None]
        for number, alert in enumerate(config.alerts):
            if alert.destination not in hooks:
                hint = near(
                    alert.destination, hooks, "; add it: courier: {destinations: {NAME: {webhook: URL, secret: …}}}"
                )
                text = f"there is no destination {shown(alert.destination)} with a `webhook`{hint}"
                self._problem(f"alerts[{number}].destination", text)
        for name in config.model_sets:
            self._name(f"model_sets.{name}", name)
        if config.store != "sqlite":
            self._problem("store", f"{shown(config.store)} is not supported by this version; use sqlite")
        if config.spool.durability not in {"process", "power"}:
            self._problem("spool.durability", f"{shown(config.spool.durability)} must be process or power")
        for name in ("data", "console"):
            text = getattr(config.listen, name)
            if parse_listen(text) is None:
                self._problem(f"listen.{name}", f"{shown(text)} must be HOST:PORT, e.g. 127.0.0.1:4100")
        for number, text in enumerate(config.listen.cors):
            wrong = cors.check_origin(text)
            if wrong is not None:
                self._problem(f"listen.cors[{number}]", wrong)
        for number, text in enumerate(config.listen.trusted_proxies):
            wrong = check_network(text)
            if wrong is not None:
                self._problem(f"listen.trusted_proxies[{number}]", wrong)

    def _destinations(self) -> Iterator[DestinationSpec]:
        courier, reader = self._config.courier, self._reader
        if reader.without_secrets:
            for spec in courier.destinations.values():
                if spec.ca_file is not None and self._read_file(spec.ca_file) is None:
                    spec.ca_file = None
        wrong = list(outward.check(courier, self._read_file))
        for path, message in wrong:
            self._problem(path, message)
        proxy = endpoint.proxy_of(courier.proxy) if courier.proxy is not None else None
        for name, spec in courier.destinations.items():
            path = f"courier.destinations.{name}"
            if any(at == path or at.startswith(f"{path}.") for at, _ in wrong if not at.endswith(".secret")):
                continue
            reference = reader.references.get(f"{path}.secret", "")
            unresolved = reader.unresolved.get(f"{path}.secret")
            if spec.secret is not None:
                self.destination_secrets[name] = spec.secret
            elif unresolved is not None and not self._is_running:  # a running courier has its secrets already
                self.problems.append(unresolved)
            if not reader.is_broken(f"{path}.url") and not reader.is_broken(f"{path}.relay"):
                built = outward.destination(name, spec, proxy or "", self._read_file)
                yield msgspec.structs.replace(built, reference=reference)

    def _name(self, path: str, name: str) -> None:
        if not NAME.fullmatch(name):
            self._problem(path, f"{shown(name)} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters")

    def _provider(self, name: str, spec: schema.Provider) -> ProviderSpec | None:
        path = f"providers.{name}"
        self._name(path, name)
        if self._reader.without_secrets and spec.ca_file is not None and self._read_file(spec.ca_file) is None:
            spec = msgspec.structs.replace(spec, ca_file=None)
        wrong = list(check_provider(name, spec, self._read_file))
        for at, message in wrong:
            self._problem(f"{path}.{at}" if at else path, message)
        built = None
        if not wrong and not any(
            self._reader.is_broken(f"{path}.{f}") for f in ("kind", "dialect", "base_url", "auth")
        ):
            try:
                built = build_provider(name, spec, self._read_file)
            except ValueError as exc:
                self._problem(f"{path}.base_url" if spec.base_url is not None else path, str(exc))
        if built is not None:
            for key in _idle(name, spec, built):
                self._problem(
                    f"{path}.{key}", "it has no effect: neither the URL nor the way to authenticate has it", True
                )
        self._limits(path, spec)
        references: dict[str, str] = {}
        seen: set[str] = set()
        for number, credential in enumerate(spec.credentials):
            at = f"{path}.credentials[{number}]"
            self._name(f"{at}.name", credential.name)
            if credential.name in seen:
                self._problem(at, f"the credential {shown(credential.name)} stands twice")
            seen.add(credential.name)
            self._budgets(at, credential)
            if credential.secret is not None and credential.sealed:
                self._problem(f"{at}.sealed", "with a `secret` it is not in the vault already: remove one of them")
            reference = self._reader.references.get(f"{at}.secret")
            if reference is not None:
                references[credential.name] = reference
            if credential.secret is not None:
                self.secrets[name, credential.name] = credential.secret
            elif reference is not None:
                self._keep(name, credential.name, at, reference, built)
            elif (
                not credential.sealed
                and f"{at}.secret" not in self._reader.broken
                and built is not None
                and built.place(credential.name).auth not in endpoint.KEYLESS
            ):
                self._problem(at, "needs `secret: {env: NAME}`, `secret: {file: PATH}` or `sealed: true`")
        return msgspec.structs.replace(built, references=references) if built is not None else None

    def _keep(self, name: str, credential: str, at: str, reference: str, built: ProviderSpec | None) -> None:
        """Let a sealed secret stay whose variable is not set here: a running gateway's environment is clean."""
        unresolved = self._reader.unresolved.get(f"{at}.secret")
        if unresolved is None:
            return
        if self._at_start:
            where = f"{unresolved.file}:{unresolved.line}"
            cure = f"put it right and start again, or: switchgear credential add {name} --name {credential}"
            self.unset[f"{name}/{credential}"] = (
                f"credential {name}/{credential}: {unresolved.message} ({where}): {cure}"
            )
            return
        old = self._running.get(name)
        in_vault = f"{name}/{credential}" in (self._known.credentials or ())
        is_as_it_was = old is not None and old.references.get(credential) == reference
        if is_as_it_was and not in_vault and self._known.credentials is not None:
            return  # the gateway began without it, and goes on so
        if reference.startswith("file:") or old is None or not is_as_it_was:
            hint = ""
            if self._running and reference.startswith("env:"):
                hint = "; a running gateway knows no new variable: restart it with this one set, or use {file: PATH}"
            self.problems.append(msgspec.structs.replace(unresolved, message=unresolved.message + hint))
        elif built is not None and (
            built.place(credential) != old.place(credential)
            or built.ceilings.get(credential) != old.ceilings.get(credential)
        ):
            text = "; the sealed secret holds for the old address, way to authenticate and ceilings only: restart with it set"
            self.problems.append(msgspec.structs.replace(unresolved, message=unresolved.message + text))
        else:
            self.kept[name, credential] = reference

    def _model(self, name: str, model: schema.Model | str) -> ModelEntry:
        path = f"models.{name}"
        wrong = check_model_name(name)
        if wrong is not None:
            self._problem(path, f"{shown(name)} is not a model name: {wrong}")
        if isinstance(model, str):
            provider, slash, upstream = model.partition("/")
            if not slash or not upstream:
                hint = f"; {{alias: {model}}} is that model" if model in self._config.models else ""
                near_hint = hint or self._suggestions.near(model, self._config.models)
                self._problem(path, f"{shown(model)} must be provider/model, or {{alias: NAME}}{near_hint}")
            return ModelEntry(name=name, deployments=(DeploymentEntry(provider=provider, model=upstream),))
        if (model.alias is None) == (not model.deployments) and not self._reader.has_problem_below(path):
            self._problem(path, "needs either `alias` or `deployments`")
        if model.alias is not None:
            for key in (*_OF_THE_TARGET, *limit_rule.NAMES, "budget"):
                if getattr(model, key) != getattr(schema.Model(), key):
                    self._problem(
                        f"{path}.{key}", f"an alias takes everything from {shown(model.alias)}: remove it here"
                    )
        elif model.strategy not in STRATEGIES:
            known = f"known are {', '.join(STRATEGIES)}{near(model.strategy, STRATEGIES)}"
            self._problem(f"{path}.strategy", f"{shown(model.strategy)} is no strategy; {known}")
        limits = model.timeouts
        self._amendments(path, model)
        self._limits(path, model)
        for at, message in routes.check(model):
            self._problem(f"{path}.{at}", message)
        most = model.defaults.max_tokens
        if most is not None and model.tpm is not None and model.tpm < most:
            text = f"it lets no request through that asks for as many tokens as `defaults.max_tokens` ({most})"
            self._problem(f"{path}.tpm", text, is_warning=True)
        shared = self._price(f"{path}.price", name, model.price, "deployment") if model.price is not None else None
        deployments = []
        for number, deployment in enumerate(model.deployments):
            at = f"{path}.deployments[{number}]"
            self._limits(at, deployment)
            price = shared
            if deployment.price is not None:
                price = self._price(f"{at}.price", deployment.model, deployment.price, "deployment")
            deployments.append(
                DeploymentEntry(
                    provider=deployment.provider,
                    model=deployment.model,
                    credential=deployment.credential,
                    tier=deployment.tier,
                    price=price,
                    limits=limit_rule.rules_of(deployment),
                    budgets=budget_rule.rules_of(deployment),
                    weight=deployment.weight,
                    labels=deployment.labels,
                    when=routes.when_of(deployment.when),
                    canary=routes.percent_of(deployment.canary),
                    share=routes.shares_of(deployment),
                )
            )
        return ModelEntry(
            name=name,
            alias=model.alias,
            team=model.team,
            deployments=tuple(deployments),
            fallback=tuple(model.fallback),
            retries_max=model.retry.max,
            strict=model.strict,
            max_tokens=model.defaults.max_tokens,
            drop=tuple(dict.fromkeys(model.drop)),
            cache_s=cache_rule.seconds_of(model.cache),
            ceilings=ceilings.parse(model.ceilings),
            strategy=model.strategy,
            limits=limit_rule.rules_of(model),
            budgets=budget_rule.rules_of(model),
            retry=routes.retry_of(model.retry),
            breaker=routes.breaker_of(model.breaker),
            hedge_s=model.hedge.after_s if model.hedge is not None else None,
            require=model.require,
            fallback_on={kind: tuple(names) for kind, names in model.fallback_on.items()},
            timeouts=Timeouts(
                connect_s=limits.connect_s,
                first_byte_s=limits.first_byte_s,
                first_event_s=limits.first_event_s,
                idle_s=limits.idle_s,
                total_s=limits.total_s,
            ),
        )

    def _amendments(self, path: str, model: schema.Model) -> None:
        """Check what a model changes in requests."""
        has_own = (
            model.price is not None
            or model.drop
            or model.defaults.max_tokens is not None
            or model.cache
            or model.ceilings
        )
        if model.alias is not None and has_own:
            self._problem(
                path,
                "an alias has no `price`, `drop`, `defaults`, `cache` or `ceilings`: say them on the model that it names",
            )
        for at, message in ceilings.check(model.ceilings):
            self._problem(f"{path}.ceilings.{at}", message)
        for at, message in cache_rule.check(model.cache):
            self._problem(f"{path}.cache.{at}" if at else f"{path}.cache", message)
        for number, member in enumerate(model.drop):
            if member in NEVER_DROPPED or not _MEMBER.fullmatch(member):
                self._problem(f"{path}.drop[{number}]", f"{member!r} is no member that can be left out")
        if len(model.drop) > DROP_MAX:
            self._problem(f"{path}.drop", f"at most {DROP_MAX} members")

    def _limits(self, path: str, holder: schema.Limited) -> None:
        """Check limits, but for numbers that have bounds (config/bounds)."""
        for at, message in limit_rule.check({name: getattr(holder, name) for name in limit_rule.NAMES}):
            if at not in limit_rule.SHORT_NAMES:
                self._problem(f"{path}.{at}", message)
        self._budgets(path, holder)

    def _budgets(self, path: str, holder: schema.Limited | schema.Credential | schema.Key) -> None:
        numbers = [at for at, _ in bounds.check(holder.budget, "budget")]  # which are told already
        for at, message in budget_rule.check({"budget": holder.budget}):
            if not any(number.startswith(f"{at}.") for number in numbers):
                self._problem(f"{path}.{at}", message)

    def _key(self, name: str, key: schema.Key) -> FileKey | None:
        path = f"keys.{name}"
        self._name(path, name)
        if (key.sha256 is None) == (key.keyed is None) and not self._reader.has_problem_below(path):
            self._problem(
                path,
                "needs `sha256`: switchgear key generate --offline prints it"
                if key.sha256 is None
                else ("`sha256` and `keyed` say the same thing: remove one"),
            )
        if key.sha256 is not None and not _SHA256.fullmatch(key.sha256):
            self._problem(f"{path}.sha256", "must be 64 hex digits: the SHA-256 of the key")
        for at, message in key_policy.check(msgspec.structs.asdict(key)):
            if at not in limit_rule.SHORT_NAMES and not at.startswith("budget"):  # they are checked apart
                self._problem(f"{path}.{at}", message)
        self._budgets(path, key)
        policy = key_policy.read(key)
        if policy.expires_ms is not None and self._now_ms is not None and policy.expires_ms <= self._now_ms:
            self._problem(f"{path}.expires", f"the key expired on {key.expires}: it is refused", is_warning=True)
        return FileKey(
            name=name,
            sha256=(key.sha256 or "").lower(),
            keyed=tuple(self._keyed(f"{path}.keyed[{n}]", text) for n, text in enumerate(key.keyed or ())),
            **key_policy.fields_of(policy),
        )

    def _holder(self, kind: organisation.Kind, name: str, written: Any) -> FileHolder:
        path = f"{kind.plural}.{name}"
        for _, message in key_policy.check_label("", name):
            self._problem(path, message)
        for at, message in organisation.check(kind, msgspec.structs.asdict(written)):
            if at not in limit_rule.SHORT_NAMES and not at.startswith("budget"):  # they are checked apart
                self._problem(f"{path}.{at}", message)
        self._budgets(path, written)
        return FileHolder(kind=kind.name, name=name, **organisation.fields_of(organisation.read(kind, written)))

    def _keyed(self, path: str, text: str) -> KeyedHash:
        found = _KEYED.fullmatch(text)
        until_ms = parse_time(found.group(3)) if found is not None and found.group(3) else None
        if found is None or (found.group(3) and until_ms is None):
            self._problem(path, "must be ID:HEX of 64 digits, or ID:HEX until TIME, as `config export` writes it")
            return KeyedHash(pepper_id=0, mac="")
        return KeyedHash(pepper_id=int(found.group(1)), mac=found.group(2).lower(), until_ms=until_ms)

    def _price(self, path: str, model: str, spec: schema.PriceSpec | str, source: str) -> Price:
        if isinstance(spec, str):
            if spec != "free":
                self._problem(path, f"{shown(spec)} must be `free` or a mapping such as {{input_per_mtok: 0.15, …}}")
            return FREE
        wrong = list(check_price(spec))
        for field, message in wrong:
            self._problem(f"{path}.{field}" if field else path, message)
        return FREE if wrong else build_price(model, spec, source)

    def _discount(self, provider: str, text: str) -> int:
        match = _PERCENT.fullmatch(text)
        if match is None:
            self._problem(f"pricing.discount.{provider}", f"{shown(text)} must be a percentage such as 10%")
            return 0
        return int(Decimal(match.group(1)) * 100)


def check_price(spec: schema.PriceSpec) -> Iterator[tuple[str, str]]:
    """Return (field, message) of everything that is wrong with a price."""
    given = [(name, text) for name in spec.__struct_fields__ if (text := getattr(spec, name)) is not None]
    for name, text in given:
        try:
            nano_per_mtok(text)
        except InvalidOperation:
            yield name, f"{shown(text)} is not a decimal number"
        except ValueError as exc:
            yield name, str(exc)
    if not given:
        yield "", "a price needs at least input_per_mtok or output_per_mtok, or one per unit"


def build_price(model: str, spec: schema.PriceSpec, source: str) -> Price:
    """Build a price from decimals. Raises ValueError."""
    for name, message in check_price(spec):
        raise ValueError(f"{name}: {message}" if name else message)
    given = {name: text for name in spec.__struct_fields__ if (text := getattr(spec, name)) is not None}
    rates = {meter: Rate(nano_per_mtok(given[field])) for field, meter in METERS_BY_KEY.items() if field in given}
    units = {
        unit: nano_per_mtok(given[field]) * MTOK // factor
        for unit, (field, factor) in UNIT_PRICES.items()
        if field in given
    }
    return Price(model, source, rates, units=units)


def check_provider(
    name: str, spec: schema.Provider, read_file: Callable[[str], str | None] = lambda path: None
) -> Iterator[tuple[str, str]]:
    """Return (key, message) of everything that is wrong with a provider's keys, one by one; the URL as a whole is parsed by
    `build_provider`."""
    row = None
    try:
        row = _row(name, spec)
    except KeyedError as exc:
        yield exc.key, str(exc)
        if exc.key != "dialect" and spec.dialect is not None and spec.dialect not in GENERIC:
            yield "dialect", _no_dialect(spec.dialect)
    for number, credential in enumerate(spec.credentials):
        if credential.auth is not None and not endpoint.is_auth(credential.auth):
            yield f"credentials[{number}].auth", _no_auth(credential.auth)
    if spec.auth is not None and not endpoint.is_auth(spec.auth):
        yield "auth", _no_auth(spec.auth)
    for key in _VARIABLES:
        value = getattr(spec, key)
        if value is not None and not _VARIABLE.fullmatch(value):
            yield key, f"{shown(value)} may hold only letters, digits, '.', '_' and '-'"
    if row is not None and spec.base_url is None:
        given = {key for key in _VARIABLES if getattr(spec, key) is not None} | row.defaults.keys()
        for key in dict.fromkeys(_PLACEHOLDER.findall(row.base_url)):
            if key not in given:
                yield "", f"{row.name} needs `{key}`: its URL is {row.base_url}"
    yield from routes.check_labels("labels", spec.labels)
    for number, rule in enumerate(spec.passthrough):
        wrong = path_rule.check_rule(rule)
        if wrong is not None:
            yield f"passthrough[{number}]", wrong
    if spec.max_tokens is not None and spec.max_tokens not in {"max_tokens", "max_completion_tokens"}:
        yield "max_tokens", f"{shown(spec.max_tokens)} must be max_tokens or max_completion_tokens"
    if spec.ca_file is not None:
        pem = _pem(spec.ca_file, read_file)
        if pem is None or "BEGIN CERTIFICATE" not in pem:
            yield "ca_file", f"{shown(spec.ca_file)} cannot be read or holds no PEM certificate"

    if spec.proxy is not None and endpoint.proxy_of(spec.proxy) is None:
        yield "proxy", f"{shown(spec.proxy)} must be http://HOST:PORT; a name and a password for it are not supported"
    if len(spec.headers) > endpoint.HEADERS_MAX:
        yield "headers", f"at most {endpoint.HEADERS_MAX} header fields can be set"
    for field, value in spec.headers.items():
        wrong = endpoint.check_header(field.lower(), value)
        if wrong is not None:
            yield f"headers.{field}", wrong
        elif f"header:{field.lower()}" in {spec.auth, *(credential.auth for credential in spec.credentials)}:
            yield f"headers.{field}", "it presents the credential (`auth`)"


def _idle(name: str, spec: schema.Provider, built: ProviderSpec) -> list[str]:
    """Return the variables that were given and go nowhere."""
    row = _row(name, spec)
    used = set(_PLACEHOLDER.findall(row.query)) | dict(built.endpoint.auth_parameters).keys()
    if spec.base_url is None:
        used |= set(_PLACEHOLDER.findall(row.base_url))
    if row.name == "vertex-global":
        used.add("location")
    return [key for key in _VARIABLES if getattr(spec, key) is not None and key not in used]


def _pem(text: str, read_file: Callable[[str], str | None]) -> str | None:
    return text if text.startswith("-----BEGIN") else read_file(text)


def _no_dialect(text: str) -> str:
    return f"{shown(text)} is not one of {', '.join(GENERIC)}{near(text, GENERIC)}"


def _no_auth(text: str) -> str:
    schemes = sorted(endpoint.AUTH_SCHEMES)
    return f"{shown(text)} must be one of {', '.join(schemes)}, or header:NAME{near(text, schemes)}"


def build_provider(
    name: str, spec: schema.Provider, read_file: Callable[[str], str | None] = lambda path: None
) -> ProviderSpec:
    """Build a provider from its catalogue row and what the spec says. Raises ValueError."""
    for key, message in check_provider(name, spec, read_file):
        raise ValueError(f"{key}: {message}" if key else message)
    row = _row(name, spec)
    template = row.locations.get(spec.location or "", row.base_url)
    base_url = spec.base_url or template.format(**_variables(row, spec))
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
    place = msgspec.structs.replace(
        place,
        passthrough=tuple(spec.passthrough),
        proxy=(endpoint.proxy_of(spec.proxy) if spec.proxy is not None else None) or "",
        headers=tuple(sorted((name.lower(), value) for name, value in spec.headers.items())),
    )
    if spec.ca_file is not None:
        place = msgspec.structs.replace(place, tls_trust=_pem(spec.ca_file, read_file) or "")
    for auth in sorted({place.auth, *auths}):
        wrong = endpoint.check(msgspec.structs.replace(place, auth=auth))
        if wrong is not None:
            raise ValueError(wrong)
    credentials = tuple(credential.name for credential in spec.credentials)
    if not credentials and place.auth in endpoint.KEYLESS:
        credentials = ("none",)
    return ProviderSpec(
        name=name,
        dialects=row.dialects,
        endpoint=place,
        pricing_id=spec.pricing or list_of(row.pricing_id, place.host),
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
        team=spec.team,
        limits=limit_rule.rules_of(spec),
        budgets=budget_rule.rules_of(spec),
        credential_budgets={c.name: rules for c in spec.credentials if (rules := budget_rule.rules_of(c))},
        labels=spec.labels,
        auths={c.name: c.auth for c in spec.credentials if c.auth is not None},
    )


class KeyedError(ValueError):
    """Something is wrong with one key of a provider."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _row(name: str, spec: schema.Provider) -> ProviderRow:
    """Return the catalogue row to start from. Raises KeyedError."""
    kind = spec.kind or name
    if kind == "azure" and spec.api_version is not None:
        kind = "azure-deployments"
    row = PROVIDERS.get(kind)
    if spec.kind is not None and row is None:
        raise KeyedError("kind", f"there is no provider kind {shown(spec.kind)}{near(spec.kind, PROVIDERS)}")
    if row is None:
        if spec.base_url is None:
            text = f"{shown(name)} is not in the catalogue: give `kind`, or `dialect` and `base_url`{near(name, PROVIDERS)}"
            raise KeyedError("", text)
        row = PLAIN
    if spec.dialect is not None and spec.dialect not in row.dialects:
        if spec.dialect not in GENERIC:
            raise KeyedError("dialect", _no_dialect(spec.dialect))
        row = GENERIC[spec.dialect]
    return row


def _variables(row: ProviderRow, spec: schema.Provider) -> dict[str, str]:
    """Return the values that go into a row's URL."""
    return row.defaults | {key: value for key in _VARIABLES if (value := getattr(spec, key)) is not None}


def _quirks(row: ProviderRow, spec: schema.Provider) -> Quirks:
    changes: dict[str, object] = {}
    if spec.stream_usage is not None:
        changes["stream_usage"] = spec.stream_usage
    if spec.max_tokens is not None:
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
