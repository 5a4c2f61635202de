"""What metrics show of requests: bounded, whatever names and numbers stand in the spools."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.control.traffic import (
    NO_PROVIDER,
    OTHER,
    PROVIDERS_MAX,
    SERIES_MAX,
    STATUSES_MAX,
    Traffic,
)
from switchgear.core.histogram import Histogram
from switchgear.ledger.batch import Batch
from switchgear.store.sums import SUMS, Sums
from switchgear.store.tables import DIMENSIONS
from switchgear.wire.records import Counters

REASONS = frozenset({"invalid_api_key", "unknown_path"})


def test_names_that_somebody_invents_crowd_nobody_out(clock):
    traffic = Traffic(REASONS, clock)
    traffic.settled(("openai", f"invented-{n}", 404, 5, None) for n in range(50_000))
    traffic.settled([("openai", "gpt-4o", 200, 5, None)])
    assert set(traffic.series) == {("openai", OTHER), ("openai", "gpt-4o")}
    assert traffic.series["openai", OTHER].statuses == {"404": 50_000}


def test_series_are_bounded_when_every_name_answers(clock):
    traffic = Traffic(REASONS, clock)
    traffic.settled((f"p{n}", f"m{n}", 200 + n % 700, n, n) for n in range(20_000))
    assert len(traffic.series) <= 2 * SERIES_MAX + 1
    assert all(len(series.statuses) <= STATUSES_MAX + 1 for series in traffic.series.values())
    assert sum(sum(series.statuses.values()) for series in traffic.series.values()) == 20_000


@given(values=st.lists(st.integers(0, 10**9)))
def test_a_histogram_is_what_counting_says(values):
    histogram = Histogram((50, 100, 1_000))
    for value in values:
        histogram.add(value)
    expected = [(str(bound / 1000), float(sum(v <= bound for v in values))) for bound in (50, 100, 1_000)]
    assert histogram.buckets() == [*expected, ("+Inf", float(len(values)))]
    assert histogram.sum_ms == sum(values)


def test_refusals_of_the_last_minute_and_in_all(clock):
    traffic = Traffic(REASONS, clock)
    traffic.counted("edge-0", [Counters(0, {"invalid_api_key": 3}, 5)])
    clock.advance(30)
    traffic.counted("edge-1", [Counters(0, {"invalid_api_key": 4, "x" * 99: 2}, 7)])
    clock.advance(10)
    assert traffic.refused_lately == {"invalid_api_key": 7, OTHER: 2}
    clock.advance(21)
    assert traffic.refused_lately == {"invalid_api_key": 4, OTHER: 2}
    clock.advance(400)
    traffic.counted("edge-0", [Counters(0, {}, 5)])
    assert traffic.refused_lately == {}
    assert traffic.refused == {"invalid_api_key": 7, OTHER: 2}


def test_connections_are_those_of_edges_that_live(clock):
    traffic = Traffic(REASONS, clock)
    traffic.counted("edge-0", [Counters(0, {}, 5)])
    traffic.counted("edge-1", [Counters(0, {}, 7)])
    assert traffic.connections({"edge-0", "edge-1"}) == 12
    assert traffic.connections({"edge-0"}) == 5


def test_a_batch_is_counted_by_provider_with_the_attempts_that_failed_there(clock):
    traffic = Traffic(REASONS, clock)
    batch = Batch(spool="edge-0")
    for provider, sums in (
        ("up", Sums(requests=1, attempts=2, failed_attempts=1)),  # the last attempt worked
        ("", Sums(requests=3, errors=3)),  # refused before a provider was chosen
    ):
        dimensions = [provider if name == "provider" else "" for name in DIMENSIONS]
        batch.sums[tuple(dimensions)] = sums
    batch.timings = [("up", "m", 200, 7, None)]
    batch.counters = [Counters(0, {"invalid_api_key": 2}, 5)]
    traffic.on_batch(batch)
    traffic.on_batch(batch)
    assert traffic.providers["up"] == Sums(requests=2, attempts=4, failed_attempts=2, errors=2)
    assert traffic.providers[NO_PROVIDER] == Sums(requests=6, errors=6)
    assert traffic.refused == {"invalid_api_key": 4} and traffic.connections({"edge-0"}) == 5
    assert traffic.series["up", "m"].statuses == {"200": 2}


def test_providers_that_somebody_invents_are_bounded(clock):
    traffic, batch = Traffic(REASONS, clock), Batch()
    for number in range(2 * PROVIDERS_MAX):
        dimensions = tuple(f"p{number}" if name == "provider" else "" for name in DIMENSIONS)
        batch.sums[dimensions] = Sums(*[1] * len(SUMS))
    traffic.on_batch(batch)
    assert len(traffic.providers) == PROVIDERS_MAX + 1
    assert sum(sums.requests for sums in traffic.providers.values()) == 2 * PROVIDERS_MAX
