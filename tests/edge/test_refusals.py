"""What a client is told when it gets no answer."""

import pytest

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.edge import refusals
from switchgear.testing.edge import Ask, Dialogue, chat
from switchgear.wire.records import Denial


@pytest.mark.parametrize(
    ("case", "line"),
    [
        (problems.OVERLOADED, b"retry-after: 1\r\n"),
        (problems.INVALID_KEY, b"www-authenticate: Bearer\r\n"),
        (problems.METHOD_NOT_ALLOWED, b"allow: POST\r\n"),
        (problems.UPSTREAM_BROKEN, b"x-switchgear-error-source: upstream\r\n"),
    ],
)
def test_the_headers_say_what_a_client_can_do(case, line):
    headers, _ = refusals.rendered(Problem(case, "no"), "rid", b"/v1/chat/completions", {})
    assert line in headers and b"x-request-id: rid\r\n" in headers


@pytest.mark.parametrize(
    ("target", "member"),
    [(b"/v1/messages", b'"type":"error"'), (b"/v1beta/models/m:generateContent", b'"status"'), (b"/v1/x", b'"param"')],
)
def test_the_body_has_the_shape_of_the_paths_dialect(target, member):
    assert member in refusals.rendered(Problem(problems.BAD_HTTP, "no"), "rid", target, {})[1]


def test_anthropics_clients_are_told_of_overload_in_their_own_status():
    talk = Dialogue()
    talk.link.can_open = False
    talk.client >> Ask(body=b'{"model":"up/m","max_tokens":1,"messages":[]}', path=b"/v1/messages")
    (sent,) = talk.client.exchange.seen
    assert sent.status == 529 and b"request-id: " in sent.headers


def test_an_exchange_that_ended_is_told_nothing_more():
    talk = Dialogue()
    talk.client >> Ask(body=b"{")
    seen = list(talk.client.exchange.seen)
    talk.services.refusals.refuse(talk.client.context, Problem(problems.INTERNAL, "no"))
    assert talk.client.exchange.seen == seen


def test_L7_refusals_beyond_ten_a_minute_are_told_every_few_seconds_so_that_a_killed_edge_loses_few():
    talk = Dialogue(key={"models": ["other"]})
    for _ in range(40):
        talk.advance(0.5)
        talk.client >> chat("up/m")
        talk.client.exchange.seen.clear()
    told = [one for one in talk.spool.records if isinstance(one, Denial)]
    assert [one.count for one in told[:10]] == [1] * 10 and len(told) <= 14
    assert sum(one.count for one in told) >= 40 - 11
    talk.services.refusals.denials.flush()
    assert sum(one.count for one in talk.spool.records if isinstance(one, Denial)) == 40
    assert len({one.id for one in talk.spool.records if isinstance(one, Denial)}) == len(told) + 1
