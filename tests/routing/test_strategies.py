"""Orders of deployments: by tier, and within a tier by the strategy."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.pricing.price import Price, Pricer, Rate
from switchgear.routing import strategies, table
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.states import DeploymentState
from switchgear.routing.strategies import DEFAULT, STRATEGIES, Candidate, Occasion, arrange, candidate_of, order_of
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

PROVIDERS = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in "abcd"}
NOW = Occasion(seed=7, now_ms=0)
CHI_SQUARE = {1: 10.83, 2: 13.82, 3: 16.27}
"""The 99.9th percentile by degrees of freedom (NIST/SEMATECH e-Handbook, table 1.3.6.7.4)."""


def route(*tiers, fallback=(), strategy=DEFAULT):
    """A route to providers that are given per tier, as "ab", and to others in a model to fall back on."""

    def deployments(tiers):
        return tuple(
            DeploymentEntry(provider=p, model="m", tier=10 * n) for n, names in enumerate(tiers) for p in names
        )

    models = {"m": ModelEntry(name="m", deployments=deployments(tiers), fallback=("n",), strategy=strategy)}
    models["n"] = ModelEntry(name="n", deployments=deployments(fallback))
    return table.resolve(RouteTable(providers=PROVIDERS, models=models), "m")


def candidates(found):
    return [candidate_of(one, DeploymentState(one.id), None, BreakerRules()) for one in found.deployments]


def names(found, order, occasion=NOW):
    positions = arrange(order, candidates(found), occasion)
    return "".join(found.deployments[position].provider.name for position in positions)


def tier_of(**weights):
    """Candidates of one tier with their weights."""
    return [
        Candidate(name, number, DeploymentState(name), weight=weight)
        for number, (name, weight) in enumerate(weights.items(), 1)
    ]


def price(input_usd_per_mtok, output_usd_per_mtok):
    rates = {"input": Rate(int(input_usd_per_mtok * 10**9)), "output": Rate(int(output_usd_per_mtok * 10**9))}
    return Pricer(Price("m", "override", rates))


def firsts(strategy, tier, count, **said):
    return Counter(tier[STRATEGIES[strategy](tier, Occasion(seed, 0, **said))[0]].name for seed in range(count))


def chi_square(counts, shares):
    total = sum(counts.values())
    whole = sum(shares.values())
    expected = {name: total * share / whole for name, share in shares.items()}
    return sum((counts[name] - expected[name]) ** 2 / expected[name] for name in shares)


def backwards(tier, occasion):
    return range(len(tier))[::-1]


def test_the_configured_order_leaves_everything_where_it_is():
    assert names(route("ab", "cd"), strategies.ordered) == "abcd"


def test_a_strategy_orders_within_a_tier_and_never_across_tiers():
    assert names(route("ab", "cd"), backwards) == "badc"


def test_a_model_to_fall_back_on_is_a_tier_of_its_own_whatever_its_number():
    assert names(route("ab", fallback=("cd",)), backwards) == "badc"


def test_a_model_to_fall_back_on_keeps_its_own_strategy(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "backwards", backwards)
    found = route("ab", fallback=("cd",), strategy="backwards")
    assert names(found, order_of(found.strategy, found.deployments)) == "bacd"


def test_a_deployment_that_a_strategy_leaves_out_is_not_asked():
    assert names(route("abc"), lambda tier, occasion: [len(tier) - 1]) == "c"


def test_a_strategy_sees_the_deployments_of_a_tier_and_the_occasion():
    seen = []
    names(route("ab", "c"), lambda tier, occasion: seen.append((len(tier), occasion)) or range(len(tier)))
    assert seen == [(2, NOW), (1, NOW)]


def test_a_route_says_its_models_strategy(monkeypatch):
    monkeypatch.setitem(STRATEGIES, "backwards", backwards)
    found = route("ab", strategy="backwards")
    assert order_of(found.strategy, found.deployments) is backwards


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_there_is_one_deployment_nothing_is_to_be_decided(strategy):
    assert order_of(strategy, route("a").deployments) is None


def test_a_strategy_of_another_version_leaves_the_configured_order():
    assert order_of("of another version", route("ab").deployments) is strategies.ordered


@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.lists(st.floats(0.001, 1_000), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.text(max_size=20),
)
def test_every_strategy_names_each_deployment_once_and_the_same_occasion_gives_the_same_order(
    strategy, weights, seed, session
):
    tier = tier_of(**{str(number): weight for number, weight in enumerate(weights)})
    occasion = Occasion(seed, 0, session=session, input_tokens=10)
    order = list(STRATEGIES[strategy](tier, occasion))
    assert sorted(order) == list(range(len(tier)))
    assert list(STRATEGIES[strategy](tier, occasion)) == order


@pytest.mark.parametrize(
    "weights", [{"a": 1, "b": 1}, {"a": 6, "b": 3, "c": 1}, {"a": 0.5, "b": 0.25, "c": 0.2, "d": 0.05}]
)
@pytest.mark.parametrize("strategy", ["weighted", "sticky"])
def test_requests_are_spread_in_proportion_to_the_weights(strategy, weights):
    tier = tier_of(**weights)
    counts = (
        firsts(strategy, tier, 20_000)
        if strategy == "weighted"
        else Counter(tier[strategies.sticky(tier, Occasion(0, 0, session=f"s-{n}"))[0]].name for n in range(20_000))
    )
    assert chi_square(counts, weights) < CHI_SQUARE[len(weights) - 1]


def test_after_the_first_one_the_rest_is_drawn_by_weight_too():
    tier = tier_of(a=6, b=3, c=1)
    orders = [strategies.weighted(tier, Occasion(seed, 0)) for seed in range(30_000)]
    seconds = Counter(tier[order[1]].name for order in orders if order[0] == 0)
    assert chi_square(seconds, {"b": 3, "c": 1}) < CHI_SQUARE[1]


def test_the_least_busy_for_its_weight_is_asked_first():
    tier = tier_of(a=1, b=1, c=4)
    for one, active in zip(tier, (2, 1, 3), strict=True):
        one.state.active = active
    assert list(strategies.least_busy(tier, NOW)) == [2, 1, 0]


def test_equally_busy_ones_share_the_requests():
    assert chi_square(firsts("least_busy", tier_of(a=1, b=1, c=1), 9_000), {"a": 1, "b": 1, "c": 1}) < CHI_SQUARE[2]


def test_the_one_that_answers_soonest_gets_all_but_what_is_explored():
    tier = tier_of(a=1, b=1, c=1)
    for one, seconds in zip(tier, (0.9, 0.2, 0.5), strict=True):
        one.state.measure(seconds, True)
    counts = firsts("lowest_latency", tier, 10_000, is_stream=True)
    explored = strategies.EXPLORED / 3
    shares = {"a": explored, "b": 1 - 2 * explored, "c": explored}
    assert chi_square(counts, shares) < CHI_SQUARE[2]


def test_a_deployment_that_became_fast_is_found_again_by_what_is_explored():
    tier = tier_of(slow=1, fast=1)
    tier[0].state.measure(0.3, True)
    tier[1].state.measure(5.0, True)  # it was slow once
    for seed in range(2_000):
        first = tier[strategies.lowest_latency(tier, Occasion(seed, 0, is_stream=True))[0]]
        first.state.measure(0.3 if first.name == "slow" else 0.05, True)
    assert tier[1].state.first_token_s < 0.3


def test_one_that_nobody_measured_is_asked_by_one_request_at_a_time():
    tier = tier_of(known=1, new=1)
    tier[0].state.measure(0.1, False)
    occasion = next(
        Occasion(seed, 0) for seed in range(99) if list(strategies.lowest_latency(tier, Occasion(seed, 0))) == [1, 0]
    )
    tier[1].state.begin(0)
    assert list(strategies.lowest_latency(tier, occasion)) == [0, 1]


def test_the_cheapest_for_this_request_is_asked_first_and_unknown_prices_last():
    tier = [
        Candidate("unpriced", 1, DeploymentState("unpriced")),
        Candidate("cheap input", 2, DeploymentState("x"), pricer=price(1, 20)),
        Candidate("cheap output", 3, DeploymentState("y"), pricer=price(3, 5)),
    ]
    long = Occasion(0, 0, input_tokens=100_000, output_tokens=100)
    wordy = Occasion(0, 0, input_tokens=100, output_tokens=10_000)
    assert list(strategies.lowest_cost(tier, long)) == [1, 2, 0]
    assert list(strategies.lowest_cost(tier, wordy)) == [2, 1, 0]


def test_a_session_stays_where_it_is_and_only_those_of_a_lost_deployment_move():
    tier = tier_of(a=1, b=1, c=1)
    sessions = [f"session {n}" for n in range(500)]
    before = {s: tier[strategies.sticky(tier, Occasion(n, 0, session=s))[0]].name for n, s in enumerate(sessions)}
    less = [tier[0], tier[2]]
    after = {s: less[strategies.sticky(less, Occasion(n, 1, session=s))[0]].name for n, s in enumerate(sessions)}
    assert all(after[s] == before[s] for s in sessions if before[s] != "b")
    moved = Counter(after[s] for s in sessions if before[s] == "b")
    assert set(moved) == {"a", "c"}


def test_without_a_session_sticky_requests_are_spread():
    assert chi_square(firsts("sticky", tier_of(a=1, b=1), 5_000), {"a": 1, "b": 1}) < CHI_SQUARE[1]
