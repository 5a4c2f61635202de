"""What budgets count of answers whose cost nobody knows for certain, in the counters and in the ledger alike (docs/invariants.md
N4).

A provider charges for what it answered whether it says so or not (OpenAI, Anthropic, Cohere, pricing pages, read 2026-11-28), so what
a hard budget gives back of such an answer is lost to it for good.
"""

import json

import pytest
from tests.edge.test_budget_claims import balances

from switchgear.core.budget_rule import BudgetSpec
from switchgear.ledger import settlement
from switchgear.ledger.batch import Batch
from switchgear.ledger.build import OpenRequest
from switchgear.ledger.charges import Charges
from switchgear.policies.buckets import Kind
from switchgear.pricing.price import Price, Rate
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, PRICE, SSE, Ask, Asked, Dialogue, Last
from switchgear.wire import records
from switchgear.wire.frames import Head

SEARCHES = Price("m", "override", {}, units={"searches": 2_000_000 * 10**6})
TEXT_ALONE = Price("m", "override", {"input": Rate(10**9), "output": Rate(2 * 10**9)}, apart=("audio_out", "audio_in"))
DELTA = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there"},"finish_reason":%b}]}\n\n'
SAID = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
AUDIO = (
    b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":50,"completion_tokens":100,"total_tokens":150,"completion_tokens_details":{"audio_tokens":90}}}'
)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}


def dialogue(budget="1/day", price=PRICE, dialect="openai"):
    provider = ProviderEntry(name="a", dialects=(dialect,), credentials=("default",))
    deployment = DeploymentEntry(provider="a", model="up", price=price)
    table = RouteTable(
        providers={"a": provider}, models={"m": ModelEntry(name="m", deployments=(deployment,), retries_max=0)}
    )
    return Dialogue(table=table, key={"budget": budget})


def post(talk, path, body, headers=None):
    talk.client >> Ask(path=path, body=json.dumps(body).encode(), headers=headers or {})
    for _ in range(4):
        talk.advance(0.001)
    talk.vault << Asked()


def ledgers_balances(talk, price):
    """What the ledger books for the recorded requests, by its own reading of the records."""
    batch, charges = Batch(), Charges(lambda *_: price)
    for reserve, settle in zip(talk.recorded(records.Reserve), talk.recorded(records.Settle), strict=True):
        raw, payload = records.encode_payload(reserve), records.encode_payload(settle)
        opened = OpenRequest(
            reserve,
            records.decode_caller(reserve.caller),
            records.decode_callee(reserve.callee),
            raw,
            [],
        )
        settlement.book(batch, opened, settle, payload, charges, lambda text: None)
    return [one.settled for one in batch.booked.balances.values()]


