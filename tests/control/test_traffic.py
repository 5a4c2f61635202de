"""What metrics show of requests: bounded, whatever names and numbers stand in the spools."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.control.traffic import OTHER, SERIES_MAX, STATUSES_MAX, Histogram, Traffic
from switchgear.wire.records import Counters

REASONS = frozenset({"invalid_api_key", "unknown_path"})


def test_names_that_somebody_invents_crowd_nobody_out():
    traffic = Traffic(REASONS)
    traffic.settled(("openai", f"invented-{n}", 404, 5, None) for n in range(50_000))
    traffic.settled([("openai", "gpt-4o", 200, 5, None)])
    assert set(traffic.series) == {("openai", OTHER), ("openai", "gpt-4o")}
    assert traffic.series["openai", OTHER].statuses == {"404": 50_000}


def test_series_are_bounded_when_every_name_answers():
    traffic = Traffic(REASONS)
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


def test_refusals_of_the_last_minute_and_in_all():
    traffic = Traffic(REASONS)
    traffic.counted("edge-0", [Counters(0, {"invalid_api_key": 3}, 5)], 100.0)
    traffic.counted("edge-1", [Counters(0, {"invalid_api_key": 4, "x" * 99: 2}, 7)], 130.0)
    assert traffic.refused_lately(140.0) == {"invalid_api_key": 7, OTHER: 2}
    assert traffic.refused_lately(161.0) == {"invalid_api_key": 4, OTHER: 2}
    traffic.counted("edge-0", [Counters(0, {}, 5)], 500.0)
    assert traffic.refused_lately(500.0) == {}
    assert traffic.refused == {"invalid_api_key": 7, OTHER: 2}
    assert traffic.connections == 12
    traffic.ended("edge-1")
    assert traffic.connections == 5
