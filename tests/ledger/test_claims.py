"""What an edge claims beside what the vault saw: a false book is found, an honest one never."""

import msgspec
import pytest

from switchgear.core.usage import TokenUsage
from switchgear.ledger.build import OpenRequest
from switchgear.ledger.claims import Claim, claims_of, contradiction, is_free, is_thin
from switchgear.wire import records

CALLER = records.Caller("k", "bot", 1, None, None, None)
RID = f"{1_790_000_000_000:012x}{7:020x}"


def opened(operation="chat", tries=1):
    callee = records.Callee(operation, "/chat/completions", "openai", "a/m", "a", "a/c", "c", "m", "p")
    raw = msgspec.Raw(b"\xc0")
    reserve = records.Reserve(RID, 1, raw, raw, False, 25, None, None, 100)
    more = [records.Attempt(RID, n, "b", "b/c", "c", "m", "p") for n in range(2, tries + 1)]
    return OpenRequest(reserve, CALLER, callee, b"", more)


def settled(statuses, outcome="ok", tokens=(10, 5), cost=100, status=200, units=None):
    attempts = [records.AttemptOutcome(n + 1, s, None, 0, 1, 2, None, None) for n, s in enumerate(statuses)]
    usage = TokenUsage(input=tokens[0], output=tokens[1]) if tokens is not None else None
    return records.Settle(RID, status, outcome, attempts, usage, cost, None, None, None, None, 0, 5, None, units=units)


def done(status=200, reason=None, size=900):
    return records.AttemptEnd(f"{RID}-1", status, reason, size, 100, 1)


def judge(settle, journal, **more):
    claim = claims_of(opened(**more), settle)[f"{RID}-1"]
    return contradiction(claim, journal)


@pytest.mark.parametrize(
    ("settle", "journal"),
    [
        (settled([429], "upstream_error", None, 0, 429), done()),  # the whole lie: it failed
        (settled([], "upstream_error", None, 0, 429), done()),  # no attempt at all
        (settled([None], "upstream_error", None, 0, 502), done()),  # no head came
        (settled([200], "ok", None, 0), done()),  # 2xx, and nothing used
        (settled([200], "ok", None, None), done()),
        (settled([500], "upstream_error", None, 0, 500), done(status=201)),
    ],
)
def test_C8_false_books_are_found(settle, journal):
    assert judge(settle, journal) is not None


@pytest.mark.parametrize(
    ("settle", "journal"),
    [
        (settled([200]), done()),
        (settled([429], "upstream_error", None, 0, 429), done(status=429)),
        (settled([200], "client_gone", (25, 3), 50, 499), done(reason="cancelled", size=3_000)),
        (settled([None], "client_gone", (25, 0), 50, 499), done(size=40_000)),  # it came while the client left
        (settled([None], "timeout", None, 0, 504), done(status=None, reason="timeout", size=0)),
        (settled([None], "upstream_error", None, 0, 502), done(status=None, reason="connect", size=0)),
        (settled([200], "upstream_error", (25, 60), 50), done(reason="broken", size=30_000)),
        (settled([None], "interrupted", (25, 0), 50, 503), done(size=8_000)),
        (settled([200], "upstream_error", None, 0, 502), done(size=5_000)),  # an error under status 200
        (settled([200], "ok", (10, 1_000)), done(size=3_500_000)),  # twenty alternatives a token
        (settled([200], "ok", (10, 1)), done(size=9_000)),  # a Responses stream of one token
        (settled([200], "ok", (50, 20)), done(size=2_000_000)),  # an image that a tool made stands in the answer
        (settled([200], "ok", (1, 1), 1), done(size=400_000)),
        (settled([200], "upstream_error", None, 0), done(size=2_000_000)),  # a page of two megabytes, as last attempt
        (settled([200], "client_gone", (1, 0), 1), done(size=9_000_000)),
        (settled([200], "ok", (0, 0), 0), done()),  # told by their number only
    ],
)
def test_C8_honest_books_raise_no_alarm(settle, journal):
    assert judge(settle, journal) is None


@pytest.mark.parametrize("operation", ["embeddings", "images", "speech", "passthrough", "invoke", "compact"])
def test_C8_an_answer_that_is_no_text_is_not_judged_by_its_bytes(operation):
    assert judge(settled([200], "ok", (3, 0)), done(size=10**7), operation=operation) is None
    assert judge(settled([200], "ok", None, 0), done(size=10**7), operation=operation) is None
    assert judge(settled([429], "ok", None, 0), done(), operation=operation) is not None, "its status is"


def test_C8_each_attempt_is_compared_with_its_own_end():
    claims = claims_of(opened(tries=3), settled([500, None, 200]))
    assert [claim.status for claim in claims.values()] == [500, None, 200]
    assert [claim.is_last for claim in claims.values()] == [False, False, True]
    assert contradiction(claims[f"{RID}-1"], done(status=500)) is None
    assert contradiction(claims[f"{RID}-2"], done()) is None, "an edge that waited no longer"
    assert contradiction(claims[f"{RID}-1"], done()) is not None


def test_C8_attempts_of_a_dead_edge_have_no_claim():
    assert claims_of(opened(tries=2), None) == {f"{RID}-1": None, f"{RID}-2": None}


def test_C8_answers_booked_as_nothing_are_counted():
    assert is_free(Claim(200, True, "upstream_error", None, 0, True), done())
    assert not is_free(Claim(200, True, "upstream_error", None, 0, True), done(status=500))
    assert not is_free(Claim(200, True, "ok", 5, 0, True), done())
    assert is_free(Claim(200, True, "ok", 0, 0, True), done()), "a usage of zero is nothing"
    assert not is_free(Claim(200, True, "client_gone", 0, 0, True), done(reason="cancelled"))


def test_C8_answers_larger_than_their_words_are_counted():
    assert is_thin(Claim(200, True, "ok", 2, 1, True), done(size=400_000))
    assert not is_thin(Claim(200, True, "ok", 1_000, 1, True), done(size=400_000))
    assert not is_thin(Claim(200, True, "ok", 2, 1, False), done(size=400_000))
