"""What a provider says of its own limits."""

import pytest

from switchgear.routing import allowance
from switchgear.routing.states import DeploymentState

# OpenAI's guide "Rate limits", table "Rate limits in headers" (read 2026-11-27).
OPENAI = [
    (b"x-ratelimit-limit-requests", b"60"), (b"x-ratelimit-limit-tokens", b"150000"),
    (b"x-ratelimit-remaining-requests", b"59"), (b"x-ratelimit-remaining-tokens", b"149984"),
    (b"x-ratelimit-reset-requests", b"1s"), (b"x-ratelimit-reset-tokens", b"6m0s"),
]  # fmt: skip
ANTHROPIC = [
    (b"anthropic-ratelimit-requests-limit", b"50"), (b"anthropic-ratelimit-requests-remaining", b"0"),
    (b"anthropic-ratelimit-requests-reset", b"2026-11-27T10:00:30Z"),
    (b"anthropic-ratelimit-input-tokens-limit", b"30000"), (b"anthropic-ratelimit-input-tokens-remaining", b"15000"),
    (b"anthropic-ratelimit-input-tokens-reset", b"2026-11-27T10:00:30Z"),
]  # fmt: skip
WALL_MS = 1_795_773_600_000
"""2026-11-27T10:00:00Z."""


def test_openais_own_example_is_read():
    found = allowance.read(OPENAI, 100.0, 0)
    assert (found["requests"].limit, found["requests"].remaining, found["requests"].full_s) == (60, 59, 101.0)
    assert (found["tokens"].limit, found["tokens"].remaining, found["tokens"].full_s) == (150_000, 149_984, 460.0)


def test_anthropics_dates_are_read():
    found = allowance.read(ANTHROPIC, 100.0, WALL_MS)
    assert found["requests"].full_s == 130.0 and found["input-tokens"].remaining == 15_000


@pytest.mark.parametrize(
    ("text", "seconds"), [(b"12ms", 0.012), (b"1m30.5s", 90.5), (b"1h", 3600), (b"2", 2), (b"9d", 86_400)]
)
def test_a_reset_may_be_written_so(text, seconds):
    found = allowance.read([(b"x-ratelimit-remaining-tokens", b"1"), (b"x-ratelimit-reset-tokens", text)], 0.0, 0)
    assert found["tokens"].full_s == pytest.approx(seconds)


@pytest.mark.parametrize("text", [b"", b"soon", b"-1s", b"1x", b"\xff", b"9" * 40, b"1970-01-01T00:00:00Z"])
def test_garbage_says_nothing(text):
    assert (
        allowance.read([(b"x-ratelimit-remaining-tokens", b"1"), (b"x-ratelimit-reset-tokens", text)], 0.0, 60_000)
        == {}
    )
    assert (
        allowance.read([(b"x-ratelimit-remaining-requests", text), (b"x-ratelimit-reset-requests", b"1s")], 0.0, 0)
        == {}
    )


def test_without_a_reset_a_minute_is_assumed():
    found = allowance.read([(b"x-ratelimit-remaining-requests", b"7"), (b"x-ratelimit-limit-requests", b"10")], 5.0, 0)
    assert found["requests"].full_s == 65.0


def test_a_limit_fills_up_steadily():
    found = allowance.read(ANTHROPIC, 100.0, WALL_MS)["requests"]
    assert [found.left(now) for now in (100.0, 115.0, 130.0, 999.0)] == [0, 25, 50, 50]


def test_a_deployment_without_room_is_passed_over_until_there_is_some():
    state = DeploymentState("a")
    state.told(allowance.read(ANTHROPIC, 100.0, WALL_MS))
    assert state.unfit(100.0, 10) == "limited"
    assert state.unfit(100.7, 10) is None, "50 in 30 s: one more after 0.6 s"
    assert state.unfit(101.0, 20_000) == "limited", "half of 30,000 tokens are left"
    assert state.unfit(101.0, 10) is None


def test_what_is_sent_counts_until_the_provider_tells_anew():
    state = DeploymentState("a")
    headers = [
        (b"x-ratelimit-limit-requests", b"2"),
        (b"x-ratelimit-remaining-requests", b"2"),
        (b"x-ratelimit-reset-requests", b"1h"),
    ]
    state.told(allowance.read(headers, 0.0, 0))
    state.begin(5)
    assert state.unfit(0.0, 5) is None
    state.begin(5)
    assert state.unfit(0.0, 5) == "limited"
    state.told(allowance.read(headers, 0.0, 0))
    assert state.unfit(0.0, 5) is None


def test_a_request_over_the_limit_itself_is_still_sent_when_all_of_it_is_left():
    state = DeploymentState("a")
    state.told(
        allowance.read([(b"x-ratelimit-limit-tokens", b"100"), (b"x-ratelimit-remaining-tokens", b"100")], 0.0, 0)
    )
    assert state.unfit(0.0, 5_000) is None


def told(limit, remaining, reset):
    return allowance.read(
        [
            (b"x-ratelimit-limit-tokens", limit),
            (b"x-ratelimit-remaining-tokens", remaining),
            (b"x-ratelimit-reset-tokens", reset),
        ],
        0.0,
        0,
    )


def test_a_limit_of_nothing_is_none():
    assert told(b"0", b"0", b"1s") == {}


def test_what_was_sent_is_forgotten_when_the_limit_is_full_again():
    state = DeploymentState("a")
    state.told(told(b"100", b"100", b"10s"))
    state.end(5_000, state.begin(5_000), is_good=True)
    assert state.unfit(9.9, 5) == "limited" and state.unfit(10.0, 5) is None and state.unfit(90_000.0, 5) is None


def test_what_was_refused_counts_only_while_it_is_under_way():
    state = DeploymentState("a")
    state.told(told(b"100", b"100", b"1h"))
    number = state.begin(5_000)
    assert state.unfit(1.0, 5) == "limited"
    state.end(5_000, number, is_good=False)
    assert state.unfit(1.0, 5) is None


def test_what_was_under_way_when_its_provider_told_anew_is_not_given_back_twice():
    state = DeploymentState("a")
    state.told(told(b"100", b"100", b"1h"))
    number = state.begin(60)
    state.told(told(b"100", b"40", b"1h"))
    state.end(60, number, is_good=False)
    assert state.client("").headroom.used == {} and state.unfit(0.0, 50) == "limited"


def test_a_limit_without_room_is_asked_once_in_a_while_all_the_same():
    state = DeploymentState("a")
    state.told(told(b"100", b"0", b"24h"))
    assert not state.may_probe("limited", 14.0, 15.0) and state.may_probe("limited", 15.0, 15.0)
    state.claim("limited", 15.0)
    assert not state.may_probe("limited", 29.0, 15.0) and state.may_probe("limited", 30.0, 15.0)
