"""Requests of models with several deployments, as dialogues: who is asked, who is passed over, what comes back."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest

from switchgear.core.limit_rule import LimitRule
from switchgear.edge.routed import needs_of
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.conditions import When
from switchgear.routing.retry import RetryRules
from switchgear.routing.states import Health, Opened
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, NOTHING, Asked, Dialogue, Last, Sent, chat
from switchgear.wire.frames import Fail, Head
from switchgear.wire.records import Settle

PROVIDERS = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in "abc"}
ANSWER = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()  # fmt: skip


def deployment(provider, **fields):
    return DeploymentEntry(provider=provider, model="m", **fields)


def took(talk):
    """What the client got."""
    return talk.client.exchange.seen.pop(0)


def dialogue(*deployments, models=(), providers=None, key=None, **fields):
    deployments = deployments or tuple(deployment(name) for name in "abc")
    fields = {"retries_max": 0, **fields}
    entry = ModelEntry(name="fast", deployments=deployments, **fields)
    table = RouteTable(providers=providers or PROVIDERS, models={"fast": entry, **{one.name: one for one in models}})
    return Dialogue(table=table, key=key)


def asked(talk):
    """The next attempt: its provider."""
    talk.vault << Asked()
    return talk.vault.attempt.route.credential_id.partition("/")[0]


def answer(talk, headers=()):
    talk.vault >> Head(200, [*JSON.headers, *headers], None) >> Last(ANSWER)


def ask(talk, fails=(), body=None):
    """One request: the providers that were asked in turn. Those of `fails` cannot be reached."""
    talk.advance(0.001)
    talk.client >> (body or chat("fast"))
    seen = []
    while True:
        name = asked(talk)
        seen.append(name)
        if name not in fails:
            answer(talk)
            break
        talk.vault >> Fail("connect", "refused", False)
    talk.client << Sent(200)
    return "".join(seen)


def test_a_dead_deployment_is_left_alone_and_back_in_use_within_a_probe_interval():
    talk = dialogue()
    for _ in range(5):
        assert ask(talk, fails="a") == "ab"
    probes = 0
    for _ in range(120):  # a minute of two requests a second
        talk.advance(0.5)
        probes += ask(talk, fails="a").startswith("a")
    assert 3 <= probes <= 4
    recovered_s = 0.0
    while ask(talk) != "a" and recovered_s < 60.0:
        talk.advance(0.5)
        recovered_s += 0.5
    assert recovered_s <= BreakerRules().probe_s
    assert ask(talk) == "a"


def test_a_probe_that_fails_is_not_tried_again_at_the_same_deployment():
    talk = dialogue(retries_max=1)
    talk.services.resolver.states.of("a/m@c").breaker.open("failures", talk.clock.monotonic_s() - 60.0)
    talk.services.resolver.states.troubled.add("a/m@c")
    assert ask(talk, fails="a") == "ab"


def test_a_refused_credential_opens_the_breaker_at_once():
    talk = dialogue()
    talk.client >> chat("fast")
    assert asked(talk) == "a"
    talk.vault >> Head(401, [], None) >> Last(b"{}")
    assert asked(talk) == "b"
    answer(talk)
    assert ask(talk) == "b"


def test_what_another_edge_saw_counts_here():
    talk = dialogue()
    assert ask(talk) == "a"
    wall_ms = talk.clock.wall_ms()
    book = talk.services.resolver.states
    book.heed(Health(open={"a/m@c": Opened("failures", wall_ms, wall_ms)}), talk.clock.monotonic_s(), wall_ms)
    assert ask(talk) == "b"


def test_a_deployment_that_says_429_is_left_alone_as_long_as_it_says():
    talk = dialogue()
    talk.client >> chat("fast")
    assert asked(talk) == "a"
    talk.vault >> Head(429, [(b"retry-after", b"30")], None) >> Last(b"{}")
    assert asked(talk) == "b"
    answer(talk)
    talk.client << Sent(200)
    assert ask(talk) == "b"
    talk.advance(31.0)
    assert ask(talk) == "a"


def test_a_providers_own_limit_is_kept_before_it_says_429_and_never_told_to_the_client():
    talk = dialogue()
    headers = [
        (b"x-ratelimit-limit-requests", b"60"), (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"60s"),
    ]  # fmt: skip
    talk.client >> chat("fast")
    assert asked(talk) == "a"
    answer(talk, headers)
    sent = took(talk)
    assert sent.status == 200 and b"ratelimit" not in sent.headers
    assert ask(talk) == "b", "nothing is left"
    talk.advance(1.1)
    assert ask(talk) == "a", "60 in 60 s: one is there again"
    assert ask(talk) == "b"


def test_weights_spread_requests_and_failures_go_on():
    talk = dialogue(
        deployment("a", weight=8), deployment("b", weight=1), deployment("c", weight=1), strategy="weighted"
    )
    first = Counter(ask(talk)[0] for _ in range(300))
    assert first["a"] > 200 and first["b"] + first["c"] > 25


def test_a_session_stays_with_its_deployment_until_that_is_passed_over():
    talk = dialogue(strategy="sticky")
    homes = {}
    for _ in range(3):
        for number in range(8):
            seen = ask(talk, body=chat("fast", user=f"u{number}"))
            assert homes.setdefault(number, seen) == seen
    assert len(set(homes.values())) > 1
    gone = homes[0]
    book = talk.services.resolver.states
    book.of(f"{gone}/m@c").paused_until_s = talk.clock.monotonic_s() + 300.0
    book.troubled.add(f"{gone}/m@c")
    after = {number: ask(talk, body=chat("fast", user=f"u{number}")) for number in homes}
    assert all(after[number] == home for number, home in homes.items() if home != gone)
    assert gone not in after.values()


def test_the_fastest_deployment_gets_most_requests():
    talk = dialogue(strategy="lowest_latency")
    slow = {"a": 0.9, "b": 0.1, "c": 0.5}
    first = Counter()
    for _ in range(100):
        talk.client >> chat("fast")
        name = asked(talk)
        first[name] += 1
        talk.advance(slow[name])
        answer(talk)
        talk.client << Sent(200)
    assert first["b"] > 80


def test_labels_that_a_model_requires_bind_its_fallbacks():
    labelled = {
        "a": ProviderEntry(name="a", dialects=("openai",), credentials=("c",), labels={"region": "us"}),
        "b": ProviderEntry(name="b", dialects=("openai",), credentials=("c",), labels={"region": "eu"}),
        "c": ProviderEntry(name="c", dialects=("openai",), credentials=("c",)),
    }
    other = ModelEntry(name="other", deployments=(deployment("b"), deployment("c")))
    talk = dialogue(deployment("a"), models=[other], providers=labelled, fallback=("other",), require={"region": "eu"})
    assert ask(talk) == "b"
    talk.client >> chat("fast")
    assert asked(talk) == "b"
    talk.vault >> Fail("connect", "", False)
    talk.client << Sent(502)


def test_labels_that_a_key_requires_leave_nothing_else():
    two = (deployment("a", labels={"zdr": "no"}), deployment("b", labels={"zdr": "yes"}))
    talk = dialogue(*two, key={"require": {"zdr": "yes"}})
    assert ask(talk) == "b"
    talk = dialogue(*two, key={"require": {"zdr": "perhaps"}})
    talk.client >> chat("fast")
    refused = took(talk)
    assert refused.status == 403 and b"zdr: perhaps" in refused.body


def test_conditions_send_requests_where_they_are_for():
    talk = dialogue(
        deployment("a", when=When(without=("images",), tokens_max=1_000)),
        deployment("b", when=When(needs=("images",))),
        deployment("c", when=When(tokens_min=1_001)),
    )
    assert ask(talk) == "a"
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]
    assert ask(talk, body=chat("fast", messages=image)) == "b"
    assert ask(talk, body=chat("fast", messages=[{"role": "user", "content": "word " * 2_000}])) == "c"


def test_a_request_that_no_deployment_is_for_is_told_why():
    talk = dialogue(deployment("a", when=When(tags=("vip",))), deployment("b", when=When(teams=("t",))))
    talk.client >> chat("fast")
    refused = took(talk)
    assert refused.status == 400 and b"for the tags vip" in refused.body and b"for the teams t" in refused.body


# OpenAI's own error of a prompt that is too long (OpenAI API reference, "Error codes"; public reports).
TOO_LONG = b'{"error": {"message": "This model\'s maximum context length is 8192 tokens.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}'
FILTERED = b'{"error": {"message": "The response was filtered", "type": null, "param": "prompt", "code": "content_filter", "status": 400}}'
INVALID = b'{"error": {"message": "bad", "type": "invalid_request_error", "param": "x", "code": null}}'


@pytest.mark.parametrize(
    ("said", "kind", "then"),
    [(TOO_LONG, b"context_length", "b"), (FILTERED, b"content_policy", "c"), (INVALID, None, None)],
)
def test_a_fallback_for_one_kind_of_error_is_asked_after_that_alone(said, kind, then):
    long = ModelEntry(name="long", deployments=(deployment("b"),))
    tame = ModelEntry(name="tame", deployments=(deployment("c"),))
    on = {"context_length": ("long",), "content_policy": ("tame",)}
    talk = dialogue(deployment("a"), models=[long, tame], fallback_on=on)
    talk.client >> chat("fast")
    assert asked(talk) == "a"
    talk.vault >> Head(400, [], None) >> Last(said)
    if then is None:
        talk.client << Sent(400)
        return
    assert asked(talk) == then
    answer(talk)
    assert b"x-switchgear-fallback-reason: %b\r\n" % kind in took(talk).headers
    talk.client >> chat("fast")
    assert asked(talk) == "a"
    talk.vault >> Fail("connect", "", False)
    talk.client << Sent(502)


def test_only_what_a_model_names_is_tried_again_there_and_pauses_grow():
    talk = dialogue(deployment("a"), retries_max=3, retry=RetryRules(on=("503",), backoff_s=1.0))
    talk.client >> chat("fast")
    for pause_s in (1.0, 2.0, 4.0):
        assert asked(talk) == "a"
        talk.vault >> Head(503, [], None) >> Last(b"{}")
        talk.advance(pause_s / 2 - 0.01)
        talk.vault << NOTHING
        talk.advance(pause_s / 2 + 0.02)
    assert asked(talk) == "a"
    talk.vault >> Head(503, [], None) >> Last(b"{}")
    talk.client << Sent(503)
    talk.client >> chat("fast")
    assert asked(talk) == "a"
    talk.vault >> Head(500, [], None) >> Last(b"{}")
    talk.client << Sent(500)


class Body:
    def __init__(self, **fields):
        self.fields = {name: json.dumps(value).encode() for name, value in fields.items()}


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        (Body(messages=[{"role": "user", "content": "hi"}]), set()),
        (Body(messages=[{"role": "user", "content": 'say "image_url" and "json_schema"'}]), set()),
        (Body(tools=[]), set()),
        (Body(tools=[{"type": "function"}]), {"tools"}),
        (Body(response_format={"type": "json_schema", "json_schema": {}}), {"json_schema"}),
        (Body(messages=[{"content": [{"type": "image", "source": {}}]}]), {"images"}),
        (
            Body(contents=[{"parts": [{"inlineData": {}}]}], generationConfig={"responseSchema": {}}),
            {"images", "json_schema"},
        ),
    ],
)
def test_a_body_says_what_it_needs(body, needs):
    assert needs_of(body) == needs


@pytest.mark.parametrize("at", [0, 131_060, 131_072, 400_000])
def test_a_large_body_is_looked_through_in_steps_and_nothing_is_missed_between_two(at):
    text = b'"' + b"x" * at + b'","json_schema","' + b"y" * 300_000 + b'"'
    body = SimpleNamespace(fields={"messages": text})
    steps = needs_of.steps(body)
    assert sum(1 for _ in steps) == -(-len(text) // 131_072)
    assert needs_of(body) == {"json_schema"}


def test_a_large_request_goes_where_its_conditions_say():
    talk = dialogue(deployment("a", when=When(without=("images",))), deployment("b", when=When(needs=("images",))))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2_000_000}}
    talk.client >> chat("fast", messages=[{"role": "user", "content": [image]}])
    for _ in range(50):
        talk.advance(0.001)
    assert asked(talk) == "b"


def test_a_canary_gets_its_share_of_sessions_and_a_session_stays():
    talk = dialogue(deployment("a"), deployment("b", canary=0.5))
    places = {}
    for number in range(40):
        for _ in range(2):
            talk.advance(0.001)
            talk.client >> chat("fast", headers={b"x-switchgear-session": b"s%d" % number})
            places.setdefault(number, []).append(asked(talk))
            answer(talk)
            talk.client << Sent(200)
    assert all(len(set(names)) == 1 for names in places.values())
    assert 8 <= sum(names[0] == "b" for names in places.values()) <= 32


PRICES = b'{"id":"p","fallback":[],"models":[{"id":"small","match":{"equals":"small"},"prices":[{"meters":{}}],"variants":[],"context_window":8000}]}'


def test_a_request_that_needs_more_context_than_the_others_take_goes_where_such_requests_are_for():
    providers = {
        name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",), pricing_id="p") for name in "ab"
    }
    small = DeploymentEntry(provider="a", model="small")
    large = DeploymentEntry(provider="b", model="m", when=When(needs=("context",)))
    talk = dialogue(large, small, providers=providers)
    talk.services.resolver._load = lambda name: PRICES
    assert ask(talk) == "a"
    assert ask(talk, body=chat("fast", messages=[{"role": "user", "content": "word " * 12_000}])) == "b"
    assert ask(talk, body=chat("fast", max_tokens=8_001)) == "b"


def test_a_key_that_requires_a_deployment_is_served_there_whatever_its_conditions():
    places = (deployment("a"), deployment("c", when=When(keys=("nobody",))))
    assert ask(dialogue(*places)) == "a"
    assert ask(dialogue(*places, key={"require": {"deployment": "c/m@c"}})) == "c"


def test_a_full_deployment_is_passed_over_and_the_answer_and_the_record_say_so():
    full = deployment("a", limits=(LimitRule("requests", 1, "hour"),))
    talk = dialogue(full, deployment("b"))
    assert ask(talk) == "a"
    talk.advance(0.001)
    talk.client >> chat("fast")
    assert asked(talk) == "b"
    answer(talk)
    assert b"x-switchgear-fallback-reason: full\r\n" in took(talk).headers
    settled = [one for one in talk.spool.records if isinstance(one, Settle)][-1]
    assert settled.passed_over == ["a/m@c: full (deployment requests/hour)"]


def test_a_deployment_whose_breaker_is_open_is_named_in_the_record():
    talk = dialogue()
    talk.services.resolver.states.of("a/m@c").breaker.open("failures", talk.clock.monotonic_s())
    talk.services.resolver.states.troubled.add("a/m@c")
    assert ask(talk) == "b"
    settled = [one for one in talk.spool.records if isinstance(one, Settle)][-1]
    assert settled.passed_over == ["a/m@c: its breaker is open"]
