"""Limits as a request holds them: whose they are, in which buckets, what each reserves."""

import pytest

from switchgear.core.limit_rule import LimitRule
from switchgear.edge import limit_sets
from switchgear.edge.limit_sets import Values
from switchgear.policies.buckets import Kind
from switchgear.policies.limits import Expected
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing.table import ProviderEntry, Route

EXPECTED = Expected(input=30, output=12)
ANN = Values(key_id="K", user="ann", end_user="e1", model="m", client="codex", tags=("app=web", "x"))


def key(**policy):
    return KeyEntry("K", "k", 1, [], **policy)


def sets(snapshot_limits=(), route=None, **policy):
    return limit_sets.of_key(key(**policy), Snapshot(store_id="s", epoch=1, limits=snapshot_limits), route)


def test_all_rules_of_the_chain_apply():
    route = Route("asked", (), 0, entry="fast", limits=(LimitRule("parallel", 3),))
    found = sets((LimitRule("requests", 9, "day"),), route, rpm=5, tpm=1000)
    subjects = [(limit.subject, limit_sets.written(limit)) for limit in found.paid.limits]
    assert subjects == [
        ("organisation", "9 requests/day"),
        ("key:K", "5 requests/minute"),
        ("key:K", "1000 tokens/minute"),
        ("model:fast", "3 parallel requests"),
    ]


def test_each_unit_reserves_what_is_expected_of_it():
    found = sets(rpm=5, tpm=1000, parallel=2, limits=["10 input tokens/hour", "10 output tokens/hour"]).paid
    assert [hold.amount for hold in found.holds(EXPECTED, ANN)] == [1, 42, 1, 30, 12]
    kinds = [hold.bucket.kind for hold in found.holds(EXPECTED, ANN)]
    assert kinds == [Kind.WINDOW, Kind.WINDOW, Kind.SLOTS, Kind.WINDOW, Kind.WINDOW]


def test_what_costs_nothing_is_counted_apart_and_by_requests_alone():
    found = sets(rpm=5, tpm=1000, parallel=2)
    assert [limit.unit for limit in found.free.limits] == ["requests", "parallel"]
    paid = {hold.bucket.key for hold in found.paid.holds(EXPECTED, ANN)}
    assert not paid & {hold.bucket.key for hold in found.free.holds(EXPECTED, ANN)}


@pytest.mark.parametrize(
    ("dimension", "value"),
    [("end_user", "e1"), ("user", "ann"), ("model", "m"), ("client", "codex"), ("tag:app", "web"), ("tag:none", "")],
)
def test_each_value_of_a_dimension_has_a_bucket(dimension, value):
    assert ANN.of(dimension) == value
    found = sets(limits=[f"1 requests/minute per {dimension}"]).paid
    (mine,) = found.holds(EXPECTED, ANN)
    (other,) = found.holds(
        EXPECTED, Values(key_id="K", tags=("app=other",), end_user="e2", user="b", model="n", client="x")
    )
    assert (mine.bucket.key == other.bucket.key) == (value == "")
    assert mine.bucket.overflow is not None, "where there is no room, a key's values share one"


def test_a_value_that_nobody_says_cannot_be_another_dimensions_field():
    with pytest.raises(AttributeError):
        ANN.of("nothing")


def test_one_more_request_and_slot_are_looked_for_before_a_body_is_there():
    found = sets(rpm=5, parallel=1, tpm=9).paid
    assert [(hold.bucket.limit, hold.amount) for hold in found.looks] == [(5, 1), (1, 1)]
    assert [limit.unit for limit in found.looked_at] == ["requests", "parallel"]
    assert found.looks[0].bucket.key == found.buckets[0].key


def test_a_deployments_and_its_providers_limits_are_taken_together():
    provider = ProviderEntry(name="p", dialects=("openai",), credentials=("c",), limits=(LimitRule("parallel", 9),))
    found = limit_sets.of_deployment(provider, [("p/up@c", [LimitRule("requests", 1, "second")])]).paid
    assert [limit.subject for limit in found.limits] == ["deployment:p/up@c", "provider:p"]
    assert [limit_sets.kind_of(limit) for limit in found.limits] == ["deployment", "provider"]
    assert all("every deployment of this model" in limit_sets.described(limit) for limit in found.limits)


def test_without_limits_there_is_nothing_to_hold():
    assert sets() is None


def test_labels_are_few_and_name_nobody():
    found = sets(rpm=5, limits=["1 requests/hour per end_user"])
    assert [limit_sets.label(limit) for limit in found.paid.limits] == ["key requests/minute", "key requests/hour"]
    assert limit_sets.label(found.free.limits[0]) == "key requests/minute"
