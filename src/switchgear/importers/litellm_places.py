"""Where LiteLLM's deployments lead: providers and credentials of ours. Level 2, pure.

A secret becomes a Secret at once and waits for the vault; a reference to an environment variable stays a reference.
"""

import hashlib
import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from switchgear.config import schema
from switchgear.core.secret import Secret
from switchgear.importers.litellm_parts import ENV, Status, slug, unique
from switchgear.providers.catalogue import PROVIDERS

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


class Places:
    """Providers and credentials, made as deployments ask for them."""

    def __init__(self, say: Callable[[Status, str, str], None]) -> None:
        """`say` adds a line to the report."""
        self._say = say
        self.variables: dict[str, str] = {}
        """Environment variables that the file itself sets."""
        self.providers: dict[str, schema.Provider] = {}
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.environment: dict[tuple[str, str], str] = {}
        self._named: dict[bytes, str] = {}
        self._digests: dict[tuple[str, bytes], str] = {}

    def target(self, parameters: dict[str, Any], path: str) -> tuple[str, str] | None:
        """Return (kind of provider, the model's name there), or None when it was listed as unsupported."""
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

    def provider(self, kind: str, parameters: dict[str, Any], path: str) -> tuple[str | None, str | None]:
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
        base = kind if kind != OPEN else slug(urlsplit(spec.base_url or "").hostname or "server")
        wanted = next((part for part in (spec.resource, spec.region, spec.location) if part), None)
        plain = spec.base_url is None and kind in PROVIDERS and wanted is None and spec.auth is None
        name = (
            base if plain or kind == OPEN else slug(f"{base}-{wanted or urlsplit(spec.base_url or '').hostname or '2'}")
        )
        name = unique(name, self.providers)
        if name == kind:
            spec.kind = None
        self.providers[name] = spec
        self._named[wanted_spec] = name
        return name

    def _credential(self, provider: str, key: Any, at: str) -> str | None:
        spec = self.providers[provider]
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

    def _resolved(self, value: Any) -> Secret | str:
        """Return a Secret, or the name of the environment variable that holds it."""
        text = self._value(value)
        return text.removeprefix(ENV) if text.startswith(ENV) else Secret(text.encode())

    def _value(self, value: Any) -> str:
        text = str(value)
        return self.variables.get(text.removeprefix(ENV), text) if text.startswith(ENV) else text

    def _text(self, value: Any, path: str) -> str | None:
        if value is None or value == "":
            return None
        text = str(value)
        if text.startswith(ENV):
            name = text.removeprefix(ENV)
            if name in self.variables:
                return self.variables[name]
            self._say("unsupported", path, f"stands in the environment variable {name}: write its value")
            return None
        return text


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
