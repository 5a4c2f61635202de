"""What people write of limits, and what becomes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import limit_rule
from switchgear.core.limit_rule import LimitRule

GOOD = {
    "5000 requests/day": LimitRule("requests", 5000, "day"),
    "1 request/second": LimitRule("requests", 1, "second"),
    "60 requests per minute": LimitRule("requests", 60, "minute"),
    "100_000 tokens/min": LimitRule("total", 100_000, "minute"),
    "20000 output tokens/hour": LimitRule("output", 20_000, "hour"),
    "20000 Input  Tokens / h": LimitRule("input", 20_000, "hour"),
    "4 parallel requests": LimitRule("parallel", 4),
    "4 parallel": LimitRule("parallel", 4),
    "100 requests/hour per end_user": LimitRule("requests", 100, "hour", "end_user"),
    "100 requests per hour per tag:app": LimitRule("requests", 100, "hour", "tag:app"),
    "2 parallel requests per user": LimitRule("parallel", 2, "", "user"),
}
BAD = {
    "": "is no limit",
    "x": "is no limit",
    "requests/day": "is no limit",
    "1.5 requests/day": "is no limit",
    "0 requests/day": "at least 1",
    "-5 requests/day": "at least 1",
    "9999999999999 requests/day": "at most",
    "5 apples/day": "cannot be limited",
    "5 tokns/day": "did you mean 'tokens'?",
    "5 requests": "it has no window",
    "5 requests/fortnight": "'fortnight' is no window",
    "4 parallel/minute": "write '4 parallel requests'",
    "5 requests/day per country": "no dimension",
    "5 requests/day per end_usr": "did you mean 'end_user'?",
    "5 requests/day per tag:": "no dimension",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_written_rule_is_read(text):
    assert limit_rule.parse(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_rule_is_refused_with_its_reason(text):
    wrong = limit_rule.parse(text)
    assert isinstance(wrong, str)
    assert BAD[text] in wrong


@given(
    st.builds(
        LimitRule,
        st.sampled_from(sorted(set(limit_rule.UNITS.values()) - {"parallel"})),
        st.integers(1, limit_rule.AMOUNT_MAX),
        st.sampled_from(limit_rule.WINDOWS),
        st.sampled_from([None, *limit_rule.DIMENSIONS, "tag:app"]),
    )
)
def test_a_rule_that_is_written_is_read_as_it_was(rule):
    assert limit_rule.parse(limit_rule.write(rule)) == rule


@given(st.text(max_size=60))
def test_whatever_is_written_is_a_rule_or_a_reason(text):
    assert isinstance(limit_rule.parse(text), LimitRule | str)


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({}, []),
        ({"rpm": 60, "tpm": 1, "parallel": 4, "limits": ["5000 requests/day"]}, []),
        ({"rpm": 0}, ["rpm"]),
        ({"tpm": -1, "parallel": 10**13}, ["tpm", "parallel"]),
        ({"limits": ["x", "5 requests/day", "0 tokens/day"]}, ["limits[0]", "limits[2]"]),
        ({"rpm": 60, "limits": ["100 requests/minute"]}, ["limits[0]"]),
        ({"rpm": 60, "limits": ["100 requests/minute per user"]}, []),
        ({"limits": ["1 requests/day", "2 requests/day"]}, ["limits[1]"]),
        ({"rpm": 1, "limits": [f"1 requests/hour per tag:{n}" for n in range(8)]}, ["limits"]),
    ],
)
def test_each_wrong_limit_is_named_by_its_path(values, paths):
    assert [path for path, _ in limit_rule.check(values)] == paths


def test_two_limits_of_the_same_name_each_other():
    ((_, message),) = limit_rule.check({"rpm": 60, "limits": ["100 requests/minute"]})
    assert "`rpm`" in message
