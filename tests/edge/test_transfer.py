"""One request's way, without a socket: what its client sees, what the vault is asked, and what is settled."""

import pytest

from switchgear.core import problems
from switchgear.core.errors import IllegalMoveError
from switchgear.edge import transfer
from switchgear.edge.transfer import MOVES, TransferState
from switchgear.edge.upstream_answers import HELD_BYTES_MAX, PING_S
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import (
    JSON,
    NOTHING,
    PRICE,
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
from switchgear.wire import records
from switchgear.wire.frames import Fail, Head

FIRST = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there my friend"},"finish_reason":null}]}\n\n'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
COMMENT = b": waiting\n\n"
ANSWER = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
BUSY = Head(503, [], None)


def table(*deployments, retries=0):
    providers = {
        name: ProviderEntry(name=name, dialects=(dialect,), credentials=("default",)) for name, dialect in deployments
    }
    entry = ModelEntry(
        name="m",
        deployments=tuple(DeploymentEntry(provider=name, model="m", price=PRICE) for name, _ in deployments),
        retries_max=retries,
    )
    return RouteTable(providers=providers, models={"m": entry})


@pytest.fixture
def talk():
    """A streamed chat that was sent, with a price and no second try."""
    talk = Dialogue(table=table(("up", "openai")))
    talk.client >> chat("m", stream=True)
    talk.vault << Asked("up/default", 1)
    return talk


def estimate(talk):
    (reservation,) = talk.recorded(records.Reserve)
    return reservation.input_estimate


def test_a_stream_shows_nothing_before_its_first_event(talk):
    talk.vault >> SSE >> COMMENT >> FIRST[:20]
    talk.client << NOTHING
    talk.vault >> FIRST[20:]
    talk.client << Started(200) << Wrote(COMMENT + FIRST)
    talk.vault >> Last(LAST)
    talk.client << Wrote(LAST) << Ended() << NOTHING
    assert talk.settled.outcome == "ok"


def test_a_silent_stream_begins_with_a_keep_alive_after_a_while(talk):
    talk.vault >> SSE >> COMMENT
    talk.tick(PING_S - 1)
    talk.client << NOTHING
    talk.tick()
    talk.client << Started(200) << Wrote(COMMENT) << Wrote(b": ping\n\n") << NOTHING


def test_an_error_as_first_event_is_an_error_and_costs_nothing(talk):
    talk.vault >> SSE >> b'data: {"error":{"message":"busy","code":503}}\n\n'
    talk.client << Sent(503) << NOTHING
    assert talk.vault.attempt.is_cancelled
    settled = talk.settled
    assert (settled.outcome, settled.cost_nanousd, settled.attempts[0].error) == ("upstream_error", 0, "error_first")


@pytest.mark.parametrize("reason", ["timeout", "broken"])
def test_a_request_that_was_sent_and_not_answered_is_charged_its_input(talk, reason):
    talk.vault >> SSE >> Fail(reason, "", True)
    talk.client << Sent(504 if reason == "timeout" else 502) << NOTHING
    settled = talk.settled
    assert (settled.tokens.input, settled.tokens.output) == (estimate(talk), 0)
    assert settled.cost_nanousd == estimate(talk) * 1000
    assert settled.estimate_reason is not None


def test_a_client_that_leaves_after_the_last_event_is_not_gone(talk):
    talk.vault >> SSE >> FIRST + LAST
    talk.client.leave()
    talk.vault >> Last()
    assert talk.settled.outcome == "ok"


def test_a_client_that_leaves_in_the_middle_is_charged_for_what_was_said(talk):
    talk.vault >> SSE >> FIRST
    talk.client.leave()
    talk.tick(6)
    settled = talk.settled
    assert (settled.outcome, settled.tokens.output) == ("client_gone", len("hello there my friend") // 4)


def test_the_gateways_own_stop_is_told_as_such(talk):
    talk.vault >> SSE >> FIRST
    talk.services.running.interrupt("the gateway is stopping")
    talk.loop.run()
    talk.client << Started(200) << Wrote(FIRST)
    error = talk.client.exchange.seen[0]
    assert b'"interrupted"' in error.data and b"upstream" not in error.data
    talk.client << Wrote() << Aborted() << NOTHING
    assert (talk.settled.outcome, talk.settled.error_code) == ("interrupted", problems.INTERRUPTED.code)


@pytest.mark.parametrize("body", [b"<html></html>", b'{"choices": [{"fin', b"{}", b""])
def test_a_body_that_is_no_answer_never_arrives_as_one(talk, body):
    talk.vault >> JSON >> Last(body)
    talk.client << Sent(502) << NOTHING
    assert (talk.settled.outcome, talk.settled.attempts[0].error) == ("upstream_error", "garbage")


def test_an_attempt_that_failed_twice_is_noted_once(talk):
    talk.vault >> Fail("timeout", "", True) >> Fail("broken", "", True)
    talk.tick(10_000)
    assert len(talk.settled.attempts) == 1


def test_keep_alives_without_end_are_passed_on_instead_of_kept(talk):
    talk.vault >> SSE >> COMMENT
    for _ in range(HELD_BYTES_MAX // len(COMMENT)):
        talk.vault >> COMMENT
    talk.client << Started(200) << Wrote() << NOTHING
    talk.vault >> Last(FIRST + LAST)
    talk.client << Wrote(FIRST + LAST) << Ended()


@pytest.mark.parametrize(("room", "is_taken"), [(300_000, True), (100_000, False)])
def test_a_large_body_in_another_dialect_counts_as_held_once(room, is_taken):
    talk = Dialogue(table=table(("up", "anthropic"), retries=1))
    ask = chat("m", messages=[{"role": "user", "content": "x" * 200_000}])
    talk.client.room = room
    talk.client >> ask
    if not is_taken:
        talk.client << Sent(503)
        talk.vault << NOTHING
        return
    talk.vault << Asked("up/default", 1)
    assert talk.client.exchange.held == len(ask.body)
    talk.vault >> Fail("connect", "", False)
    talk.advance(0.2)
    talk.vault << Asked("up/default", 2)
    assert talk.client.exchange.held == len(ask.body)


def test_a_retry_waits_and_then_asks_the_same_deployment():
    talk = Dialogue(table=table(("up", "openai"), retries=1))
    talk.client >> chat("m")
    talk.vault << Asked("up/default", 1) >> BUSY >> Last(b"busy")
    talk.client << NOTHING
    talk.vault << NOTHING
    talk.advance(0.1)
    talk.vault << Asked("up/default", 2) >> JSON >> Last(ANSWER)
    talk.client << Sent(200, ANSWER) << NOTHING
    assert [attempt.status for attempt in talk.settled.attempts] == [503, 200]


def test_a_fallback_asks_the_next_deployment_at_once_in_its_own_dialect():
    talk = Dialogue(table=table(("up", "openai"), ("other", "anthropic")))
    talk.client >> chat("m", max_tokens=5)
    talk.vault << Asked("up/default", 1) >> Fail("overloaded", "", False)
    talk.vault << Asked("other/default", 2)
    assert talk.vault.attempt.route.path == "/messages"
    answer = b'{"id":"a","type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}'
    talk.vault >> JSON >> Last(answer)
    (sent,) = talk.client.exchange.seen
    assert sent.status == 200 and b'"choices"' in sent.body and b"x-switchgear-attempts: 2\r\n" in sent.headers


def test_a_stream_that_broke_off_is_never_begun_anew():
    talk = Dialogue(table=table(("up", "openai"), ("other", "openai"), retries=1))
    talk.client >> chat("m", stream=True)
    talk.vault << Asked("up/default", 1) >> SSE >> FIRST >> Fail("broken", "", True)
    talk.client << Started(200) << Wrote(FIRST) << Wrote() << Aborted() << NOTHING
    talk.vault << NOTHING


def test_S3_a_freeze_cuts_a_stream_and_says_so(talk):
    talk.vault >> SSE >> FIRST
    frozen = talk.replica.published
    talk.replica.published = type(frozen)(store_id="s", epoch=2, table=frozen.table, freezes={"provider:up": None})
    talk.handler._look()
    talk.loop.run()
    assert talk.vault.attempt.is_cancelled
    talk.client << Started(200) << Wrote(FIRST) << Wrote() << Aborted() << NOTHING
    assert (talk.settled.outcome, talk.settled.error_code) == ("interrupted", "frozen")


def test_S2_a_key_revoked_between_two_attempts_gets_no_second_one():
    talk = Dialogue(table=table(("up", "openai"), retries=1))
    talk.client >> chat("m")
    talk.vault << Asked("up/default", 1) >> BUSY >> Last(b"busy")
    talk.replica.key = None
    talk.advance(0.2)
    talk.vault << NOTHING
    talk.client << Sent(401) << NOTHING
    assert talk.settled.outcome == "interrupted"


def test_a_client_that_reads_slowly_makes_the_vault_wait(talk):
    talk.vault >> SSE >> FIRST
    before = talk.vault.attempt.consumed
    talk.client.exchange.is_blocked = True
    talk.vault >> FIRST
    assert talk.vault.attempt.consumed == before
    talk.client.read_again()
    assert talk.vault.attempt.consumed == before + len(FIRST)


def test_a_usage_figure_is_in_the_spool_before_the_client_sees_the_figure(talk):
    talk.vault >> SSE >> FIRST
    assert talk.recorded(records.Checkpoint) == []
    talk.vault >> b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
    (checkpoint,) = talk.recorded(records.Checkpoint)
    assert (checkpoint.tokens.input, checkpoint.tokens.output) == (3, 4)


def test_a_long_stream_is_checkpointed_now_and_then(talk):
    talk.vault >> SSE >> FIRST
    talk.tick(4)
    assert talk.recorded(records.Checkpoint) == []
    talk.tick(2)
    assert len(talk.recorded(records.Checkpoint)) == 1


@pytest.mark.parametrize("state", ["waiting", "plain", "streaming"])
def test_a_fault_ends_and_settles_its_request_once(talk, state):
    if state == "plain":
        talk.vault >> JSON >> b"{"
    elif state == "streaming":
        talk.vault >> SSE >> FIRST
    talk.client.context.transfer.on_fault(LookupError("odd"))
    talk.loop.run()
    assert talk.client.exchange.is_ended and talk.vault.attempt.is_cancelled
    assert talk.settled.outcome == "interrupted" and len(talk.services.running) == 0


def test_a_full_spool_stops_further_attempts_and_loses_no_settlement():
    talk = Dialogue(table=table(("up", "openai"), retries=1))
    talk.client >> chat("m")
    talk.vault << Asked() >> BUSY >> Last(b"busy")
    talk.spool.is_full = True
    talk.advance(0.2)
    talk.vault << NOTHING
    talk.client << Sent(503)
    assert talk.settled.error_code == problems.LEDGER_UNAVAILABLE.code


def test_every_state_can_end_and_the_last_one_leads_nowhere():
    assert set(MOVES) == set(TransferState)
    assert all(TransferState.SETTLED in moves for state, moves in MOVES.items() if state is not TransferState.SETTLED)
    assert MOVES[TransferState.SETTLED] == frozenset() and MOVES[TransferState.STREAMING] == {TransferState.SETTLED}


@pytest.mark.parametrize("state", [TransferState.PLAIN, TransferState.HELD, TransferState.WAITING])
def test_a_move_that_no_transition_allows_is_a_fault(talk, state):
    talk.vault >> SSE >> FIRST
    with pytest.raises(IllegalMoveError):
        talk.client.context.transfer._advance(state)


def test_a_second_settlement_is_a_fault_and_is_not_recorded(talk):
    transfer = talk.client.context.transfer
    transfer.interrupt("stop")
    with pytest.raises(IllegalMoveError):
        transfer._settle(None)
    assert talk.settled.outcome == "interrupted"


def test_a_second_head_of_one_attempt_ends_the_request(talk):
    talk.vault >> SSE >> FIRST >> SSE
    assert talk.client.exchange.seen[-1] == Aborted()
    assert talk.settled.outcome == "interrupted"


def test_the_clock_is_read_once_for_a_plain_answer(talk, monkeypatch):
    talk.vault >> Fail("refused", "", False)
    talk.client >> chat("m")
    talk.vault << Asked()
    talk.commit._scheduled = True  # the loop of a dialogue reads the clock as well
    read, now_s = [], talk.clock.monotonic_s
    monkeypatch.setattr(talk.clock, "monotonic_s", lambda: read.append(1) or now_s())
    talk.vault.attempt.owner.on_response(JSON, ANSWER, True)
    assert len(read) == 1


@pytest.mark.parametrize("room", [1 << 30, 10])
def test_an_answer_above_its_bound_is_dropped_and_charged(talk, room, monkeypatch):
    monkeypatch.setattr(transfer, "ANSWER_BYTES_MAX", 100)
    talk.client.exchange.room = room
    talk.vault >> JSON >> b"x" * 60 >> b"x" * 60
    talk.client << Sent(503 if room == 10 else 502) << NOTHING
    assert talk.vault.attempt.is_cancelled
    assert talk.settled.attempts[0].error == "too_large" and talk.settled.tokens.output > 0
