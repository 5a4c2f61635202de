"""The section `courier`: destinations outside that are no providers, checked. Level 1."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from switchgear.config import schema
from switchgear.providers import endpoint
from switchgear.providers.endpoint import Endpoint

AUTHS = frozenset({"none", "bearer", "x-api-key", "api-key"})
"""Ways to present a secret there; also `header:NAME`."""
DESTINATIONS_MAX = 64
PURPOSES: tuple[Literal["request", "webhook", "relay"], ...] = ("request", "webhook", "relay")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_RELAY = re.compile(r"(tls|tcp)://(\[[0-9a-f:]+\]|[^:/@\s]+):[0-9]{1,5}")
ReadFile = Callable[[str], str | None]


class DestinationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of the configuration."""

    name: str
    purpose: Literal["request", "webhook", "relay"]
    endpoint: Endpoint
    reference: str = ""
    """Where its secret comes from: `env:NAME` or `file:PATH`; empty without one."""


def destination(name: str, spec: schema.Destination, proxy: str, read_file: ReadFile) -> DestinationSpec:
    """Build a destination of which `check` says nothing. Raises ValueError."""
    url = spec.url if spec.url is not None else spec.webhook
    if url is not None:
        place = endpoint.parse(url, auth=spec.auth, allow_private=spec.allow_private)
    else:
        kind, _, where = (spec.relay or "").partition("://")
        scheme = "https" if kind == "tls" else "http"
        place = endpoint.parse(f"{scheme}://{where}", auth="none", allow_private=True)
        place = msgspec.structs.replace(place, allow_private=spec.allow_private)
    trust = "system" if spec.ca_file is None else _pem(spec.ca_file, read_file) or ""
    place = msgspec.structs.replace(place, tls_trust=trust, proxy=proxy)
    wrong = endpoint.check(place)
    if wrong is not None:
        raise ValueError(wrong)
    given = {"request": spec.url, "webhook": spec.webhook, "relay": spec.relay}
    purpose = next(name for name in PURPOSES if given[name] is not None)
    return DestinationSpec(name=name, purpose=purpose, endpoint=place)


def check(courier: schema.Courier, read_file: ReadFile) -> Iterator[tuple[str, str]]:
    """Return (path, message) of all that is wrong with the section."""
    if courier.proxy is not None and endpoint.proxy_of(courier.proxy) is None:
        yield "courier.proxy", f"{courier.proxy[:80]!r} must be http://HOST:PORT"
    if len(courier.destinations) > DESTINATIONS_MAX:
        yield "courier.destinations", f"at most {DESTINATIONS_MAX} destinations can be named"
    for name, spec in courier.destinations.items():
        for key, message in _check_one(name, spec, read_file):
            yield f"courier.destinations.{name}{key}", message


def _check_one(name: str, spec: schema.Destination, read_file: ReadFile) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(name):
        yield "", f"{name[:80]!r} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters"
    if [spec.url, spec.webhook, spec.relay].count(None) != 2:
        yield "", "needs one of `url`, `webhook` and `relay`"
        return
    if spec.auth not in AUTHS and not spec.auth.startswith("header:"):
        yield ".auth", f"{spec.auth[:80]!r} must be one of {', '.join(sorted(AUTHS))}, or header:NAME"
        return
    if spec.webhook is not None:
        if spec.auth != "none":
            yield ".auth", "a webhook presents nothing: what is sent there is signed with its secret"
        if spec.secret is None:
            yield ".secret", "what is sent to a webhook is signed: give its `secret`, whsec_… in base64"
    elif (spec.secret is None) != (spec.auth == "none"):
        yield ".secret", "a secret and a way to present it (`auth`) belong together"
    if spec.relay is not None:
        if spec.auth != "none":
            yield ".auth", "a relay presents nothing: whoever uses it does"
        if not _RELAY.fullmatch(spec.relay):
            yield ".relay", f"{spec.relay[:80]!r} must be tls://HOST:PORT or tcp://HOST:PORT"
            return
        if spec.relay.startswith("tcp:") and not spec.allow_private:
            yield (
                ".relay",
                f"{spec.relay[:80]!r} is not encrypted: use tls://, or say allow_private for a server of your own",
            )
            return
    if spec.ca_file is not None and "BEGIN CERTIFICATE" not in (_pem(spec.ca_file, read_file) or ""):
        yield ".ca_file", f"{spec.ca_file[:80]!r} cannot be read or holds no PEM certificate"
        return
    try:
        destination(name, spec, "", read_file)
    except ValueError as exc:
        yield ".url" if spec.url is not None else ".webhook" if spec.webhook is not None else ".relay", str(exc)


def document(specs: tuple[DestinationSpec, ...]) -> dict[str, object]:
    """Return destinations as they stand in a file."""
    found: dict[str, object] = {}
    proxies = {spec.endpoint.proxy for spec in specs} - {""}
    if proxies:
        found["proxy"] = f"http://{proxies.pop()}"
    if specs:
        found["destinations"] = {spec.name: _document(spec) for spec in specs}
    return found


def _document(spec: DestinationSpec) -> dict[str, object]:
    place = spec.endpoint
    found: dict[str, object] = {}
    if spec.purpose != "relay":
        found["url" if spec.purpose == "request" else "webhook"] = place.url
    else:
        host = f"[{place.host}]" if ":" in place.host else place.host
        found["relay"] = f"{'tls' if place.scheme == 'https' else 'tcp'}://{host}:{place.port}"
    if place.auth != "none":
        found["auth"] = place.auth
    if spec.reference:
        source, _, where = spec.reference.partition(":")
        found["secret"] = {source: where}
    if place.allow_private:
        found["allow_private"] = True
    if place.tls_trust != "system":
        found["ca_file"] = place.tls_trust
    return found


def _pem(text: str, read_file: ReadFile) -> str | None:
    return text if text.startswith("-----BEGIN") else read_file(text)
