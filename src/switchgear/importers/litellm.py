"""A configuration of LiteLLM, and what its database adds, as a configuration of ours. Level 2, pure.

Nothing is dropped silently: every setting is taken out of a copy when it was understood, and whatever is left over in the
end is listed as unsupported. Facts: LiteLLM's documentation of config.yaml and its schema.prisma (read 2026-11).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from switchgear.config import schema
from switchgear.core import budget_rule, limit_rule
from switchgear.core.errors import SealError
from switchgear.core.money import NANO_PER_USD
from switchgear.core.organisation import Team, User
from switchgear.core.secret import Secret
from switchgear.core.text import clean
from switchgear.importers import litellm_budgets
from switchgear.importers.litellm_parts import (
    ENV,
    Copier,
    Database,
    EntryError,
    KeyRow,
    Line,
    Opened,
    Status,
    TeamRow,
    UserRow,
    label,
    listed,
    looks_encrypted,
    mapping,
    shown,
    slug,
    unique,
)
from switchgear.importers.litellm_places import Places
from switchgear.pricing.price import MTOK
from switchgear.providers.endpoint import KEYLESS

_KEY_LIMITS = {"rpm_limit": "rpm", "tpm_limit": "tpm", "max_parallel_requests": "parallel"}
_DEPLOYMENT_LIMITS = {"rpm": "rpm", "tpm": "tpm", "max_parallel_requests": "parallel"}
"""Limits, with what they are called here (LiteLLM, "Budgets, Rate Limits" and "Load Balancing"; read 2026-11-27)."""
_RETRIES: dict[str, tuple[str | int, ...]] = {
    "TimeoutErrorRetries": ("timeout", 408),
    "RateLimitErrorRetries": (429,),
    "InternalServerErrorRetries": ("5xx",),
    "AuthenticationErrorRetries": (401,),
    "BadRequestErrorRetries": (400,),
    "ContentPolicyViolationErrorRetries": (400,),
}
"""Kinds of failures in a RetryPolicy (litellm/types/router.py; read 2026-11-28)."""
_PRICES = {
    "input_cost_per_token": "input_per_mtok",
    "output_cost_per_token": "output_per_mtok",
    "cache_read_input_token_cost": "cache_read_per_mtok",
    "cache_creation_input_token_cost": "cache_write_per_mtok",
    "output_cost_per_reasoning_token": "reasoning_per_mtok",
    "input_cost_per_audio_token": "audio_in_per_mtok",
    "output_cost_per_audio_token": "audio_out_per_mtok",
}
_ALL = frozenset({"all-proxy-models", "*"})
_SHUFFLE = "simple-shuffle"
_STRATEGIES = {
    _SHUFFLE: "weighted",
    "least-busy": "least_busy",
    "latency-based-routing": "lowest_latency",
    "cost-based-routing": "lowest_cost",
    "usage-based-routing": "least_busy",
    "usage-based-routing-v2": "least_busy",
}
"""LiteLLM's strategies as ours (its "Router - Load Balancing"; from memory)."""
_KINDS = {"context_window_fallbacks": "context_length", "content_policy_fallbacks": "content_policy"}
RETRIES_MAX = 3
FAILURES_MAX = 1_000
PROBE_S_MAX = 3_600.0
WEIGHT_MAX = 1_000_000
TIMEOUT_S_MAX = 86_400
USD_PER_MTOK_MAX = 1_000_000
TIER_MAX = 1_000
OUTPUT_MAX = 10_000_000
_OFF = ("use_in_pass_through", "use_litellm_proxy", "merge_reasoning_content_in_choices", "drop_params")
"""Switches that mean nothing when they are off."""
_HARMLESS = (
    *("id", "key", "mode", "team_id", "db_model", "litellm_provider", "description"),
    *("created_at", "updated_at", "created_by", "updated_by", "max_tokens", "max_input_tokens", "max_output_tokens"),
)
_FACTS = (
    *("context_window", "modalities", "knowledge_cutoff", "supports_function_calling", "supports_vision"),
    *("supports_images", "supports_parallel_function_calling", "supports_reasoning"),
)
"""What is said about a model and steers nothing."""
_OF_ROWS = frozenset({"model_id", "created_at", "updated_at", "created_by", "updated_by"})
"""Columns of the database's rows."""
_HABITS = "sk-1234 sk-12345 sk-123456 sk-12345678 sk-1234567890 sk-test sk-litellm sk-master sk-admin"
GUESSED = frozenset(hashlib.sha256(key.encode()).hexdigest() for key in _HABITS.split())
"""Keys of documentation and habit."""


