"""Budgets of LiteLLM as ours: which durations are periods of the calendar, and what is listed.

Which duration ends when is LiteLLM's own word: litellm_core_utils/duration_parser.py and tests of
get_next_standardized_reset_time (github.com/BerriAI/litellm, read 2026-11-28).
"""

import pytest

from switchgear.core.budget_rule import BudgetSpec
from switchgear.importers import litellm_budgets


def take(**rest):
    lines = []
    found = litellm_budgets.take(rest, "k", lambda *line: lines.append(line))
    assert rest == {}
    return found, [(path, status) for status, path, _ in lines]


@pytest.mark.parametrize(
    ("duration", "limit"),
    [
        (None, "10 total"), ("1h", "10/hour"), ("1d", "10/day"), ("24h", "10/day"), ("7d", "10/week"),
        ("30d", "10/month"), ("1mo", "10/month"),
    ],
)  # fmt: skip
def test_a_duration_that_ends_with_the_calendar_is_a_period_of_it(duration, limit):
    assert take(max_budget=10, budget_duration=duration) == ([limit], [("k", "imported")])


@pytest.mark.parametrize("duration", ["90m", "12h", "14d"])
def test_another_duration_is_a_rolling_window_and_the_report_says_so(duration):
    found, said = take(max_budget=10.5, budget_duration=duration)
    assert found == [f"10.5/{duration} rolling"]
    assert said == [("k.max_budget", "changed"), ("k", "imported")]


def test_a_soft_budget_is_a_threshold_of_the_hard_one_or_stops_nobody():
    assert take(max_budget=10, soft_budget=8)[0] == [BudgetSpec(limit="10 total", soft="80%")]
    assert take(soft_budget=8, budget_duration="1d")[0] == [BudgetSpec(limit="8/day", soft="100%", hard=False)]


def test_a_budget_of_one_model_counts_that_model():
    found, _ = take(
        max_budget=10,
        model_max_budget={
            "gpt-4o": {"budget_limit": 5, "time_period": "1d"},
            "openai/o3": {"max_budget": 2, "budget_duration": "30d"},
            "x": 1,
        },
    )
    assert found == [
        "10 total",
        BudgetSpec(limit="5/day", name="gpt-4o", models=["gpt-4o"]),
        BudgetSpec(limit="2/month", name="openai-o3", models=["openai/o3"]),
        BudgetSpec(limit="1 total", name="x", models=["x"]),
    ]


def test_several_windows_are_several_budgets():
    limits = [{"budget_duration": "1d", "max_budget": 1}, {"budget_duration": "30d", "max_budget": 20}]
    assert take(budget_limits=limits)[0] == ["1/day", "20/month"]


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ({"max_budget": "x"}, "k.max_budget"),
        ({"max_budget": 0}, "k.max_budget"),
        ({"max_budget": -1}, "k.max_budget"),
        ({"max_budget": float("nan")}, "k.max_budget"),
        ({"max_budget": 5, "budget_duration": "soon"}, "k.max_budget"),
        ({"max_budget": 5, "budget_duration": "3y"}, "k.max_budget"),
        ({"max_budget": 1e15}, "k"),
        ({"model_max_budget": {"a": {"budget_limit": []}}}, "k.model_max_budget.a"),
        ({"budget_limits": [{"max_budget": 1}, {"max_budget": 2}]}, "k"),
    ],
)
def test_what_is_no_budget_here_is_listed(rest, path):
    assert (path, "unsupported") in take(**rest)[1]
