"""What is looked at while nothing happens."""

import pytest

from switchgear.replica.entries import Snapshot
from switchgear.testing.edge import TOKEN, Asked, Dialogue, FakeExchange, Sent, chat
from switchgear.wire.http_requests import RequestHead


def arriving(talk):
    """A request whose head was good and whose body is still coming."""
    headers = {b"authorization": b"Bearer " + TOKEN.encode()}
    exchange = FakeExchange(
        RequestHead(b"POST", b"/v1/chat/completions", headers, True, False, 9, False), b"", talk.handler
    )
    talk.handler.on_head(exchange)
    return exchange


def test_S2_a_body_of_a_revoked_key_is_let_go():
    talk = Dialogue()
    exchange = arriving(talk)
    talk.handler._enforcer.look([exchange])
    assert exchange.seen == []
    talk.replica.key = None
    talk.clock.advance(0.25)
    talk.handler._enforcer.look([exchange])
    assert exchange.status == 401


@pytest.mark.parametrize(("subject", "is_cut"), [("provider:up", True), ("key:k", True), ("key:other", False)])
def test_S3_a_freeze_cuts_what_it_concerns(subject, is_cut):
    talk = Dialogue()
    talk.client >> chat("up/m")
    talk.vault << Asked()
    talk.replica.published = Snapshot(
        store_id="s", epoch=2, table=talk.replica.published.table, freezes={subject: None}
    )
    talk.handler._enforcer.look([])
    talk.loop.run()
    assert talk.client.exchange.is_ended is is_cut
    if is_cut:
        talk.client << Sent(403)


def test_a_fault_about_one_body_ends_that_one(monkeypatch):
    talk = Dialogue()
    first, second = arriving(talk), arriving(talk)
    first.context.facts.claim = 0
    first.context.started_s = second.context.started_s = 0.0
    talk.handler._enforcer.look([first, second])
    assert first.status == 500 and second.seen == []
