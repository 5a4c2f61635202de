"""What a model's name resolves to, and what is frozen."""

import msgspec
import pytest

from switchgear.core import budget_rule
from switchgear.counters.backend import HOLDS_MAX
from switchgear.edge.resolver import Resolver
from switchgear.replica import holding
from switchgear.replica.entries import HolderEntry, KeyEntry, Snapshot
from switchgear.routing import strategies
from switchgear.routing.table import Deployment, DeploymentEntry, ModelEntry, ProviderEntry, Route, RouteTable, Timeouts

KEY = KeyEntry("k", "k", 1, [])
ROUTES = RouteTable(
    providers={name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in ("a", "b")},
    models={
        "fast": ModelEntry(name="fast", deployments=tuple(DeploymentEntry(provider=p, model="m") for p in "ab")),
        "quick": ModelEntry(name="quick", alias="fast"),
        "other": ModelEntry(name="other", deployments=(DeploymentEntry(provider="a", model="x"),), fallback=("fast",)),
    },
)


def resolution(model, now_ms=0, resolver=None, **freezes):
    frozen = {subject.replace("_", ":", 1): until for subject, until in freezes.items()}
    snapshot = Snapshot(store_id="s", epoch=1, table=ROUTES, freezes=frozen)
    return (resolver or Resolver(lambda _: None)).resolve(snapshot, KEY, model, now_ms)


@pytest.mark.parametrize("model", ["fast", "quick", "a/m"])
def test_a_frozen_models_resolution_is_a_refusal(model):
    assert resolution(model, model_fast=None).problem.case.code == "frozen"


def test_a_fallback_onto_a_frozen_model_is_left_out():
    assert [t.credential_id for t in resolution("other").deployments] == ["a/c", "a/c", "b/c"]
    assert [t.credential_id for t in resolution("other", model_fast=None).deployments] == ["a/c"]


def test_a_frozen_provider_leaves_the_deployments_of_other_providers():
    assert [t.credential_id for t in resolution("fast", provider_a=None).deployments] == ["b/c"]


def test_a_frozen_deployment_leaves_the_models_others_and_its_credentials_other_models():
    freezes = {"deployment:a/m@c": None}
    snapshot = Snapshot(store_id="s", epoch=1, table=ROUTES, freezes=freezes)
    resolver = Resolver(lambda _: None)
    deployments = resolver.resolve(snapshot, KEY, "other", 0).deployments
    assert [priced.deployment.id for priced in deployments] == ["a/x@c", "b/m@c"]
    assert resolver.resolve(snapshot, KEY, "a/m", 0).problem.case.code == "frozen"


def test_a_freeze_that_expires_ends_for_kept_resolutions():
    resolver = Resolver(lambda _: None)
    snapshot = Snapshot(store_id="s", epoch=1, table=ROUTES, freezes={"model:fast": 50})
    assert resolver.resolve(snapshot, KEY, "fast", 10).problem is not None
    assert resolver.resolve(snapshot, KEY, "fast", 49).problem is not None
    assert resolver.resolve(snapshot, KEY, "fast", 50).problem is None


def test_a_raw_path_asks_the_first_of_its_places_alone():
    resolver = Resolver(lambda _: None)
    snapshot = Snapshot(store_id="s", epoch=1, table=ROUTES)
    provider = ROUTES.providers["a"]
    places = tuple(Deployment(provider, name, "x", None, Timeouts()) for name in ("one", "two"))
    assert resolver.resolve_one(snapshot, Route("a", places, 0), 0).order is strategies.first
    assert resolver.resolve_one(snapshot, Route("a", places[:1], 0), 0).order is None


@pytest.mark.parametrize(("region", "code"), [("us", "permission_denied"), ("eu", None)])
def test_a_raw_path_goes_only_where_the_labels_are_that_its_key_requires(region, code):
    provider = ProviderEntry(name="a", dialects=("openai",), credentials=("c",), labels={"region": region})
    route = Route("a/m", (Deployment(provider, "c", "m", None, Timeouts(), labels=provider.labels),), 0)
    found = Resolver(lambda _: None).resolve_one(
        Snapshot(store_id="s", epoch=1, table=ROUTES), route, 0, {"region": "eu"}
    )
    assert (found.problem and found.problem.case.code) == code


