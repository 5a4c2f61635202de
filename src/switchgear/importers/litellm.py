"""A configuration of LiteLLM, and what its database adds, as a configuration of ours. Level 2, pure.

Nothing is dropped silently: every setting is taken out of a copy when it was understood, and whatever is left over in the
end is listed as unsupported. Facts: LiteLLM's documentation of config.yaml and its schema.prisma (read 2026-11).
"""

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from switchgear.config import schema
from switchgear.core.errors import SealError, UserError
from switchgear.core.money import NANO_PER_USD
from switchgear.core.secret import Secret
from switchgear.providers.catalogue import PROVIDERS

Status = Literal["imported", "changed", "unsupported"]
ENV = "os.environ/"
OPEN = "openai-compatible"
KINDS = {
    # LiteLLM's provider → row of our catalogue; OPEN: any OpenAI-compatible server at `api_base`.
    **{name: name for name in PROVIDERS if name not in {"azure-deployments", "vertex-global", "vertex-anthropic"}},
    "text-completion-openai": "openai", "vertex_ai": "vertex", "vertex_ai_beta": "vertex", "bedrock_converse": "bedrock",
    "cohere_chat": "cohere", "codestral": "mistral", "together_ai": "together", "fireworks_ai": "fireworks",
    "ollama_chat": "ollama", "hosted_vllm": "vllm", "nvidia_nim": "nvidia", "lm_studio": "lmstudio", "llamafile": "llamacpp",
    "jina_ai": "jina", "ai21_chat": "ai21", "openai_like": OPEN, "custom_openai": OPEN, "litellm_proxy": OPEN, "azure_ai": OPEN,
    "xinference": OPEN, "lemonade": OPEN, "docker_model_runner": OPEN,
}  # fmt: skip
_PATHS = {"anthropic": "/v1", "ollama": "/v1", "gemini": "/v1beta", "vllm": "/v1", "cohere": "/v2"}
"""What our base URL ends with where LiteLLM's `api_base` may be the bare host."""
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
RETRIES_MAX = 3
VALUES_MAX, DEPTH_MAX = 500_000, 50
_HABITS = "sk-1234 sk-12345 sk-123456 sk-12345678 sk-1234567890 sk-test sk-litellm sk-master sk-admin"
GUESSED = frozenset(hashlib.sha256(key.encode()).hexdigest() for key in _HABITS.split())
"""Keys of documentation and habit."""


class Opened(str):
    """Text that was encrypted in the database: used, never shown."""

    __slots__ = ()


class Line(msgspec.Struct, frozen=True):
    """One line of the report."""

    status: Status
    path: str
    text: str


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual key of LiteLLM's database; `token` is the SHA-256 of the key, in hex."""

    token: str
    alias: str | None = None
    spend: float = 0.0
    expires: str | None = None
    models: list[str] = []
    team_id: str | None = None
    user_id: str | None = None
    blocked: bool = False
    metadata: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    """What else it has, of what restricts it: budgets, limits, routes."""


