"""Requests that ask twice where the first byte is late, as dialogues: who wins, what the other costs."""

import json

import pytest

from switchgear.core.limit_rule import LimitRule
from switchgear.policies.limits import Limit, Unit, bucket_of
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, NOTHING, SSE, Asked, Dialogue, Last, Sent, Started, chat
from switchgear.wire.frames import Fail, Head
from switchgear.wire.records import Attempt, Settle

PROVIDERS = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in "abc"}
LATE_S = 0.5
ANSWER = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
).encode()  # fmt: skip
EVENT = b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'


def dialogue(*names, key=None, **fields):
    deployments = tuple(
        one if isinstance(one, DeploymentEntry) else DeploymentEntry(provider=one, model="m") for one in names or "ab"
    )
    entry = ModelEntry(name="fast", deployments=deployments, retries_max=0, hedge_s=LATE_S, **fields)
    return Dialogue(table=RouteTable(providers=PROVIDERS, models={"fast": entry}), key=key)


@pytest.fixture
def talk():
    return dialogue()


def asked_twice(talk, body=None):
    """A request whose first byte is late: both attempts."""
    talk.client >> (body or chat("fast"))
    talk.vault << Asked("a/c", 1)
    first = talk.vault.attempt
    talk.advance(LATE_S)
    talk.vault << Asked("b/c", 2)
    return first, talk.vault.attempt


def say(talk, attempt, *said):
    talk.vault.attempt = attempt
    for one in said:
        talk.vault >> one


def settled(talk):
    (found,) = (one for one in talk.spool.records if isinstance(one, Settle))
    return found


def told(talk):
    return talk.client.exchange.seen.pop(0)


def test_nobody_else_is_asked_before_the_first_byte_is_late(talk):
    talk.client >> chat("fast")
    talk.vault << Asked("a/c")
    talk.advance(LATE_S * 0.9)
    talk.vault << NOTHING
    talk.vault >> JSON
    talk.advance(LATE_S)
    talk.vault << NOTHING
    talk.vault >> Last(ANSWER)
    talk.client << Sent(200)


def test_the_second_one_wins_and_the_first_is_cancelled_and_booked_with_its_input(talk):
    first, second = asked_twice(talk)
    say(talk, second, JSON, Last(ANSWER))
    sent = told(talk)
    assert sent.status == 200 and sent.body == ANSWER
    assert b"x-switchgear-provider: b\r\n" in sent.headers and b"x-switchgear-attempts: 2\r\n" in sent.headers
    assert b"x-switchgear-fallback-reason: hedged\r\n" in sent.headers
    assert first.is_cancelled and not second.is_cancelled
    lost, won = settled(talk).attempts
    assert (lost.number, lost.error, lost.is_estimated) == (1, "hedged", True)
    assert lost.tokens.input > 0 and lost.tokens.output == 0
    assert (won.number, won.error, won.status, won.tokens) == (2, None, 200, None)
    assert settled(talk).tokens.output == 3


def test_the_first_one_wins_and_the_second_stands_before_it_in_the_record(talk):
    first, second = asked_twice(talk)
    say(talk, first, JSON, Last(ANSWER))
    sent = told(talk)
    assert b"x-switchgear-provider: a\r\n" in sent.headers and b"fallback-reason" not in sent.headers
    assert second.is_cancelled and not first.is_cancelled
    assert [(one.number, one.error) for one in settled(talk).attempts] == [(2, "hedged"), (1, None)]


def test_the_second_attempt_is_written_down_before_it_is_sent(talk):
    asked_twice(talk)
    assert [one.number for one in talk.spool.records if isinstance(one, Attempt)] == [2]


def test_streams_are_passed_on_from_whoever_begins(talk):
    first, second = asked_twice(talk, chat("fast", stream=True))
    say(talk, second, SSE, EVENT)
    talk.client << Started(200)
    assert first.is_cancelled
    say(talk, second, Last(EVENT + b"data: [DONE]\n\n"))
    assert settled(talk).outcome == "ok" and settled(talk).attempts[-1].number == 2


