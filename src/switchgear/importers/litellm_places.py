"""Where LiteLLM's deployments lead: providers and credentials of ours. Level 2, pure.

A secret becomes a Secret at once and waits for the vault; a reference to an environment variable stays a reference.
"""

import hashlib
import ipaddress
import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from switchgear.config import schema
from switchgear.config.compile import build_provider
from switchgear.core.secret import Secret
from switchgear.importers import litellm_defaults as defaults
from switchgear.importers.litellm_parts import ENV, EntryError, Status, slug, unique
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.endpoint import AZURE_HOST, KEYLESS, check_header

OPEN = "openai-compatible"
VERTEX_OPEN = "vertex-openapi"
"""Models of other makers at Vertex AI, by its OpenAI-compatible endpoint."""
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
_REGION_FIRST = re.compile(r"([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-[0-9])/")
"""LiteLLM's `bedrock/REGION/MODEL`."""


class ProviderPlace(NamedTuple):
    """Where a deployment leads."""

    kind: str
    """Our row, or OPEN."""
    theirs: str
    """LiteLLM's name of the provider."""
    model: str
    """The model's name there."""


class Authentication(msgspec.Struct, frozen=True):
    """How a deployment proves who it is."""

    key: Any = None
    """A text, an os.environ reference, or None."""
    auth: str | None = None
    """Our way to authenticate, where it is not the row's."""
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    file: str | None = None
    """A file that holds the secret."""
    is_missing: bool = False
    """True where there must be a secret and none was found."""


