"""What ledger and client are told of each way in which a request ends."""

import json

import pytest
from tests.edge.test_transfer import ANSWER, BUSY, FIRST, LAST, estimate, table

from switchgear.testing.edge import (
    JSON,
    NOTHING,
    SSE,
    Aborted,
    Asked,
    Dialogue,
    Ended,
    Last,
    Sent,
    Started,
    Wrote,
    chat,
)
from switchgear.wire.frames import Fail, Head


def asked(stream=False, **more):
    talk = Dialogue(table=table(("up", "openai"), **more))
    talk.client >> chat("m", stream=stream)
    talk.vault << Asked()
    return talk


def settled(talk):
    end = talk.settled
    return end.outcome, end.status, end.error_code


def test_an_error_that_the_provider_said_is_told_in_its_words_and_as_its_own():
    talk = asked()
    body = b'{"error":{"message":"no such model","type":"invalid_request_error"}}'
    talk.vault >> Head(404, [(b"content-type", b"application/json")], None) >> Last(body)
    (sent,) = talk.client.exchange.seen
    assert (sent.status, sent.body) == (404, body)
    assert b"x-switchgear-error: upstream_error\r\nx-switchgear-error-source: upstream\r\n" in sent.headers
    assert settled(talk) == ("client_error", 404, "upstream_error") and talk.settled.cost_nanousd == 0


def test_an_error_under_a_good_status_is_told_under_the_status_that_it_means():
    talk = asked()
    talk.vault >> JSON >> Last(b'{"error":{"message":"busy","code":503}}')
    (sent,) = talk.client.exchange.seen
    assert sent.status == 503 and json.loads(sent.body)["error"]["message"] == "busy"
    assert settled(talk) == ("upstream_error", 503, "upstream_error")


def test_an_attempt_without_an_answer_is_an_error_of_the_gateway_that_says_how_often_was_asked():
    talk = asked(retries=1)
    talk.vault >> Fail("connect", "refused", False)
    talk.advance(1.0)
    talk.vault << Asked(number=2) >> Fail("connect", "refused", False)
    (sent,) = talk.client.exchange.seen
    assert sent.status == 502 and b"x-switchgear-attempts: 2\r\n" in sent.headers
    assert json.loads(sent.body)["error"]["code"] == "upstream_unreachable"
    assert (talk.settled.cost_nanousd, talk.settled.estimate_reason) == (0, None)


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (Last(LAST), ("ok", 200, None)),
        (Last(b'data: {"error":{"message":"busy","code":503}}\n\n'), ("upstream_error", 200, "upstream_broken")),
        (Last(), ("upstream_error", 200, "upstream_broken")),
        (Fail("broken", "reset", True), ("upstream_error", 200, "upstream_broken")),
        (Fail("timeout", "", True), ("timeout", 200, "upstream_timeout")),
    ],
    ids=["whole", "with an error event", "without an end", "broken off", "too slow"],
)
def test_a_stream_ends_as_its_provider_ended_it_and_says_so_once(end, outcome):
    talk = asked(stream=True)
    talk.vault >> SSE >> FIRST >> end
    talk.client << Started(200) << Wrote(FIRST)
    if outcome[0] == "ok":
        talk.client << Wrote(LAST) << Ended() << NOTHING
    else:
        (error,) = [one for one in talk.client.exchange.seen if isinstance(one, Wrote)]
        assert error.data.count(b'"error"') == 1
        talk.client << Wrote() << Aborted() << NOTHING
    assert settled(talk) == outcome


def test_a_client_that_left_is_told_nothing_and_pays_for_what_was_asked():
    talk = asked()
    talk.client.leave()
    talk.vault >> Fail("timeout", "", True)
    talk.client << NOTHING
    assert talk.settled.outcome == "client_gone" and talk.settled.tokens.input == estimate(talk)


def test_a_request_is_cancelled_some_time_after_its_client_left_and_noted_as_gone():
    talk = asked()
    talk.client.leave()
    talk.tick(31)
    assert talk.vault.attempt.is_cancelled
    assert settled(talk)[:2] == ("client_gone", 499) and talk.settled.tokens.input == estimate(talk)


def test_a_client_that_left_between_two_attempts_pays_nothing():
    talk = asked(retries=1)
    talk.vault >> BUSY >> Last(b"busy")
    talk.client.leave()
    talk.advance(1.0)
    talk.vault << NOTHING
    assert settled(talk)[:2] == ("client_gone", 499) and talk.settled.cost_nanousd == 0


def test_an_unexpected_fault_is_answered_without_its_details():
    talk = asked()
    talk.client.context.transfer.on_fault(LookupError("a secret detail"))
    talk.loop.run()
    (sent,) = talk.client.exchange.seen
    assert sent.status == 500 and b"secret" not in sent.body
    assert settled(talk) == ("interrupted", 500, "internal_error")


def test_a_settlement_that_cannot_be_made_as_it_should_is_made_barely_and_the_client_is_told():
    talk = asked()
    transfer = talk.client.context.transfer
    talk.client.context.attempts = None  # so that even noting the attempt fails
    transfer.on_fault(LookupError())
    talk.loop.run()
    talk.client << Sent(500) << NOTHING
    assert (talk.settled.attempts, talk.settled.estimate_reason) == ([], "a fault of the gateway ended it")


def test_a_good_answer_is_no_ending_of_these():
    talk = asked()
    talk.vault >> JSON >> Last(ANSWER)
    talk.client << Sent(200, ANSWER) << NOTHING
    assert settled(talk) == ("ok", 200, None)
