"""Where a credential may be sent: parsed once, strictly, and sealed with the secret (docs/invariants.md C1). Level 1."""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from switchgear.core import path_rule
from switchgear.core.text import shown

AZURE_HOST = ".openai.azure.com"
AUTH_HEADERS = {
    "x-api-key": b"x-api-key: ",
    "api-key": b"api-key: ",
    "x-goog-api-key": b"x-goog-api-key: ",
    "bearer": b"authorization: Bearer ",
}
"""Schemes that present the secret itself in a header; `header:NAME` is any other header."""
AUTH_SCHEMES = frozenset(
    {
        *(*AUTH_HEADERS, "none", "query"),
        *("sigv4", "instance_role", "web_identity", "google", "workload_identity"),
        *("entra", "entra_federated", "managed_identity", "oauth"),
    }
)
"""How a secret is presented. `query`: as the parameter `key`; the last nine compute or fetch what they present
(vault/auth.py)."""
FEDERATED = frozenset({"web_identity", "workload_identity", "entra_federated"})
"""Schemes that trade a token of the platform's for one of the provider's. The platform keeps that token current in a file of the
folder of `serve --identity-dir`; `auth_parameters: {token: NAME}` names the file."""
KEYLESS = frozenset({"none", "instance_role", "managed_identity"}) | FEDERATED
"""Schemes without a secret of ours."""
_AUTH_HEADER = re.compile(r"header:[a-z][a-z0-9-]{1,63}")
_QUERY = re.compile(r"([a-z-]+=[A-Za-z0-9._-]+)?")

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)*")
"""Registered names (RFC 3986 §3.2.2) of letters, digits, hyphens and underscores: names of services in a Compose file have
underscores, and its resolver answers them (compose-spec, "services": `^[a-zA-Z0-9._-]+$`; read 2026-11-27)."""
_IPV4 = re.compile(r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}")
_IPV6 = re.compile(r"[0-9a-f:]{2,39}")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One place: scheme, host, port, a path prefix without trailing slash, and how the secret is presented there."""

    scheme: Literal["https", "http"]
    host: str
    port: int
    path_prefix: str = ""
    auth: str = "bearer"
    allow_private: bool = False
    query: str = ""
    """A query that every request carries, e.g. "api-version=2024-10-21"."""
    auth_parameters: tuple[tuple[str, str], ...] = ()
    """What the scheme needs beside the secret: region and service, role, tenant, scope, or the address that gives tokens."""
    passthrough: tuple[str, ...] = ()
    """Raw methods and paths that the vault lets through besides inference (policies/passthrough.py)."""
    tls_trust: str = "system"
    proxy: str = ""
    """HOST:PORT of an HTTP proxy that connects there (RFC 9110 §9.3.6)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Header fields that every request carries; the vault writes them, and a client's own of these names do not go there."""

    @property
    def url(self) -> str:
        """The base URL in canonical form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        port = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path_prefix}"

    @property
    def host_header(self) -> bytes:
        """The Host field's value."""
        return self.url.split("://", 1)[1].split("/", 1)[0].encode("ascii")


def is_auth(scheme: str) -> bool:
    """Tell whether a word names a way to present a secret."""
    if scheme in AUTH_SCHEMES:
        return True
    name = scheme.removeprefix("header:")
    return _AUTH_HEADER.fullmatch(scheme) is not None and name not in _WRITTEN and not name.startswith(_RESERVED)


def _hint(parts: SplitResult) -> str:
    """Return what to write instead of a base URL with more than an address in it."""
    host = parts.hostname or ""
    if host.endswith(AZURE_HOST):
        version = next((value for key, value in parse_qsl(parts.query) if key == "api-version"), "")
        said = f", api_version: {version}" if re.fullmatch(r"[A-Za-z0-9.-]{1,32}", version) else ""
        name = re.match(r"/openai/deployments/([^/]+)", parts.path)
        model = f", and {name.group(1)} as the deployment's model" if name is not None else ""
        return f": write kind: azure, resource: {host.removesuffix(AZURE_HOST)}{said}{model}"
    if "@" in parts.netloc:
        return ": a secret is given with `credentials`"
    return ": leave it out; a key in the query is `auth: query` with a credential" if parts.query else ""


