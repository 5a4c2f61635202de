"""How long answers are kept, as it is written and as it holds."""

import pytest

from switchgear.core import cache_rule
from switchgear.core.cache_rule import Wish


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("24h", 86_400), ("1d", 86_400), ("off", 0)]
    + [(text, None) for text in ("", "0s", "25h", "10", "m", "-1m", "1.5h", "10 m", "off ", "1w")],
)
def test_a_time_is_read_as_it_is_meant_or_not_at_all(text, seconds):
    assert cache_rule.parse_ttl(text) == seconds


@pytest.mark.parametrize("seconds", [0, 1, 600, 86_400])
def test_a_time_is_written_as_it_is_read(seconds):
    assert cache_rule.parse_ttl(cache_rule.write(seconds)) == seconds


def test_the_shortest_time_holds_and_off_is_the_shortest():
    assert cache_rule.tightest(None, 600, 60) == 60
    assert cache_rule.tightest(None, 600, cache_rule.FORBIDDEN) == cache_rule.FORBIDDEN
    assert cache_rule.tightest(None, None) is None


def test_a_rule_that_cannot_be_read_keeps_nothing():
    assert cache_rule.seconds_of(None) is None
    assert cache_rule.seconds_of({"ttl": "10m"}) == 600
    assert cache_rule.seconds_of({"ttl": "soon"}) == cache_rule.FORBIDDEN
    assert cache_rule.seconds_of({}) == cache_rule.FORBIDDEN


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("on", Wish()),
        ("ttl=1m", Wish(60)),
        ("TTL=1m , no-store", Wish(None, stores=False)),
        ("refresh", Wish(None, reads=False)),
        ("refresh, ttl=1m", Wish(60, reads=False)),
    ]
    + [(text, Wish(None, reads=False, stores=False)) for text in ("off", "", "On!", "ttl=", "ttl=off", "on,off")],
)
def test_a_request_says_what_it_wants_and_what_is_not_understood_is_off(text, wish):
    assert cache_rule.wish(text) == wish
