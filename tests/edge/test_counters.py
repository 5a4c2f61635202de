"""What an edge counts: handed over once, and only when something changed."""

from switchgear.edge.counters import Tally


def test_unchanged_counters_give_no_record():
    assert Tally().record(0, 0, 0, 0) is None


def test_counts_are_handed_over_once():
    tally = Tally()
    for _ in range(200):
        tally.refuse("invalid_api_key")
    first = tally.record(7, 3, 1, 2)
    assert (first.time_ms, first.refused, first.connections, first.lines_lost, first.errors) == (
        7, {"invalid_api_key": 200}, 3, 1, 2,
    )  # fmt: skip
    tally.taken(first)
    assert tally.record(8, 3, 1, 2) is None
    tally.refuse("unknown_path")
    assert tally.record(9, 3, 4, 2).refused == {"unknown_path": 1}
    assert tally.record(9, 3, 4, 2).lines_lost == 3


def test_counters_that_could_not_be_written_are_kept_for_the_next_record():
    tally = Tally()
    tally.refuse("overloaded")
    tally.record(0, 0, 0, 0)
    tally.refuse("overloaded")
    assert tally.record(1, 0, 0, 0).refused == {"overloaded": 2}