UNKNOWN = {
    "images of a model that is priced by tokens": (
        "openai", PRICE, b"/v1/images/generations", {"model": "m", "prompt": "cat", "n": 2}, JSON,
        b'{"created":1,"data":[{"b64_json":"AA"},{"b64_json":"AA"}]}',
    ),
    "speech of a model that is priced by tokens": (
        "openai", PRICE, b"/v1/audio/speech", {"model": "m", "input": "hello", "voice": "alloy"},
        Head(200, [(b"content-type", b"audio/mpeg")], None), b"xxxx",
    ),
    "a rerank without its searches": (
        "cohere", SEARCHES, b"/v2/rerank", {"model": "m", "query": "q", "documents": ["a", "b"]}, JSON,
        b'{"id":"x","results":[{"index":0,"relevance_score":0.5}]}',
    ),
    "audio that its price leaves out": (
        "openai", TEXT_ALONE, b"/v1/chat/completions",
        CHAT | {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, JSON, AUDIO,
    ),
    "a chat without usage": ("openai", PRICE, b"/v1/chat/completions", CHAT, JSON, SAID),
    "a stream without usage": (
        "openai", PRICE, b"/v1/chat/completions", CHAT | {"stream": True}, SSE,
        DELTA % b'"stop"' + b"data: [DONE]\n\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNKNOWN)
def test_N4_what_was_answered_without_a_known_cost_counts_as_held_for_good(what):
    dialect, price, path, body, head, answer = UNKNOWN[what]
    talk = dialogue("1/day", price, dialect)
    post(talk, path, body)
    ((_, held),) = balances(talk)
    talk.vault >> head >> Last(answer)
    talk.advance(0.01)
    assert talk.settled.outcome == "ok"
    assert balances(talk) == [(held, 0)]
    assert ledgers_balances(talk, price) == [held]
    talk.advance(2 * 3_600)  # not for a while alone
    assert balances(talk) == [(held, 0)]


def test_a_soft_budget_counts_what_is_known_of_an_answer_without_usage():
    talk = dialogue(BudgetSpec(limit="1/day", hard=False))
    post(talk, b"/v1/chat/completions", CHAT)
    talk.vault >> JSON >> Last(SAID)
    talk.advance(0.01)
    cost = talk.settled.cost_nanousd
    assert cost is not None
    assert 0 < cost < 200_000
    assert balances(talk) == [(cost, 0)]
    assert ledgers_balances(talk, PRICE) == [cost]


def test_N4_a_whole_stream_whose_client_left_counts_as_held_where_no_usage_was_told():
    talk = dialogue()
    post(talk, b"/v1/chat/completions", CHAT | {"stream": True})
    ((_, held),) = balances(talk)
    talk.vault >> SSE >> DELTA % b"null"
    talk.client.leave()
    talk.vault >> Last(DELTA % b'"stop"' + b"data: [DONE]\n\n")
    talk.advance(0.01)
    assert balances(talk) == [(held, 0)]
    assert ledgers_balances(talk, PRICE) == [held]


def test_N4_no_client_says_how_long_a_provider_may_still_charge():
    talk = dialogue()
    post(talk, b"/v1/chat/completions", CHAT, {b"x-switchgear-timeout-s": b"1"})
    ((_, held),) = balances(talk)
    assert talk.recorded(records.Reserve)[-1].lasts_s == 3_600  # the model's `total_s`
    for _ in range(8):
        talk.tick(0.5)
    known = talk.settled.cost_nanousd
    assert known is not None
    talk.advance(3_590)
    talk.counters.read([])
    assert balances(talk) == [(known, held - known)]
    talk.advance(20)
    talk.counters.read([])
    assert balances(talk) == [(known, 0)]


def test_N4_a_stream_of_an_answer_in_the_background_stays_held_when_its_client_left():
    talk = dialogue("1/day", dialect="responses")
    body = {"model": "m", "input": "hi", "background": True, "stream": True, "max_output_tokens": 1_000}
    post(talk, b"/v1/responses", body)
    ((_, held),) = balances(talk)
    created = {
        "id": "resp_" + "0" * 32,
        "object": "response",
        "status": "in_progress",
        "background": True,
        "output": [],
    }
    data = json.dumps({"type": "response.created", "sequence_number": 0, "response": created})
    delta = json.dumps(
        {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0, "content_index": 0, "delta": "hi"}
    )  # fmt: skip
    events = f"event: response.created\ndata: {data}\n\nevent: response.output_text.delta\ndata: {delta}\n\n"
    talk.vault >> SSE >> events.encode()
    talk.client.leave()
    for _ in range(8):
        talk.tick(1)
    assert talk.settled.finish_reason == "in_progress"
    ((settled, left),) = balances(talk)
    assert settled + left == held
    talk.advance(2 * 3_600)
    talk.counters.read([])
    assert balances(talk) == [(settled, left)]


def test_a_rolling_budget_counts_what_was_not_waited_for_until_the_models_total_s_alone():
    talk = dialogue("1/30d rolling")
    post(talk, b"/v1/chat/completions", CHAT)
    held = talk.recorded(records.Reserve)[-1].budgets[0].amount
    talk.client.leave()
    for _ in range(40):
        talk.tick(1)
    known = talk.settled.cost_nanousd
    assert known is not None

    def reading():
        (bucket,) = [one.bucket for one in talk.counters._counted.values() if one.bucket.kind == Kind.WINDOW]
        (found,) = talk.counters.read([bucket])
        return found.settled, found.held

    assert reading() == (known, held - known)
    talk.advance(3_600)
    assert reading() == (known, 0)


def test_N4_a_rolling_budget_counts_whole_what_is_made_in_the_background():
    talk = dialogue("1/30d rolling", dialect="responses")
    post(talk, b"/v1/responses", {"model": "m", "input": "hi", "background": True, "max_output_tokens": 1_000})
    held = talk.recorded(records.Reserve)[-1].budgets[0].amount
    queued = {"id": "resp_" + "0" * 32, "object": "response", "status": "queued", "background": True, "output": []}
    talk.vault >> JSON >> Last(json.dumps(queued).encode())
    talk.advance(27 * 3_600)
    (bucket,) = [one.bucket for one in talk.counters._counted.values() if one.bucket.kind == Kind.WINDOW]
    (found,) = talk.counters.read([bucket])
    assert found.used == held
