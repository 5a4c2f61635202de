"""Ceilings of keys and models on the way of a request: what is sent, what is recorded, what is refused."""

import json

import msgspec
import pytest
from tests.edge.test_recall import ANSWER

from switchgear.core.ceilings import Ceilings
from switchgear.pricing.price import Price, Rate
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, NOTHING, Ask, Asked, Dialogue, Last, Sent, chat
from switchgear.wire import records

PRICE = Price("m", "override", {"input": Rate(10**9), "output": Rate(10**10)})
"""1 and 10 USD per million tokens."""


def talk_of(ceilings=None, model=None, **more):
    table = RouteTable(
        providers={
            name: ProviderEntry(name=name, dialects=("openai",), credentials=("default",)) for name in ("up", "other")
        },
        models={
            "m": ModelEntry(
                name="m",
                **{"deployments": (DeploymentEntry(provider="up", model="m", price=PRICE),), **(model or {})},
            )
        },
    )
    return Dialogue(table=table, key={"ceilings": ceilings} if ceilings else {}, **more)


def sent_of(talk):
    talk.vault << Asked()
    return json.loads(talk.vault.attempt.body)


def test_a_limit_that_is_over_is_lowered_and_the_record_names_it():
    talk = talk_of({"output_tokens": 100})
    talk.client >> chat("m", max_tokens=900)
    assert sent_of(talk)["max_tokens"] == 100
    talk.vault >> JSON
    talk.vault >> Last(ANSWER)
    assert talk.settled.dropped == ["max_tokens"]


def test_a_request_without_a_limit_gets_the_ceiling_as_one():
    talk = talk_of({"output_tokens": 100}, {"max_tokens": 500})
    talk.client >> chat("m")
    assert sent_of(talk)["max_tokens"] == 100


def test_the_tightest_of_key_and_model_holds():
    talk = talk_of({"output_tokens": 100, "effort": "high"}, {"ceilings": Ceilings(output_tokens=50, effort="low")})
    talk.client >> chat("m", max_tokens=900, reasoning_effort="high")
    body = sent_of(talk)
    assert (body["max_tokens"], body["reasoning_effort"]) == (50, "low")


def test_what_is_over_is_refused_where_that_is_said():
    talk = talk_of({"output_tokens": 100, "over": "refuse"})
    talk.client >> chat("m", max_tokens=900)
    (refused,) = talk.client.exchange.seen
    assert refused.status == 400
    assert json.loads(refused.body)["error"]["param"] == "max_tokens"
    talk.vault << NOTHING
    talk.client >> chat("m", max_tokens=100)
    talk.vault << Asked()


def test_a_strict_model_sends_what_was_lowered():
    talk = talk_of({"output_tokens": 100}, {"strict": True})
    talk.client >> chat("m", max_tokens=900)
    assert sent_of(talk)["max_tokens"] == 100


def test_a_client_of_another_dialect_is_lowered_in_its_own_words():
    talk = talk_of({"output_tokens": 100, "provider_tools": "off"})
    body = {
        "model": "m",
        "max_tokens": 900,
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    }
    talk.client >> Ask(body=json.dumps(body).encode(), path=b"/v1/messages")
    sent = sent_of(talk)
    assert "tools" not in sent
    assert 100 in {sent.get("max_tokens"), sent.get("max_completion_tokens")}
    talk.vault >> JSON
    talk.vault >> Last(ANSWER)
    assert {"max_tokens", "tools"} <= set(talk.settled.dropped)


def test_a_raw_path_is_closed_to_a_key_with_ceilings():
    talk = talk_of({"output_tokens": 100})
    talk.replica.key = msgspec.structs.replace(talk.key, passthrough=["up POST /chat/*"], version=2)
    talk.client >> Ask(body=b'{"model":"m"}', path=b"/passthrough/up/chat/completions")
    (refused,) = talk.client.exchange.seen
    assert refused.status == 403


def test_a_request_that_may_cost_too_much_is_shortened():
    talk = talk_of({"cost": "0.05"})
    talk.client >> chat("m", max_tokens=100_000)
    body = sent_of(talk)
    size = len(talk.vault.attempt.body)
    assert body["max_tokens"] * 10 + size <= 50_000
    assert body["max_tokens"] * 10 > 45_000, "and no shorter than it has to be"
    talk.vault >> JSON
    talk.vault >> Last(ANSWER)
    assert talk.settled.dropped == ["max_tokens"]


def test_a_request_that_says_no_limit_gets_one_that_its_cost_allows():
    talk = talk_of({"cost": "0.05"})
    talk.client >> chat("m")
    assert 4_500 < sent_of(talk)["max_tokens"] <= 5_000


@pytest.mark.parametrize("ceilings", [{"cost": "0.000001"}, {"cost": "0.05", "over": "refuse"}])
def test_a_request_that_cannot_be_made_cheap_enough_is_refused(ceilings):
    talk = talk_of(ceilings)
    talk.client >> chat("m", max_tokens=100_000)
    talk.client << Sent(400)
    talk.vault << NOTHING


def test_a_model_without_a_price_is_not_asked_under_a_ceiling_of_cost():
    talk = talk_of({"cost": "0.05"})
    talk.client >> chat("up/unpriced", max_tokens=10)
    talk.client << Sent(400)


def test_a_fallback_is_bounded_by_its_own_price():
    dear = Price("d", "override", {"input": Rate(10**9), "output": Rate(10**11)})
    more = (
        DeploymentEntry(provider="up", model="m", price=PRICE),
        DeploymentEntry(provider="other", model="d", price=dear, tier=2),
    )
    talk = talk_of({"cost": "0.50"}, {"deployments": more, "retries_max": 0})
    talk.client >> chat("m", max_tokens=40_000)
    assert sent_of(talk)["max_tokens"] == 40_000
    from switchgear.wire.frames import Head

    talk.vault >> Head(500, [], None)
    talk.vault >> Last(b"busy")
    talk.advance(1)
    talk.vault << Asked("other/default")
    assert json.loads(talk.vault.attempt.body)["max_tokens"] <= 5_000
    assert len(talk.recorded(records.Attempt)) == 1
