"""Answers that are made in the background, in dialogues: who asks when, and what is recorded of it."""

import json

import pytest

from switchgear.core.usage import TokenUsage
from switchgear.edge import background
from switchgear.edge.background import Background
from switchgear.replica.entries import Pending, Stored
from switchgear.testing.edge import JSON, NOTHING, SSE, Ask, Asked, Dialogue, Last, Sent
from switchgear.wire import records

QUEUED = {"id": "resp_1", "object": "response", "status": "queued", "model": "m", "output": [], "usage": None}
USAGE = {"input_tokens": 1_000, "output_tokens": 2_000, "output_tokens_details": {"reasoning_tokens": 500}}
DONE = QUEUED | {"status": "completed", "usage": USAGE, "service_tier": "default"}
WHO = records.encode_payload(records.Who("key-1", "bot", 7, "us", "ann", "p"))


def said(value):
    return Last(json.dumps(value).encode())


@pytest.fixture
def talk():
    return Dialogue(providers={"up": ("responses",)})


def begin(talk, **more):
    body = json.dumps({"model": "up/m", "input": "hello", "background": True, **more}).encode()
    talk.client >> Ask(body=body, path=b"/v1/responses")
    talk.vault << Asked("up/default")


def pending(talk, **more):
    entry = {
        "request_id": "r",
        "scope": "team:us",
        "who": WHO,
        "model": "up/m",
        "provider": "up",
        "credential": "default",
    }
    entry |= {"credential_id": "up/default", "upstream_model": "m", "since_ms": talk.clock.wall_ms()}
    talk.replica.waiting = {"resp_1": Pending(**{**entry, **more})}


def test_an_answer_that_is_queued_is_booked_with_its_input_alone(talk):
    begin(talk)
    talk.vault >> JSON
    talk.vault >> said(QUEUED)
    settled = talk.settled
    assert (settled.tokens.output, settled.finish_reason, settled.response_id) == (0, "queued", "resp_1")
    assert settled.tokens.input > 0 and settled.estimate_reason == "the answer is made in the background"


def test_a_stream_that_its_provider_cut_goes_on_in_the_background(talk):
    begin(talk, stream=True)
    talk.vault >> SSE
    created = json.dumps({"type": "response.created", "response": QUEUED | {"status": "in_progress"}})
    talk.vault >> f"event: response.created\ndata: {created}\n\n".encode()
    talk.vault >> Last()
    assert (talk.settled.finish_reason, talk.settled.response_id) == ("in_progress", "resp_1")


def test_what_a_client_is_told_later_is_recorded(talk):
    talk.replica.things["resp_1"] = Stored("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")
    talk.vault << Asked("up/default")
    talk.vault >> JSON
    talk.vault >> said(DONE)
    (late,) = talk.recorded(records.Late)
    assert late.tokens == TokenUsage(input=1_000, output=1_500, reasoning=500)
    assert (late.response_id, late.finish_reason, late.service_tier) == ("resp_1", "completed", "default")
    assert talk.settled.cost_nanousd == 0, "asking costs nothing"
    assert talk.spool.records.index(late) < talk.spool.records.index(talk.settled), "of a request that is open"


@pytest.mark.parametrize("answer", [QUEUED, QUEUED | {"status": "in_progress"}, DONE | {"id": "resp_2"}])
def test_what_is_not_finished_or_another_answer_is_not_recorded(talk, answer):
    talk.replica.things["resp_1"] = Stored("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")
    talk.vault << Asked("up/default")
    talk.vault >> JSON
    talk.vault >> said(answer)
    assert talk.recorded(records.Late) == []


PARTIAL = [{"type": "message", "content": [{"type": "output_text", "text": "x" * 400}]}]


@pytest.mark.parametrize(
    "usage", [None, dict.fromkeys(USAGE, 0) | {"output_tokens_details": None}, {"input_tokens": -5}]
)
def test_an_answer_that_ends_without_usage_tells_what_it_shows(talk, usage):
    talk.replica.things["resp_1"] = Stored("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")
    talk.vault << Asked("up/default")
    talk.vault >> JSON
    talk.vault >> said(QUEUED | {"status": "cancelled", "usage": usage, "output": PARTIAL})
    (late,) = talk.recorded(records.Late)
    assert (late.tokens, late.output_estimate, late.finish_reason) == (None, 100, "cancelled")


@pytest.mark.parametrize(("more", "bound"), [({"max_output_tokens": 700}, 700), ({}, None)])
def test_what_was_asked_for_at_most_is_recorded(talk, more, bound):
    begin(talk, **more)
    (reserve,) = talk.recorded(records.Reserve)
    assert reserve.output_max == bound


def test_the_edge_asks_by_itself_until_it_is_told(talk):
    asks = Background(talk.services)
    pending(talk)
    asks.look()
    talk.vault << NOTHING
    for answer in (QUEUED, DONE):
        talk.advance(background.PAUSE_MIN_S + 1)
        asks.look()
        talk.loop.run()
        talk.vault << Asked("up/default")
        assert (talk.vault.attempt.route.method, talk.vault.attempt.route.path) == ("GET", "/responses/resp_1")
        asks.look()
        talk.vault << NOTHING
        talk.vault >> JSON
        talk.vault >> said(answer)
    (late,) = talk.recorded(records.Late)
    assert late.tokens.output == 1_500
    who = [records.decode_who(one.who) for one in talk.recorded(records.Reserve)]
    assert [(one.key_id, one.team, one.user, one.tool) for one in who] == [("key-1", "us", "ann", "switchgear")] * 2
    assert all(one.cost_nanousd == 0 for one in talk.recorded(records.Settle))
    talk.replica.waiting = {}
    talk.advance(3_600)
    asks.look()
    talk.vault << NOTHING


def test_it_asks_ever_more_rarely(talk):
    asks, count = Background(talk.services), 0
    pending(talk)
    for _ in range(24 * 3_600 // 5):
        talk.advance(5)
        asks.look()
        talk.loop.run()
        if talk.link.asked:
            count += 1
            talk.vault << Asked("up/default")
            talk.vault >> JSON
            talk.vault >> said(QUEUED)
    assert 144 <= count <= 170, "in a day"


@pytest.mark.parametrize(
    "more", [{"provider": "gone"}, {"credential": "removed"}, {"snapshot": {"freezes": {"provider:up": None}}}]
)
def test_what_cannot_be_asked_is_left_alone(more):
    talk = Dialogue(providers={"up": ("responses",)}, snapshot=more.pop("snapshot", None))
    pending(talk, **more)
    asks = Background(talk.services)
    talk.advance(background.FIRST_S + 1)
    asks.look()
    talk.advance(background.FIRST_S + 1)
    asks.look()
    talk.vault << NOTHING


def test_a_full_disk_or_a_drain_asks_nothing(talk):
    asks = Background(talk.services)
    pending(talk, since_ms=0)
    talk.spool.is_full = True
    asks.look()
    talk.spool.is_full = False
    talk.services.running.is_draining = True
    talk.advance(700)
    asks.look()
    talk.vault << NOTHING
    talk.services.running.is_draining = False
    asks.look()
    talk.loop.run()
    talk.vault << Asked("up/default")


def test_clients_hear_nothing_of_it(talk):
    begin(talk)
    talk.vault >> JSON
    talk.vault >> said(QUEUED)
    talk.client << Sent(200, json.dumps(QUEUED).encode())
