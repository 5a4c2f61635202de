"""What an edge learns of deployments by its attempts."""

from types import SimpleNamespace

import pytest

from switchgear.core.limit_rule import LimitRule
from switchgear.edge.course import Course, RoutedCourse
from switchgear.edge.hedged import HedgedTransfer, transfer_of
from switchgear.edge.transfer import Transfer
from switchgear.edge.watched import WatchedTransfer
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, SSE, Ask, Asked, Dialogue, Last, Sent, Started, chat
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
    course = RoutedCourse([priced], 0, 1.0)
    assert transfer_of(course) is WatchedTransfer
    course.hedge_s = 0.1
    assert transfer_of(course) is HedgedTransfer


STOPPED = b'data: {"error":{"message":"content flagged","type":"invalid_request_error","code":400}}\n\n'


def is_welcome(talk, client="key:another"):
    """Whether the deployment is as good as ever for a client, the own one or another."""
    return state(talk).unfit(talk.clock.monotonic_s(), 1, client) is None


def own(talk):
    return f"key:{talk.key.id}"


def test_a_time_of_the_clients_own_says_nothing_of_a_deployment(talk):
    for _ in range(6):
        talk.client >> chat("fast", headers={b"x-switchgear-timeout-s": b"0.001"})
        talk.vault << Asked("a/c")
        talk.tick(1.0)
        talk.client << Sent(504)
    assert is_welcome(talk, own(talk)) and is_welcome(talk)


def test_a_client_that_does_not_read_says_nothing_of_a_deployment(talk):
    for _ in range(6):
        talk.client >> chat("fast", stream=True)
        talk.vault << Asked("a/c") >> SSE
        talk.vault >> EVENT
        talk.client.exchange.is_blocked = True
        talk.vault >> Fail("timeout", "nothing for 300 s", True)
        talk.client.exchange.seen.clear()
        talk.client.exchange.is_blocked = False
    assert is_welcome(talk, own(talk)) and is_welcome(talk)


def test_a_provider_that_stalls_within_streams_is_left_alone_by_the_client_that_saw_it(talk):
    for _ in range(5):
        talk.client >> chat("fast", stream=True)
        talk.vault << Asked("a/c") >> SSE
        talk.vault >> EVENT >> Fail("timeout", "nothing for 300 s", True)
        talk.client.exchange.seen.clear()
    assert not is_welcome(talk, own(talk)) and is_welcome(talk)


def test_an_error_event_about_what_the_client_sent_says_nothing_of_a_deployment(talk):
    for _ in range(6):
        talk.client >> chat("fast", stream=True)
        talk.vault << Asked("a/c") >> SSE
        talk.vault >> Last(STOPPED)
        if talk.link.asked:
            talk.vault << Asked("b/c") >> JSON >> Last(ANSWER)
        talk.client.exchange.seen.clear()
    assert is_welcome(talk, own(talk)) and is_welcome(talk)


@pytest.mark.parametrize("status", [402, 403, 500, 503])
def test_a_status_that_a_request_may_have_caused_counts_for_its_client_alone(talk, status):
    for number in range(5):
        assert is_welcome(talk, own(talk)), number
        talk.client >> chat("fast")
        talk.vault << Asked("a/c") >> Head(status, [], None) >> Last(b"{}")
        talk.vault << Asked("b/c") >> JSON >> Last(ANSWER)
        talk.client << Sent(200)
    assert not is_welcome(talk, own(talk)) and is_welcome(talk)


def test_a_429_pauses_a_deployment_for_its_client_alone(talk):
    talk.client >> chat("fast")
    talk.vault << Asked("a/c") >> Head(429, [(b"retry-after", b"300")], None) >> Last(b"{}")
    talk.vault << Asked("b/c") >> JSON >> Last(ANSWER)
    assert not is_welcome(talk, own(talk)) and is_welcome(talk)


def test_a_large_request_that_was_refused_uses_up_nothing_of_a_limit(talk):
    headers = [
        (b"x-ratelimit-limit-tokens", b"200000"), (b"x-ratelimit-remaining-tokens", b"200000"),
        (b"x-ratelimit-reset-tokens", b"1h"),
    ]  # fmt: skip
    talk.client >> chat("fast")
    talk.vault << Asked("a/c") >> Head(200, [*JSON.headers, *headers], None) >> Last(ANSWER)
    talk.client << Sent(200)
    talk.client >> chat("fast", messages=[{"role": "user", "content": "hello world " * 90_000}])
    talk.advance(0.01)
    talk.vault << Asked("a/c") >> Head(400, [], None) >> Last(b"{}")
    assert is_welcome(talk, own(talk)) and is_welcome(talk)


