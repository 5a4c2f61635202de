"""What a key has spent, as its holder is told."""

import pytest

from switchgear.edge import spending
from switchgear.edge.spending import DAY_MS
from switchgear.replica.entries import Spend

SPEND = Spend(10, 5, {"m": (2, 30), "n": (1, 4)}, 100)


def test_todays_figures_are_summed_by_model():
    told = spending.today(SPEND, 10 * DAY_MS + 7)
    assert (told["requests"], told["cost_nanousd"], told["as_of_ms"]) == (3, 34, 5)
    assert told["models"]["m"] == {"requests": 2, "cost_nanousd": 30}


@pytest.mark.parametrize("spend", [None, SPEND])
def test_yesterdays_figures_are_not_todays(spend):
    told = spending.today(spend, 11 * DAY_MS)
    assert (told["requests"], told["cost_nanousd"], told["as_of_ms"]) == (0, 0, None)


@pytest.mark.parametrize(("day", "before"), [(10, 100), (11, 134)])
def test_a_day_that_is_over_counts_as_before(day, before):
    assert spending.before_today(SPEND, day * DAY_MS) == before
    assert spending.in_all(SPEND) == 134


def test_a_new_key_spent_nothing():
    assert spending.before_today(None, 0) == spending.in_all(None) == 0