def test_a_model_of_a_team_exists_for_the_teams_keys_alone():
    models = {**ROUTES.models, "fast": msgspec.structs.replace(ROUTES.models["fast"], team="red")}
    snapshot = Snapshot(store_id="s", epoch=1, table=msgspec.structs.replace(ROUTES, models=models))
    red = HolderEntry(kind="team", id="red", name="red", version=1)
    below = HolderEntry(kind="team", id="below", name="below", version=1, parent="red")
    teams = {("team", one.id): one for one in (red, below)}
    ours = holding.held(KeyEntry("o", "o", 1, [], team="below"), lambda *at: teams[at])
    resolver = Resolver(lambda _: None)
    for _ in range(2):  # what is kept for one is not given to the other
        assert resolver.resolve(snapshot, ours, "quick", 0).problem is None
        refused = resolver.resolve(snapshot, KEY, "quick", 0).problem
        assert refused.case.code == "model_not_found" and "fast" not in refused.message
    assert "fast" in resolver.callable_models(snapshot, ours, 0)
    assert "fast" not in resolver.callable_models(snapshot, KEY, 0)
    assert len(resolver.resolve(snapshot, KEY, "other", 0).deployments) == 1, "nor is it fallen back on"


def test_more_limits_than_can_be_counted_at_once_refuse_the_key():
    rules = [f"{n} requests/{window}" for n, window in enumerate(("second", "minute", "hour", "day"), 1)]
    rules += [f"{n} tokens/{window}" for n, window in enumerate(("second", "minute", "hour", "day"), 1)]
    teams = {
        ("team", f"t{n}"): HolderEntry(
            kind="team", id=f"t{n}", name="t", version=1, limits=rules, parent=f"t{n + 1}" if n < 7 else None
        )
        for n in range(8)
    }
    snapshot = Snapshot(store_id="s", epoch=1, table=ROUTES)
    key = holding.held(KeyEntry("o", "o", 1, [], team="t0"), lambda *at: teams[at])
    assert Resolver(lambda _: None).resolve(snapshot, key, "fast", 0).problem is None, "64"
    more = holding.held(KeyEntry("o", "o", 1, [], team="t0", rpm=5), lambda *at: teams[at])
    refused = Resolver(lambda _: None).resolve(snapshot, more, "fast", 0).problem
    assert refused.case.code == "permission_denied" and "more limits" in refused.message


class Counted(dict):
    reads = 0

    def values(self):
        Counted.reads += 1
        return super().values()


def test_whether_answers_are_kept_is_found_once_per_snapshot_whatever_the_number_of_requests():
    resolver = Resolver(lambda _: None)
    for epoch, cache_s in enumerate((None, 60), 1):
        models = Counted({"m": ModelEntry(name="m", cache_s=cache_s)})
        snapshot = Snapshot(store_id="s", epoch=epoch, table=RouteTable(models=models))
        Counted.reads = 0
        resolver.callable_models(snapshot, KEY, 0)
        before = Counted.reads
        assert {resolver.keeps_answers(snapshot) for _ in range(5)} == {cache_s is not None}
        assert Counted.reads == before + 1


def test_a_key_is_open_until_it_or_the_organisation_has_a_limit_or_a_budget():
    resolver = Resolver(lambda _: None)
    snapshot = Snapshot(store_id="s", epoch=1, table=ROUTES)
    rules = (budget_rule.parse("5/day"),)
    assert [resolver.is_open(snapshot, KEY) for _ in range(2)] == [True, True]
    assert not resolver.is_open(snapshot, KeyEntry("k", "k", 2, [], rpm=3))
    assert not resolver.is_open(snapshot, KeyEntry("k", "k", 3, [], budget="5/day"))
    assert not resolver.is_open(Snapshot(store_id="s", epoch=2, table=ROUTES, budgets=rules), KEY)


def test_nothing_is_free_of_looks_whose_deployments_have_limits():
    table = RouteTable(
        providers={
            "a": ProviderEntry(name="a", dialects=("openai",), credentials=("c",)),
            "b": ProviderEntry(
                name="b", dialects=("openai",), credentials=("c",), budgets=(budget_rule.parse("5/day"),)
            ),
        },
        models={
            name: ModelEntry(name=name, deployments=tuple(DeploymentEntry(provider=p, model="m") for p in name))
            for name in ("a", "ab")
        },
    )
    snapshot, resolver = Snapshot(store_id="s", epoch=1, table=table), Resolver(lambda _: None)
    assert [resolver.resolve(snapshot, KEY, name, 0).is_free for name in ("a", "ab")] == [True, False]


def test_more_budgets_than_an_attempt_can_hold_refuse_and_raise_nothing():
    def budgets(number):
        return tuple(budget_rule.parse(f"{amount} requests/{amount}d rolling") for amount in range(1, number + 1))

    def resolved(of_organisation, of_provider):
        provider = ProviderEntry(name="a", dialects=("openai",), credentials=("c",), budgets=budgets(of_provider))
        table = RouteTable(providers={"a": provider})
        snapshot = Snapshot(store_id="s", epoch=1, table=table, budgets=budgets(of_organisation))
        return Resolver(lambda _: None).resolve(snapshot, KEY, "a/m", 0)

    assert resolved(HOLDS_MAX // 2, HOLDS_MAX // 2).problem is None
    assert resolved(HOLDS_MAX // 2, HOLDS_MAX // 2 + 1).problem.case.status == 403
