"""What is looked at before a body is read, where counters cannot tell: the stage itself, beside tests/edge/test_admission.py."""

from switchgear.counters.backend import Unknown
from switchgear.testing.edge import NOTHING, Asked, Dialogue, Sent, chat


def test_counters_that_cannot_be_read_refuse_with_a_503_and_hold_nothing():
    talk = Dialogue(key={"rpm": 9})
    talk.counters.peek = lambda holds: Unknown("busy")
    talk.counters.take = lambda holds, attempt, done: Unknown("busy")
    talk.client >> chat("up/m")
    talk.vault << NOTHING
    (sent,) = talk.client.exchange.seen
    assert sent.status == 503
    assert b"retry-after: 1" in sent.headers
    assert b"busy" not in sent.body, "what is wrong inside is not the client's affair"


def test_what_is_answered_here_takes_nothing_of_a_limit():
    talk = Dialogue(key={"rpm": 1})
    talk.client >> chat("up/m")
    talk.vault << Asked()
    for path in (b"/v1/models", b"/v1/key"):
        ask = chat("up/m")
        talk.client >> type(ask)(body=b"", path=path, method=b"GET")
        talk.client << Sent(200)


def test_a_passed_over_deployment_is_not_asked_even_when_its_body_is_large():
    from tests.edge.test_admission import route

    from switchgear.core.limit_rule import LimitRule

    talk = Dialogue(table=route(a=(LimitRule("requests", 1, "hour"),)))
    large = [{"role": "user", "content": "word " * 60_000}]
    for wanted in ("a/default", "b/default", "b/default"):
        talk.client >> chat("m", messages=large)
        for _ in range(200):
            talk.advance(0.001)
        talk.vault << Asked(wanted, 1)
