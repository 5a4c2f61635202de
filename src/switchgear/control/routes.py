"""The admin API as one typed table: method, path, permission, body type, handler. Level 5.

A route without a permission does not exist: the type demands one, and start-up checks it against the roles. Handlers get a
Call and return plain values; errors are exceptions of core.errors.
"""

import datetime
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec

from switchgear.config.compile import NAME, Compiled, ProviderSpec, parse_time
from switchgear.control import findings, metrics
from switchgear.control.absorber import Absorber
from switchgear.control.checkup import Checkup
from switchgear.control.gateway import OVERLAP_MS, Gateway
from switchgear.core.errors import UserError
from switchgear.core.ids import request_id_floor
from switchgear.core.money import format_usd, parse_usd
from switchgear.detect.finding import Finding
from switchgear.ledger import record
from switchgear.policies import passthrough
from switchgear.pricing.price import Price, per_mtok
from switchgear.providers.catalogue import PROVIDERS
from switchgear.routing.table import ModelEntry
from switchgear.store import ledger_rows, objects
from switchgear.store.ledger_rows import LogFilter
from switchgear.store.objects import KeyRow
from switchgear.store.tables import SUMS
from switchgear.vault.box import Put

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": frozenset({"*"}),
    "admin": frozenset(
        {
            "status:read",
            "keys:read",
            "keys:write",
            "providers:read",
            "providers:write",
            "credentials:read",
            "credentials:write",
            "models:read",
            "models:write",
            "usage:read",
            "log:read",
            "prices:read",
            "prices:write",
            "config:read",
            "config:write",
            "freeze:write",
            "metrics:read",
            "tokens:read",
            "findings:read",
            "findings:write",
        }
    ),
    "billing-reader": frozenset({"status:read", "usage:read", "prices:read"}),
    "auditor": frozenset(
        {
            "status:read",
            "keys:read",
            "providers:read",
            "credentials:read",
            "models:read",
            "log:read",
            "usage:read",
            "config:read",
            "tokens:read",
            "findings:read",
        }
    ),
    "viewer": frozenset({"status:read", "models:read", "usage:read", "metrics:read"}),
}


Span = Annotated[int, msgspec.Meta(ge=0, le=3650 * DAY_MS)]
"""Milliseconds, at most ten years."""


class KeyCreate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /keys."""

    name: str
    team: str | None = None
    user: str | None = None
    project: str | None = None
    models: list[str] | None = None
    cidrs: list[str] | None = None
    tags: list[str] | None = None
    passthrough: list[str] | None = None
    expires: str | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of a key that clients hold already (of another gateway): none is made then, and none returned."""
    spent_nanousd: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    """With `sha256`: what the key spent before it came here."""


class KeyChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PATCH /keys/{name}: only what is given changes; null clears."""

    team: str | msgspec.UnsetType | None = msgspec.UNSET
    user: str | msgspec.UnsetType | None = msgspec.UNSET
    project: str | msgspec.UnsetType | None = msgspec.UNSET
    models: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    cidrs: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    passthrough: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    expires: str | msgspec.UnsetType | None = msgspec.UNSET
    version: int | None = None


class KeyRotate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /keys/{name}/rotate."""

    overlap_ms: Span = OVERLAP_MS
    force: bool = False


