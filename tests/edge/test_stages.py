"""Each stage by itself."""

from types import SimpleNamespace

import pytest

from switchgear.edge import budget_sets, stages
from switchgear.edge.head_facts import HeadFacts
from switchgear.routing.strategies import STRATEGIES, first
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import Asked, Dialogue, chat
from switchgear.wire.frames import Fail


def asked(operation="chat", **headers):
    sent = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return SimpleNamespace(
        endpoint=SimpleNamespace(operation=operation),
        exchange=SimpleNamespace(head=SimpleNamespace(headers=sent)),
        facts=HeadFacts(),
        client=None,
    )


@pytest.mark.parametrize(
    ("operation", "headers", "is_taken"),
    [
        ("chat", {}, True),
        ("chat", {"content_type": b"application/json; charset=utf-8"}, True),
        ("chat", {"content_type": b"text/plain"}, False),
        ("chat", {"content_encoding": b"gzip"}, False),
        ("chat", {"content_encoding": b"Identity"}, True),
        ("transcriptions", {"content_type": b"application/json"}, False),
        ("transcriptions", {"content_type": b"multipart/form-data; boundary=b"}, True),
        ("passthrough", {"content_type": b"audio/wav"}, True),
        ("passthrough", {"content_encoding": b"br"}, False),
        (None, {"content_type": b"text/plain"}, True),
    ],
)
def test_bodies_of_the_paths_own_kind_are_taken(operation, headers, is_taken):
    context = asked(operation, **headers)
    problem = stages.check_media_type(None, context)
    assert (problem is None) is is_taken
    assert context.facts.is_media_good is (is_taken and operation is not None)


def test_claims_are_read_once_per_head():
    context = asked(user_agent=b"tool/1")
    stages.read_claims(None, context)
    assert context.client.tool == "tool/1" and context.facts.client is context.client
    context.exchange = None
    stages.read_claims(None, context)


@pytest.mark.parametrize(
    ("client_s", "retry", "total_s", "retries"), [(None, None, 3600.0, 2), (5.0, 1, 5.0, 0), (9e9, 0, 3600.0, 2)]
)
def test_a_clients_own_deadline_and_retries_bound_those_of_the_gateway(client_s, retry, total_s, retries):
    priced = SimpleNamespace(deployment=SimpleNamespace(timeouts=SimpleNamespace(total_s=3600.0)))
    context = SimpleNamespace(
        resolution=SimpleNamespace(order=None, deployments=(priced, priced), route=SimpleNamespace(retries_max=2)),
        request=SimpleNamespace(operation="chat"),
        client=SimpleNamespace(timeout_s=client_s, retry=retry),
    )
    ready = SimpleNamespace(link=SimpleNamespace(can_open=True), commit=SimpleNamespace(is_recording=True))
    assert stages.choose(ready, context) is None
    assert (context.course.total_s, context.course._retries_left, context.course.has_next) == (total_s, retries, True)


def test_a_raw_path_is_tried_once():
    priced = SimpleNamespace(deployment=SimpleNamespace(tier=0, timeouts=SimpleNamespace(total_s=1.0)))
    context = SimpleNamespace(
        id="r",
        now_ms=0,
        resolution=SimpleNamespace(order=first, deployments=(priced, priced), route=SimpleNamespace(retries_max=0)),
        request=SimpleNamespace(operation="passthrough"),
        client=SimpleNamespace(timeout_s=None, retry=None),
    )
    ready = SimpleNamespace(link=SimpleNamespace(can_open=True), commit=SimpleNamespace(is_recording=True))
    stages.choose(ready, context)
    assert not context.course.has_next


def test_admission_looks_nothing_up_while_the_context_is_fresh():
    unlimited = SimpleNamespace(limits=None, budgets=budget_sets.NONE, cache_s=None, is_free=True)
    course, client = SimpleNamespace(current=unlimited), SimpleNamespace(cache=None)
    context = SimpleNamespace(is_stale=False, resolution=unlimited, course=course, client=client)
    assert stages.admit(None, context) is None


def test_a_strategy_that_is_registered_orders_each_request_within_its_tiers(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "backwards", lambda tier, occasion: range(len(tier))[::-1])
    tiers = {"a": 1, "b": 1, "c": 2}
    deployments = tuple(DeploymentEntry(provider=name, model="m", tier=tier) for name, tier in tiers.items())
    table = RouteTable(
        providers={name: ProviderEntry(name=name, dialects=("openai",), credentials=("main",)) for name in tiers},
        models={"m": ModelEntry(name="m", deployments=deployments, retries_max=0, strategy="backwards")},
    )
    talk = Dialogue(table=table)
    for _ in range(2):
        talk.client >> chat("m")
        for number, name in enumerate("bac", 1):
            talk.vault << Asked(f"{name}/main", number) >> Fail("overloaded", "", False)