class Places:
    """Providers and credentials, made as deployments ask for them."""

    def __init__(self, say: Callable[[Status, str, str], None], environ: Mapping[str, str]) -> None:
        """`say` adds a line to the report; `environ`: the environment in which LiteLLM runs."""
        self._say = say
        self._environ = environ
        self.variables: dict[str, str] = {}
        """Environment variables that the file itself sets: they come first."""
        self.providers: dict[str, schema.Provider] = {}
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.environment: dict[tuple[str, str], str] = {}
        self.files: dict[tuple[str, str], str] = {}
        self._named: dict[bytes, str] = {}
        self._digests: dict[tuple[str, bytes], str] = {}

    def target(self, parameters: dict[str, Any], path: str) -> ProviderPlace:
        """Return where a deployment leads. Raises EntryError."""
        at = f"{path}.litellm_params.model"
        model = self.text(parameters.pop("model", None), at)
        if not model:
            raise EntryError(at, "there is no model")
        said = parameters.pop("custom_llm_provider", None)
        prefix, slash, rest = model.partition("/")
        has_base = bool(parameters.get("api_base") or parameters.get("base_url"))
        if isinstance(said, str):
            prefix, rest = said, model.removeprefix(f"{said}/")
        elif not slash or prefix not in KINDS:
            if has_base and not slash:
                prefix, rest = OPEN, model
            elif model.startswith("claude"):
                prefix, rest = "anthropic", model
            elif not slash:
                prefix, rest = "openai", model
        kind = OPEN if prefix == OPEN else KINDS.get(prefix)
        if kind is None:
            if not has_base:
                raise EntryError(at, f"the provider {prefix!r} is not known here")
            self._say("changed", at, f"{prefix!r} is taken as an OpenAI-compatible server")
            return ProviderPlace(OPEN, prefix, rest)
        if prefix == "openai" and has_base and "api.openai.com" not in str(self._peek(parameters)):
            kind = OPEN
        if kind == "vertex" and rest.startswith("claude"):
            kind = "vertex-anthropic"
        if kind == "vertex" and "/" in rest and not rest.startswith("gemini/"):
            kind = VERTEX_OPEN
        routes = ("converse/", "converse_like/", "invoke/", "responses/", "chat/")
        for route in routes if kind in {"bedrock", "azure", "openai"} else ():
            rest = rest.removeprefix(route)
        if kind == "bedrock" and (region := _REGION_FIRST.match(rest)):
            parameters.setdefault("aws_region_name", region.group(1))
            rest = rest[region.end() :]
        if kind == "bedrock" and rest.startswith(("agent/", "agentcore/")):
            raise EntryError(at, "agents of Bedrock are not served here")
        return ProviderPlace(kind, prefix, rest)

    def _peek(self, parameters: Mapping[str, Any]) -> Any:
        found = parameters.get("api_base") or parameters.get("base_url")
        return self._value(found) if isinstance(found, str) else found

    def provider(self, target: ProviderPlace, parameters: dict[str, Any], path: str) -> tuple[str, str | None]:
        """Return (provider, credential) of our configuration for one deployment, making them when they are new.
        Raises EntryError."""
        at = f"{path}.litellm_params"
        said = [parameters.pop(name, None) for name in ("api_base", "base_url")]
        base = self.text(said[0] or said[1], f"{at}.api_base") or self._default(defaults.BASES, target.theirs)
        spec = schema.Provider()
        if target.kind == OPEN:
            if base is None:
                raise EntryError(f"{at}.api_base", "an OpenAI-compatible server needs its address")
            spec.dialect = "openai"
        elif target.kind != VERTEX_OPEN:
            spec.kind = target.kind
        version = self.text(parameters.pop("api_version", None), f"{at}.api_version")
        if target.kind == "azure":
            base = self._azure(spec, base, version, at)
        elif target.theirs == "azure_ai" and base is not None:
            base = _foundry(spec, base, target.model)
        elif version is not None:
            self._say("unsupported", f"{at}.api_version", f"only Azure has versions here: {version}")
        if target.kind == "bedrock":
            self._bedrock(spec, target, parameters, at)
        project = None
        if target.kind.startswith("vertex"):
            project = self._vertex(spec, target, parameters, at)
        for name in defaults.ACCOUNTS.get(target.kind, ()):
            spec.account = spec.account or self._environ_value(name)
        if base is not None:
            spec.base_url = _based(base, target.kind)
            if _is_private(spec.base_url):
                spec.allow_private = True
                self._say("changed", f"{at}.api_base", f"{spec.base_url} is private: `allow_private` is set for it")
        self._headers(spec, parameters, at)
        found = self._authentication(target, spec, parameters, at)
        spec.auth = found.auth or spec.auth
        spec.auth_parameters = found.parameters
        if found.key is None and found.auth is None and target.kind == OPEN and spec.auth is None:
            spec.auth = "none"
        try:
            build_provider("imported", spec)
        except ValueError as exc:
            raise EntryError(at, str(exc) + self._hint(target, project)) from None
        name = self._named_provider(target.kind, spec)
        return name, self._credential(name, target, found, at)

    def _hint(self, target: ProviderPlace, project: str | None) -> str:
        if target.kind.startswith("vertex") and project is None:
            return f" (vertex_project, or {defaults.VERTEX_PROJECTS[0]} in the environment)"
        names = defaults.ACCOUNTS.get(target.kind)
        return f" (or {names[0]} in the environment)" if names else ""

    def _headers(self, spec: schema.Provider, parameters: dict[str, Any], at: str) -> None:
        """Take the header fields that LiteLLM adds to every request of a deployment."""
        for key in ("extra_headers", "headers"):
            fields = parameters.pop(key, None)
            for name, value in fields.items() if isinstance(fields, dict) else ():
                field = str(name).lower()
                if field in {"content-type", "accept"}:
                    continue  # as they are anyway
                text = self._value(value)
                wrong = check_header(field, text)
                if wrong is None and text.startswith(ENV):
                    wrong = f"{text.removeprefix(ENV)} is not set here"
                if wrong is None:
                    spec.headers[field] = text
                else:
                    self._say("unsupported", f"{at}.{key}.{name}", wrong)

    def _azure(self, spec: schema.Provider, base: str | None, version: str | None, at: str) -> str | None:
        """Say where Azure is asked; return the base URL of another host than its own."""
        if base is None:
            names = " or ".join(defaults.BASES["azure"])
            raise EntryError(f"{at}.api_base", f"Azure needs the resource's address (or {names} in the environment)")
        parts = urlsplit(base)
        version = version or dict(parse_qsl(parts.query)).get("api-version")
        if version is None and (name := defaults.first(defaults.VERSIONS, self._all())):
            version = self._all()[name]
        is_older = version is not None and version not in {"preview", "latest", "v1"}
        if is_older:
            spec.kind, spec.api_version = "azure-deployments", version
        host = parts.hostname or ""
        if host.endswith(AZURE_HOST):
            spec.resource = host.removesuffix(AZURE_HOST)
            return None
        path = parts.path.partition("/openai")[0].rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}/openai" + ("" if is_older else "/v1")

    def _bedrock(self, spec: schema.Provider, target: ProviderPlace, parameters: dict[str, Any], at: str) -> None:
        arn = re.match(r"arn:aws[a-z-]*:bedrock:([a-z0-9-]+):", target.model)
        region = self.text(parameters.pop("aws_region_name", None), f"{at}.aws_region_name")
        name = defaults.first(defaults.AWS_REGIONS, self._all())
        if region is None and arn is not None:
            region = arn.group(1)
        elif region is None and name is not None:
            region = self._all()[name]
            self._say("changed", f"{at}.aws_region_name", f"{region}, as {name} says")
        elif region is None:
            region = defaults.AWS_REGION
            self._say("changed", f"{at}.aws_region_name", f"none is said: {region}, as LiteLLM takes it")
        spec.region = region
        spec.base_url = self.text(
            parameters.pop("aws_bedrock_runtime_endpoint", None), f"{at}.aws_bedrock_runtime_endpoint"
        )

    def _vertex(self, spec: schema.Provider, target: ProviderPlace, parameters: dict[str, Any], at: str) -> str | None:
        project = self.text(
            parameters.pop("vertex_project", parameters.pop("vertex_ai_project", None)), f"{at}.vertex_project"
        )
        location = self.text(
            parameters.pop("vertex_location", parameters.pop("vertex_ai_location", None)), f"{at}.vertex_location"
        )
        for name in defaults.VERTEX_PROJECTS:
            project = project or self._environ_value(name)
        for name in defaults.VERTEX_LOCATIONS:
            location = location or self._environ_value(name)
        if location is None:
            location = defaults.VERTEX_LOCATION
            self._say("changed", f"{at}.vertex_location", f"none is said: {location}, as LiteLLM takes it")
        if target.kind == VERTEX_OPEN:
            # "Call open models": the OpenAI-compatible endpoint of a location (Vertex AI; read 2026-11-27).
            row = build_provider("vertex", schema.Provider(project=project or "-", location=location)).endpoint
            if project is not None:
                spec.dialect, spec.auth = "openai", "google"
                spec.base_url = row.url.removesuffix("/publishers/google") + "/endpoints/openapi"
            else:
                raise EntryError(f"{at}.vertex_project", "Vertex AI needs its project" + self._hint(target, None))
        else:
            spec.project, spec.location = project, location
        return project

    def _authentication(
        self, target: ProviderPlace, spec: schema.Provider, parameters: dict[str, Any], at: str
    ) -> Authentication:
        key = parameters.pop("api_key", None) or None
        if target.kind == "bedrock":
            return self._amazon(key, parameters, at)
        if target.kind.startswith("vertex"):
            return self._google(parameters)
        if target.kind == "azure":
            entra = {name: parameters.pop(name, None) for name in ("tenant_id", "client_id", "client_secret")}
            if key is None and all(entra.values()):
                places = {name: self.text(entra[name], f"{at}.{name}") or "" for name in ("tenant_id", "client_id")}
                return Authentication(entra["client_secret"], "entra", places)
            if any(entra.values()) and key is None:
                self._say("unsupported", f"{at}.tenant_id", "Entra needs tenant_id, client_id and client_secret")
            if parameters.pop("azure_ad_token", None) is not None:
                self._say("unsupported", f"{at}.azure_ad_token", "a token that ends: auth: entra, docs/providers.md")
        if key is not None:
            if target.kind == OPEN and spec.auth is None:
                spec.auth = "bearer"
            return Authentication(key)
        names = defaults.KEYS.get(target.theirs, ()) if target.kind != OPEN or target.theirs != "openai" else ()
        name = defaults.first(names, self._all())
        row = PROVIDERS.get(target.kind)
        if name is None and (target.kind == OPEN or (row is not None and row.auth == "none")):
            return Authentication()
        if name is None and not names:
            return Authentication(is_missing=True)
        if target.kind == OPEN and spec.auth is None:
            spec.auth = "bearer"
        return Authentication(ENV + (name or names[0]))

    def _amazon(self, key: Any, parameters: dict[str, Any], at: str) -> Authentication:
        said = [parameters.pop(name.lower(), None) for name in defaults.AWS_KEYS]
        role = self.text(parameters.pop("aws_role_name", None), f"{at}.aws_role_name")
        parameters.pop("aws_session_name", None)
        more = {"role_arn": role} if role else {}
        if key is not None:
            return Authentication(key, "bearer")
        if said[0] is None and said[1] is None:
            bearer = defaults.first(defaults.KEYS["bedrock"], self._all())
            if bearer is not None and role is None:
                return Authentication(ENV + bearer, "bearer")
            if defaults.first(defaults.AWS_KEYS[:1], self._all()) is None:
                return Authentication(None, "instance_role", more)
            said = [ENV + name for name in defaults.AWS_KEYS]
        elif said[2] is None:
            said.pop()
        values = [self._value(value) for value in said if value is not None]
        parts = [value for value in values if not value.startswith(ENV)]
        if len(parts) < 2 or any(value.startswith(ENV) for value in values[:2]):
            self._say("unsupported", f"{at}.aws_access_key_id", "not set here; give ID:SECRET with `credential add`")
            return Authentication(parameters=more, is_missing=True)
        return Authentication(":".join(parts), None, more)

    def _google(self, parameters: dict[str, Any]) -> Authentication:
        found = parameters.pop("vertex_credentials", parameters.pop("vertex_ai_credentials", None))
        if isinstance(found, dict):
            return Authentication(msgspec.json.encode(found).decode())
        if found is None:
            name = defaults.first(defaults.VERTEX_FILES, self._all())
            if name is None:
                return Authentication(is_missing=True)
            found = ENV + name
        value = self._value(found)
        if value.startswith(ENV) or value.lstrip().startswith("{"):
            return Authentication(found)
        return Authentication(file=value)

    def _named_provider(self, kind: str, spec: schema.Provider) -> str:
        wanted_spec = msgspec.json.encode(spec)
        if wanted_spec in self._named:
            return self._named[wanted_spec]
        is_server = kind in {OPEN, VERTEX_OPEN}
        base = slug(urlsplit(spec.base_url or "").hostname or "server") if is_server else kind
        wanted = next((part for part in (spec.resource, spec.region, spec.location) if part), None)
        plain = spec.base_url is None and kind in PROVIDERS and wanted is None and spec.auth is None
        name = base if plain or is_server else slug(f"{base}-{wanted or urlsplit(spec.base_url or '').hostname or '2'}")
        name = unique(name or "server", self.providers)
        if name == kind:
            spec.kind = None
        self.providers[name] = spec
        self._named[wanted_spec] = name
        return name

    def _credential(self, provider: str, target: ProviderPlace, found: Authentication, at: str) -> str | None:
        spec = self.providers[provider]
        row = PROVIDERS.get(spec.kind or provider)
        auth = spec.auth or (row.auth if row is not None else None)
        if found.file is not None:
            name = next((n for (owner, n), path in self.files.items() if (owner, path) == (provider, found.file)), None)
            if name is None:
                name = unique("file", {c.name: c for c in spec.credentials})
                self.files[provider, name] = found.file
            self._say("changed", f"{at}.vertex_credentials", f"read from {found.file}")
            return self._add_credential(spec, name, {})
        if found.key is None and not found.is_missing:
            return self._add_credential(spec, "role", {}) if auth in KEYLESS - {"none"} else None
        if found.key is None:
            name = self._add_credential(spec, "default", {"sealed": True})
            self._say("changed", f"{at}.api_key", f"no key stands here: switchgear credential add {provider}")
            return name
        resolved = self._resolved(found.key)
        if isinstance(resolved, Secret):
            digest = hashlib.sha256(self._value(found.key).encode()).digest()
            if (provider, digest) in self._digests:
                return self._digests[provider, digest]
            name = unique("default", {c.name: c for c in spec.credentials})
            self.secrets[provider, name] = resolved
            self._digests[provider, digest] = name
            self._say("changed", f"{at}.api_key", f"goes sealed into the vault as {provider}/{name} (with --apply)")
            return self._add_credential(spec, name, {"sealed": True})
        for (owner, name), variable in self.environment.items():
            if owner == provider and variable == resolved:
                return name
        name = unique(
            slug(resolved.removesuffix("_API_KEY").removesuffix("_KEY")) or "default",
            {c.name: c for c in spec.credentials},
        )
        self.environment[provider, name] = resolved
        return self._add_credential(spec, name, {})

    def _add_credential(self, spec: schema.Provider, name: str, fields: dict[str, Any]) -> str:
        if all(c.name != name for c in spec.credentials):
            spec.credentials.append(schema.Credential(name=name, **fields))
        return name

    # what variables say

    def _all(self) -> Mapping[str, str]:
        return ChainMap(self.variables, self._environ)  # type: ignore[arg-type]

    def _environ_value(self, name: str) -> str | None:
        return self._all().get(name) or None

    def _default(self, names: Mapping[str, tuple[str, ...]], theirs: str) -> str | None:
        name = defaults.first(names.get(theirs, ()), self._all())
        return self._all()[name] if name is not None else None

    def _resolved(self, value: Any) -> Secret | str:
        """Return a Secret, or the name of the environment variable that holds it."""
        text = str(value)
        if text.startswith(ENV) and (name := text.removeprefix(ENV)) not in self.variables:
            return name
        return Secret(self._value(text).encode())

    def _value(self, value: Any) -> str:
        """Return a value, or what the variable says that it names; the reference where the variable is not set."""
        text = str(value)
        return self._all().get(text.removeprefix(ENV)) or text if text.startswith(ENV) else text

    def text(self, value: Any, path: str) -> str | None:
        """Return a setting that is no secret, also where a variable says it; None for nothing. Raises EntryError."""
        if value is None or value == "":
            return None
        text = self._value(value)
        if text.startswith(ENV):
            name = text.removeprefix(ENV)
            raise EntryError(
                path, f"stands in the environment variable {name}, which is not set here: set it, and import again"
            )
        return text


def _foundry(spec: schema.Provider, base: str, model: str) -> str:
    """Return where a resource of Microsoft Foundry is asked: Claude in its own dialect, all others at the v1 API
    ("Endpoints for Microsoft Foundry Models"; anthropic SDK, `lib/foundry.py`; read 2026-11-27)."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if not host.endswith(".services.ai.azure.com"):
        return base
    if model.startswith("claude"):
        spec.dialect = "anthropic"
        return f"https://{host}/anthropic/v1"
    spec.dialect, spec.auth = "openai", "api-key"
    return f"https://{host}/openai/v1"


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
