"""Limits on one request's way: who is refused and told what, where the next attempt goes, and that nothing stays held."""

import json

import msgspec
import pytest

from switchgear.core.limit_rule import LimitRule
from switchgear.edge import admission, limit_sets
from switchgear.policies import limits
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import (
    JSON,
    NOTHING,
    PRICE,
    SSE,
    Ask,
    Asked,
    Dialogue,
    Last,
    Sent,
    chat,
)
from switchgear.wire import records
from switchgear.wire.frames import Fail, Head

ANSWER = (
    b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
)
FIRST = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there"},"finish_reason":null}]}\n\n'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
BUSY = Head(503, [], None)


def answer(talk, input_tokens=9, output_tokens=1):
    talk.vault >> JSON >> Last(ANSWER % (input_tokens, output_tokens, input_tokens + output_tokens))
    talk.client << Sent(200)


def ask(talk, **more):
    """Send a chat; returns what the client was answered at once, None when the vault is asked."""
    talk.client >> chat("m" if talk.replica.published.table.models else "up/m", **more)
    for _ in range(4):
        talk.advance(0.001)
    if talk.link.asked:
        talk.vault << Asked()
        return None
    (sent,) = talk.client.exchange.seen
    return sent


def headers(sent):
    lines = sent.headers.decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines if line)


def slots(talk):
    return sum(c.counts.held for name, c in talk.counters._counted.items() if "/parallel/" in name)


def route(**limits):
    """Two deployments of one model, a and b; `a`, `b`, `model`, `provider` name whose limits are given."""
    providers = {
        name: ProviderEntry(
            name=name,
            dialects=("openai",),
            credentials=("default",),
            limits=limits.get("provider", ()) if name == "a" else (),
        )
        for name in ("a", "b")
    }
    deployments = tuple(
        DeploymentEntry(provider=name, model="m", price=PRICE, limits=limits.get(name, ())) for name in ("a", "b")
    )
    entry = ModelEntry(name="m", deployments=deployments, retries_max=0, limits=limits.get("model", ()))
    alias = ModelEntry(name="other", alias="m")
    return RouteTable(providers=providers, models={"m": entry, "other": alias})


ONE = (LimitRule("requests", 1, "minute"),)


@pytest.fixture(params=[False, True], ids=["at once", "late"])
def is_late(request):
    return request.param


def test_N3_requests_over_a_keys_limit_are_refused_until_the_time_that_is_told(is_late):
    talk = Dialogue(key={"rpm": 2}, is_late=is_late)
    for _ in range(2):
        assert ask(talk) is None
        answer(talk)
    refused = ask(talk)
    assert refused.status == 429
    told = headers(refused)
    assert told["x-switchgear-error"] == "rate_limit_exceeded"
    wait_s = int(told["retry-after"])
    assert 58 <= wait_s <= 61
    talk.advance(wait_s - 1.1)
    assert ask(talk).status == 429
    talk.advance(1.1)
    assert ask(talk) is None


def test_a_refusal_names_the_rule_and_not_what_it_belongs_to_by_name():
    talk = Dialogue(key={"rpm": 1})
    ask(talk)
    error = json.loads(ask(talk).body)["error"]
    assert error["message"].startswith("the limit of 1 requests/minute of this API key is reached; try again in ")
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


def test_a_key_at_its_limit_is_refused_before_its_body_is_read():
    talk = Dialogue(key={"rpm": 1})
    ask(talk)
    talk.client >> chat("up/m")
    assert talk.client.exchange.context.body == b""
    assert talk.client.exchange.context.request is None
    assert talk.client.exchange.status == 429


def test_parallel_requests_are_counted_until_their_end(is_late):
    talk = Dialogue(key={"parallel": 1}, is_late=is_late)
    assert ask(talk) is None
    refused = ask(talk)
    assert (refused.status, headers(refused)["retry-after"]) == (429, "1")
    answer_of_first = talk.vault
    answer_of_first >> JSON >> Last(ANSWER % (1, 1, 2))
    assert ask(talk) is None


