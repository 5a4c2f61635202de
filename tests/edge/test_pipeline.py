"""The stages in their order: what ends a request where, and how one that waited goes on."""

import msgspec
import pytest

from switchgear.edge import pipeline
from switchgear.replica.entries import Snapshot, StoredThing, scope_of
from switchgear.testing.edge import JSON, KEY_ID, NOTHING, Ask, Asked, Dialogue, Last, Sent, chat
from switchgear.wire import records

RESPONSES = {"up": ("responses",)}
FETCH = Ask(body=b"", path=b"/v1/responses/resp_1", method=b"GET")


def test_the_order_is_what_the_design_says():
    names = [stage.__name__ for stage in pipeline.STAGES]
    assert names == [
        "parse", "find_stored", "authorize", "choose", "translate_body", "dry_run", "admit", "reserve", "send",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (Ask(body=b"{"), 400),
        (chat("other/m"), 404),
        (chat("up/m", temperature={}), 200),
    ],
)
def test_a_request_that_is_refused_leaves_no_reservation(ask, status):
    talk = Dialogue()
    talk.client >> ask
    if status == 200:
        talk.vault << Asked()
        assert len(talk.recorded(records.Reserve)) == 1
    else:
        talk.client << Sent(status)
        assert talk.recorded(records.Reserve) == [] and len(talk.recorded(records.Denial)) == 1


@pytest.mark.parametrize("is_link", [True, False])
def test_a_request_is_refused_unreserved_without_a_link_or_a_spool(is_link):
    talk = Dialogue()
    if is_link:
        talk.link.can_open = False
    else:
        talk.commit.is_recording = False
    talk.client >> chat("up/m")
    talk.client << Sent(503)
    assert talk.recorded(records.Reserve) == []


def test_a_full_spool_refuses_and_sends_nothing():
    talk = Dialogue()
    talk.spool.is_full = True
    talk.client >> chat("up/m")
    talk.client << Sent(503)
    talk.vault << NOTHING


def thing(until_ms=1 << 60):
    return StoredThing(scope_of(KEY_ID, None), "up/default", "up/m", until_ms)


def test_a_stored_response_is_waited_for_and_then_asked_where_it_is():
    talk = Dialogue(providers=RESPONSES)
    talk.client >> FETCH
    talk.vault << NOTHING
    talk.client << NOTHING
    talk.replica.things["resp_1"] = thing()
    talk.advance(0.1)
    talk.vault << Asked("up/default")
    assert (talk.vault.attempt.route.method, talk.vault.attempt.route.path) == ("GET", "/responses/resp_1")


def test_a_stored_response_that_never_comes_is_404():
    talk = Dialogue(providers=RESPONSES)
    talk.client >> FETCH
    for _ in range(20):
        talk.advance(0.1)
    talk.client << Sent(404) << NOTHING


def test_S2_a_key_revoked_while_its_request_waits_gets_nothing():
    talk = Dialogue(providers=RESPONSES)
    talk.client >> FETCH
    talk.replica.things["resp_1"], talk.replica.key = thing(), None
    talk.advance(0.1)
    talk.client << Sent(401) << NOTHING
    talk.vault << NOTHING


def test_a_client_that_leaves_while_its_request_waits_is_forgotten():
    talk = Dialogue(providers=RESPONSES)
    talk.client >> FETCH
    talk.client.leave()
    talk.replica.things["resp_1"] = thing()
    talk.advance(5)
    talk.vault << NOTHING
    assert talk.spool.records == []


@pytest.mark.parametrize(
    ("change", "status"),
    [({"freezes": {"provider:up": None}}, 403), ({"freezes": {"key:k": None}}, 403), ({}, None)],
)
def test_S3_a_freeze_during_the_translation_of_a_large_body_counts(change, status):
    talk = Dialogue(providers={"up": ("anthropic",)})
    ask = chat("up/m", max_tokens=5, messages=[{"role": "user", "content": "x" * 300_000}])
    slices = talk.services.slices

    def translated():
        old = talk.replica.published
        talk.replica.published = Snapshot(store_id="s", epoch=2, table=old.table, **change)
        talk.clock.advance(1)
        return turn()

    turn = slices._turn
    talk.loop.call_soon, call_soon = (
        (lambda callback, *a: call_soon(translated if callback == turn else callback, *a)),
        talk.loop.call_soon,
    )
    slices._soon = talk.loop.call_soon
    talk.client >> ask
    if status is None:
        talk.vault << Asked("up/default")
    else:
        talk.client << Sent(status) << NOTHING
        talk.vault << NOTHING


def test_a_key_that_lost_a_model_before_its_body_came_is_refused():
    talk = Dialogue()
    look_up = talk.replica.look_up

    def changed(key_id):
        talk.clock.advance(0.01)
        talk.replica.key = msgspec.structs.replace(talk.key, models=["other"])
        return snapshot, entry

    snapshot, entry = look_up(talk.key.id)
    talk.replica.look_up = lambda key_id: (setattr(talk.replica, "look_up", look_up), changed(key_id))[1]
    talk.client >> chat("up/m")
    talk.client << Sent(404) << NOTHING


def test_an_answer_ends_the_request_and_its_books():
    talk = Dialogue()
    talk.client >> chat("up/m")
    answer = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    talk.vault << Asked("up/default", 1) >> JSON >> Last(answer)
    talk.client << Sent(200, answer) << NOTHING
    assert (talk.settled.outcome, talk.settled.tokens.output) == ("ok", 2)
    assert len(talk.services.running) == 0 and talk.client.exchange.context is None