class TeamRow(msgspec.Struct, frozen=True, kw_only=True):
    """A team."""

    id: str
    alias: str | None = None
    models: list[str] = []
    spend: float = 0.0
    rest: dict[str, Any] = {}


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    email: str | None = None
    spend: float = 0.0
    rest: dict[str, Any] = {}


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a database; values of `models` and `credentials` may be encrypted."""

    keys: list[KeyRow] = []
    teams: list[TeamRow] = []
    users: list[UserRow] = []
    models: list[dict[str, Any]] = []
    """Entries as in `model_list`."""
    credentials: list[dict[str, Any]] = []
    """Entries as in `credential_list`."""
    settings: dict[str, Any] = {}


class Imported(msgspec.Struct, kw_only=True):
    """What to do."""

    config: schema.Config
    lines: list[Line]
    secrets: dict[tuple[str, str], Secret] = {}
    """Secrets that stood in the file or the database, by (provider, credential): for the vault, never for a file."""
    environment: dict[tuple[str, str], str] = {}
    """Environment variables that hold the others."""
    spends: dict[str, int] = {}
    """Spend to date in nano-USD by key name."""

    @property
    def is_complete(self) -> bool:
        """True when everything has a counterpart."""
        return not any(line.status == "unsupported" for line in self.lines)


class Importer:
    """Translates. Use once."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        database: Database | None = None,
        open_value: Callable[[str], bytes] | None = None,
    ) -> None:
        """`raw`: the decoded YAML; `open_value` opens an encrypted value of the database (None: no salt key was given)."""
        self._raw = _Copier().copy(dict(raw))
        self._database = database or Database()
        self._open = open_value
        self.lines: list[Line] = []
        self._providers: dict[str, schema.Provider] = {}
        self._models: dict[str, schema.Model | str | bool] = {}
        self._keys: dict[str, schema.Key] = {}
        self._groups: dict[str, list[str]] = {}
        self._secrets: dict[tuple[str, str], Secret] = {}
        self._named: dict[bytes, str] = {}
        self._digests: dict[tuple[str, bytes], str] = {}
        self._environment: dict[tuple[str, str], str] = {}
        self._spends: dict[str, int] = {}
        self._variables: dict[str, str] = {}

    # report

    def _say(self, status: Status, path: str, text: str) -> None:
        self.lines.append(Line(status, path, text))

    def _left_over(self, path: str, rest: Any) -> None:
        """List what nobody took."""
        if isinstance(rest, dict):
            for name, value in rest.items():
                self._say("unsupported", f"{path}.{name}" if path else str(name), f"no counterpart: {_shown(value)}")
        elif rest not in (None, [], ""):
            self._say("unsupported", path, f"no counterpart: {_shown(rest)}")

    # the whole

    def run(self) -> Imported:
        """Translate everything."""
        raw = self._raw
        variables = raw.pop("environment_variables", None) or {}
        self._variables = (
            {str(name): str(value) for name, value in variables.items()} if isinstance(variables, dict) else {}
        )
        for name in self._variables:
            self._say(
                "changed",
                f"environment_variables.{name}",
                "used where the file refers to it; not exported to a process",
            )
        named = self._credentials(_list(raw.pop("credential_list", None)), "credential_list")
        named |= self._credentials(self._database.credentials, "database.credentials", encrypted=True)
        for number, entry in enumerate(_list(raw.pop("model_list", None))):
            self._deployment(entry, f"model_list[{number}]", named, encrypted=False)
        for number, entry in enumerate(self._database.models):
            self._deployment(entry, f"database.models[{number}]", named, encrypted=True)
        litellm = _dict(raw.pop("litellm_settings", None))
        router = _dict(raw.pop("router_settings", None))
        for name, value in _dict(self._database.settings.get("litellm_settings")).items():
            litellm[name] = value  # the database wins over the file
        for name, value in _dict(self._database.settings.get("router_settings")).items():
            router[name] = value
        self._routing(litellm, router)
        general = _dict(raw.pop("general_settings", None))
        self._general(general)
        self._left_over("litellm_settings", litellm)
        self._left_over("router_settings", router)
        self._left_over("general_settings", general)
        raw.pop("include", None)  # merged by the caller
        self._left_over("", raw)
        self._people()
        config = schema.Config(providers=self._providers, models=self._models, keys=self._keys)
        return Imported(
            config=config,
            lines=self.lines,
            secrets=self._secrets,
            environment=self._environment,
            spends=self._spends,
        )

    # credentials

    def _credentials(self, entries: Iterable[Any], path: str, encrypted: bool = False) -> dict[str, dict[str, Any]]:
        found = {}
        for number, raw in enumerate(entries):
            entry = _dict(raw)
            name = str(entry.pop("credential_name", f"{number}"))
            values = _dict(entry.pop("credential_values", None))
            entry.pop("credential_info", None)
            found[name] = {k: self._opened(v, f"{path}.{name}.{k}") if encrypted else v for k, v in values.items()}
            self._left_over(f"{path}.{name}", entry)
        return found

    def _opened(self, value: Any, path: str) -> Any:
        """Open a value of the database; what is no text, or stands there in the clear, stays."""
        if not isinstance(value, str) or not value or value.startswith((ENV, "http://", "https://")):
            return value
        if self._open is None:
            if _looks_encrypted(value):
                self._say("unsupported", path, "encrypted in the database: give --salt-key-file")
                return None
            return value
        try:
            return Opened(self._open(value).decode())
        except UnicodeDecodeError:
            return value
        except SealError as exc:
            if _looks_encrypted(value):
                self._say("unsupported", path, f"cannot be opened: {exc}")
                return None
            return value

    # deployments

    def _deployment(self, raw: Any, path: str, named: Mapping[str, Mapping[str, Any]], encrypted: bool) -> None:
        entry = _dict(raw)
        name = entry.pop("model_name", None)
        parameters = _dict(entry.pop("litellm_params", None))
        info = _dict(entry.pop("model_info", None))
        if encrypted:
            parameters = {k: self._opened(v, f"{path}.{k}") for k, v in parameters.items()}
        if not isinstance(name, str) or not name:
            self._say("unsupported", path, "an entry without model_name")
            return
        reference = parameters.pop("litellm_credential_name", None)
        if reference is not None:
            if reference not in named:
                self._say(
                    "unsupported", f"{path}.litellm_credential_name", f"there is no credential {_shown(reference)}"
                )
                return
            parameters = {**named[reference], **parameters}
        target = self._target(parameters, path)
        if target is None:
            return
        kind, upstream = target
        provider, credential = self._provider(kind, parameters, path)
        if provider is None:
            return
        price = self._price({**info, **parameters}, f"{path}.litellm_params")
        for holder in (parameters, info):
            for field in _PRICES:
                holder.pop(field, None)
        tier = parameters.pop("order", 1)
        deployment = schema.Deployment(
            provider=provider,
            model=upstream,
            credential=credential,
            tier=tier if isinstance(tier, int) and tier > 0 else 1,
            price=price,
        )
        model = self._models.setdefault(name, schema.Model())
        assert isinstance(model, schema.Model)
        model.deployments.append(deployment)
        self._timeouts(model, parameters, f"{path}.litellm_params")
        for group in _list(info.pop("access_groups", None)):
            self._groups.setdefault(str(group), []).append(name)
            self._say(
                "changed", f"{path}.model_info.access_groups", f"{group!r} is written out in the keys that name it"
            )
        for harmless in ("id", "mode", "base_model", "db_model", "created_at", "updated_at", "created_by", "updated_by", "key",
                         "max_tokens", "max_input_tokens", "max_output_tokens", "litellm_provider", "team_id"):  # fmt: skip
            info.pop(harmless, None)
        for name_of_switch in (
            "use_in_pass_through",
            "use_litellm_proxy",
            "merge_reasoning_content_in_choices",
            "drop_params",
        ):
            if parameters.get(name_of_switch) in (False, None):
                parameters.pop(name_of_switch, None)
        if parameters.pop("drop_params", None):
            self._say(
                "changed", f"{path}.litellm_params.drop_params", "always so here, and `log show` lists what was dropped"
            )
        self._say("imported", f"{path}", f"{name} → {provider}/{upstream}")
        self._left_over(f"{path}.litellm_params", {k: v for k, v in parameters.items() if v is not None})
        self._left_over(f"{path}.model_info", info)
        self._left_over(
            path,
            {
                k: v
                for k, v in entry.items()
                if k not in {"model_id", "created_at", "updated_at", "created_by", "updated_by"}
            },
        )

    def _target(self, parameters: dict[str, Any], path: str) -> tuple[str, str] | None:
        model = parameters.pop("model", None)
        if not isinstance(model, str) or not model:
            self._say("unsupported", f"{path}.litellm_params.model", "there is no model")
            return None
        said = parameters.pop("custom_llm_provider", None)
        prefix, slash, rest = model.partition("/")
        if isinstance(said, str):
            prefix, rest = said, model.removeprefix(f"{said}/")
        elif not slash or prefix not in KINDS:
            if parameters.get("api_base") and not slash:
                prefix, rest = OPEN, model
            elif model.startswith("claude"):
                prefix, rest = "anthropic", model
            elif not slash:
                prefix, rest = "openai", model
        kind = OPEN if prefix == OPEN else KINDS.get(prefix)
        if kind is None:
            if parameters.get("api_base"):
                self._say(
                    "changed", f"{path}.litellm_params.model", f"{prefix!r} is taken as an OpenAI-compatible server"
                )
                return OPEN, rest
            self._say("unsupported", f"{path}.litellm_params.model", f"the provider {prefix!r} is not known here")
            return None
        if prefix == "openai" and parameters.get("api_base") and "api.openai.com" not in str(parameters["api_base"]):
            kind = OPEN
        if kind == "vertex" and rest.startswith("claude"):
            kind = "vertex-anthropic"
        for route in ("converse/", "converse_like/", "invoke/", "responses/", "chat/"):
            rest = rest.removeprefix(route) if kind in {"bedrock", "azure", "openai"} else rest
        return kind, rest

    def _provider(self, kind: str, parameters: dict[str, Any], path: str) -> tuple[str | None, str | None]:
        """Return (provider, credential) of our configuration for one deployment, making them when they are new."""
        at = f"{path}.litellm_params"
        base = self._text(parameters.pop("api_base", None) or parameters.pop("base_url", None), f"{at}.api_base")
        spec = schema.Provider()
        if kind == OPEN:
            if base is None:
                self._say("unsupported", f"{at}.api_base", "an OpenAI-compatible server needs its address")
                return None, None
            spec.dialect = "openai"
        else:
            spec.kind = kind
        version = self._text(parameters.pop("api_version", None), f"{at}.api_version")
        if kind == "azure":
            host = urlsplit(base or "").hostname or ""
            if host.endswith(".openai.azure.com"):
                spec.resource, base = host.removesuffix(".openai.azure.com"), None
            elif base is None:
                self._say("unsupported", f"{at}.api_base", "Azure needs the resource's address")
                return None, None
            if version is not None and version not in {"preview", "latest", "v1"}:
                spec.kind, spec.api_version = "azure-deployments", version
        elif version is not None:
            self._say("unsupported", f"{at}.api_version", f"only Azure has versions here: {version}")
        if kind == "bedrock":
            spec.region = self._text(parameters.pop("aws_region_name", None), f"{at}.aws_region_name")
            if spec.region is None:
                self._say("unsupported", f"{at}.aws_region_name", "Bedrock needs its region")
                return None, None
        if kind.startswith("vertex"):
            spec.project = self._text(parameters.pop("vertex_project", None), f"{at}.vertex_project")
            spec.location = self._text(parameters.pop("vertex_location", None), f"{at}.vertex_location")
        if base is not None:
            spec.base_url = _based(base, kind)
            if _is_private(spec.base_url):
                spec.allow_private = True
                self._say("changed", f"{at}.api_base", f"{spec.base_url} is private: `allow_private` is set for it")
        key, auth, more = self._secret_of(kind, parameters, at)
        spec.auth = auth
        spec.auth_parameters = more
        if key is None and auth is None and kind == OPEN:
            spec.auth = "none"
        name = self._named_provider(kind, spec)
        return name, self._credential(name, key, at)

    def _secret_of(self, kind: str, parameters: dict[str, Any], at: str) -> tuple[Any, str | None, dict[str, str]]:
        """Return (secret: a Secret, text or os.environ reference; way to authenticate; its parameters)."""
        key = parameters.pop("api_key", None)
        if kind == "bedrock":
            names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
            access, secret, session = (parameters.pop(name, None) for name in names)
            role = self._text(parameters.pop("aws_role_name", None), f"{at}.aws_role_name")
            if key is not None:
                return key, "bearer", {}
            if access is not None and secret is not None:
                parts = [str(v) for v in (access, secret, session) if v is not None]
                if not any(part.startswith(ENV) for part in parts):
                    return ":".join(parts), None, {"role_arn": role} if role else {}
                self._say(
                    "unsupported", f"{at}.aws_access_key_id", "give ID:SECRET: switchgear credential add PROVIDER"
                )
                return None, None, {}
            if role is not None:
                return None, "instance_role", {"role_arn": role}
            return None, "instance_role", {}
        if kind.startswith("vertex"):
            found = parameters.pop("vertex_credentials", None)
            if isinstance(found, str) and not found.startswith((ENV, "{")):
                self._say(
                    "unsupported",
                    f"{at}.vertex_credentials",
                    "a file: switchgear credential add vertex --from-file FILE",
                )
                return None, None, {}
            return found, None if found else "workload_identity", {}
        if kind.startswith("azure"):
            for name in ("tenant_id", "client_id", "client_secret", "azure_ad_token"):
                if name in parameters:
                    self._say(
                        "unsupported",
                        f"{at}.{name}",
                        "Entra: switchgear provider add azure --auth entra, docs/providers.md",
                    )
                    parameters.pop(name)
        return key, None, {}

    def _named_provider(self, kind: str, spec: schema.Provider) -> str:
        wanted_spec = msgspec.json.encode(spec)
        if wanted_spec in self._named:
            return self._named[wanted_spec]
        base = kind if kind != OPEN else _slug(urlsplit(spec.base_url or "").hostname or "server")
        wanted = next((part for part in (spec.resource, spec.region, spec.location) if part), None)
        plain = spec.base_url is None and kind in PROVIDERS and wanted is None and spec.auth is None
        name = (
            base
            if plain or kind == OPEN
            else _slug(f"{base}-{wanted or urlsplit(spec.base_url or '').hostname or '2'}")
        )
        name = _unique(name, self._providers)
        if name == kind:
            spec.kind = None
        self._providers[name] = spec
        self._named[wanted_spec] = name
        return name

    def _credential(self, provider: str, key: Any, at: str) -> str | None:
        spec = self._providers[provider]
        auth = spec.auth
        if key is None:
            kind = spec.kind or provider
            row = PROVIDERS.get(kind)
            if auth == "none" or (auth is None and row is not None and row.auth == "none"):
                return None
            if auth in {"instance_role", "workload_identity"}:
                return self._add_credential(spec, "role", {})
            name = self._add_credential(spec, "default", {"sealed": True})
            self._say("changed", f"{at}.api_key", f"no key stands here: switchgear credential add {provider}")
            return name
        resolved = self._resolved(key)
        if isinstance(resolved, Secret):
            digest = hashlib.sha256(self._value(key).encode()).digest()
            if (provider, digest) in self._digests:
                return self._digests[provider, digest]
            name = _unique("default", {c.name: c for c in spec.credentials})
            self._secrets[provider, name] = resolved
            self._digests[provider, digest] = name
            self._say("changed", f"{at}.api_key", f"goes sealed into the vault as {provider}/{name} (with --apply)")
            return self._add_credential(spec, name, {"sealed": True})
        for (owner, name), variable in self._environment.items():
            if owner == provider and variable == resolved:
                return name
        name = _unique(
            _slug(resolved.removesuffix("_API_KEY").removesuffix("_KEY")) or "default",
            {c.name: c for c in spec.credentials},
        )
        self._environment[provider, name] = resolved
        return self._add_credential(spec, name, {})

    def _add_credential(self, spec: schema.Provider, name: str, fields: dict[str, Any]) -> str:
        if all(c.name != name for c in spec.credentials):
            spec.credentials.append(schema.Credential(name=name, **fields))
        return name

    def _resolved(self, value: Any) -> Secret | str:
        """Return a Secret, or the name of the environment variable that holds it."""
        text = self._value(value)
        return text.removeprefix(ENV) if text.startswith(ENV) else Secret(text.encode())

    def _value(self, value: Any) -> str:
        text = str(value)
        return self._variables.get(text.removeprefix(ENV), text) if text.startswith(ENV) else text

    def _text(self, value: Any, path: str) -> str | None:
        if value is None or value == "":
            return None
        text = str(value)
        if text.startswith(ENV):
            name = text.removeprefix(ENV)
            if name in self._variables:
                return self._variables[name]
            self._say("unsupported", path, f"stands in the environment variable {name}: write its value")
            return None
        return text

    def _price(self, fields: Mapping[str, Any], path: str) -> schema.PriceSpec | None:
        found: dict[str, str] = {}
        for theirs, ours in _PRICES.items():
            if fields.get(theirs) is None:
                continue
            try:
                found[ours] = format((Decimal(str(fields[theirs])) * 1_000_000).normalize(), "f")
            except InvalidOperation:
                self._say("unsupported", f"{path}.{theirs}", f"not a number: {_shown(fields[theirs])}")
        if found and not {"input_per_mtok", "output_per_mtok"} <= found.keys():
            for missing in {"input_per_mtok", "output_per_mtok"} - found.keys():
                found[missing] = "0"
        return schema.PriceSpec(**found) if found else None

    def _timeouts(self, model: schema.Model, parameters: dict[str, Any], path: str) -> None:
        for name, field in (
            ("timeout", "first_byte_s"),
            ("stream_timeout", "first_byte_s"),
            ("request_timeout", "first_byte_s"),
        ):
            value = parameters.pop(name, None)
            if isinstance(value, int | float) and 0 < value <= 86_400:
                setattr(model.timeouts, field, float(value))
                self._say("changed", f"{path}.{name}", f"to the first byte of the answer: timeouts.{field} = {value:g}")
            elif value is not None:
                self._say("unsupported", f"{path}.{name}", f"not a number of seconds: {_shown(value)}")
        retries = parameters.pop("max_retries", parameters.pop("num_retries", None))
        if isinstance(retries, int):
            self._retries(model, retries, f"{path}.max_retries")

    def _retries(self, model: schema.Model, retries: int, path: str) -> None:
        model.retry.max = min(retries, RETRIES_MAX)
        if retries > RETRIES_MAX:
            self._say("changed", path, f"{retries} retries: at most {RETRIES_MAX} here")

    # routing

    def _routing(self, litellm: dict[str, Any], router: dict[str, Any]) -> None:
        real = [m for m in self._models.values() if isinstance(m, schema.Model)]
        retries = router.pop("num_retries", litellm.pop("num_retries", None))
        if isinstance(retries, int):
            for model in real:
                self._retries(model, retries, "router_settings.num_retries")
                if retries > RETRIES_MAX:
                    break
            for model in real:
                model.retry.max = min(retries, RETRIES_MAX)
            self._say("imported", "num_retries", f"{min(retries, RETRIES_MAX)} for every model")
        for holder, where in ((litellm, "litellm_settings.request_timeout"), (router, "router_settings.timeout")):
            value = holder.pop(where.rpartition(".")[2], None)
            if isinstance(value, int | float) and 0 < value <= 86_400:
                for model in real:
                    model.timeouts.first_byte_s = min(model.timeouts.first_byte_s, float(value))
                self._say("changed", where, f"to the first byte of the answer: timeouts.first_byte_s = {value:g}")
            elif value is not None:
                self._say("unsupported", where, f"not a number of seconds: {_shown(value)}")
        self._fallbacks(litellm, router)
        self._aliases(router.pop("model_group_alias", litellm.pop("model_alias_map", None)))
        strategy = router.pop("routing_strategy", None)
        shared = [name for name, m in self._models.items() if isinstance(m, schema.Model) and len(m.deployments) > 1]
        if strategy is not None or shared:
            self._say(
                "unsupported" if shared else "changed",
                "router_settings.routing_strategy",
                f"{strategy or 'simple-shuffle'}: deployments are tried in order here"
                + (f"; {', '.join(shared[:5])} would be spread" if shared else ""),
            )
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
                    else _shown(value)
                )
                self._say("unsupported", f"router_settings.{name}", said)

    def _fallbacks(self, litellm: dict[str, Any], router: dict[str, Any]) -> None:
        found = _list(router.pop("fallbacks", None)) or _list(litellm.pop("fallbacks", None))
        litellm.pop("fallbacks", None)
        for entry in found:
            for name, targets in _dict(entry).items():
                self._fall_back(str(name), [str(t) for t in _list(targets)], "fallbacks")
        default = _list(router.pop("default_fallbacks", None)) or _list(litellm.pop("default_fallbacks", None))
        litellm.pop("default_fallbacks", None)
        for name in list(self._models) if default else ():
            self._fall_back(name, [str(t) for t in default if t != name], "default_fallbacks")
        for kind in ("context_window_fallbacks", "content_policy_fallbacks"):
            for holder, where in ((litellm, "litellm_settings"), (router, "router_settings")):
                value = holder.pop(kind, None)
                if value:
                    self._say("unsupported", f"{where}.{kind}", f"a fallback for one reason only: {_shown(value)}")

    def _fall_back(self, name: str, targets: list[str], path: str) -> None:
        model = self._models.get(name)
        if not isinstance(model, schema.Model):
            self._say("unsupported", f"{path}.{name}", "there is no such model")
            return
        known = [target for target in targets if target in self._models]
        for target in targets:
            if target not in known:
                self._say("unsupported", f"{path}.{name}", f"there is no model {target!r} to fall back to")
        model.fallback += [target for target in known if target not in model.fallback]
        if known:
            self._say("imported", f"{path}.{name}", f"{name} → {', '.join(known)}")

    def _aliases(self, raw: Any) -> None:
        for name, target in _dict(raw).items():
            hidden = isinstance(target, dict)
            wanted = target.get("model") if isinstance(target, dict) else target
            if wanted not in self._models:
                self._say("unsupported", f"model_group_alias.{name}", f"there is no model {_shown(wanted)}")
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
            self._rest(f"database.teams.{team.alias or team.id}", team.rest)
            self._say(
                "changed",
                f"database.teams.{team.alias or team.id}",
                f"a name that records carry; {team.spend:.4f} USD so far stand with its keys",
            )
        for user in self._database.users:
            self._rest(f"database.users.{user.email or user.id}", user.rest)
        for row in self._database.keys:
            self._key(row, teams, users)

    def _rest(self, path: str, rest: Mapping[str, Any]) -> None:
        for name, value in rest.items():
            self._say("unsupported", f"{path}.{name}", f"not enforced by this version: {_shown(value)}")

    def _key(self, row: KeyRow, teams: Mapping[str, TeamRow], users: Mapping[str, UserRow]) -> None:
        name = _unique(_slug(row.alias or "") or f"key-{row.token[:8]}", self._keys)
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
        tags = [str(t)[:64] for t in _list(row.metadata.get("tags"))]
        self._keys[name] = schema.Key(
            sha256=row.token,
            team=_label(team.alias or team.id) if team else _label(row.team_id),
            user=_label(user.email or user.id) if user else _label(row.user_id),
            models=self._allowed(row, team),
            expires=row.expires,
            tags=tags or None,
        )
        self._spends[name] = round(Decimal(str(row.spend)) * NANO_PER_USD)
        self._say("imported", path, f"{name}, {row.spend:.4f} USD spent so far")
        self._rest(path, row.rest)
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