def ways_to_end(talk):
    yield "answered", lambda: talk.vault >> JSON >> Last(ANSWER % (1, 1, 2))
    yield "refused by its provider", lambda: talk.vault >> Head(400, [], None) >> Last(b"{}")
    yield "never sent", lambda: talk.vault >> Fail("connect", "x", False)
    yield "garbage", lambda: talk.vault >> JSON >> Last(b"<html>")
    yield "interrupted", lambda: talk.services.running.interrupt("stop")
    yield "its client left", lambda: (talk.client.leave(), talk.tick(31.0))


@pytest.mark.parametrize("number", range(6))
def test_every_end_gives_the_slot_back_once(number, is_late):
    talk = Dialogue(key={"parallel": 3, "rpm": 100, "tpm": 100_000}, is_late=is_late)
    assert ask(talk, headers={b"x-stainless-retry-count": b"1"}) is None
    assert slots(talk) == 1
    _, end = list(ways_to_end(talk))[number]
    end()
    talk.advance(1)
    assert slots(talk) == 0
    assert not talk.services.running._contexts


def test_a_stream_holds_its_slot_until_its_end():
    talk = Dialogue(key={"parallel": 1})
    assert ask(talk, stream=True) is None
    talk.vault >> SSE >> FIRST
    assert slots(talk) == 1
    talk.vault >> Last(LAST)
    assert slots(talk) == 0


def test_a_client_that_leaves_while_counters_are_busy_holds_nothing():
    talk = Dialogue(key={"parallel": 1}, is_late=True)
    talk.client >> chat("up/m")
    talk.client.leave()
    talk.advance(1)
    talk.vault << NOTHING
    assert slots(talk) == 0


def test_a_key_that_is_revoked_while_counters_are_busy_is_refused_and_holds_nothing():
    talk = Dialogue(key={"parallel": 1}, is_late=True)
    talk.client >> chat("up/m")
    talk.replica.key = None
    talk.advance(1)
    talk.client << Sent(401)
    assert slots(talk) == 0


def test_a_ledger_that_is_full_leaves_nothing_held(is_late):
    talk = Dialogue(key={"parallel": 1, "rpm": 1}, is_late=is_late)
    talk.spool.is_full = True
    assert ask(talk).status == 503
    assert slots(talk) == 0
    talk.spool.is_full = False
    assert ask(talk) is None, "the request that was not sent is not counted"


def test_tokens_are_reserved_as_expected_and_corrected_by_what_was_used():
    talk = Dialogue(key={"tpm": 3000})
    assert ask(talk, max_tokens=900) is None
    assert ask(talk, max_tokens=900) is None
    assert ask(talk, max_tokens=900) is None
    refused = ask(talk, max_tokens=900)
    assert refused.status == 429
    assert "3000 tokens/minute" in json.loads(refused.body)["error"]["message"]
    talk.vault >> JSON >> Last(ANSWER % (9, 1, 10))
    assert ask(talk, max_tokens=900) is None, "the answer was short, so there is room again"


def test_a_request_that_is_over_a_limit_by_itself_is_told_not_to_wait():
    talk = Dialogue(key={"tpm": 500})
    refused = ask(talk, max_tokens=900)
    told = headers(refused)
    assert (refused.status, told["x-should-retry"]) == (429, "false")
    assert "retry-after" not in told
    assert "too large" in json.loads(refused.body)["error"]["message"]
    assert ask(talk, max_tokens=100) is None


def test_what_a_model_usually_answers_is_expected_instead_of_what_is_asked():
    talk = Dialogue(key={"tpm": 60_000})
    for _ in range(20):
        assert ask(talk, max_tokens=32_000) is None
        answer(talk, 9, 10)
    assert [ask(talk, max_tokens=32_000) for _ in range(20)] == [None] * 20


