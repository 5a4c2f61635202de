"""From a head to the stages: what is refused before a body is read, and what a fault costs."""

import pytest

from switchgear.testing.edge import NOTHING, Ask, Asked, Dialogue, Sent, chat
from switchgear.wire import records


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (Ask(body=b"{}", path=b"/v1/nothing"), 404, b"unknown_path"),
        (Ask(body=b"", method=b"PATCH"), 405, b"method_not_allowed"),
        (Ask(body=b"{}", headers={b"authorization": b"Bearer sk-no"}), 401, b"invalid_api_key"),
        (Ask(body=b"{}", headers={b"content-type": b"text/plain"}), 415, b"unsupported_media"),
        (Ask(body=b"{}", path=b"/key/info", method=b"GET"), 404, b"unknown_path"),
    ],
)
def test_a_head_that_is_refused_reaches_no_stage(ask, status, code):
    talk = Dialogue()
    talk.client >> ask
    (sent,) = talk.client.exchange.seen
    assert sent.status == status and b"x-switchgear-error: " + code in sent.headers
    talk.vault << NOTHING
    assert talk.recorded(records.Reserve) == []


def test_a_refusal_of_a_known_key_is_recorded_and_a_strangers_is_counted():
    talk = Dialogue(key={"cidrs": ["10.0.0.0/8"]})
    talk.client >> chat("up/m")
    assert len(talk.recorded(records.Denial)) == 1
    talk.client >> chat("up/m", {b"authorization": b"Bearer sk-no"})
    assert len(talk.recorded(records.Denial)) == 1
    assert sum(talk.services.refusals.tally.refused.values()) == 2


def test_the_same_head_is_interpreted_once(monkeypatch):
    talk = Dialogue()
    talk.client >> chat("up/m")
    head = talk.client.exchange.head
    talk.vault << Asked()
    facts = head.shared.facts
    assert facts.match is not None and facts.claim is not None and facts.client is not None and facts.caller is not None


def test_a_fault_in_a_stage_is_a_500_and_a_refusal_on_record(monkeypatch):
    talk = Dialogue()
    monkeypatch.setattr(talk.replica, "look_up", lambda key_id: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        talk.client >> chat("up/m")
    talk.handler.on_fault(talk.client.exchange, ZeroDivisionError())
    talk.client << Sent(500) << NOTHING
    assert talk.guard.faults == 1


def test_counters_are_written_each_second():
    talk = Dialogue()
    talk.client >> chat("up/m", {b"authorization": b"Bearer sk-no"})
    talk.handler._check()
    (counters,) = talk.recorded(records.Counters)
    assert list(counters.refused.values()) == [1]
    talk.handler._check()
    assert len(talk.recorded(records.Counters)) == 1


def test_a_refusal_by_the_server_itself_is_rendered_and_counted():
    from switchgear.core import problems
    from switchgear.core.problems import Problem

    talk = Dialogue()
    headers, body = talk.handler.render(Problem(problems.BAD_HTTP, "odd"), b"/v1/messages")
    assert b"request-id: " in headers and b'"type":"error"' in body
    assert sum(talk.services.refusals.tally.refused.values()) == 1
