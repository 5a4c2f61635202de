"""Answers that are made in the background, in dialogues: who asks when, and what is recorded of it."""

import json

import msgspec
import pytest

from switchgear.core.usage import TokenUsage
from switchgear.edge import background_polls
from switchgear.edge.background_polls import Background
from switchgear.replica.entries import Pending, StoredThing
from switchgear.testing.edge import JSON, NOTHING, SSE, Ask, Asked, Dialogue, Last, Sent
from switchgear.wire import records
from switchgear.wire.frames import Head

QUEUED = {"id": "resp_1", "object": "response", "status": "queued", "model": "m", "output": [], "usage": None}
USAGE = {"input_tokens": 1_000, "output_tokens": 2_000, "output_tokens_details": {"reasoning_tokens": 500}}
DONE = QUEUED | {"status": "completed", "usage": USAGE, "service_tier": "default"}
WHO = records.encode_payload(records.Caller("key-1", "bot", 7, "us", "ann", "p"))


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
    talk.replica.things["resp_1"] = StoredThing("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
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
    talk.replica.things["resp_1"] = StoredThing("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")
    talk.vault << Asked("up/default")
    talk.vault >> JSON
    talk.vault >> said(answer)
    assert talk.recorded(records.Late) == []


@pytest.fixture
def raw():
    return Dialogue(
        providers={"up": ("openai", "responses")}, key={"passthrough": ("up POST /responses*", "up GET /responses*")}
    )


def asks_raw(raw, method, path, body=b""):
    raw.client >> Ask(body=body, path=b"/passthrough/up" + path, method=method)
    raw.vault << Asked("up/default")


def test_an_answer_that_a_raw_path_queued_is_booked_with_its_input_alone(raw):
    body = b'{"model":"m","input":"hello","background":true}'
    asks_raw(raw, b"POST", b"/responses", body)
    raw.vault >> JSON
    raw.vault >> said(QUEUED)
    settled = raw.settled
    assert (settled.finish_reason, settled.response_id) == ("queued", "resp_1")
    assert settled.tokens.input > 0 and settled.tokens.output == 0
    assert settled.estimate_reason == "the answer is made in the background"


def test_an_answer_that_a_raw_path_made_at_once_is_read_in_its_own_dialect(raw):
    asks_raw(raw, b"POST", b"/responses", b'{"model":"m","input":"hello"}')
    raw.vault >> JSON
    raw.vault >> said(DONE)
    assert raw.settled.tokens == TokenUsage(input=1_000, output=1_500, reasoning=500)
    assert (raw.settled.finish_reason, raw.settled.estimate_reason) == ("completed", None)


@pytest.mark.parametrize(("method", "path"), [(b"GET", b"/responses/resp_1"), (b"POST", b"/responses/resp_1/cancel")])
@pytest.mark.parametrize("answer", [DONE, QUEUED])
def test_who_asks_for_it_on_a_raw_path_pays_nothing_and_is_told_once_it_is_done(raw, method, path, answer):
    raw.replica.things["resp_1"] = StoredThing("key:" + raw.key.id, "up/default", "up/m", 1 << 50)
    asks_raw(raw, method, path)
    raw.vault >> JSON
    raw.vault >> said(answer)
    assert (raw.settled.cost_nanousd, raw.settled.tokens) == (0, None)
    late = raw.recorded(records.Late)
    if answer is DONE:
        assert [one.tokens for one in late] == [TokenUsage(input=1_000, output=1_500, reasoning=500)]
    else:
        assert late == [] and raw.settled.finish_reason is None, "it begins nothing"


def test_other_things_with_a_state_are_no_answers(raw):
    asks_raw(raw, b"POST", b"/responses", b'{"model":"m"}')
    raw.vault >> JSON
    raw.vault >> said({"id": "batch_1", "object": "batch", "status": "in_progress", "x": {"object": "response"}})
    assert raw.settled.estimate_reason is None and raw.settled.tokens is None


PARTIAL = [{"type": "message", "content": [{"type": "output_text", "text": "x" * 400}]}]


@pytest.mark.parametrize(
    "usage", [None, dict.fromkeys(USAGE, 0) | {"output_tokens_details": None}, {"input_tokens": -5}]
)
def test_an_answer_that_ends_without_usage_tells_what_it_shows(talk, usage):
    talk.replica.things["resp_1"] = StoredThing("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")
    talk.vault << Asked("up/default")
    talk.vault >> JSON
    talk.vault >> said(QUEUED | {"status": "cancelled", "usage": usage, "output": PARTIAL})
    (late,) = talk.recorded(records.Late)
    assert (late.tokens, late.output_tokens_estimate, late.finish_reason) == (None, 100, "cancelled")


@pytest.mark.parametrize(("more", "bound"), [({"max_output_tokens": 700}, 700), ({}, None)])
def test_what_was_asked_for_at_most_is_recorded(talk, more, bound):
    begin(talk, **more)
    (reserve,) = talk.recorded(records.Reserve)
    assert reserve.output_max == bound


NOT_FOUND = {"error": {"message": "Response with id 'resp_1' not found.", "type": "invalid_request_error"}}


@pytest.mark.parametrize("status", [404, 410])
def test_an_answer_that_its_provider_has_no_more_is_ended(talk, status):
    asks = Background(talk.services)
    pending(talk, since_ms=0)
    asks.look()
    talk.loop.run()
    talk.vault << Asked("up/default")
    talk.vault >> Head(status, [(b"content-type", b"application/json")], None)
    talk.vault >> said(NOT_FOUND)
    (late,) = talk.recorded(records.Late)
    assert (late.response_id, late.finish_reason, late.tokens) == ("resp_1", "not_found", None)
    assert talk.spool.records.index(late) < talk.spool.records.index(talk.settled), "of a request that is open"


@pytest.mark.parametrize(
    ("path", "method", "status", "ends"),
    [
        (b"", b"DELETE", 200, "deleted"),
        (b"", b"DELETE", 500, None),
        (b"", b"GET", 500, None),
        (b"", b"GET", 403, None),
        (b"/input_items", b"GET", 404, None),
        (b"/cancel", b"POST", 404, None),
    ],
)
def test_an_answer_is_ended_by_its_owners_deletion_alone(talk, path, method, status, ends):
    talk.replica.things["resp_1"] = StoredThing("key:" + talk.key.id, "up/default", "up/m", 1 << 50)
    talk.client >> Ask(body=b"", path=b"/v1/responses/resp_1" + path, method=method)
    talk.vault << Asked("up/default")
    talk.vault >> Head(status, [(b"content-type", b"application/json")], None)
    talk.vault >> said({"id": "resp_1", "object": "response", "deleted": True} if status == 200 else NOT_FOUND)
    assert [late.finish_reason for late in talk.recorded(records.Late)] == ([ends] if ends else [])


def test_answers_that_hang_keep_only_their_own_key_waiting(talk):
    asks = Background(talk.services)
    pending(talk, since_ms=0)
    (one,) = talk.replica.waiting.values()
    other = msgspec.structs.replace(
        one, who=records.encode_payload(records.Caller("key-2", "other", 1, "us", None, None))
    )
    talk.replica.waiting = {f"resp_a{number:02}": one for number in range(24)} | {"resp_z": other}
    asks.look()
    talk.loop.run()
    asked = [records.decode_caller(reserve.caller).key_id for reserve in talk.recorded(records.Reserve)]
    assert sorted(asked) == ["key-1", "key-1", "key-2"]


def test_answers_that_hang_keep_only_their_own_provider_waiting():
    talk = Dialogue(providers={"up": ("responses",), "over": ("responses",)})
    asks = Background(talk.services)
    pending(talk, since_ms=0)
    (one,) = talk.replica.waiting.values()
    keys = [records.encode_payload(records.Caller(f"key-{number}", "k", 1, "us", None, None)) for number in range(9)]
    hanging = {f"resp_a{number}": msgspec.structs.replace(one, who=who) for number, who in enumerate(keys)}
    other = msgspec.structs.replace(one, provider="over", credential_id="over/default", who=keys[0])
    talk.replica.waiting = hanging | {"resp_z": other}
    asks.look()
    talk.loop.run()
    asked = [records.decode_callee(reserve.callee).provider for reserve in talk.recorded(records.Reserve)]
    assert sorted(asked) == ["over"] + ["up"] * (background_polls.AT_ONCE_MAX // 2)
    talk.replica.waiting = hanging
    talk.advance(700)
    asks.look()
    talk.loop.run()
    asked = [records.decode_callee(reserve.callee).provider for reserve in talk.recorded(records.Reserve)]
    assert asked.count("up") == background_polls.AT_ONCE_MAX, "what no other provider needs"


def test_what_is_due_longest_is_asked_first(talk):
    asks = Background(talk.services)
    pending(talk, since_ms=talk.clock.wall_ms())
    (one,) = talk.replica.waiting.values()
    talk.replica.waiting = {"resp_z": one}
    asks.look()
    talk.advance(1)
    talk.replica.waiting = {"resp_a": msgspec.structs.replace(one, since_ms=talk.clock.wall_ms()), "resp_z": one}
    asks.look()
    talk.advance(background_polls.FIRST_S + 2)
    background_order = []
    ask = asks._ask
    asks._ask = lambda snapshot, name, *rest: (background_order.append(name), ask(snapshot, name, *rest))
    asks.look()
    assert background_order == ["resp_z", "resp_a"]


def test_the_edge_asks_by_itself_until_it_is_told(talk):
    asks = Background(talk.services)
    pending(talk)
    asks.look()
    talk.vault << NOTHING
    for answer in (QUEUED, DONE):
        talk.advance(background_polls.PAUSE_MIN_S + 1)
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
    callers = [records.decode_caller(one.caller) for one in talk.recorded(records.Reserve)]
    assert [(one.key_id, one.team, one.user, one.tool) for one in callers] == [("key-1", "us", "ann", "switchgear")] * 2
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
    talk.advance(background_polls.FIRST_S + 1)
    asks.look()
    talk.advance(background_polls.FIRST_S + 1)
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