class Imported(msgspec.Struct, kw_only=True):
    """What to do."""

    config: schema.Config
    lines: list[Line]
    secrets: dict[tuple[str, str], Secret] = {}
    """Secrets that stood in the file or the database, by (provider, credential): for the vault, never for a file."""
    environment: dict[tuple[str, str], str] = {}
    """Environment variables that hold the others."""
    files: dict[tuple[str, str], str] = {}
    """Files that hold still others."""
    wanted: frozenset[str] = frozenset()
    """The names of all models that clients of LiteLLM may ask for, also of those that could not be taken over."""
    spends: dict[str, int] = {}
    """Spend to date in nano-USD by key name, and by `team:NAME` and `user:NAME`."""

    @property
    def is_complete(self) -> bool:
        """True when everything has a counterpart."""
        return not any(line.status == "unsupported" for line in self.lines)

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to use: no model and no key."""
        return not self.config.models and not self.config.keys

    def silent(self, has_secret: Callable[[str, str], bool]) -> dict[str, str]:
        """Return the models that will not answer, each with the reason. `has_secret` says of a (provider, credential) of
        the environment or a file whether its secret is there."""
        found = {}
        for name in sorted(self.wanted):
            model = self.config.models.get(name)
            if not isinstance(model, schema.Model):
                found[name] = "it could not be taken over"
            elif not any(self._is_ready(deployment, has_secret) for deployment in model.deployments):
                places = {f"{d.provider}/{d.credential}" for d in model.deployments}
                found[name] = f"there is no secret for {', '.join(sorted(places))}"
        return found

    def _is_ready(self, deployment: schema.Deployment, has_secret: Callable[[str, str], bool]) -> bool:
        place = (deployment.provider, deployment.credential or "")
        if deployment.credential is None or place in self.secrets:
            return True
        if place in self.environment or place in self.files:
            return has_secret(*place)
        return self.config.providers[deployment.provider].auth in KEYLESS


class Importer:
    """Translates. Use once."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        database: Database | None = None,
        open_value: Callable[[str], bytes] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`raw`: the decoded YAML; `open_value` opens an encrypted value of the database (None: no salt key was given);
        `environ`: the environment in which LiteLLM runs, which `os.environ/…` and its default names mean."""
        self._raw = Copier().copy(dict(raw))
        self._database = database or Database()
        self._open = open_value
        self.lines: list[Line] = []
        self._models: dict[str, schema.Model | str | bool] = {}
        self._keys: dict[str, schema.Key] = {}
        self._groups: dict[str, list[str]] = {}
        self._spends: dict[str, int] = {}
        self._teams: dict[str, Team] = {}
        self._users: dict[str, User] = {}
        self._timezone = "UTC"
        self._parallel: int | None = None
        self._places = Places(self._say, environ or {})
        self._wanted: set[str] = set()
        self._timed: dict[str, tuple[float | None, float | None]] = {}
        """By model: the longest `timeout` and `stream_timeout` of its deployments."""

    # report

    def _say(self, status: Status, path: str, text: str) -> None:
        self.lines.append(Line(status, clean(path, 256), clean(text, 512)))

    def _left_over(self, path: str, rest: Any) -> None:
        """List what nobody took."""
        if isinstance(rest, dict):
            for name, value in rest.items():
                self._say("unsupported", f"{path}.{name}" if path else str(name), f"no counterpart: {shown(value)}")
        elif rest not in (None, [], ""):
            self._say("unsupported", path, f"no counterpart: {shown(rest)}")

    # the whole

    def run(self) -> Imported:
        """Translate everything."""
        raw = self._raw
        variables = raw.pop("environment_variables", None) or {}
        self._places.variables = (
            {str(name): str(value) for name, value in variables.items()} if isinstance(variables, dict) else {}
        )
        for name in self._places.variables:
            self._say(
                "changed",
                f"environment_variables.{name}",
                "used where the file refers to it; not exported to a process",
            )
        named = self._credentials(listed(raw.pop("credential_list", None)), "credential_list")
        named |= self._credentials(self._database.credentials, "database.credentials", encrypted=True)
        for number, entry in enumerate(listed(raw.pop("model_list", None))):
            self._deployment(entry, f"model_list[{number}]", named, encrypted=False)
        for number, entry in enumerate(self._database.models):
            self._deployment(entry, f"database.models[{number}]", named, encrypted=True)
        litellm = mapping(raw.pop("litellm_settings", None))
        router = mapping(raw.pop("router_settings", None))
        for name, value in mapping(self._database.settings.get("litellm_settings")).items():
            litellm[name] = value  # the database wins over the file
        for name, value in mapping(self._database.settings.get("router_settings")).items():
            router[name] = value
        self._time_zone(litellm)
        self._routing(litellm, router)
        general = mapping(raw.pop("general_settings", None))
        self._general(general)
        self._left_over("litellm_settings", litellm)
        self._left_over("router_settings", router)
        self._left_over("general_settings", general)
        raw.pop("include", None)  # merged by the caller
        self._left_over("", raw)
        self._people()
        config = schema.Config(
            providers=self._places.providers,
            models=self._models,
            keys=self._keys,
            teams=self._teams,
            users=self._users,
            timezone=self._timezone,
            organisation=schema.Organisation(parallel=self._parallel),
        )
        return Imported(
            config=config,
            lines=self.lines,
            secrets=self._places.secrets,
            environment=self._places.environment,
            files=self._places.files,
            wanted=frozenset(self._wanted),
            spends=self._spends,
        )

    # credentials

    def _credentials(self, entries: Iterable[Any], path: str, encrypted: bool = False) -> dict[str, dict[str, Any]]:
        found = {}
        for number, raw in enumerate(entries):
            entry = mapping(raw)
            name = str(entry.pop("credential_name", f"{number}"))
            values = mapping(entry.pop("credential_values", None))
            entry.pop("credential_info", None)
            found[name] = {k: self._opened(v, f"{path}.{name}.{k}") if encrypted else v for k, v in values.items()}
            self._left_over(f"{path}.{name}", entry)
        return found

    def _opened(self, value: Any, path: str) -> Any:
        """Open a value of the database; what is no text, or stands there in the clear, stays."""
        if not isinstance(value, str) or not value or value.startswith((ENV, "http://", "https://")):
            return value
        if self._open is None:
            if looks_encrypted(value):
                self._say("unsupported", path, "encrypted in the database: give --salt-key-file")
                return None
            return value
        try:
            return Opened(self._open(value).decode())
        except UnicodeDecodeError:
            return value
        except SealError as exc:
            if looks_encrypted(value):
                self._say("unsupported", path, f"cannot be opened: {exc}")
                return None
            return value

    # deployments

    def _deployment(self, raw: Any, path: str, named: Mapping[str, Mapping[str, Any]], encrypted: bool) -> None:
        entry = mapping(raw)
        name = entry.pop("model_name", None)
        if not isinstance(name, str) or not name:
            self._say("unsupported", path, "an entry without model_name")
            return
        self._wanted.add(name)
        try:
            self._add(name, entry, path, named, encrypted)
        except EntryError as exc:  # this entry alone
            self._say("unsupported", exc.path, exc.text)

    def _add(
        self, name: str, entry: dict[str, Any], path: str, named: Mapping[str, Mapping[str, Any]], encrypted: bool
    ) -> None:
        """Take one entry over. Raises EntryError."""
        at = f"{path}.litellm_params"
        parameters = mapping(entry.pop("litellm_params", None))
        info = mapping(entry.pop("model_info", None))
        if encrypted:
            parameters = {k: self._opened(v, f"{path}.{k}") for k, v in parameters.items()}
        reference = parameters.pop("litellm_credential_name", None)
        if reference is not None:
            known = named.get(reference) if isinstance(reference, str) else None
            if known is None:
                raise EntryError(f"{path}.litellm_credential_name", f"there is no credential {shown(reference)}")
            parameters = {**known, **parameters}
        target = self._places.target(parameters, path)
        provider, credential = self._places.provider(target, parameters, path)
        price = self._price({**info, **parameters}, at)
        for holder in (parameters, info):
            for field in _PRICES:
                holder.pop(field, None)
        tier = self._number(parameters.pop("order", None), f"{at}.order")
        limits = self._limits(parameters, _DEPLOYMENT_LIMITS, at)
        if limits:
            self._say("changed", at, f"{', '.join(limits)}: limits; a deployment that is full is passed over")
        weight = self._number(parameters.pop("weight", None), f"{at}.weight")
        deployment = schema.Deployment(
            provider=provider,
            model=target.model,
            credential=credential,
            tier=round(tier) if tier is not None and 0 <= tier <= TIER_MAX else 1,
            price=price,
            rpm=limits.get("rpm"),
            tpm=limits.get("tpm"),
            parallel=limits.get("parallel"),
            weight=weight if weight is not None and 0 < weight <= WEIGHT_MAX else 1.0,
        )
        model = self._models.setdefault(name, schema.Model())
        assert isinstance(model, schema.Model)
        model.deployments.append(deployment)
        self._timeouts(name, model, parameters, at)
        most = self._number(
            parameters.pop("max_tokens", parameters.pop("max_completion_tokens", None)), f"{at}.max_tokens"
        )
        if most is not None and 1 <= most <= OUTPUT_MAX:
            model.defaults.max_tokens = max(round(most), model.defaults.max_tokens or 0)
        self._info(name, info, path)
        for name_of_switch in _OFF:
            if parameters.get(name_of_switch) in (False, None):
                parameters.pop(name_of_switch, None)
        for fact in _FACTS:
            parameters.pop(fact, None)
        if parameters.pop("drop_params", None):
            self._say("changed", f"{at}.drop_params", "always so here, and `log show` lists what was dropped")
        self._say("imported", f"{path}", f"{name} → {provider}/{target.model}")
        self._left_over(at, {k: v for k, v in parameters.items() if v is not None})
        self._left_over(f"{path}.model_info", info)
        self._left_over(path, {k: v for k, v in entry.items() if k not in _OF_ROWS})

    def _info(self, name: str, info: dict[str, Any], path: str) -> None:
        """Take what is said about a model."""
        for group in listed(info.pop("access_groups", None)):
            self._groups.setdefault(str(group), []).append(name)
            self._say(
                "changed", f"{path}.model_info.access_groups", f"{group!r} is written out in the keys that name it"
            )
        base = info.pop("base_model", None)
        if base is not None:
            said = "not needed: what was used is priced as the model that the answer names; `price` overrides that"
            self._say("changed", f"{path}.model_info.base_model", f"{shown(base)}: {said}")
        for harmless in _HARMLESS:
            info.pop(harmless, None)
        for fact in [fact for fact in info if fact in _FACTS or fact.startswith("supports_")]:
            info.pop(fact)

    def _limits(self, holder: dict[str, Any], names: Mapping[str, str], path: str) -> dict[str, int]:
        """Take limits out of a mapping; returns them by our names. What is none is listed."""
        found = {}
        for theirs, ours in names.items():
            number = self._number(holder.pop(theirs, None), f"{path}.{theirs}")
            if number is None:
                continue
            wrong = limit_rule.wrong_amount(round(number))
            if wrong is None:
                found[ours] = round(number)
            else:
                self._say("unsupported", f"{path}.{theirs}", wrong)
        return found

    def _number(self, value: Any, path: str) -> float | None:
        """Return a number, also where text or a variable says it; None for none. What is none is listed."""
        if value is None or isinstance(value, bool):
            return None
        try:
            number = float(self._places.text(str(value), path) or "")
        except (ValueError, EntryError) as exc:
            self._say("unsupported", path, exc.text if isinstance(exc, EntryError) else f"not a number: {shown(value)}")
            return None
        return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124 - not a NaN

    def _price(self, fields: Mapping[str, Any], path: str) -> schema.PriceSpec | None:
        found: dict[str, str] = {}
        for theirs, ours in _PRICES.items():
            if fields.get(theirs) is None:
                continue
            try:
                usd = Decimal(self._places.text(fields[theirs], f"{path}.{theirs}") or "") * MTOK
            except (InvalidOperation, EntryError):
                usd = Decimal(-1)
            if usd.is_nan() or not 0 <= usd <= USD_PER_MTOK_MAX:
                self._say("unsupported", f"{path}.{theirs}", f"not a price: {shown(fields[theirs])}")
                continue
            found[ours] = format(usd.normalize(), "f")
        if found and not {"input_per_mtok", "output_per_mtok"} <= found.keys():
            for missing in {"input_per_mtok", "output_per_mtok"} - found.keys():
                found[missing] = "0"
        return schema.PriceSpec(**found) if found else None

    def _timeouts(self, name: str, model: schema.Model, parameters: dict[str, Any], path: str) -> None:
        """Take a deployment's deadlines: of several deployments the longest, since ours are the model's.

        `timeout` is for the whole answer of one call, `stream_timeout` for the first chunk of a stream (LiteLLM, "Timeouts";
        read 2026-11-27).
        """
        said = [self._seconds(parameters.pop(key, None), f"{path}.{key}") for key in ("timeout", "stream_timeout")]
        whole = said[0] or self._seconds(parameters.pop("request_timeout", None), f"{path}.request_timeout")
        before = self._timed.get(name, (None, None))
        self._timed[name] = (
            max(filter(None, (whole, before[0])), default=None),
            max(filter(None, (said[1], before[1])), default=None),
        )
        retries = self._number(
            parameters.pop("max_retries", parameters.pop("num_retries", None)), f"{path}.max_retries"
        )
        if retries is not None and retries >= 0:
            self._retries(model, round(retries), f"{path}.max_retries")

    def _seconds(self, value: Any, path: str) -> float | None:
        number = self._number(value, path)
        if number is not None and not 0 < number <= TIMEOUT_S_MAX:
            self._say("unsupported", path, f"not a number of seconds: {shown(value)}")
            return None
        return number

    def _deadlines(self, whole: float | None, first: float | None) -> None:
        """Set every model's deadlines; `whole` and `first` hold for those that say none."""
        for name, model in self._models.items():
            if not isinstance(model, schema.Model):
                continue
            mine = self._timed.get(name, (None, None))
            call, event = mine[0] or whole, mine[1] or first
            if call is not None:
                model.timeouts.first_byte_s = call  # the head of a plain answer comes when all of it is there
                model.timeouts.total_s = min(call * (model.retry.max + 1), TIMEOUT_S_MAX)
            if event is not None:
                model.timeouts.first_event_s = event

    def _retries(self, model: schema.Model, retries: int, path: str) -> None:
        model.retry.max = min(retries, RETRIES_MAX)
        if retries > RETRIES_MAX:
            self._say("changed", path, f"{retries} retries: at most {RETRIES_MAX} here")

    # routing

    def _routing(self, litellm: dict[str, Any], router: dict[str, Any]) -> None:
        real = [m for m in self._models.values() if isinstance(m, schema.Model)]
        retries = self._number(router.pop("num_retries", litellm.pop("num_retries", None)), "num_retries")
        if retries is not None and retries >= 0:
            count = round(retries)
            for model in real:
                model.retry.max = min(count, RETRIES_MAX)
            capped = f"; at most {RETRIES_MAX} here" if count > RETRIES_MAX else ""
            self._say("changed" if capped else "imported", "num_retries", f"{count} for every model{capped}")
        asked = self._seconds(litellm.pop("request_timeout", None), "litellm_settings.request_timeout")
        whole = self._seconds(router.pop("timeout", None), "router_settings.timeout") or asked
        first = self._seconds(router.pop("stream_timeout", None), "router_settings.stream_timeout")
        self._deadlines(whole, first)
        self._fallbacks(litellm, router)
        self._aliases(router.pop("model_group_alias", litellm.pop("model_alias_map", None)))
        self._strategy(router)
        self._cooldowns(router)
        self._retry_policy(router)
        if litellm.pop("drop_params", None):
            self._say(
                "changed", "litellm_settings.drop_params", "always so here, and `log show` lists what was dropped"
            )
        for name in ("set_verbose", "json_logs", "suppress_debug_info", "telemetry"):
            if name in litellm:
                litellm.pop(name)
                self._say("changed", f"litellm_settings.{name}", "of LiteLLM's own process: not needed")
        for name in ("enable_pre_call_checks", "redis_host", "redis_port", "redis_password", "redis_url"):
            if name in router:
                value = router.pop(name)
                said = (
                    "limits are not shared between gateways in this version"
                    if name.startswith("redis")
                    else shown(value)
                )
                self._say("unsupported", f"router_settings.{name}", said)

    def _strategy(self, router: dict[str, Any]) -> None:
        said = router.pop("routing_strategy", None)
        strategy = _STRATEGIES.get(str(said or _SHUFFLE))
        shared = [m for m in self._models.values() if isinstance(m, schema.Model) and len(m.deployments) > 1]
        if strategy is None:
            self._say(
                "unsupported" if shared else "changed",
                "router_settings.routing_strategy",
                f"{shown(said)}: no counterpart; deployments are tried in order here",
            )
            return
        for model in shared:
            model.strategy = strategy
        if said is not None or shared:
            near = said in {"usage-based-routing", "usage-based-routing-v2"}
            self._say(
                "changed" if near else "imported",
                "router_settings.routing_strategy",
                f"{said or _SHUFFLE} → {strategy}"
                + (": by requests under way, not by tokens a minute" if near else ""),
            )

    def _retry_policy(self, router: dict[str, Any]) -> None:
        """Take over what is tried again: the kinds of failures that have a number, at most as often as the largest says."""
        path, policy = "router_settings.retry_policy", dict(mapping(router.pop("retry_policy", None)))
        counts = {name: self._number(policy.pop(name, None), f"{path}.{name}") for name in _RETRIES}
        for name in policy:
            self._say("unsupported", f"{path}.{name}", "no kind of failure here")
        again = {name: round(count) for name, count in counts.items() if count}
        if all(count is None for count in counts.values()):
            return
        words = [word for name in again for word in _RETRIES[name]]
        for model in self._models.values():
            if isinstance(model, schema.Model) and model.alias is None:
                model.retry.on = [*words, "connect"] if words else None
                self._retries(model, max(again.values(), default=0), path)
        told = ", ".join(map(str, words)) or "nothing"
        self._say(
            "changed", path, f"tried again: {told}, up to {max(again.values(), default=0)} times, whatever kind it is"
        )

    def _cooldowns(self, router: dict[str, Any]) -> None:
        """Take cooldowns over as breakers: `allowed_fails` failures (a minute there, in a row here) open one, `cooldown_time`
        seconds
        later it is asked again (LiteLLM, "Cooldowns"; from memory)."""
        fails = self._number(router.pop("allowed_fails", None), "router_settings.allowed_fails")
        pause_s = self._number(router.pop("cooldown_time", None), "router_settings.cooldown_time")
        if router.pop("disable_cooldowns", None):
            self._say("unsupported", "router_settings.disable_cooldowns", "breakers cannot be turned off")
        if fails is None and pause_s is None:
            return
        for model in self._models.values():
            if isinstance(model, schema.Model) and model.alias is None:
                if fails is not None:
                    model.breaker.failures = min(max(round(fails) + 1, 1), FAILURES_MAX)
                if pause_s is not None:
                    model.breaker.probe_s = min(max(pause_s, 1.0), PROBE_S_MAX)
        told = "a breaker opens after so many failures in a row" if fails is not None else ""
        told += "; " if told and pause_s is not None else ""
        told += "it lets one request through after the cooldown" if pause_s is not None else ""
        path = "router_settings.allowed_fails" if fails is not None else "router_settings.cooldown_time"
        self._say("changed", path, told)

    def _fallbacks(self, litellm: dict[str, Any], router: dict[str, Any]) -> None:
        found = listed(router.pop("fallbacks", None)) or listed(litellm.pop("fallbacks", None))
        litellm.pop("fallbacks", None)
        for entry in found:
            for name, targets in mapping(entry).items():
                self._fall_back(str(name), [str(t) for t in listed(targets)], "fallbacks")
        default = listed(router.pop("default_fallbacks", None)) or listed(litellm.pop("default_fallbacks", None))
        litellm.pop("default_fallbacks", None)
        for name in list(self._models) if default else ():
            self._fall_back(name, [str(t) for t in default if t != name], "default_fallbacks")
        for setting, kind in _KINDS.items():
            for holder in (router, litellm):
                for entry in listed(holder.pop(setting, None)):
                    for name, targets in mapping(entry).items():
                        self._fall_back(str(name), [str(t) for t in listed(targets)], setting, kind)

    def _fall_back(self, name: str, targets: list[str], path: str, kind: str | None = None) -> None:
        model = self._models.get(name)
        if not isinstance(model, schema.Model):
            self._say("unsupported", f"{path}.{name}", "there is no such model")
            return
        known = [target for target in targets if target in self._models]
        for target in targets:
            if target not in known:
                self._say("unsupported", f"{path}.{name}", f"there is no model {target!r} to fall back to")
        into = model.fallback if kind is None else model.fallback_on.setdefault(kind, []) if known else []
        into += [target for target in known if target not in into]
        if known:
            after = f" after {kind}" if kind is not None else ""
            self._say("imported", f"{path}.{name}", f"{name} → {', '.join(known)}{after}")

    def _aliases(self, raw: Any) -> None:
        for name, target in mapping(raw).items():
            hidden = isinstance(target, dict)
            wanted = target.get("model") if isinstance(target, dict) else target
            if not isinstance(wanted, str) or wanted not in self._models:
                self._say("unsupported", f"model_group_alias.{name}", f"there is no model {shown(wanted)}")
                continue
            self._models[str(name)] = schema.Model(alias=str(wanted))
            self._say("changed" if hidden else "imported", f"model_group_alias.{name}", f"an alias of {wanted}")

    def _general(self, general: dict[str, Any]) -> None:
        said = {
            "master_key": "an administrator's key: make tokens (switchgear token create NAME --role admin) and virtual keys",
            "database_url": "the ledger is the gateway's own; to import keys and spend: --database URL",
            "store_model_in_db": "models may be added at run time anyway",
            "background_health_checks": "no paid health checks are made",
            "health_check_interval": "no paid health checks are made",
            "database_connection_pool_limit": "no pool is needed",
            "database_connection_timeout": "no pool is needed",
            "proxy_batch_write_at": "the ledger follows within a second",
            "allow_requests_on_db_unavailable": "requests never need the database",
            "disable_spend_logs": "the ledger is always on",
            "store_prompts_in_spend_logs": "prompts are not stored",
            "litellm_key_header_name": "keys are read from Authorization, x-api-key, api-key and x-goog-api-key",
        }
        most = self._limits(general, {"global_max_parallel_requests": "parallel"}, "general_settings")
        if "parallel" in most:
            self._parallel = most["parallel"]
            self._say("imported", "general_settings.global_max_parallel_requests", "`parallel` of the organisation")
        for name, text in said.items():
            if name in general:
                value = general.pop(name)
                if name == "store_prompts_in_spend_logs" and value:
                    self._say("unsupported", f"general_settings.{name}", "prompts are not stored by this version")
                else:
                    self._say("changed", f"general_settings.{name}", text)

    # keys, teams, users

    def _people(self) -> None:
        teams = {team.id: team for team in self._database.teams}
        users = {user.id: user for user in self._database.users}
        for team in self._database.teams:
            name = label(team.alias or team.id) or team.id
            rules = self._rules(f"database.teams.{team.alias or team.id}", "team", name, team)
            self._teams[name] = Team(**rules)
        for user in self._database.users:
            name = label(user.email or user.id) or user.id
            rules = self._rules(f"database.users.{user.email or user.id}", "user", name, user)
            self._users[name] = User(**rules)
        for row in self._database.keys:
            self._key(row, teams, users)
        for key in self._keys.values():
            if key.team is not None:
                self._teams.setdefault(key.team, Team())
            if key.user is not None:
                self._users.setdefault(key.user, User())

    def _rules(self, path: str, kind: str, name: str, row: TeamRow | UserRow) -> dict[str, Any]:
        """Take the limits and budgets of a team or a user, and what it spent so far."""
        rest = dict(row.rest)
        limits = self._limits(rest, _KEY_LIMITS, path)
        budget = litellm_budgets.take(rest, path, self._say)
        self._spends[f"{kind}:{name}"] = round(Decimal(str(row.spend)) * NANO_PER_USD)
        self._say("imported", path, f"{kind} {name}, {row.spend:.4f} USD spent so far")
        self._rest(path, rest)
        return {**limits, "budget": budget} if budget else dict(limits)

    def _time_zone(self, litellm: dict[str, Any]) -> None:
        """Take whose calendar budgets follow."""
        name = litellm.pop("timezone", None)
        if name is None:
            return
        wrong = budget_rule.wrong_zone(str(name))
        if wrong is not None:
            self._say("unsupported", "litellm_settings.timezone", wrong)
            return
        self._timezone = str(name)
        self._say("imported", "litellm_settings.timezone", f"timezone: {name}")

    def _rest(self, path: str, rest: Mapping[str, Any]) -> None:
        for name, value in rest.items():
            self._say("unsupported", f"{path}.{name}", f"not enforced by this version: {shown(value)}")

    def _key(self, row: KeyRow, teams: Mapping[str, TeamRow], users: Mapping[str, UserRow]) -> None:
        name = unique(slug(row.alias or "") or f"key-{row.token[:8]}", self._keys)
        path = f"database.keys.{row.alias or row.token[:8]}"
        if not re.fullmatch(r"[0-9a-f]{64}", row.token):
            self._say("unsupported", path, "not stored by its SHA-256: it cannot be taken over")
            return
        if row.token in GUESSED:
            self._say("unsupported", path, "a key that anyone would guess: make a new one, switchgear key create")
            return
        if row.blocked:
            self._say("changed", path, "blocked: left out, so it stays refused")
            return
        team = teams.get(row.team_id or "")
        user = users.get(row.user_id or "")
        tags = [str(t)[:64] for t in listed(row.metadata.get("tags"))]
        rest = dict(row.rest)
        limits = self._limits(rest, _KEY_LIMITS, path)
        budget = litellm_budgets.take(rest, path, self._say)
        self._keys[name] = schema.Key(
            sha256=row.token,
            team=label(team.alias or team.id) if team else label(row.team_id),
            user=label(user.email or user.id) if user else label(row.user_id),
            models=self._allowed(row, team),
            expires=row.expires,
            tags=tags or None,
            rpm=limits.get("rpm"),
            tpm=limits.get("tpm"),
            parallel=limits.get("parallel"),
            budget=budget or None,
        )
        self._spends[name] = round(Decimal(str(row.spend)) * NANO_PER_USD)
        self._say("imported", path, f"{name}, {row.spend:.4f} USD spent so far")
        self._rest(path, rest)
        for field in row.metadata:
            if field != "tags":
                self._say("unsupported", f"{path}.metadata.{field}", "metadata of keys is not kept")

    def _allowed(self, row: KeyRow, team: TeamRow | None) -> list[str] | None:
        models = list(row.models)
        if "all-team-models" in models or (not models and team is not None):
            models = [m for m in models if m != "all-team-models"] + (list(team.models) if team is not None else [])
        elif team is not None and team.models and not _ALL & set(team.models):
            models = [m for m in models if m in team.models or m in _ALL] or models
        if not models or _ALL & set(models):
            return None
        out: list[str] = []
        for model in models:
            out += [m for m in self._groups.get(model, [model]) if m not in out]
        return out