class _Copier:
    """Copies a decoded file; bounded, since anchors of YAML multiply what they name."""

    def __init__(self) -> None:
        self._left = VALUES_MAX

    def copy(self, value: Any, depth: int = 0) -> Any:
        """Copy a value and all in it. Raises UserError."""
        self._left -= 1
        if self._left < 0 or depth > DEPTH_MAX:
            raise UserError("the configuration is too large (anchors that multiply?)", "", 2)
        if isinstance(value, dict):
            return {str(k): self.copy(v, depth + 1) for k, v in value.items()}
        return [self.copy(v, depth + 1) for v in value] if isinstance(value, list) else value


def _dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _looks_encrypted(value: str) -> bool:
    return value.startswith(("v2:gcm:", "v3:gcm:")) or (
        len(value) >= 56 and re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", value) is not None
    )


def _shown(value: Any) -> str:
    """Show a setting without what could be secret."""
    if isinstance(value, Opened):
        return "…"
    text = str(value)
    text = re.sub(r"(sk-|key|token|secret|password)[A-Za-z0-9_:'\" -]*[A-Za-z0-9_-]{8,}", r"\1…", text, flags=re.I)
    text = re.sub(r"://[^/@\s]+@", "://…@", text)
    return text if len(text) <= 80 else text[:79] + "…"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60]


def _label(text: str | None) -> str | None:
    if not text:
        return None
    return "".join(c for c in text if c.isprintable())[:64] or None


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(f"{name}-{n}" for n in range(2, 100_000) if f"{name}-{n}" not in taken)


def _based(base: str, kind: str) -> str:
    base = base.rstrip("/")
    path = urlsplit(base).path
    return base + _PATHS[kind] if kind in _PATHS and not path else base


def _is_private(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return (
            parts.scheme == "http"
            or host == "localhost"
            or "." not in host
            or host.endswith((".internal", ".local", ".svc"))
        )