@pytest.mark.parametrize("unit", ["input", "output"])
def test_limits_of_input_and_output_count_apart(unit):
    used = {"input": (9, 0), "output": (0, 10)}[unit]
    talk = Dialogue(key={"limits": [f"40 {unit} tokens/day"]})
    assert ask(talk, max_tokens=1) is None
    answer(talk, *[40 if n else 0 for n in used])
    assert ask(talk, max_tokens=1).status == 429


@pytest.mark.parametrize("subject", ["organisation", "model"])
def test_limits_of_the_organisation_and_of_a_model_hold_for_every_key(subject):
    whose = {"organisation": {"snapshot": {"limits": ONE}, "table": route()}, "model": {"table": route(model=ONE)}}
    talk = Dialogue(**whose[subject])
    assert ask(talk) is None
    refused = ask(talk)
    assert refused.status == 429
    assert {"organisation": "all keys together", "model": "this model"}[subject] in refused.body.decode()


def test_an_alias_is_counted_with_its_model():
    talk = Dialogue(table=route(model=ONE))
    talk.client >> chat("other")
    talk.vault << Asked()
    assert ask(talk).status == 429


@pytest.mark.parametrize("whose", ["a", "provider"])
def test_a_deployment_that_is_full_is_passed_over(whose, is_late):
    talk = Dialogue(table=route(**{whose: ONE}), is_late=is_late)
    assert ask(talk) is None
    assert talk.vault.attempt.route.credential_id == "a/default"
    assert ask(talk) is None
    assert talk.vault.attempt.route.credential_id == "b/default"
    (first, second) = talk.recorded(records.Reserve)
    assert first.id != second.id


def test_where_every_deployment_is_full_the_client_is_told_the_soonest_time(is_late):
    talk = Dialogue(table=route(a=(LimitRule("requests", 1, "hour"),), b=ONE), is_late=is_late)
    assert ask(talk) is None
    assert ask(talk) is None
    refused = ask(talk)
    assert refused.status == 429
    assert int(headers(refused)["retry-after"]) <= 61
    assert '"a"' not in refused.body.decode()


def test_an_attempt_that_failed_gives_its_deployments_slot_back_and_a_full_fallback_is_not_asked(is_late):
    parallel = (LimitRule("parallel", 1),)
    talk = Dialogue(table=route(a=parallel, b=parallel), is_late=is_late)
    assert ask(talk) is None  # holds a
    first = talk.vault.attempt
    assert ask(talk) is None  # holds b
    assert talk.vault.attempt.route.credential_id == "b/default"
    second = talk.client.exchange
    talk.vault.attempt = first
    talk.vault >> BUSY >> Last(b"{}")
    talk.advance(0.5)
    talk.vault << NOTHING
    assert second.seen == []
    assert slots(talk) == 1, "a is free again, b is still held by the second request"


def test_a_fallback_whose_limit_has_room_is_asked(is_late):
    talk = Dialogue(table=route(a=ONE, b=ONE), is_late=is_late)
    assert ask(talk) is None
    talk.vault >> BUSY >> Last(b"{}")
    talk.advance(0.5)
    talk.vault << Asked("b/default", 2)
    answer(talk)
    assert ask(talk).status == 429


def test_retries_and_fallbacks_count_once_for_the_key(is_late):
    talk = Dialogue(table=route(), key={"rpm": 2}, is_late=is_late)
    assert ask(talk) is None
    talk.vault >> BUSY >> Last(b"{}")
    talk.advance(0.5)
    talk.vault << Asked("b/default", 2)
    answer(talk)
    assert ask(talk) is None


def test_each_end_user_has_a_bucket_of_its_own():
    talk = Dialogue(key={"limits": ["1 requests/minute per end_user"]})
    assert ask(talk, user="ann") is None
    assert ask(talk, user="ben") is None
    assert ask(talk, user="ann").status == 429


def test_those_who_do_not_say_who_they_are_share_one_bucket():
    talk = Dialogue(key={"limits": ["1 requests/minute per end_user"]})
    assert ask(talk) is None
    assert ask(talk).status == 429


