"""How an attempt is recorded."""

from types import SimpleNamespace

import msgspec
import pytest

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.edge.attempt import AttemptProgress, is_event_stream
from switchgear.edge.setback import Setback
from switchgear.pricing.price import Pricer
from switchgear.testing.edge import PRICE
from switchgear.wire.frames import Head

PRICER = Pricer(PRICE)
HEAD = Head(200, [(b"date", b"x"), (b"x-request-id", b"up-\x80" + b"y" * 200)], 3)


def test_an_attempt_tells_its_times_and_the_providers_id():
    outcome = AttemptProgress(5, None, HEAD, 9, 2).outcome(PRICER, 200, None, None, 12)
    assert (outcome.number, outcome.start_ms, outcome.end_ms, outcome.connect_ms) == (2, 5, 12, 3)
    assert outcome.upstream_request_id == "up-" + "y" * 124


def test_an_attempt_without_a_head_has_no_status():
    attempt = AttemptProgress(5)
    attempt.cancel()
    outcome = attempt.outcome(PRICER, attempt.status, "timeout", None, 12)
    assert (outcome.status, outcome.error, outcome.upstream_request_id) == (None, "timeout", None)


def test_an_attempt_that_another_follows_has_a_charge_of_its_own():
    charge = Setback("broken", Problem(problems.UPSTREAM_BROKEN, ""), usage=TokenUsage(input=3), is_estimated=True)
    outcome = AttemptProgress(5, None, HEAD, 9, 2).outcome(PRICER, 200, "broken", charge, 12)
    assert (outcome.tokens, outcome.cost_nanousd, outcome.is_estimated) == (TokenUsage(input=3), 3_000, True)


@pytest.mark.parametrize(
    ("kind", "is_stream"),
    [(b"text/event-stream", True), (b"Text/Event-Stream; x", True), (b"", True), (b"text/plain", True), (b"application/json", False)],
)  # fmt: skip
def test_a_stream_is_known_by_its_type_where_one_was_asked_for(kind, is_stream):
    head = Head(200, [(b"content-type", kind)], None)
    assert is_event_stream(SimpleNamespace(stream=True), head) is is_stream
    assert not is_event_stream(SimpleNamespace(stream=False), head)


def test_tools_that_ran_before_it_failed_are_part_of_its_charge():
    price = msgspec.structs.replace(PRICE, units={"web_searches": 10**13})  # 10 USD for a thousand
    charge = Setback(
        "garbage", Problem(problems.UPSTREAM_BROKEN, ""), usage=TokenUsage(input=3), units={"web_searches": 2}
    )
    outcome = AttemptProgress(5, None, HEAD, 9, 2).outcome(Pricer(price), 200, "garbage", charge, 12)
    assert (outcome.units, outcome.cost_nanousd) == ({"web_searches": 2}, 20_003_000)