_FIELD = re.compile(r"[a-z][a-z0-9-]{0,63}")
_FIELD_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?")
_WRITTEN = frozenset(
    {
        *("host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding"),
        *("te", "trailer", "upgrade", "expect"),
        *("accept-encoding", "user-agent", "keep-alive", "via", "forwarded", "traceparent", "x-client-request-id"),
    }
)
"""Fields that frame a request, or that the gateway writes itself: neither a provider's `headers` nor its `auth` name them."""
_SECRETS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
_RESERVED = ("proxy-", "x-amz-")
"""Fields of a proxy's, and those that sign a request (AWS Signature Version 4: "include the host header and any x-amz-* headers";
Bedrock's own begin with `x-amzn-`)."""
HEADERS_MAX = 16
PREFIX_CHARS_MAX = 1_024
QUERY_CHARS_MAX = 256
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_PARAMETER_VALUE = re.compile(r"[\x20-\x7e]{0,2048}")
PASSTHROUGH_MAX = 128
PARAMETERS_MAX = 16
SIZE_BYTES_MAX = 40_960
"""Of an endpoint as a whole: it goes to the vault in one frame of 64 KiB, beside a sealed secret of 16 KiB at most."""


def check_header(name: str, value: str) -> str | None:
    """Say why a header field cannot be sent with every request, None where it can. A secret is a credential's."""
    if not _FIELD.fullmatch(name) or name.startswith("proxy-"):
        return f"{name[:80]!r} must be a header's name in lower case"
    if name in _WRITTEN or name in _SECRETS or name.startswith(_RESERVED):
        secret = "a secret is given with `credentials` and `auth`" if "key" in name or name == "authorization" else ""
        return f"{name!r} is the gateway's to write" + (f": {secret}" if secret else "")
    return (
        None if _FIELD_VALUE.fullmatch(value) else f"the value of {name!r} must be 1 to 1024 printable ASCII characters"
    )


def _is_host(host: str) -> bool:
    if (_IPV6 if ":" in host else _IPV4).fullmatch(host):
        return True
    looks_numeric = re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]+", host) is not None
    return not looks_numeric and _HOST.fullmatch(host) is not None


def _is_prefix(path: str) -> bool:
    return _PATH.fullmatch(path) is not None and "/.." not in path and "/./" not in path + "/"


