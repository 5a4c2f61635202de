"""What an edge learns of deployments by its attempts."""

from types import SimpleNamespace

import pytest

from switchgear.edge.course import Course, RoutedCourse
from switchgear.edge.transfer import Transfer
from switchgear.edge.watched import WatchedTransfer, transfer_of
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, SSE, Asked, Dialogue, Last, Sent, Started, chat
from switchgear.wire.frames import Fail, Head

PROVIDERS = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in "ab"}
ANSWER = b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
EVENT = b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'


@pytest.fixture
def talk():
    deployments = tuple(DeploymentEntry(provider=name, model="m") for name in "ab")
    entry = ModelEntry(name="fast", deployments=deployments, retries_max=0)
    return Dialogue(table=RouteTable(providers=PROVIDERS, models={"fast": entry}))


def state(talk, name="a"):
    return talk.services.resolver.states.of(f"{name}/m@c")


@pytest.mark.parametrize("end", [Last(ANSWER), Fail("broken", "", True)])
def test_an_attempt_is_under_way_from_its_beginning_to_its_end(talk, end):
    talk.client >> chat("fast")
    talk.vault << Asked("a/c")
    assert state(talk).active == 1
    talk.vault >> JSON >> end
    assert state(talk).active == 0


def test_a_client_that_leaves_ends_an_attempt_too(talk):
    talk.client >> chat("fast")
    talk.vault << Asked("a/c")
    talk.client.leave()
    talk.tick(40.0)
    assert state(talk).active == 0


def test_the_time_of_a_plain_answer_is_that_to_its_head_and_of_a_stream_that_to_its_first_event(talk):
    talk.client >> chat("fast")
    talk.vault << Asked("a/c")
    talk.advance(0.5)
    talk.vault >> JSON >> Last(ANSWER)
    assert state(talk).answer_s == pytest.approx(0.5)
    talk.client >> chat("fast", stream=True)
    talk.vault << Asked("a/c")
    talk.advance(0.1)
    talk.vault >> SSE
    talk.advance(0.2)
    talk.vault >> EVENT
    talk.client << Started(200)
    assert state(talk).first_token_s == pytest.approx(0.3)


def test_an_answer_says_which_model_made_it_and_why_it_is_not_the_first(talk):
    talk.client >> chat("fast")
    talk.vault << Asked("a/c") >> Head(503, [], None) >> Last(b"{}")
    talk.vault << Asked("b/c") >> JSON >> Last(ANSWER)
    sent = talk.client.exchange.seen.pop(0)
    assert sent.status == 200
    assert b"x-switchgear-upstream-model: m\r\n" in sent.headers
    assert b"x-switchgear-fallback-reason: 503\r\n" in sent.headers


def test_a_mistake_of_a_client_says_nothing_of_its_deployment(talk):
    for _ in range(10):
        talk.client >> chat("fast")
        talk.vault << Asked("a/c") >> Head(400, [], None) >> Last(b"{}")
        talk.client << Sent(400)
    assert not state(talk).breaker.is_open


def test_only_a_course_with_a_choice_is_watched():
    priced = SimpleNamespace()
    assert transfer_of(Course([priced], 0, 1.0)) is Transfer
    assert transfer_of(RoutedCourse([priced], 0, 1.0)) is WatchedTransfer
