"""Answers that are kept: who gets one, who does not, and what of it is recorded. The edge is whole, the vault is played."""

import msgspec
import pytest

from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, NOTHING, PRICE, SSE, Asked, Dialogue, Ended, Last, Sent, Started, Wrote, chat
from switchgear.wire import records
from switchgear.wire.frames import Head

ON = {"cache": {"ttl": "10m"}}
ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":9,"total_tokens":21}}'
)
PIECES = [
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":'
    b'"assistant","content":"h"},"finish_reason":null}]}\n\n',
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":'
    b'"i"},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]
COST_NANOUSD = 12 * 1_000 + 9 * 2_000
"""Of ANSWER at PRICE: 1 and 2 USD per million tokens, in nano-USD."""


def talk_of(**more):
    table = RouteTable(
        providers={
            name: ProviderEntry(name=name, dialects=("openai",), credentials=("default",)) for name in ("up", "other")
        },
        models={"m": ModelEntry(name="m", deployments=(DeploymentEntry(provider="up", model="m", price=PRICE),))},
    )
    return Dialogue(table=table, **{"key": ON, **more})


def answered(talk, body=ANSWER):
    talk.vault << Asked()
    talk.vault >> JSON
    talk.vault >> Last(body)


def told(talk):
    (sent,) = talk.client.exchange.seen
    found = [line.partition(b": ")[2] for line in sent.headers.split(b"\r\n") if line.startswith(b"x-switchgear-cache")]
    return found[0].decode() if found else None


def test_the_same_request_is_answered_from_what_is_kept_and_costs_nothing():
    talk = talk_of()
    talk.client >> chat("m")
    answered(talk)
    assert told(talk) == "miss"
    talk.client >> chat("m")
    talk.vault << NOTHING
    assert told(talk) == "hit"
    talk.client << Sent(200, ANSWER)
    first, second = talk.recorded(records.Settle)
    assert (first.cost_nanousd, first.is_cached) == (COST_NANOUSD, False)
    assert (second.cost_nanousd, second.saved_nanousd, second.is_cached) == (0, COST_NANOUSD, True)
    assert second.tokens is None
    assert second.attempts == []
    assert second.outcome == "ok"


@pytest.mark.parametrize(
    ("finish", "more", "expected"),
    [
        ("stop", {}, "hit"),
        ("tool_calls", {}, "hit"),
        ("length", {}, "miss"),
        ("odd", {}, "miss"),
        ("stop", {"n": 2}, "miss"),
    ],
)
def test_an_answer_under_a_budgets_own_output_limit_is_kept_where_the_limit_did_not_cut_it(finish, more, expected):
    talk = talk_of(key={**ON, "budget": "5/day"})
    talk.client >> chat("m", **more)
    assert talk.client.exchange.context.output_bound is not None
    answered(talk, ANSWER.replace(b'"stop"', b'"%b"' % finish.encode()))
    assert told(talk) == "miss"
    talk.client >> chat("m", **more)
    assert bool(talk.link.asked) == (expected == "miss")
    if expected == "hit":
        assert told(talk) == "hit"


def test_nothing_is_kept_where_nobody_asks_for_it():
    talk = talk_of(key={})
    for _ in range(2):
        talk.client >> chat("m")
        answered(talk)
        assert told(talk) is None


def test_a_request_may_ask_for_the_cache_by_itself():
    talk = talk_of(key={})
    asks = {b"x-switchgear-cache": b"ttl=1m"}
    talk.client >> chat("m", asks)
    answered(talk)
    talk.client >> chat("m", asks)
    assert told(talk) == "hit"
    talk.advance(61)
    talk.client >> chat("m", asks)
    talk.vault << Asked()


@pytest.mark.parametrize("word", [b"off", b"onn", b"ttl=never", b"no-store,refresh"])
def test_a_request_that_wants_none_gets_none(word):
    talk = talk_of()
    for _ in range(2):
        talk.client >> chat("m", {b"x-switchgear-cache": word})
        answered(talk)
        assert told(talk) == "bypass"


def test_no_store_takes_and_does_not_keep_and_refresh_keeps_and_does_not_take():
    talk = talk_of()
    talk.client >> chat("m", {b"x-switchgear-cache": b"no-store"})
    answered(talk)
    talk.client >> chat("m")
    answered(talk)
    talk.client >> chat("m", {b"x-switchgear-cache": b"no-store"})
    assert told(talk) == "hit"
    talk.client >> chat("m", {b"x-switchgear-cache": b"refresh"})
    other = ANSWER.replace(b'"hi"', b'"ho"')
    answered(talk, other)
    talk.client >> chat("m")
    talk.client << Sent(200, other)


def test_a_key_that_forbids_it_is_not_overruled():
    talk = talk_of(key={"cache": {"ttl": "off"}})
    for _ in range(2):
        talk.client >> chat("m", {b"x-switchgear-cache": b"on"})
        answered(talk)
        assert told(talk) == "bypass"


@pytest.mark.parametrize(
    "more",
    [
        {"store": True},
        {"web_search_options": {}, "tools": [{"type": "web_search"}]},
        {"temperature": 0.5},
        {"messages": [{"role": "user", "content": "hello "}]},
    ],
)
def test_another_request_or_one_that_is_not_kept_is_asked(more):
    talk = talk_of()
    talk.client >> chat("m")
    answered(talk)
    talk.client >> chat("m", **more)
    talk.vault << Asked()


@pytest.mark.parametrize("more", [{"store": True}, {"tools": [{"type": "web_search"}]}, {"background": True}])
def test_what_its_provider_stores_or_runs_is_never_kept(more):
    talk = talk_of()
    for _ in range(2):
        talk.client >> chat("m", **more)
        answered(talk)
        assert told(talk) == "bypass"


def test_the_order_of_members_does_not_count():
    talk = talk_of()
    talk.client >> chat("m", seed=1, temperature=0)
    answered(talk)
    talk.client >> chat("m", temperature=0, seed=1)
    assert told(talk) == "hit"


def test_a_header_that_goes_to_the_provider_makes_another_request():
    talk = talk_of()
    talk.client >> chat("m", {b"openai-beta": b"a"})
    answered(talk)
    talk.client >> chat("m", {b"openai-beta": b"b"})
    talk.vault << Asked()


def test_a_stream_is_replayed_piece_by_piece():
    talk = talk_of()
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()
    talk.vault >> SSE
    for piece in PIECES[:-1]:
        talk.vault >> piece
    talk.vault >> Last(PIECES[-1])
    written = [said.data for said in talk.client.exchange.seen if isinstance(said, Wrote)]
    talk.client >> chat("m", stream=True)
    talk.vault << NOTHING
    talk.client << Started(200)
    assert [said.data for said in talk.client.exchange.seen[:-1]] == written
    assert talk.client.exchange.seen[-1] == Ended()
    assert b"".join(written) == b"".join(PIECES)
    _, second = talk.recorded(records.Settle)
    assert (second.is_cached, second.cost_nanousd, second.bytes_out) == (True, 0, len(b"".join(PIECES)))
    assert len(talk.services.running) == 0


def test_a_stream_is_not_the_answer_of_who_wants_it_whole():
    talk = talk_of()
    talk.client >> chat("m")
    answered(talk)
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()


def test_a_stream_that_broke_off_is_not_kept():
    talk = talk_of()
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()
    talk.vault >> SSE
    talk.vault >> PIECES[0]
    talk.vault >> Last(b"")
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()


def test_an_error_is_not_kept():
    talk = talk_of()
    talk.client >> chat("m")
    talk.vault << Asked()
    talk.vault >> Head(400, [(b"content-type", b"application/json")], None)
    talk.vault >> Last(b'{"error":{"message":"no","type":"invalid_request_error"}}')
    talk.client >> chat("m")
    talk.vault << Asked()


def test_the_client_that_does_not_read_gets_the_rest_later():
    talk = talk_of()
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()
    talk.vault >> SSE
    for piece in PIECES[:-1]:
        talk.vault >> piece
    talk.vault >> Last(PIECES[-1])
    ask = chat("m", stream=True)
    blocked = talk_blocked(talk, ask)
    assert blocked.seen == [Started(200)]
    assert len(talk.services.running) == 1
    talk.client.read_again()
    assert blocked.seen[-1] == Ended()
    assert len(talk.services.running) == 0


def talk_blocked(talk, ask):
    """Ask as a client that reads nothing yet."""
    from switchgear.testing import edge

    class Blocked(edge.FakeExchange):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.is_blocked = True

    plain, edge.FakeExchange = edge.FakeExchange, Blocked
    try:
        talk.client >> ask
    finally:
        edge.FakeExchange = plain
    return talk.client.exchange


def test_a_freeze_cuts_a_replay_and_a_client_that_leaves_is_recorded():
    talk = talk_of()
    talk.client >> chat("m", stream=True)
    talk.vault << Asked()
    talk.vault >> SSE
    for piece in PIECES[:-1]:
        talk.vault >> piece
    talk.vault >> Last(PIECES[-1])
    talk_blocked(talk, chat("m", stream=True))
    talk.client.leave()
    talk_blocked(talk, chat("m", stream=True))
    talk.replica.published = msgspec.structs.replace(talk.replica.published, freezes={"all": None})
    talk.handler._look()
    talk.loop.run()
    _, gone, cut = talk.recorded(records.Settle)
    assert (gone.outcome, cut.outcome, cut.error_code) == ("client_gone", "interrupted", "frozen")


# one asks for all


def test_the_same_request_meanwhile_waits_for_the_first():
    talk = talk_of()
    talk.client >> chat("m")
    first = talk.client.exchange
    talk.client >> chat("m")
    second = talk.client.exchange
    answered(talk)
    talk.advance(0.01)
    assert [said.body for said in (*first.seen, *second.seen)] == [ANSWER, ANSWER]
    talk.vault << NOTHING
    assert len(talk.services.waiting) == 0


def test_who_waited_for_a_failure_asks_itself():
    talk = talk_of()
    talk.client >> chat("m")
    talk.client >> chat("m")
    talk.vault << Asked()
    talk.vault >> Head(400, [(b"content-type", b"application/json")], None)
    talk.vault >> Last(b'{"error":{"message":"no","type":"invalid_request_error"}}')
    talk.advance(0.01)
    answered(talk)
    talk.client << Sent(200, ANSWER)


def test_a_first_one_whose_client_leaves_goes_on_for_those_that_wait():
    talk = talk_of()
    talk.client >> chat("m")
    first = talk.client.exchange
    talk.client >> chat("m")
    waiting, talk.client.exchange = talk.client.exchange, first
    talk.client.leave()
    for _ in range(40):
        talk.tick()
    talk.client.exchange = waiting
    answered(talk)
    talk.advance(0.01)
    talk.client << Sent(200, ANSWER)


def test_who_leaves_while_it_waits_leaves_the_queue():
    talk = talk_of()
    talk.client >> chat("m")
    talk.client >> chat("m")
    assert len(talk.services.waiting) == 1
    talk.client.leave()
    talk.handler._check()
    talk.loop.run()
    assert len(talk.services.waiting) == 0
    answered(talk)
    assert len(talk.recorded(records.Settle)) == 1


def test_a_key_that_is_revoked_while_it_waits_gets_nothing():
    talk = talk_of()
    talk.client >> chat("m")
    talk.client >> chat("m")
    talk.replica.key = msgspec.structs.replace(talk.key, revoked=True, version=2)
    answered(talk)
    talk.advance(0.01)
    talk.client << Sent(401)


def test_who_waits_is_told_when_its_time_is_over():
    talk = talk_of()
    talk.client >> chat("m")
    talk.client >> chat("m", {b"x-switchgear-timeout-s": b"5"})
    talk.advance(6)
    talk.handler._check()
    talk.loop.run()
    talk.client << Sent(504)


def test_each_takes_its_limit_of_requests_and_no_tokens():
    talk = talk_of(key={**ON, "rpm": 2, "tpm": 100_000})
    talk.client >> chat("m")
    answered(talk)
    for expected in (200, 429):
        talk.client >> chat("m")
        talk.client << Sent(expected)


def test_a_limit_that_answers_late_is_waited_for():
    talk = talk_of(key={**ON, "rpm": 2}, is_late=True)
    talk.client >> chat("m")
    talk.advance(0.01)
    answered(talk)
    talk.client >> chat("m")
    talk.client << NOTHING
    talk.advance(0.01)
    talk.client << Sent(200, ANSWER)


# whose it is


def test_a_purge_forgets_everything_and_what_is_under_way():
    talk = talk_of()
    talk.client >> chat("m")
    answered(talk)
    talk.client >> chat("m", seed=1)
    talk.replica.published = msgspec.structs.replace(talk.replica.published, cache_epoch=7)
    answered(talk)
    for more in ({}, {"seed": 1}):
        talk.client >> chat("m", **more)
        talk.vault << Asked()


@pytest.mark.parametrize("change", [{"team": "b"}, {"id": "other", "team": None}])
def test_another_scope_finds_nothing(change):
    talk = talk_of(key={**ON, "team": "a"})
    talk.client >> chat("m")
    answered(talk)
    talk.replica.key = msgspec.structs.replace(talk.key, version=2, team=change["team"])
    talk.client >> chat("m")
    talk.vault << Asked()


def test_a_changed_route_finds_nothing():
    talk = talk_of()
    talk.client >> chat("m")
    answered(talk)
    table = talk.replica.published.table
    moved = {"m": msgspec.structs.replace(table.models["m"], drop=("seed",))}
    talk.replica.published = msgspec.structs.replace(
        talk.replica.published, table=msgspec.structs.replace(table, models=moved)
    )
    talk.client >> chat("m")
    talk.vault << Asked()


def test_a_frozen_deployment_answers_nothing_from_what_is_kept():
    talk = talk_of()
    talk.client >> chat("m")
    answered(talk)
    talk.replica.published = msgspec.structs.replace(talk.replica.published, freezes={"provider:up": None})
    talk.client >> chat("m")
    talk.client << Sent(403)