@pytest.mark.parametrize("failure", [Head(503, [], None), Fail("connect", "", False), Fail("broken", "", True)])
def test_a_second_attempt_that_fails_costs_nothing_but_itself(talk, failure):
    first, second = asked_twice(talk)
    say(talk, second, failure)
    talk.vault << NOTHING
    say(talk, first, JSON, Last(ANSWER))
    assert told(talk).status == 200
    assert [one.number for one in settled(talk).attempts] == [2, 1]


@pytest.mark.parametrize("failure", [(Head(503, [], None), Last(b"{}")), (Fail("broken", "", True),)])
def test_a_first_attempt_that_fails_leaves_the_second_as_the_request(talk, failure):
    first, second = asked_twice(talk)
    say(talk, first, *failure)
    talk.vault << NOTHING
    say(talk, second, JSON, Last(ANSWER))
    sent = told(talk)
    assert sent.status == 200 and b"x-switchgear-provider: b\r\n" in sent.headers
    assert [one.number for one in settled(talk).attempts] == [1, 2]


def test_an_error_of_the_client_ends_both(talk):
    first, second = asked_twice(talk)
    say(talk, first, Head(400, [], None), Last(b"{}"))
    assert told(talk).status == 400 and second.is_cancelled
    assert [one.number for one in settled(talk).attempts] == [2, 1]


def test_when_both_fail_the_next_deployment_is_asked():
    talk = dialogue("a", "b", "c")
    first, second = asked_twice(talk)
    say(talk, first, Fail("broken", "", True))
    say(talk, second, Fail("broken", "", True))
    talk.vault << Asked("c/c", 3) >> JSON >> Last(ANSWER)
    assert told(talk).status == 200
    assert [one.number for one in settled(talk).attempts] == [1, 2, 3]


def test_a_client_that_leaves_ends_both(talk):
    first, second = asked_twice(talk)
    talk.client.leave()
    talk.tick(40.0)
    assert first.is_cancelled and second.is_cancelled
    assert len(settled(talk).attempts) == 2
    states = talk.services.resolver.states
    assert [states.of(f"{name}/m@c").active for name in "ab"] == [0, 0]


def test_a_deadline_ends_both(talk):
    first, second = asked_twice(talk, chat("fast", headers={b"x-switchgear-timeout-s": b"2"}))
    talk.tick(3.0)
    assert told(talk).status == 504
    assert first.is_cancelled and second.is_cancelled and len(settled(talk).attempts) == 2


@pytest.mark.parametrize("winner", [0, 1])
def test_each_attempt_holds_limits_of_its_own_and_gives_them_back(winner):
    rules = (LimitRule("parallel", 1), LimitRule("total", 1_000_000, "minute"))
    talk = dialogue(
        *(DeploymentEntry(provider=name, model="m", limits=rules) for name in "ab"), key={"rpm": 9, "parallel": 1}
    )
    both = asked_twice(talk)
    slots = [bucket_of(Limit(subject=f"deployment:{name}/m@c", unit=Unit.PARALLEL, amount=1)) for name in "ab"]
    assert [one.used for one in talk.counters.read(slots)] == [1, 1]
    say(talk, both[winner], JSON, Last(ANSWER))
    assert told(talk).status == 200
    assert [one.used for one in talk.counters.read(slots)] == [0, 0]


def test_a_full_deployment_is_no_second_attempt():
    full = DeploymentEntry(provider="b", model="m", limits=(LimitRule("requests", 1, "hour"),))
    talk = dialogue("a", full)
    _, second = asked_twice(talk)
    say(talk, second, JSON, Last(ANSWER))
    talk.client << Sent(200)
    talk.client >> chat("fast")
    talk.vault << Asked("a/c")
    talk.advance(LATE_S)
    talk.vault << NOTHING
    talk.vault >> JSON >> Last(ANSWER)
    talk.client << Sent(200)


def test_what_a_provider_keeps_is_never_asked_twice(talk):
    talk.client >> chat("fast", store=True)
    talk.vault << Asked("a/c")
    talk.advance(LATE_S * 2)
    talk.vault << NOTHING


def test_a_model_with_one_deployment_asks_it_a_second_time():
    talk = dialogue("a")
    talk.client >> chat("fast")
    talk.vault << Asked("a/c", 1)
    talk.advance(LATE_S)
    talk.vault << Asked("a/c", 2) >> JSON >> Last(ANSWER)
    assert told(talk).status == 200
