"""A kept stream that is written again: its pace, and how it ends where something comes between (beside test_recall.py)."""

import msgspec
from tests.edge.test_recall import PIECES, SSE, Last, talk_blocked, talk_of

from switchgear.core import problems
from switchgear.edge import replay
from switchgear.edge.answer_cache import CachedAnswer
from switchgear.edge.replay import Replay
from switchgear.testing.edge import Aborted, Asked, Ended, Started, Wrote, chat
from switchgear.wire import records


def kept_of(pieces):
    return CachedAnswer(b"text/event-stream", tuple(pieces), True, 1e9, 2e9, 7, "stop", sum(map(len, pieces)))


def begun(pieces, is_blocked=False):
    """Return an edge whose client waits for a replay of `pieces`, made of a request that was asked before."""
    talk = talk_of()
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()
    talk.vault >> SSE
    talk.vault >> Last(b"".join(PIECES))
    (scope,) = talk.services.cache._scopes.values()
    (name,) = scope.answers
    scope.answers[name] = kept_of(pieces)
    if is_blocked:
        talk_blocked(talk, chat("m", stream=True))
    else:
        talk.client >> chat("m", stream=True)
    return talk


def test_a_long_stream_is_written_in_several_turns_and_whole():
    pieces = [b"data: %d\n\n" % number for number in range(5 * replay.TURN_PIECES)]
    talk = begun(pieces)
    assert talk.client.exchange.seen == [Started(200), *map(Wrote, pieces), Ended()]


def test_a_gateway_that_stops_breaks_it_off():
    talk = begun([b"a", b"b"], is_blocked=True)
    talk.services.running.interrupt("stopping")
    talk.loop.run()
    assert talk.client.exchange.seen == [Started(200), Aborted()]
    settled = talk.recorded(records.Settle)[-1]
    assert (settled.outcome, settled.error_code, settled.cost_nanousd) == ("interrupted", "interrupted", 0)


def test_a_fault_ends_that_request_and_no_other():
    talk = begun([b"a", b"b"], is_blocked=True)
    running = talk.client.context.transfer
    assert isinstance(running, Replay)
    running.on_fault(ValueError("x"))
    talk.loop.run()
    assert talk.client.exchange.seen[-1] == Aborted()
    assert talk.recorded(records.Settle)[-1].error_code == problems.INTERNAL.code


def test_an_ordinary_check_changes_nothing():
    talk = begun([b"a", b"b"], is_blocked=True)
    talk.tick(3_600)
    assert talk.client.exchange.seen == [Started(200)]
    assert msgspec.structs.asdict(talk.recorded(records.Settle)[0])["is_cached"] is False
