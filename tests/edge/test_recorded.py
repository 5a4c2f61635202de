"""What is noted on the way of an answer that is to be kept (beside test_recall.py)."""

import pytest
from tests.edge.test_recall import ANSWER, JSON, SSE, Last, answered, talk_of, told

from switchgear.edge import answer_cache, recorded
from switchgear.edge.course import Course, RoutedCourse
from switchgear.edge.transfer import Transfer
from switchgear.edge.watched import WatchedTransfer
from switchgear.testing.edge import Asked, Sent, chat


@pytest.mark.parametrize(("course", "base"), [(Course, Transfer), (RoutedCourse, WatchedTransfer)])
def test_each_kind_of_transfer_has_one_that_records(course, base):
    kind = recorded.transfer_of(course([object()], 0, 1.0))
    assert issubclass(kind, base)


def test_an_answer_that_is_too_large_is_passed_on_and_not_kept(monkeypatch):
    large = ANSWER.replace(b'"hi"', b'"%b"' % (b"h" * answer_cache.ANSWER_BYTES_MAX))
    talk = talk_of()
    for _ in range(2):
        talk.client >> chat("m")
        talk.vault << Asked()
        talk.vault >> JSON
        talk.vault >> Last(large)
        for _ in range(200):
            talk.advance(0.001)
        assert told(talk) == "miss"


def test_those_that_wait_ask_as_soon_as_a_stream_is_too_large():
    talk = talk_of()
    talk.client >> chat("m", stream=True)
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()
    talk.vault >> SSE
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"h" * 60_000)
    for _ in range(20):
        talk.vault >> piece
    talk.advance(0.01)
    talk.vault << Asked()


def test_an_answer_of_another_dialect_is_kept_as_its_client_read_it():
    talk = talk_of(providers=None)
    body = chat("m").body
    ask = type(chat("m"))(
        body=body.replace(b"}", b"}").replace(b'"messages"', b'"max_tokens":9,"messages"'), path=b"/v1/messages"
    )
    talk.client >> ask
    answered(talk)
    (first,) = talk.client.exchange.seen
    assert first.status == 200
    talk.client >> ask
    talk.client << Sent(200, first.body)
