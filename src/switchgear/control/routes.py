"""The admin API as one typed table: method, path, permission, body type, handler. Level 5.

The keys, ledger, findings, config, export and store routes have tables of their own, which this one includes.
"""

import functools
from typing import Any

import msgspec

from switchgear.config.compile import NAME, ProviderSpec
from switchgear.control import (
    answers,
    budget_routes,
    config_routes,
    declared,
    export_routes,
    finding_routes,
    holder_routes,
    key_routes,
    ledger_routes,
    metrics,
    status,
    store_routes,
)
from switchgear.control.api import PERMISSIONS, Call, Handler, P, Route, Span, time_of
from switchgear.control.deployments import Deployments, health, shown
from switchgear.control.models import Standing
from switchgear.control.sample import Sample
from switchgear.core.errors import UserError
from switchgear.core.money import format_usd
from switchgear.pricing.price import Price, per_mtok
from switchgear.providers.catalogue import PROVIDERS
from switchgear.routing.table import ModelEntry
from switchgear.store import ledger_rows, objects
from switchgear.vault import verbs
from switchgear.vault.verbs import CredentialName, Metadata, Put
from switchgear.wire.verbs import Verb


class CredentialPut(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /credentials: sealed by the caller with the vault's public key."""

    put: Put
    provider: ProviderSpec | None = None


class Freeze(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /freezes."""

    subject: str
    for_ms: Span | None = None
    force: bool = False
    """Freeze what nobody knows yet."""


class PriceSet(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of PUT /prices."""

    name: str
    price: Price


class LinkUse(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /setup."""

    token: str


# Status


async def get_openapi(call: Call) -> Any:
    """This document."""
    return call.app.openapi


async def get_metrics(call: Call) -> Any:
    """Metrics in Prometheus's text format."""
    findings = len(await call.control.read(ledger_rows.quarantined))
    ingester, traffic = call.services.ingester, call.services.traffic
    in_flight = (*ingester.in_flight(), traffic.connections(ingester.writers))
    look = functools.partial(status.status, call.services)
    exports = metrics.Exports(*await call.services.exports.cursors())
    deployments = call.services.deployments.known
    counts = call.services.checkup.counts()
    opened = call.services.breakers.open
    passed = call.services.thresholds.passed
    return metrics.render(
        metrics.Collector(look, findings, counts, traffic, in_flight, deployments, exports, opened, passed)
    )


async def get_status(call: Call) -> Any:
    """State of the processes, the ledger and the configuration."""
    return status.status(call.services)


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
    publication = call.services.publication
    specs = await publication.all_providers()
    in_file = declared.names(publication.compiled, "provider")
    have: dict[str, list[str]] = {}
    for credential in publication.credentials:
        if credential.state == "active":
            have.setdefault(credential.provider, []).append(credential.name)
    rows = [
        _provider(spec, "file" if name in in_file else "store", have.get(name, []))
        for name, spec in sorted(specs.items())
    ]
    return {"providers": rows, "catalogue": sorted(PROVIDERS)}


async def add_provider(call: Call) -> Any:
    """A provider for the store."""
    await call.services.credentials.add_provider(call.body, call.actor)
    return {"name": call.body.name}


async def remove_provider(call: Call) -> Any:
    """Remove a provider and its credentials."""
    await call.services.credentials.remove_provider(call.path["name"], call.actor)
    return {"name": call.path["name"]}


async def list_credentials(call: Call) -> Any:
    """What may be told of credentials: never a secret."""
    credentials = call.services.publication.credentials
    refused = call.services.refusals.current(credentials)
    return {"credentials": [msgspec.structs.asdict(c) | {"refused": refused.get(c.id)} for c in credentials]}


async def put_credential(call: Call) -> Any:
    """Hand a sealed credential to the vault."""
    body: CredentialPut = call.body
    return await call.services.credentials.put(body.put, body.provider, call.actor)


def _change_credential(verb: Verb[CredentialName, Metadata]) -> Handler:
    async def handler(call: Call) -> Any:
        name = f"{call.path['provider']}/{call.path['name']}"
        return await call.services.credentials.change(verb, name, call.actor)

    handler.__doc__ = f"{verb.name.capitalize()} a credential."
    return handler


async def get_vault_key(call: Call) -> Any:
    """The vault's public key: secrets are sealed with it before they are sent here."""
    if not call.app.vault_key:
        raise UserError("the vault's public key is not at hand", "restart the gateway: it is laid out at its start")
    return {"public_key": call.app.vault_key.hex()}


async def test_credential(call: Call) -> Any:
    """One cheap authenticated call with a credential."""
    name = f"{call.path['provider']}/{call.path['name']}"
    found = await call.control.ask_vault(verbs.TEST, CredentialName(name))
    if found.ok:
        await call.services.credentials.works(name)
    return found


# Models, prices


async def list_models(call: Call) -> Any:
    """Configured models and the providers that are callable as provider/model."""
    snapshot = call.services.publication.snapshot
    if snapshot is None:
        return {"models": [], "implicit": []}
    standing = Standing(snapshot, call.control.clock.wall_ms())
    in_file = {m.name for m in call.services.publication.compiled.models}
    rows = [
        {
            "name": m.name,
            "source": "file" if m.name in in_file else "store",
            "alias": m.alias,
            "deployments": [f"{d.provider}/{d.model}" for d in m.deployments],
            "fallback": list(m.fallback),
            "health": _health(call.services.deployments, m),
            "frozen": standing.of_model(m.name),
        }
        for _, m in sorted(snapshot.table.models.items())
    ]
    implicit = [f"{p.name}/*" for p in snapshot.table.providers.values() if p.credentials and snapshot.table.implicit]
    return {"models": rows, "implicit": sorted(implicit)}


def _health(deployments: Deployments, model: ModelEntry) -> dict[str, str]:
    """Return how a model's deployments do, as far as they were asked."""
    return {
        name: health(state)
        for one in model.deployments
        for name, state in deployments.of(one.provider, one.model, one.credential).items()
    }


async def list_deployments(call: Call) -> Any:
    """What the ledger counted of each deployment: how attempts ended, how long they took, how it does now."""
    known = call.services.deployments.known
    opened = call.services.breakers.open
    return {"deployments": [shown(name, state, opened.get(name)) for name, state in known.items()]}


async def add_model(call: Call) -> Any:
    """A model for the store."""
    await call.services.models.add(call.body, call.actor)
    return {"name": call.body.name}


async def remove_model(call: Call) -> Any:
    """Remove a model."""
    await call.services.models.remove(call.path["name"], call.actor)
    return {"name": call.path["name"]}


async def explain_model(call: Call) -> Any:
    """Where a request would go, and why."""
    return await call.services.models.explain(Sample(model=call.query.get("model", ""), key=call.query.get("key")))


async def explain_sample(call: Call) -> Any:
    """Where a request like this one would go, in which order, and why not elsewhere."""
    return await call.services.models.explain(call.body)


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
    price = call.services.models.find_price(name)
    if price is None:
        raise UserError(
            f"{name!r} has no known price", "set one: switchgear price set PROVIDER/MODEL --input … --output …", 2
        )
    return _price(name, price)


async def list_prices(call: Call) -> Any:
    """Overrides, and what the snapshot has for a provider."""
    publication = call.services.publication
    provider = call.query.get("provider")
    names = sorted(publication.snapshot.price_overrides) if publication.snapshot is not None else []
    if provider is not None:
        entry = PROVIDERS.get(provider)
        spec = (await publication.all_providers()).get(provider)
        pricing_id = spec.pricing_id if spec is not None else (entry.pricing_id if entry is not None else None)
        names = [n for n in names if n.startswith(provider + "/")]
        names += [f"{provider}/{info.id}" for info in (publication.catalog.models(pricing_id) if pricing_id else [])]
    rows = [
        _price(name, price)
        for name in dict.fromkeys(names)
        if (price := call.services.models.find_price(name)) is not None
    ]
    return {"prices": rows, "snapshot": publication.price_snapshot}


async def set_price(call: Call) -> Any:
    """Put a price over the shipped one."""
    await call.services.models.set_price(call.body.name, call.body.price, call.actor)
    return _price(call.body.name, call.body.price)


# Configuration, freezes, links


async def freeze(call: Call) -> Any:
    """Stop a subject at once."""
    subject = await call.services.freezes.resolve(call.body.subject, call.body.force)
    until = None if call.body.for_ms is None else call.control.clock.wall_ms() + call.body.for_ms
    await call.services.freezes.freeze(subject, until, call.actor)
    return {"subject": subject, "until_ms": until, "also_stops": call.services.freezes.also_stops(subject)}


async def purge_cache(call: Call) -> Any:
    """Forget the answers that edges keep: holds from the next request on."""
    epoch = await call.services.publication.purge_cache()
    await call.control.audit(call.actor, "cache.purge", "cache")
    return {"epoch": epoch}


async def unfreeze(call: Call) -> Any:
    """Let a subject go on."""
    subject = await call.services.freezes.subject_of(call.path["subject"])
    await call.services.freezes.unfreeze(subject, call.actor)
    return {"subject": subject}


async def admin_link(call: Call) -> Any:
    """A one-time link to the console."""
    return {"token": await call.services.access.admin_link()}


async def use_link(call: Call) -> Any:
    """Trade a one-time link for a session."""
    session = await call.services.access.use_link(call.body.token)
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
    expires_ms = time_of(body.expires)
    token = await call.services.access.create_token(body.name, body.role, expires_ms, call.actor)
    return {"name": body.name, "role": body.role, "expires_ms": expires_ms, "token": token}


async def list_tokens(call: Call) -> Any:
    """Tokens for automation, never their values."""
    return {"tokens": await call.control.read(objects.tokens)}


async def revoke_token(call: Call) -> Any:
    """Revoke a token for automation; it holds for the next request."""
    await call.services.access.revoke_token(call.path["name"], call.actor)
    return {"name": call.path["name"]}


ROUTES: tuple[Route, ...] = (
    *config_routes.ROUTES,
    *key_routes.ROUTES,
    *budget_routes.ROUTES,
    *holder_routes.ROUTES,
    *ledger_routes.ROUTES,
    *export_routes.ROUTES,
    *finding_routes.ROUTES,
    *store_routes.ROUTES,
    Route("GET", "/api/openapi.json", "status:read", get_openapi, dict[str, Any]),
    Route("GET", "/metrics", "metrics:read", get_metrics, bytes, content_type=metrics.CONTENT_TYPE),
    Route("GET", f"{P}/status", "status:read", get_status, answers.Status),
    Route("GET", f"{P}/providers", "providers:read", list_providers, answers.Providers),
    Route("POST", f"{P}/providers", "providers:write", add_provider, answers.Name, ProviderSpec),
    Route("DELETE", f"{P}/providers/{{name}}", "providers:write", remove_provider, answers.Name),
    Route("GET", f"{P}/credentials", "credentials:read", list_credentials, answers.Credentials),
    Route("PUT", f"{P}/credentials", "credentials:write", put_credential, verbs.Metadata, CredentialPut),
    Route(
        "POST",
        f"{P}/credentials/{{provider}}/{{name}}/disable",
        "credentials:write",
        _change_credential(verbs.DISABLE),
        verbs.Metadata,
    ),
    Route(
        "POST",
        f"{P}/credentials/{{provider}}/{{name}}/enable",
        "credentials:write",
        _change_credential(verbs.ENABLE),
        verbs.Metadata,
    ),
    Route(
        "DELETE",
        f"{P}/credentials/{{provider}}/{{name}}",
        "credentials:write",
        _change_credential(verbs.REMOVE),
        verbs.Metadata,
    ),
    Route(
        "POST", f"{P}/credentials/{{provider}}/{{name}}/test", "credentials:write", test_credential, verbs.TestResult
    ),
    Route("GET", f"{P}/vault/key", "credentials:read", get_vault_key, answers.VaultKey),
    Route("GET", f"{P}/models", "models:read", list_models, answers.Models),
    Route("POST", f"{P}/models", "models:write", add_model, answers.Name, ModelEntry),
    Route("GET", f"{P}/deployments", "models:read", list_deployments, answers.DeploymentList),
    Route("GET", f"{P}/models/explain", "models:read", explain_model, answers.Explained, query=("model", "key")),
    Route("POST", f"{P}/explain", "models:read", explain_sample, answers.Explained, Sample),
    Route("DELETE", f"{P}/models/{{name:path}}", "models:write", remove_model, answers.Name),
    Route("GET", f"{P}/prices", "prices:read", list_prices, answers.Prices, query=("provider",)),
    Route("GET", f"{P}/prices/show", "prices:read", show_price, answers.ShownPrice, query=("model",)),
    Route("PUT", f"{P}/prices", "prices:write", set_price, answers.ShownPrice, PriceSet),
    Route("POST", f"{P}/freezes", "freeze:write", freeze, answers.Frozen, Freeze),
    Route("DELETE", f"{P}/freezes/{{subject:path}}", "freeze:write", unfreeze, answers.Frozen),
    Route("POST", f"{P}/cache/purge", "models:write", purge_cache, answers.Purged),
    Route("GET", f"{P}/tokens", "tokens:read", list_tokens, answers.AdminTokens),
    Route("POST", f"{P}/tokens", "admin:write", create_token, answers.MadeToken, TokenCreate),
    Route("DELETE", f"{P}/tokens/{{name}}", "admin:write", revoke_token, answers.Name),
    Route("POST", f"{P}/admin/link", "admin:write", admin_link, answers.Token),
    Route("POST", f"{P}/setup", "public", use_link, answers.Token, LinkUse),
)