class CredentialPut(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /credentials: sealed by the caller with the vault's public key."""

    put: Put
    provider: ProviderSpec | None = None


class Freeze(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /freezes."""

    subject: str
    for_ms: Span | None = None


class PriceSet(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /prices."""

    name: str
    price: Price


class ConfigApply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /config: compiled and sealed by the caller."""

    compiled: Compiled
    puts: list[Put]


class LinkUse(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /setup."""

    token: str


class Call:
    """One call of the API."""

    def __init__(self, app: "Api", actor: str, path: dict[str, str], query: dict[str, str], body: Any) -> None:
        self.app = app
        self.gateway = app.gateway
        self.actor = actor
        self.path = path
        self.query = query
        self.body = body

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number of the query. Raises UserError."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 20) or not low <= int(text) <= high:
            raise UserError(f"{name}={text!r} must be a number between {low} and {high}", "", 2)
        return int(text)


class Api:
    """What handlers reach."""

    def __init__(
        self, gateway: Gateway, absorber: Absorber, status: Callable[[], dict[str, Any]], checkup: Checkup
    ) -> None:
        self.gateway = gateway
        self.absorber = absorber
        self.checkup = checkup
        self.status = status
        self.openapi: dict[str, Any] = {}
        """The document that describes this API; filled by whoever serves it."""


Handler = Callable[[Call], Awaitable[Any]]


class Route(msgspec.Struct, frozen=True):
    """One row of the table."""

    method: str
    path: str
    permission: str
    """`public` only for what must work before anybody has signed in."""
    handler: Handler
    body: Any = None
    query: tuple[str, ...] = ()
    """What the handler reads of the query, for the documentation."""
    content_type: str = "application/json"
    """Of the answer. A handler whose answer is not JSON returns bytes."""


# Status


async def get_openapi(call: Call) -> Any:
    """This document."""
    return call.app.openapi


async def get_metrics(call: Call) -> Any:
    """Metrics in Prometheus's text format."""
    findings = len(await call.gateway.read(ledger_rows.quarantined))
    return metrics.render(
        metrics.Collector(call.app.status, lambda: dict(call.app.absorber.traffic), findings, call.app.checkup.counts())
    )


async def get_status(call: Call) -> Any:
    """State of the processes, the ledger and the configuration."""
    return call.app.status()


async def get_doctor(call: Call) -> Any:
    """What should be otherwise, as far as control can see: keys, credentials, prices, backlog, disk, clock, versions."""
    return {"findings": await call.app.checkup.look(), "time_ms": call.app.checkup.last_ms}


# Keys


def _key(row: KeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "source": row.source,
        "team": row.team,
        "user": row.user,
        "project": row.project,
        "models": row.models,
        "cidrs": row.cidrs,
        "tags": row.tags or [],
        "passthrough": row.passthrough or [],
        "expires_ms": row.expires_ms,
        "revoked_ms": row.revoked_ms,
        "created_ms": row.created_ms,
        "secrets": len(row.secrets),
    }


def _expires(text: str | None) -> int | None:
    if text is None:
        return None
    found = parse_time(text)
    if found is None:
        raise UserError(f"{text!r} is not an ISO 8601 date or time", "e.g. 2027-01-31 or 2027-01-31T12:00:00Z", 2)
    return found


def _check_key(name: str | None, models: Any, cidrs: Any, texts: list[Any], rules: Any) -> None:
    if name is not None and not NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters", "", 2)
    for text in texts:
        if isinstance(text, str) and (not text or len(text) > 64 or not text.isprintable()):
            raise UserError(f"{text[:80]!r} must have 1 to 64 printable characters", "", 2)
    for cidr in cidrs or ():
        try:
            ipaddress.ip_network(cidr)
        except ValueError as exc:
            raise UserError(str(exc), "write networks such as 10.0.0.0/8", 2) from None
    for rule in rules or ():
        wrong = passthrough.check_key_rule(rule)
        if wrong is not None:
            raise UserError(wrong, "", 2)
    for model in models or ():
        if not model or len(model) > 256:
            raise UserError(f"{model[:80]!r} is not a model name", "", 2)


async def list_keys(call: Call) -> Any:
    """All keys, never a secret."""
    return {"keys": [_key(row) for row in await call.gateway.read(objects.keys)]}


async def create_key(call: Call) -> Any:
    """A new key; `key` is shown this once."""
    body: KeyCreate = call.body
    _check_key(
        body.name, body.models, body.cidrs, [body.team, body.user, body.project, *(body.tags or [])], body.passthrough
    )
    row = KeyRow(
        id="",
        name=body.name,
        team=body.team,
        user=body.user,
        project=body.project,
        models=body.models,
        cidrs=body.cidrs,
        tags=body.tags,
        passthrough=body.passthrough,
        expires_ms=_expires(body.expires),
    )
    if body.sha256 is not None:
        made = await call.gateway.import_key(row, bytes.fromhex(body.sha256), body.spent_nanousd or 0, call.actor)
        call.app.absorber.touched.add(made.id)  # so that its spend is published at once
        return _key(made)
    made, token = await call.gateway.create_key(row, call.actor)
    return {**_key(made), "key": token}


async def get_key(call: Call) -> Any:
    """One key, with what it spent: here, and before it came here."""
    row = await call.gateway.find_key(call.path["name"])
    before, here = await call.gateway.spent(row)
    spent = {"spent_before_nanousd": before, "spent_nanousd": before + here, "spent_usd": format_usd(before + here)}
    return {**_key(row), **spent}


async def change_key(call: Call) -> Any:
    """Change a key."""
    body: KeyChange = call.body
    changes = {
        name: value
        for name in ("team", "user", "project", "models", "cidrs", "tags", "passthrough")
        if (value := getattr(body, name)) is not msgspec.UNSET
    }
    _check_key(
        None,
        changes.get("models"),
        changes.get("cidrs"),
        [changes.get("team"), changes.get("user"), changes.get("project"), *(changes.get("tags") or [])],
        changes.get("passthrough"),
    )
    if body.expires is not msgspec.UNSET:
        changes["expires_ms"] = _expires(body.expires)
    return _key(await call.gateway.change_key(call.path["name"], changes, call.actor, body.version))


async def rotate_key(call: Call) -> Any:
    """A new secret for a key; the old one holds until the overlap ends."""
    row, token = await call.gateway.rotate_key(call.path["name"], call.body.overlap_ms, call.body.force, call.actor)
    return {**_key(row), "key": token}


async def revoke_key(call: Call) -> Any:
    """Revoke a key."""
    return _key(await call.gateway.revoke_key(call.path["name"], call.actor))


# Providers and credentials


def _provider(spec: ProviderSpec, source: str, credentials: list[str]) -> dict[str, Any]:
    return {
        "name": spec.name,
        "source": source,
        "dialects": list(spec.dialects),
        "base_url": spec.endpoint.url,
        "auth": spec.endpoint.auth,
        "allow_private": spec.endpoint.allow_private,
        "pricing": spec.pricing_id,
        "credentials": credentials,
        "spec": spec,
    }


async def list_providers(call: Call) -> Any:
    """Configured providers, and the names that the catalogue knows."""
    gateway = call.gateway
    specs = await gateway.all_providers()
    in_file = {p.name for p in gateway.compiled.providers}
    have: dict[str, list[str]] = {}
    for credential in gateway.credentials:
        if credential.state == "active":
            have.setdefault(credential.provider, []).append(credential.name)
    rows = [
        _provider(spec, "file" if name in in_file else "store", have.get(name, []))
        for name, spec in sorted(specs.items())
    ]
    return {"providers": rows, "catalogue": sorted(PROVIDERS)}


async def add_provider(call: Call) -> Any:
    """A provider for the store."""
    await call.gateway.add_provider(call.body, call.actor)
    return {"name": call.body.name}


async def remove_provider(call: Call) -> Any:
    """Remove a provider and its credentials."""
    await call.gateway.remove_provider(call.path["name"], call.actor)
    return {"name": call.path["name"]}


async def list_credentials(call: Call) -> Any:
    """What may be told of credentials: never a secret."""
    return {"credentials": call.gateway.credentials}


async def put_credential(call: Call) -> Any:
    """Hand a sealed credential to the vault."""
    body: CredentialPut = call.body
    return await call.gateway.put_credential(body.put, body.provider, call.actor)


def _change_credential(verb: str) -> Handler:
    async def handler(call: Call) -> Any:
        name = f"{call.path['provider']}/{call.path['name']}"
        return await call.gateway.change_credential(verb, name, call.actor)

    handler.__doc__ = f"{verb.capitalize()} a credential."
    return handler


class _TestResult(msgspec.Struct):
    ok: bool
    message: str


async def test_credential(call: Call) -> Any:
    """One cheap authenticated call with a credential."""
    name = f"{call.path['provider']}/{call.path['name']}"
    return await call.gateway.ask_vault("test", {"id": name}, _TestResult)


# Models, prices


async def list_models(call: Call) -> Any:
    """Configured models and the providers that are callable as provider/model."""
    snapshot = call.gateway.snapshot
    if snapshot is None:
        return {"models": [], "implicit": []}
    in_file = {m.name for m in call.gateway.compiled.models}
    rows = [
        {
            "name": m.name,
            "source": "file" if m.name in in_file else "store",
            "alias": m.alias,
            "deployments": [f"{d.provider}/{d.model}" for d in m.deployments],
            "fallback": list(m.fallback),
        }
        for _, m in sorted(snapshot.table.models.items())
    ]
    implicit = [f"{p.name}/*" for p in snapshot.table.providers.values() if p.credentials and snapshot.table.implicit]
    return {"models": rows, "implicit": sorted(implicit)}


async def add_model(call: Call) -> Any:
    """A model for the store."""
    await call.gateway.add_model(call.body, call.actor)
    return {"name": call.body.name}


async def remove_model(call: Call) -> Any:
    """Remove a model."""
    await call.gateway.remove_model(call.path["name"], call.actor)
    return {"name": call.path["name"]}


async def explain_model(call: Call) -> Any:
    """Where a request would go, and why."""
    return await call.gateway.explain(call.query.get("model", ""), call.query.get("key"))


def _price(name: str, price: Price) -> dict[str, Any]:
    def usd(nano: int) -> str:
        return format_usd(nano).rstrip("0").rstrip(".")

    rates = {
        meter: {
            "usd_per_mtok": usd(rate.base),
            "tiers": [{"above_input_tokens": s, "usd_per_mtok": usd(p)} for s, p in rate.tiers],
        }
        for meter, rate in price.rates.items()
    }
    return {
        "model": name,
        "matched": price.model,
        "source": price.source,
        "id": price.id,
        "discount_percent": price.discount_bp / 100,
        "rates": rates,
        "units": {name: text for name, text in per_mtok(price).items() if not name.endswith("_per_mtok")},
        "service_tiers": sorted(price.tiers),
    }


async def show_price(call: Call) -> Any:
    """The price of provider/model as requests are charged."""
    name = call.query.get("model", "")
    price = call.gateway.find_price(name)
    if price is None:
        raise UserError(
            f"{name!r} has no known price", "set one: switchgear price set PROVIDER/MODEL --input … --output …"
        )
    return _price(name, price)


async def list_prices(call: Call) -> Any:
    """Overrides, and what the snapshot has for a provider."""
    gateway = call.gateway
    provider = call.query.get("provider")
    names = sorted(gateway.snapshot.price_overrides) if gateway.snapshot is not None else []
    if provider is not None:
        entry = PROVIDERS.get(provider)
        spec = (await gateway.all_providers()).get(provider)
        pricing_id = spec.pricing_id if spec is not None else (entry.pricing_id if entry is not None else None)
        names = [n for n in names if n.startswith(provider + "/")]
        names += [f"{provider}/{info.id}" for info in (gateway.catalog.models(pricing_id) if pricing_id else [])]
    rows = [_price(name, price) for name in dict.fromkeys(names) if (price := gateway.find_price(name)) is not None]
    return {"prices": rows, "snapshot": gateway.price_snapshot}


async def set_price(call: Call) -> Any:
    """Put a price over the shipped one."""
    await call.gateway.set_price(call.body.name, call.body.price, call.actor)
    return _price(call.body.name, call.body.price)


# Ledger


async def get_usage(call: Call) -> Any:
    """Sums by some dimensions over a time."""
    by = [name for name in call.query.get("by", "").split(",") if name]
    for name in by:
        if name not in ledger_rows.GROUPS:
            raise UserError(f"usage cannot be grouped by {name!r}", f"known are {', '.join(ledger_rows.GROUPS)}", 2)
    now = call.gateway.clock.wall_ms()
    since = call.number("since_ms", now - 30 * DAY_MS, 0, 1 << 50)
    until = call.number("until_ms", now + HOUR_MS, 0, 1 << 50)
    where = {
        name: call.query[name] for name in ledger_rows.GROUPS if name in call.query and name not in {"day", "hour"}
    }
    hours = since // HOUR_MS, -(-until // HOUR_MS)
    rows = await call.gateway.read(lambda c: ledger_rows.sum_usage(c, by, *hours, where))
    total = (await call.gateway.read(lambda c: ledger_rows.sum_usage(c, [], *hours, where)))[0]
    return {"rows": [_usage(row, by) for row in rows] if by else [], "total": _usage(total, [])}


async def verify_ledger(call: Call) -> Any:
    """Add everything up again."""
    now = call.gateway.clock.wall_ms()
    since = call.number("since_ms", now - 31 * DAY_MS, 0, 1 << 50)
    until = call.number("until_ms", now + HOUR_MS, 0, 1 << 50)
    return await call.gateway.verify_ledger(since // HOUR_MS, -(-until // HOUR_MS))


def _usage(row: dict[str, Any], by: list[str]) -> dict[str, Any]:
    group: dict[str, Any] = {}
    for name in by:
        value = row[f"group_{name}"]
        if name == "day":
            value = record_time(int(value) * DAY_MS)[:10]
        elif name == "hour":
            value = record_time(int(value) * HOUR_MS)
        group[name] = value or None
    sums = {name: int(row[name] or 0) for name in SUMS}
    return {"group": group, **sums, "cost_usd": format_usd(sums["cost_nanousd"])}


def record_time(ms: int) -> str:
    """RFC 3339 of milliseconds."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def list_log(call: Call) -> Any:
    """Records, newest first; `cursor` goes on, `after` follows."""
    query = call.query
    limit = call.number("limit", 50, 1, 1000)
    try:
        cost = parse_usd(query["min_cost"]) if "min_cost" in query else None
    except ValueError as exc:
        raise UserError(f"min_cost: {exc}", "write USD, e.g. 0.01", 2) from None
    wanted = LogFilter(
        key=query.get("key"),
        team=query.get("team"),
        user=query.get("user"),
        project=query.get("project"),
        model=query.get("model"),
        provider=query.get("provider"),
        status=call.number("status", 0, 100, 599) if "status" in query else None,
        outcome=query.get("outcome"),
        since_id=request_id_floor(call.number("since_ms", 0, 0, 1 << 47)) if "since_ms" in query else None,
        until_id=request_id_floor(call.number("until_ms", 0, 0, 1 << 47)) if "until_ms" in query else None,
        min_cost_nanousd=cost,
        min_latency_ms=call.number("slow_ms", 0, 0, 1 << 31) if "slow_ms" in query else None,
    )
    found = await call.gateway.read(
        lambda c: call.gateway.records(
            c, ledger_rows.list_requests(c, wanted, limit, query.get("cursor"), query.get("after"))
        )
    )
    records = [record.full(one) for one in found]
    for name, pick in (
        ("end_user", lambda r: r["end_user"] and r["end_user"].id),
        ("client", lambda r: r["client"] and r["client"].tool),
    ):
        if name in query:
            records = [r for r in records if pick(r) == query[name]]  # type: ignore[no-untyped-call]
    more = len(found) == limit
    return {"records": records, "next": found[-1].id if more else None}


async def get_log(call: Call) -> Any:
    """One record."""
    wanted = call.path["id"]
    found = await call.gateway.read(
        lambda c: call.gateway.records(c, [row] if (row := ledger_rows.get_request(c, wanted)) is not None else [])
    )
    if not found:
        raise UserError(
            f"there is no record {call.path['id']!r}", "records appear within a second; see switchgear log list"
        )
    return record.full(found[0])


# Configuration, freezes, links


async def get_config(call: Call) -> Any:
    """The configuration in force, without secrets."""
    return {"compiled": call.gateway.compiled}


async def apply_config(call: Call) -> Any:
    """Replace the file configuration."""
    await call.gateway.apply(call.body.compiled, call.body.puts, call.actor)
    return {"digest": call.body.compiled.digest}


_SUBJECTS = ("key", "user", "team", "project", "model", "credential", "provider")


async def freeze(call: Call) -> Any:
    """Stop a subject at once."""
    subject = call.body.subject
    kind, _, name = subject.partition(":")
    if subject != "all" and (kind not in _SUBJECTS or not name):
        raise UserError(f"{subject!r} cannot be frozen", f"use all, or one of {', '.join(_SUBJECTS)} with a name", 2)
    if kind == "key":
        subject = f"key:{(await call.gateway.find_key(name)).name}"
    until = None if call.body.for_ms is None else call.gateway.clock.wall_ms() + call.body.for_ms
    await call.gateway.freeze(subject, until, call.actor)
    return {"subject": subject, "until_ms": until}


async def unfreeze(call: Call) -> Any:
    """Let a subject go on."""
    await call.gateway.unfreeze(call.path["subject"], call.actor)
    return {"subject": call.path["subject"]}


async def admin_link(call: Call) -> Any:
    """A one-time link to the console."""
    return {"token": await call.gateway.admin_link()}


async def use_link(call: Call) -> Any:
    """Trade a one-time link for a session."""
    session = await call.gateway.use_link(call.body.token)
    if session is None:
        raise UserError("this link was used already or has expired", "make a new one: switchgear admin link")
    return {"token": session}


# Tokens


class TokenCreate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /tokens."""

    name: str
    role: str
    expires: str | None = None


async def create_token(call: Call) -> Any:
    """A token for automation; `token` is shown this once."""
    body: TokenCreate = call.body
    if not NAME.fullmatch(body.name):
        raise UserError(
            f"{body.name[:80]!r} is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters", "", 2
        )
    if body.role not in PERMISSIONS:
        raise UserError(f"there is no role {body.role[:64]!r}", f"roles are {', '.join(PERMISSIONS)}", 2)
    expires_ms = _expires(body.expires)
    token = await call.gateway.create_token(body.name, body.role, expires_ms, call.actor)
    return {"name": body.name, "role": body.role, "expires_ms": expires_ms, "token": token}


async def list_tokens(call: Call) -> Any:
    """Tokens for automation, never their values."""
    return {"tokens": await call.gateway.read(objects.tokens)}


async def revoke_token(call: Call) -> Any:
    """Revoke a token for automation; it holds for the next request."""
    await call.gateway.revoke_token(call.path["name"], call.actor)
    return {"name": call.path["name"]}


# Findings


Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Recognise(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /recognise: SHA-256 digests of keys that were found somewhere."""

    digests: Annotated[list[Digest], msgspec.Meta(max_length=10_000)]


class FindingsRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /findings: a run of `discover`."""

    findings: Annotated[list[Finding], msgspec.Meta(max_length=findings.STORED_MAX)]
    sources: Annotated[str, msgspec.Meta(max_length=2_000)]
    partial: bool


class FindingDecide(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PATCH /findings/{id}."""

    state: Literal["open", "accepted"]
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    until: str | None = None


async def recognise(call: Call) -> Any:
    """Which of these keys this gateway issued or holds."""
    return {"known": await findings.recognise(call.gateway, call.body.digests)}


async def list_findings(call: Call) -> Any:
    """Stored findings with their states."""
    now = call.gateway.clock.wall_ms()
    return {"findings": await call.gateway.read(lambda c: findings.everything(c, now))}


async def record_findings(call: Call) -> Any:
    """Store what a run of `discover` found; what it no longer has is fixed."""
    body: FindingsRecord = call.body
    now = call.gateway.clock.wall_ms()
    return await call.gateway.write(
        lambda c: findings.record(c, body.findings, body.sources, body.partial, call.actor, now)
    )


async def decide_finding(call: Call) -> Any:
    """Accept a finding with a reason until a date, or open it again."""
    body: FindingDecide = call.body
    now = call.gateway.clock.wall_ms()
    until = _expires(body.until)
    return await call.gateway.write(
        lambda c: findings.decide(c, call.path["id"], body.state, body.reason, until, call.actor, now)
    )


P = "/api/v1"
_SPAN = ("since_ms", "until_ms")
_LOG_QUERY = (
    *("limit", "cursor", "after", "key", "team", "user", "project", "model", "provider", "status", "outcome"),
    *("min_cost", "slow_ms", "end_user", "client", *_SPAN),
)
_WHERE = tuple(name for name in ledger_rows.GROUPS if name not in {"day", "hour"})
ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/openapi.json", "status:read", get_openapi),
    Route("GET", "/metrics", "metrics:read", get_metrics, content_type=metrics.CONTENT_TYPE),
    Route("GET", f"{P}/status", "status:read", get_status),
    Route("GET", f"{P}/doctor", "findings:read", get_doctor),
    Route("GET", f"{P}/keys", "keys:read", list_keys),
    Route("POST", f"{P}/keys", "keys:write", create_key, KeyCreate),
    Route("GET", f"{P}/keys/{{name}}", "keys:read", get_key),
    Route("PATCH", f"{P}/keys/{{name}}", "keys:write", change_key, KeyChange),
    Route("POST", f"{P}/keys/{{name}}/rotate", "keys:write", rotate_key, KeyRotate),
    Route("POST", f"{P}/keys/{{name}}/revoke", "keys:write", revoke_key),
    Route("GET", f"{P}/providers", "providers:read", list_providers),
    Route("POST", f"{P}/providers", "providers:write", add_provider, ProviderSpec),
    Route("DELETE", f"{P}/providers/{{name}}", "providers:write", remove_provider),
    Route("GET", f"{P}/credentials", "credentials:read", list_credentials),
    Route("PUT", f"{P}/credentials", "credentials:write", put_credential, CredentialPut),
    Route("POST", f"{P}/credentials/{{provider}}/{{name}}/disable", "credentials:write", _change_credential("disable")),
    Route("POST", f"{P}/credentials/{{provider}}/{{name}}/enable", "credentials:write", _change_credential("enable")),
    Route("DELETE", f"{P}/credentials/{{provider}}/{{name}}", "credentials:write", _change_credential("remove")),
    Route("POST", f"{P}/credentials/{{provider}}/{{name}}/test", "credentials:write", test_credential),
    Route("GET", f"{P}/models", "models:read", list_models),
    Route("POST", f"{P}/models", "models:write", add_model, ModelEntry),
    Route("GET", f"{P}/models/explain", "models:read", explain_model, query=("model", "key")),
    Route("DELETE", f"{P}/models/{{name:path}}", "models:write", remove_model),
    Route("GET", f"{P}/prices", "prices:read", list_prices, query=("provider",)),
    Route("GET", f"{P}/prices/show", "prices:read", show_price, query=("model",)),
    Route("PUT", f"{P}/prices", "prices:write", set_price, PriceSet),
    Route("GET", f"{P}/usage", "usage:read", get_usage, query=("by", *_SPAN, *_WHERE)),
    Route("GET", f"{P}/ledger/verify", "usage:read", verify_ledger, query=_SPAN),
    Route("GET", f"{P}/log", "log:read", list_log, query=_LOG_QUERY),
    Route("GET", f"{P}/log/{{id}}", "log:read", get_log),
    Route("GET", f"{P}/config", "config:read", get_config),
    Route("PUT", f"{P}/config", "config:write", apply_config, ConfigApply),
    Route("POST", f"{P}/freezes", "freeze:write", freeze, Freeze),
    Route("DELETE", f"{P}/freezes/{{subject:path}}", "freeze:write", unfreeze),
    Route("GET", f"{P}/tokens", "tokens:read", list_tokens),
    Route("POST", f"{P}/tokens", "admin:write", create_token, TokenCreate),
    Route("DELETE", f"{P}/tokens/{{name}}", "admin:write", revoke_token),
    Route("POST", f"{P}/recognise", "findings:write", recognise, Recognise),
    Route("GET", f"{P}/findings", "findings:read", list_findings),
    Route("POST", f"{P}/findings", "findings:write", record_findings, FindingsRecord),
    Route("PATCH", f"{P}/findings/{{id}}", "findings:write", decide_finding, FindingDecide),
    Route("POST", f"{P}/admin/link", "admin:write", admin_link),
    Route("POST", f"{P}/setup", "public", use_link, LinkUse),
)
