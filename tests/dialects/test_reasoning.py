"""Efforts and budgets."""

import pytest

from switchgear.dialects import canonical, reasoning


@pytest.mark.parametrize(
    ("budget", "effort"), [(0, "none"), (500, "low"), (8_192, "medium"), (20_000, "high"), (None, None), (-1, None)]
)
def test_a_budget_as_an_effort(budget, effort):
    assert reasoning.effort_of(canonical.Reasoning(budget=budget)) == effort


def test_an_effort_as_a_budget():
    assert reasoning.budget_of(canonical.Reasoning("medium")) == 8_192
    assert reasoning.budget_of(canonical.Reasoning("high", 5)) == 5
    assert reasoning.budget_of(canonical.Reasoning(), 7) == 7


def test_a_word_for_an_effort_is_read_or_unknown():
    assert (
        reasoning.read_effort("max") == "xhigh"
        and reasoning.read_effort("low") == "low"
        and reasoning.read_effort("?") is None
    )


def test_claude_refuses_to_think_after_unsigned_calls_and_with_a_forced_tool():
    call = canonical.ToolCall("1", "f", "{}")
    turns = [
        canonical.Message("assistant", [call]),
        canonical.Message("user", [canonical.ToolResult("1", [canonical.Text("x")])]),
    ]
    request = canonical.Request(model="m", messages=turns)
    assert reasoning.is_refused(request, frozenset({"anthropic"}))
    turns[0].parts.insert(0, canonical.Thinking("t", "sig", maker="anthropic"))
    assert not reasoning.is_refused(request, frozenset({"anthropic"}))
    request.choice = canonical.ToolChoice("required")
    assert reasoning.is_refused(request, frozenset({"anthropic"}))
    assert not reasoning.is_refused(
        canonical.Request(model="m", messages=[canonical.Message("user", [canonical.Text("x")])]), frozenset()
    )


@pytest.mark.parametrize(
    ("effort", "taken", "expected"),
    [
        ("xhigh", None, "high"),
        ("minimal", None, "low"),
        ("none", None, None),
        ("none", ("minimal", "low", "medium", "high"), "minimal"),
        ("minimal", ("none", "low", "medium", "high"), "none"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("low", ("high",), "high"),
        ("medium", None, "medium"),
    ],
)
def test_an_effort_that_a_model_does_not_know_becomes_the_nearest(effort, taken, expected):
    """CLIProxyAPI#1307 (Kimi knows low, medium, high), opencode#50818, gendox#480."""
    assert reasoning.nearest(effort, taken) == expected