def test_what_never_was_sent_is_not_under_way():
    entries = (
        DeploymentEntry(provider="a", model="m", limits=(LimitRule("requests", 1, "day"),)),
        DeploymentEntry(provider="b", model="m"),
    )
    entry = ModelEntry(name="fast", deployments=entries, retries_max=0)
    talk = Dialogue(table=RouteTable(providers=PROVIDERS, models={"fast": entry}), is_late=True)
    for name in ("a", "b", "b"):
        talk.client >> chat("fast")
        talk.advance(0.001)
        talk.vault << Asked(f"{name}/c") >> JSON >> Last(ANSWER)
        talk.advance(0.001)
        talk.client.exchange.seen.clear()
    assert state(talk).active == state(talk, "b").active == 0


def test_a_request_that_is_refused_spends_no_probe():
    deployments = tuple(DeploymentEntry(provider=name, model="m") for name in "ab")
    entry = ModelEntry(name="fast", deployments=deployments, retries_max=0)
    limits = {"limits": ["10 tokens/day"]}
    talk = Dialogue(table=RouteTable(providers=PROVIDERS, models={"fast": entry}), key=limits)
    state(talk).breaker.open("failures", talk.clock.monotonic_s())
    talk.services.resolver.states.troubled.add("a/m@c")
    talk.advance(20.0)
    talk.client >> chat("fast")
    talk.client << Sent(429)
    assert state(talk).may_probe("open", talk.clock.monotonic_s(), 15.0, own(talk))


def test_while_all_are_unfit_what_is_known_of_them_is_kept(talk):
    for name, seconds in (("a", 300.0), ("b", 1.0)):
        state(talk, name).paused_until_s = talk.clock.monotonic_s() + seconds
        talk.services.resolver.states.troubled.add(f"{name}/m@c")
    talk.client >> chat("fast")
    talk.vault << Asked("a/c") >> JSON >> Last(ANSWER)
    talk.client << Sent(200)
    talk.advance(2.0)
    talk.client >> chat("fast")
    talk.vault << Asked("b/c")


def test_what_an_answer_tells_one_client_of_limits_is_held_against_its_own_requests_alone(talk):
    headers = [(b"anthropic-ratelimit-requests-limit", b"50"), (b"anthropic-ratelimit-requests-remaining", b"0")]
    talk.client >> chat("fast")
    talk.vault << Asked("a/c") >> Head(200, [*JSON.headers, *headers], None) >> Last(ANSWER)
    assert not is_welcome(talk, own(talk)) and is_welcome(talk)


@pytest.mark.parametrize("status", [200, 429, 500])
def test_counting_tokens_says_nothing_of_how_a_deployment_chats(status):
    # Anthropic counts requests for token counts apart from those for messages (its guide "Token counting"; from memory).
    providers = {n: ProviderEntry(name=n, dialects=("anthropic",), credentials=("c",)) for n in "ab"}
    deployments = tuple(DeploymentEntry(provider=name, model="m") for name in "ab")
    entry = ModelEntry(name="fast", deployments=deployments, retries_max=0)
    talk = Dialogue(table=RouteTable(providers=providers, models={"fast": entry}))
    headers = [(b"anthropic-ratelimit-requests-limit", b"50"), (b"anthropic-ratelimit-requests-remaining", b"0")]
    for _ in range(6):
        body = b'{"model":"fast","messages":[{"role":"user","content":"x"}]}'
        talk.client >> Ask(path=b"/v1/messages/count_tokens", body=body)
        talk.vault << Asked("a/c") >> Head(status, [*JSON.headers, *headers], None) >> Last(b'{"input_tokens":3}')
        if talk.link.asked:
            talk.vault << Asked("b/c") >> JSON >> Last(b'{"input_tokens":3}')
        talk.client.exchange.seen.clear()
    assert is_welcome(talk, own(talk)) and is_welcome(talk)


def test_an_operator_is_told_when_a_deployment_is_left_alone_for_one_client(talk):
    for _ in range(5):
        talk.client >> chat("fast")
        talk.vault << Asked("a/c") >> Head(500, [], None) >> Last(b"{}")
        talk.vault << Asked("b/c") >> JSON >> Last(ANSWER)
        talk.client << Sent(200)
    assert any(f"a/m@c: left alone for {own(talk)} only" in line for line in talk.guard.said.texts)
