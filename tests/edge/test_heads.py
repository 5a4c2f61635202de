"""Heads: what travels to a provider, and what to a client."""

from types import SimpleNamespace

import msgspec
import pytest

from switchgear.dialects.registry import BY_NAME
from switchgear.edge import heads
from switchgear.edge.head_facts import HeadFacts
from switchgear.routing.table import Deployment, ProviderEntry, Timeouts
from switchgear.wire import frames
from switchgear.wire.frames import Head

SENT = {
    b"accept": b"text/event-stream",
    b"anthropic-beta": b"tools",
    b"x-goog-api-key": b"secret",
    b"x-goog-user-project": b"mine",
    b"cookie": b"c",
    b"authorization": b"Bearer x",
    b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def context(headers=SENT, dialect="openai", compat=()):
    head = SimpleNamespace(headers=dict(headers))
    return SimpleNamespace(
        exchange=SimpleNamespace(head=head),
        facts=HeadFacts(),
        limit_headers=b"",
        rerouted=None,
        endpoint=SimpleNamespace(dialect=BY_NAME[dialect]),
        id="rid",
        request=SimpleNamespace(stream=False),
        snapshot=SimpleNamespace(compat=compat),
    )


def priced(own=False):
    provider = ProviderEntry(name="up", dialects=("openai",), credentials=("c",), own=own)
    deployment = Deployment(provider, "c", "m", None, Timeouts())
    return SimpleNamespace(
        deployment=deployment, credential_id="up/c", opens={}, headers=b"x-switchgear-provider: up\r\n"
    )


def translation(dialect="openai", verbatim=True, provider=None):
    return SimpleNamespace(
        dialect=dialect,
        row=BY_NAME[dialect],
        provider_row=BY_NAME[provider or dialect],
        is_verbatim=verbatim,
        method="POST",
        path="/chat/completions",
        content_type=b"application/json",
    )


def sent(asked, to, translation):
    route = msgspec.msgpack.decode(heads.route(asked, to, translation), type=frames.UpstreamRoute)
    return {name for name, _ in route.headers}


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
def test_no_secret_and_no_cookie_goes_on(dialect):
    names = sent(context(), priced(), translation(dialect))
    assert not names & {b"authorization", b"cookie", b"x-goog-api-key", b"x-goog-user-project", b"traceparent"}


def test_a_trace_goes_on_to_ones_own_and_such_a_route_is_not_kept():
    own = priced(own=True)
    assert b"traceparent" in sent(context(), own, translation())
    assert own.opens == {}
    other = priced()
    sent(context(), other, translation())
    assert len(other.opens) == 1


def test_a_translated_request_takes_no_header_of_its_clients_dialect():
    assert sent(context(), priced(), translation(verbatim=False)) == {b"content-type"}
    assert sent(context(), priced(), translation("openai", False, "anthropic")) == {
        b"content-type",
        b"anthropic-version",
    }


def test_a_stream_waits_for_its_first_event_as_long_as_its_model_says():
    to = priced()
    limits = Timeouts(first_byte_s=600, first_event_s=20)
    to.deployment = Deployment(to.deployment.provider, "c", "m", None, limits)
    asked = context()
    waits = []
    for asked.request.stream in (False, True, False):
        waits.append(
            msgspec.msgpack.decode(heads.route(asked, to, translation()), type=frames.UpstreamRoute).first_byte_s
        )
    assert waits == [600, 20, 600] and len(to.opens) == 2


def test_the_answers_head_says_where_it_came_from():
    head = Head(200, [(b"content-type", b"text/x"), (b"retry-after", b"1"), (b"x-request-id", b"up-1")], None)
    lines = heads.response(context(dialect="anthropic"), priced(), head, 2, 5, default_type=b"a/b", cost=1500)
    assert b"request-id: rid\r\n" in lines and b"x-switchgear-upstream-request-id: up-1\r\n" in lines
    assert b"content-type: text/x\r\nx-switchgear-attempts: 2\r\n" in lines
    assert b"x-switchgear-cost-usd: 0.000001500\r\n" in lines and b"retry-after: 1\r\n" in lines
    forced = heads.response(context(), priced(), head, 1, 5, default_type=b"a/b", forced_type=b"c/d")
    assert b"content-type: c/d\r\n" in forced and b"cost" not in forced