def test_counting_tokens_has_a_bucket_of_its_own():
    talk = Dialogue(providers={"up": ("anthropic",)}, key={"rpm": 1})
    assert ask(talk) is None
    count = chat("up/m", max_tokens=1)
    count = type(count)(body=count.body, path=b"/v1/messages/count_tokens")
    talk.client >> count
    talk.vault << Asked()
    talk.client >> count
    talk.vault << NOTHING
    assert talk.client.exchange.status == 429


def test_openais_clients_are_told_what_is_left():
    talk = Dialogue(key={"rpm": 10, "tpm": 5000})
    assert ask(talk, max_tokens=100) is None
    talk.vault >> JSON >> Last(ANSWER % (9, 1, 10))
    (sent,) = talk.client.exchange.seen
    told = headers(sent)
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("10", "9")
    assert told["x-ratelimit-limit-tokens"] == "5000"
    assert int(told["x-ratelimit-remaining-tokens"]) < 4900
    assert told["x-ratelimit-reset-requests"] == "1m1s"


def test_a_client_of_anthropic_is_told_in_its_own_words():
    talk = Dialogue(providers={"up": ("anthropic",)}, key={"rpm": 1})
    message = chat("up/m", max_tokens=5)
    message = type(message)(body=message.body, path=b"/v1/messages")
    talk.client >> message
    talk.vault << Asked()
    talk.client >> message
    (refused,) = talk.client.exchange.seen
    told = headers(refused)
    assert (refused.status, json.loads(refused.body)["error"]["type"]) == (429, "rate_limit_error")
    assert told["anthropic-ratelimit-requests-limit"] == "1"
    assert told["anthropic-ratelimit-requests-remaining"] == "0"
    assert told["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert not any(name.startswith("x-ratelimit") for name in told)


def test_refusals_are_counted_by_what_is_limited():
    talk = Dialogue(key={"rpm": 1})
    ask(talk)
    ask(talk)
    assert talk.services.refusals.tally.limited == {"key requests/minute": 1}


def test_without_limits_nothing_is_counted_or_told():
    talk = Dialogue()
    assert ask(talk) is None
    answer(talk)
    assert len(talk.counters) == 0


def test_limits_of_another_version_of_the_key_hold_for_what_it_used_already():
    talk = Dialogue(key={"rpm": 5})
    for _ in range(3):
        ask(talk)
    key = talk.replica.key
    talk.replica.key = type(key)(key.id, key.name, 2, key.secrets, rpm=3)
    assert ask(talk).status == 429


def test_the_limits_of_a_subject_are_made_once():
    snapshot = Snapshot(store_id="s", epoch=1)
    key = Dialogue(key={"rpm": 1}).key
    first = limit_sets.of_key(key, snapshot, None)
    assert first.paid.buckets[0].key == limit_sets.of_key(key, snapshot, None).paid.buckets[0].key
    assert limit_sets.of_key(Dialogue().key, snapshot, None) is None


def test_a_late_answer_of_one_deployment_is_not_taken_for_another():
    """Between the question and the answer the deployment was frozen, so the retry goes elsewhere."""
    limits_b = (LimitRule("requests", 1, "day"), LimitRule("total", 10_000, "day"))
    table = route(a=(LimitRule("requests", 100, "minute"),), b=limits_b)
    models = {**table.models, "m": msgspec.structs.replace(table.models["m"], retries_max=1)}
    talk = Dialogue(table=msgspec.structs.replace(table, models=models), is_late=True)
    assert ask(talk) is None
    talk.vault >> Fail("connect", "", False)
    talk.advance(0.1)
    talk.replica.published = msgspec.structs.replace(talk.replica.published, freezes={"provider:a": None})
    for _ in range(8):
        talk.advance(0.001)
    talk.vault << Asked("b/default")
    held = {name: counted.counts.total for name, counted in talk.counters._counted.items()}
    assert [total for name, total in held.items() if "deployment:a" in name] == [0]
    assert sum(total > 0 for name, total in held.items() if "deployment:b" in name) == 2
    talk.vault >> JSON >> Last(ANSWER % (9, 1, 10))
    for _ in range(4):
        talk.advance(0.001)
    talk.client << Sent(200)


def test_a_settlement_that_cannot_be_written_keeps_no_slot():
    talk = Dialogue(key={"parallel": 1})
    assert ask(talk) is None
    write = talk.spool.settle

    def fail(*_args):
        raise OSError(5, "Input/output error")

    talk.spool.settle = fail
    talk.vault >> JSON >> Last(ANSWER % (9, 1, 10))
    talk.advance(0.01)
    talk.spool.settle = write
    talk.guard.exceptions.clear()
    assert slots(talk) == 0
    talk.client.exchange.seen.clear()
    assert ask(talk) is None


def statuses(talk, *names):
    """What each is answered in turn: 200, where the provider was asked."""
    found = []
    for name in names:
        talk.client >> chat(name)
        talk.advance(0.001)
        if not talk.link.asked:
            found.append(talk.client.exchange.seen.pop(0).status)
            continue
        talk.vault << Asked()
        answer(talk)
        talk.advance(0.001)
        found.append(200)
    return found


@pytest.mark.parametrize("whose", ["a", "model"])
def test_N3_naming_the_provider_goes_around_no_limit_of_a_model_or_deployment(whose):
    one = (LimitRule("requests", 1, "day"),)
    talk = Dialogue(table=route(**{whose: one, "b": one}))
    assert statuses(talk, "m", "a/m", "a/m") == [200, 429, 429]


def test_N3_names_that_a_client_invents_behind_a_pattern_have_one_limit():
    deployment = DeploymentEntry(provider="a", model="*", limits=(LimitRule("requests", 1, "day"),))
    provider = ProviderEntry(name="a", dialects=("openai",), credentials=("default",))
    entry = ModelEntry(name="pat/*", deployments=(deployment,))
    talk = Dialogue(table=RouteTable(providers={"a": provider}, models={"pat/*": entry}))
    assert statuses(talk, "pat/x", "pat/X", "pat/x:free", "a/x") == [200, 429, 429, 429]
    assert sum("deployment:" in name for name in talk.counters._counted) == 1


def test_N3_a_limit_per_model_is_the_models_by_whatever_name():
    talk = Dialogue(table=route(), key={"limits": ["1 requests/day per model"]})
    assert statuses(talk, "m", "m", "other", "a/m") == [200, 429, 429, 429]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("what", ["estimate", "dry run"])
def test_what_is_answered_without_a_provider_counts_as_what_costs_nothing(what, is_late):
    talk = Dialogue(providers={"up": ("openai",)}, key={"rpm": 1, "parallel": 1}, is_late=is_late)
    body = json.dumps({"model": "up/m", "messages": [{"role": "user", "content": "x"}]}).encode()
    ask_free = (
        Ask(path=b"/v1/messages/count_tokens", body=body)
        if what == "estimate"
        else chat("up/m", headers={b"x-switchgear-dry-run": b"true"})
    )
    found = []
    for _ in range(3):
        talk.client >> ask_free
        for _ in range(4):
            talk.advance(0.001)
        found.append(talk.client.exchange.seen.pop(0).status)
    assert found == [200, 429, 429]
    assert slots(talk) == 0
    assert ask(talk) is None, "it takes nothing from prompts"


def test_another_version_of_a_tool_is_the_same_client():
    talk = Dialogue(key={"limits": ["1 requests/day per client"]})
    assert ask(talk, headers={b"user-agent": b"codex/1.0 (linux)"}) is None
    answer(talk)
    assert ask(talk, headers={b"user-agent": b"Codex/1.1"}).status == 429


def test_short_answers_of_one_key_lower_nothing_that_another_reserves():
    talk = Dialogue(key={"tpm": 100_000})
    context = None
    for _ in range(20):
        assert ask(talk) is None
        context = talk.client.context
        answer(talk, output_tokens=1)
    assert admission.expected(talk.services, context).output == 1
    context.key = msgspec.structs.replace(context.key, id="another")
    assert admission.expected(talk.services, context).output == limits.OUTPUT_EXPECTED