def parse(
    base_url: str,
    *,
    auth: str = "bearer",
    allow_private: bool = False,
    query: str = "",
    auth_parameters: dict[str, str] | None = None,
) -> Endpoint:
    """Parse a base URL such as "https://api.openai.com/v1".

    Refuses user info, query, fragment, odd spellings of addresses, anything but ASCII, and plain http to a place that
    is not declared private. Raises ValueError with a sentence that names the URL.
    """
    if not is_auth(auth):
        raise ValueError(f"auth: {auth!r} must be one of {', '.join(sorted(AUTH_SCHEMES))}, or header:NAME")
    if not _QUERY.fullmatch(query):
        raise ValueError(f"{query!r} is not one plain query parameter")
    if not base_url.isascii() or any(c in base_url for c in "\\ \t\r\n%"):
        raise ValueError(f"{base_url!r} has characters that a base URL may not have")
    parts = urlsplit(base_url)
    if parts.scheme not in {"https", "http"}:
        raise ValueError(f"{base_url!r} must begin with https:// (or http:// with allow_private)")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in base_url or "#" in base_url:
        raise ValueError(f"{base_url!r} must not hold user info, a query or a fragment{_hint(parts)}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"{base_url!r} has no valid port") from None
    host = (parts.hostname or "").rstrip(".")
    if not _is_host(host):
        hint = "; nothing is put in for ${…}: write {env: NAME} instead of the whole text" if "$" in base_url else ""
        raise ValueError(f"{base_url!r} has no valid host name or address{hint}")
    path = parts.path.rstrip("/")
    if not _is_prefix(path):
        raise ValueError(f"{base_url!r} has a path that is not plain segments")
    if parts.scheme == "http" and not allow_private:
        raise ValueError(f"{base_url!r} is not encrypted: use https://, or say allow_private for a server of your own")
    return Endpoint(
        scheme="https" if parts.scheme == "https" else "http",
        host=host,
        port=port or (443 if parts.scheme == "https" else 80),
        path_prefix=path,
        auth=auth,
        allow_private=allow_private,
        query=query,
        auth_parameters=tuple(sorted((auth_parameters or {}).items())),
    )


def proxy_of(text: str) -> str | None:
    """Return a proxy's HOST:PORT; None for what is no proxy's URL."""
    try:
        place = parse(text, auth="none", allow_private=True)
    except ValueError:
        return None
    if place.scheme != "http" or place.path_prefix:
        return None
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def check(place: Endpoint) -> str | None:
    """Say what no parser of ours makes of an endpoint, or what could not be sent; None when it may be used.

    Whoever is handed an endpoint asks this first: control what comes by the admin API, the vault and the courier what they are
    asked to open. What passes splits no request head, and goes to the vault in a frame.
    """
    return next(_wrong(place), None)


def _wrong(place: Endpoint) -> Iterator[str]:
    if not _is_host(place.host):
        yield f"host: {shown(place.host)} is no host name or address"
    if not 1 <= place.port <= 65_535:
        yield "port: it must be 1 to 65535"
    if place.scheme == "http" and not place.allow_private:
        yield "scheme: http is not encrypted: use https, or say allow_private for a server of your own"
    if len(place.path_prefix) > PREFIX_CHARS_MAX or not _is_prefix(place.path_prefix):
        yield f"path_prefix: {shown(place.path_prefix)} is not plain segments"
    if len(place.query) > QUERY_CHARS_MAX or not _QUERY.fullmatch(place.query):
        yield f"query: {shown(place.query)} is not one plain query parameter"
    if not is_auth(place.auth):
        yield f"auth: {shown(place.auth)} must be one of {', '.join(sorted(AUTH_SCHEMES))}, or header:NAME"
    if place.proxy and proxy_of(f"http://{place.proxy}") != place.proxy:
        yield f"proxy: {shown(place.proxy)} must be HOST:PORT"
    yield from _wrong_parameters(place.auth_parameters)
    yield from _wrong_headers(place)
    if len(place.passthrough) > PASSTHROUGH_MAX:
        yield f"passthrough: at most {PASSTHROUGH_MAX} rules can be given"
    for wrong in map(path_rule.check_rule, place.passthrough):
        if wrong is not None:
            yield f"passthrough: {wrong}"
    if place.tls_trust != "system" and not (place.tls_trust.isascii() and "BEGIN CERTIFICATE" in place.tls_trust):
        yield "tls_trust: it must be `system`, or PEM certificates in ASCII"
    if len(msgspec.msgpack.encode(place)) > SIZE_BYTES_MAX:
        yield f"it has more than {SIZE_BYTES_MAX} bytes as a whole: certificates, headers, rules"


def _wrong_parameters(given: tuple[tuple[str, str], ...]) -> Iterator[str]:
    if len(given) > PARAMETERS_MAX or len(dict(given)) != len(given):
        yield f"auth_parameters: at most {PARAMETERS_MAX} can be given, each once"
    for name, value in given:
        if not _PARAMETER.fullmatch(name):
            yield f"auth_parameters: {shown(name)} is no parameter's name"
        if not _PARAMETER_VALUE.fullmatch(value):
            yield f"auth_parameters: the value of {shown(name)} must be at most 2048 printable ASCII characters"


def _wrong_headers(place: Endpoint) -> Iterator[str]:
    if len(place.headers) > HEADERS_MAX:
        yield f"headers: at most {HEADERS_MAX} header fields can be set"
    seen = {place.auth.removeprefix("header:")} if place.auth.startswith("header:") else set()
    for name, value in place.headers:
        wrong = check_header(name, value)
        if wrong is not None:
            yield f"headers: {wrong}"
        if name in seen:
            yield f"headers: {name!r} is set twice, or presents the credential (`auth`)"
        seen.add(name)
