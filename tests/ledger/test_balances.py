"""What settlements, deaths of edges and corrections book in the balances of budgets."""

import msgspec
import pytest

from switchgear.core.usage import TokenUsage
from switchgear.ledger import corrections, interrupted, settlement
from switchgear.ledger.balances import Balance, Ended, held_of
from switchgear.ledger.batch import Batch, Told
from switchgear.ledger.build import OpenRequest
from switchgear.ledger.charges import Charges
from switchgear.ledger.journal import Evidence
from switchgear.pricing.price import Price, Rate
from switchgear.wire import records
from switchgear.wire.records import AttemptOutcome, Held

ID = f"{1_790_000_000_000:012x}{7:020x}"
PRICE = Price("m", "override", {"input": Rate(1_000_000_000), "output": Rate(2_000_000_000)})
"""A thousand nano-USD for a token of input, two thousand for one of output."""
CALLER = records.Caller("k", "bot", 1, None, None, None)
CALLEE = records.Callee("chat", "/chat/completions", "openai", "m", "up", "up/c", "c", "m", "p")
DAY = Held("one/5:key:k//day", 20_000, 900_000, "nanousd", 1_790_100_000_000)
CALLS = Held("one/5:key:k//requests/day", 20_000, 1, "requests", 1_790_100_000_000)
TOKENS = Held("one/5:key:k//total/day", 20_000, 500, "total", 1_790_100_000_000)


def opened(first=(DAY, CALLS, TOKENS), second=None):
    reserve = records.Reserve(
        ID,
        1_790_000_000_000,
        msgspec.Raw(records.encode_payload(CALLER)),
        msgspec.Raw(records.encode_payload(CALLEE)),
        False,
        25,
        None,
        None,
        100,
        budgets=list(first),
        held_us=5,
        lasts_s=60,
    )
    attempts = [] if second is None else [records.Attempt(ID, 2, "up", "up/c", "c", "m", "p", list(second), 6)]
    raw = records.encode_payload(reserve)
    return OpenRequest(records.decode_payload(records.Kind.RESERVE, raw), CALLER, CALLEE, raw, attempts)


def settle(tries, usage, cost):
    return records.Settle(ID, 200, "ok", tries, usage, cost, None, "stop", None, None, 10, 5, None)


def booked(request, record):
    batch = Batch()
    charges = Charges(lambda *_: PRICE)
    settlement.book(batch, request, record, records.encode_payload(record), charges, pytest.fail)
    return batch.booked


def outcome(number, **more):
    return AttemptOutcome(number, 200, None, 0, 3, 4, None, None, **more)


def test_a_settlement_books_cost_requests_and_tokens_in_the_periods_that_were_held():
    got = booked(opened(), settle([outcome(1)], TokenUsage(input=100, output=50), 200_000))

    assert got.balances == {
        (DAY.budget, 20_000): Balance(200_000, "nanousd", DAY.ends_ms, 0),
        (CALLS.budget, 20_000): Balance(1, "requests", DAY.ends_ms, 0),
        (TOKENS.budget, 20_000): Balance(150, "total", DAY.ends_ms, 0),
    }
    (end,) = got.ends
    assert (end.attempt, end.how, end.used, end.held_us) == (f"{ID}-1", Ended.SETTLED, [200_000, 1, 150], 5)
    assert end.until_ms == 1_790_000_060_000


def test_N4_attempts_that_may_still_be_charged_say_until_when():
    record = settle([outcome(1), outcome(2)], TokenUsage(input=100, output=50), 200_000)
    record = msgspec.structs.replace(record, latency_ms=2_000, still_charged=[records.StillCharged(2, 600)])
    first, second = booked(opened((DAY,), (DAY,)), record).ends
    assert (first.is_uncertain, second.is_uncertain) == (False, True)
    assert second.until_ms == 1_790_000_000_000 + 602_000


def test_each_attempt_books_what_it_cost_in_its_own_period():
    tomorrow = msgspec.structs.replace(DAY, period=20_001)
    failed = outcome(1, tokens=TokenUsage(input=100, output=0), cost_nanousd=100_000)
    got = booked(opened((DAY,), (tomorrow,)), settle([failed, outcome(2)], TokenUsage(input=100, output=50), 200_000))

    assert {period: one.settled for (_, period), one in got.balances.items()} == {20_000: 100_000, 20_001: 200_000}


def test_what_was_never_sent_books_nothing_and_ends_its_hold():
    got = booked(opened(), settle([], None, 0))

    assert got.balances == {}
    assert [(end.how, list(end.used)) for end in got.ends] == [(Ended.SETTLED, [0, 0, 0])]


@pytest.mark.parametrize("is_sent", [False, True])
def test_an_edge_that_died_books_what_was_sent_and_gives_back_what_was_not(is_sent):
    request = opened((DAY,))
    evidence = {f"{ID}-1": Evidence(None)} if is_sent else {}
    record = interrupted.orphaned(request, evidence, Charges(lambda *_: PRICE))
    batch = Batch()
    batch.booked.interrupted(request, record)

    (end,) = batch.booked.ends
    assert end.how == (Ended.INTERRUPTED if is_sent else Ended.NOT_SENT)
    # 25 tokens of input were estimated, at a thousand nano-USD each.
    assert {key: one.settled for key, one in batch.booked.balances.items()} == (
        {(DAY.budget, 20_000): 25_000} if is_sent else {}
    )


SOFT = msgspec.structs.replace(DAY, is_hard=False)


@pytest.mark.parametrize(("held", "untold", "unpriced"), [(DAY, 900_000, 900_000), (SOFT, 200_000, 0)])
def test_N4_what_is_not_known_for_certain_books_a_hard_hold_whole_and_of_a_soft_one_what_is_known(
    held, untold, unpriced
):
    usage = TokenUsage(input=100, output=50)
    estimated = msgspec.structs.replace(settle([outcome(1)], usage, 200_000), estimate_reason="none", is_untold=True)
    assert booked(opened((held,)), estimated).ends[0].used == [untold]
    assert booked(opened((held,)), settle([outcome(1)], None, None)).ends[0].used == [unpriced]


@pytest.mark.parametrize(("is_told", "booked_later"), [(True, 300_000), (False, 800_000)])
def test_N4_an_answer_that_ended_in_the_background_without_usage_books_the_rest_of_its_hold(is_told, booked_later):
    queued = settle([outcome(1)], TokenUsage(input=100, output=0), 100_000)
    late = records.Late(
        ID, "resp_1", "completed" if is_told else "deleted", TokenUsage(input=200, output=100) if is_told else None
    )
    record = corrections.correction(opened((DAY,)), queued, Told(late, "s", "c", 1_790_000_000_000), lambda *_: PRICE)
    batch = Batch()
    batch.booked.corrected(opened((DAY,)), queued, record, is_told=is_told)
    (end,) = batch.booked.ends
    assert (end.how, end.used) == (Ended.CORRECTED, [booked_later])


def test_what_an_open_request_holds_is_known_by_attempt():
    assert held_of(opened((DAY,), (CALLS,))) == [
        (f"{ID}-1", [DAY], 1_790_000_060_000),
        (f"{ID}-2", [CALLS], 1_790_000_000_000),
    ]


def test_a_reservation_of_version_0_1_0_holds_nothing():
    who, what = (msgspec.Raw(records.encode_payload(one)) for one in (CALLER, CALLEE))
    old = msgspec.msgpack.encode([ID, 1, who, what, False, 25, None, None, 100])
    assert records.decode_payload(records.Kind.RESERVE, old).budgets is None
