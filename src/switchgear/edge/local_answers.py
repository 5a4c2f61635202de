"""Paths that are answered here, without a provider: health, models, what a key is, how a client is set up. Level 4."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from switchgear.core import key_policy, problems
from switchgear.core.problems import Problem
from switchgear.dialects import client_setup, model_lists
from switchgear.dialects.dialect import Dialect
from switchgear.edge import budget_report, limit_report, litellm, paths, spending
from switchgear.edge.context import RequestContext
from switchgear.edge.services import EdgeServices
from switchgear.replica import holding

PLAIN_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def _send_json(context: RequestContext, value: Any, status: int = 200) -> None:
    headers = b"content-type: application/json\r\nx-request-id: %b\r\n" % context.id.encode()
    context.exchange.send(status, headers, msgspec.json.encode(value))


# the edge itself


def _health(services: EdgeServices, context: RequestContext) -> None:
    _send_json(context, {"status": "ok"})


def why_unready(services: EdgeServices) -> str | None:
    """Return why no request would be served now; None when it would."""
    if services.running.is_draining:
        return "draining"
    if not services.link.is_up:
        return "the vault is not connected"
    if services.replica.snapshot() is None:
        return "no configuration was published yet"
    return None if services.commit.is_recording else "the ledger cannot record"


def _ready(services: EdgeServices, context: RequestContext) -> None:
    reason = why_unready(services)
    status = {"status": "ready" if reason is None else "unready", "reason": reason}
    _send_json(context, status, 200 if reason is None else 503)


def _root(services: EdgeServices, context: RequestContext) -> None:
    _send_json(context, {"name": "switchgear", "api": "/v1"})


def _connect(services: EdgeServices, context: RequestContext) -> None:
    setup = client_setup.CLIENT_SETUPS.get(context.path_argument)
    if setup is None:
        known = ", ".join(client_setup.CLIENT_SETUPS)
        services.refusals.refuse(context, Problem(problems.UNKNOWN_PATH, f"there is no such client; known are {known}"))
        return
    host = context.exchange.head.headers.get(b"host", b"127.0.0.1:4100")
    if PLAIN_HOST.fullmatch(host) is None:  # it goes into a text that people give to their shell
        services.refusals.refuse(context, Problem(problems.BAD_HTTP, "the Host is no plain name or address"))
        return
    scheme = "https" if context.exchange.is_tls else "http"
    text = client_setup.render(setup, f"{scheme}://{host.decode('ascii')}", "sk-sg-…", "demo/echo")
    headers = (
        b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\nx-request-id: %b\r\n"
        % context.id.encode()
    )
    context.exchange.send(200, headers, text.encode())


# what a key may call


def _cards(services: EdgeServices, context: RequestContext) -> list[model_lists.Card]:
    assert context.snapshot is not None
    assert context.key is not None
    cards = services.resolver.callable_models(context.snapshot, context.key, context.now_ms)
    return [services.resolver.priced(context.snapshot, card, context.now_ms) for card in cards.values()]


def _models(services: EdgeServices, context: RequestContext) -> None:
    models = _lister(context).models
    _send_json(context, models.page([models.item(card) for card in _cards(services, context)]))


def _model(services: EdgeServices, context: RequestContext) -> None:
    snapshot, key, name, now_ms = context.snapshot, context.key, context.path_argument, context.now_ms
    assert snapshot is not None
    assert key is not None
    resolver = services.resolver
    resolution = resolver.resolve(snapshot, key, name, now_ms)
    if resolution.problem is not None:
        services.refusals.deny(context, resolution.problem)
        return
    card = resolver.callable_models(snapshot, key, now_ms).get(name) or model_lists.Card(name)
    _send_json(context, _lister(context).models.item(resolver.priced(snapshot, card, now_ms)))


def _lister(context: RequestContext) -> Dialect:
    head = context.exchange.head
    return paths.lister_of(context.endpoint, head.target, head.headers)


# the key itself


def _key(services: EdgeServices, context: RequestContext) -> None:
    key = context.key
    assert key is not None
    spend = services.replica.spend(key.id)
    _send_json(
        context,
        {
            "id": key.id,
            "name": key.name,
            **key_policy.told(key),
            **holding.told(key),
            "limits": limit_report.of_key(services, context),
            "budgets": budget_report.of_key(services, context),
            "spend_today": spending.today(spend, context.now_ms),
            "spent_before_today_nanousd": spending.before_today(spend, context.now_ms),
        },
    )


# LiteLLM's routes


def _alive(services: EdgeServices, context: RequestContext) -> None:
    _send_json(context, "I'm alive!")


def _readiness(services: EdgeServices, context: RequestContext) -> None:
    is_ready = why_unready(services) is None
    status = {"status": "healthy" if is_ready else "unhealthy", "db": "connected"}
    _send_json(context, status, 200 if is_ready else 503)


def _key_info(services: EdgeServices, context: RequestContext) -> None:
    key = context.key
    assert key is not None
    if paths.query(context.exchange.head.target, b"key") is not None:
        services.refusals.refuse(context, Problem(problems.FORBIDDEN, "a key sees itself only here: leave out `?key=`"))
        return
    _send_json(context, litellm.key_info(key, spending.in_all(services.replica.spend(key.id))))


def _model_info(services: EdgeServices, context: RequestContext) -> None:
    _send_json(context, litellm.model_info(_cards(services, context)))


ANSWERS: dict[str, Callable[[EdgeServices, RequestContext], None]] = {
    "healthz": _health,
    "readyz": _ready,
    "root": _root,
    "models": _models,
    "model": _model,
    "key": _key,
    "connect": _connect,
    "alive": _alive,
    "readiness": _readiness,
    "key_info": _key_info,
    "model_info": _model_info,
}
"""By the name of the path's row (`paths.Endpoint.name`)."""
