"""Budgets on one request's way: what is held and settled, who is refused and told what, and that nothing stays held.

A token of input costs 1,000 nano-USD here, one of output 2,000 (`testing.edge.PRICE`).
"""

import json

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchgear.core.budget_rule import BudgetSpec, Route, parse
from switchgear.counters.memory import MemoryCounters
from switchgear.dialects import provider_tools
from switchgear.policies.buckets import Hold, Kind
from switchgear.pricing.catalog import FREE
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.edge import JSON, NOTHING, PRICE, SSE, Ask, Asked, Dialogue, Last, Sent, Wrote, chat
from switchgear.wire import records
from switchgear.wire.frames import Fail, Head

ANSWER = (
    b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
)
BUSY = Head(503, [], None)
NANO = 10**9


def table(*, price=PRICE, names=("a", "b"), retries_max=0, **budgets):
    """One model over deployments `a` and `b`, and `free`, which costs nothing."""
    providers = {
        name: ProviderEntry(
            name=name,
            dialects=("openai",),
            credentials=("default",),
            budgets=budgets.get("provider", ()) if name == "a" else (),
            credential_budgets={"default": budgets["credential"]} if name == "a" and "credential" in budgets else {},
        )
        for name in names
    }
    deployments = tuple(
        DeploymentEntry(provider=name, model="m", price=price, budgets=budgets.get(name, ())) for name in names
    )
    models = {
        "m": ModelEntry(name="m", deployments=deployments, retries_max=retries_max, budgets=budgets.get("model", ())),
        "free": ModelEntry(name="free", deployments=(DeploymentEntry(provider=names[0], model="f", price=FREE),)),
        "cheap": ModelEntry(name="cheap", deployments=(DeploymentEntry(provider=names[0], model="c", price=PRICE),)),
    }
    return RouteTable(providers=providers, models=models)


def rules(*written):
    return tuple(parse(one) for one in written)


@pytest.fixture(params=[False, True], ids=["at once", "late"])
def is_late(request):
    return request.param


def dialogue(budget=None, is_late=False, snapshot=None, **budgets):
    key = {"budget": budget} if budget is not None else {}
    return Dialogue(table=table(**budgets), key=key, is_late=is_late, snapshot=snapshot)


def ask(talk, model="m", **more):
    """Send a chat; returns what the client was answered at once, None when the vault is asked."""
    more.setdefault("max_tokens", 100)
    talk.client >> chat(model, **{name: value for name, value in more.items() if value is not None})
    for _ in range(4):
        talk.advance(0.001)
    if talk.link.asked:
        talk.vault << Asked()
        return None
    (sent,) = talk.client.exchange.seen
    return sent


def answer(talk, input_tokens=9, output_tokens=1):
    talk.vault >> JSON >> Last(ANSWER % (input_tokens, output_tokens, input_tokens + output_tokens))
    talk.client << Sent(200)


def headers(sent):
    return dict(line.split(": ", 1) for line in sent.headers.decode().split("\r\n") if line)


def balances(talk):
    """(settled, held) of every balance in money."""
    talk.counters.flush()
    found = [one for one in talk.counters._counted.values() if one.bucket.kind == Kind.BALANCE]
    return [(one.counts.settled, one.counts.held) for one in found]


def body_bytes(talk):
    return talk.client.exchange.context.bytes_in


def test_N4_an_attempt_holds_its_bound_and_its_record_says_so(is_late):
    talk = dialogue("1/day", is_late)
    ask(talk, max_tokens=100)
    # A byte is at least one token: bytes × 1,000 + 100 × 2,000 nano-USD.
    bound = body_bytes(talk) * 1_000 + 200_000
    (reserve,) = talk.recorded(records.Reserve)
    (held,) = reserve.budgets
    assert (held.amount, held.unit, reserve.hold_nanousd) == (bound, "nanousd", bound)
    assert 0 < reserve.held_us <= talk.clock.boot_us()
    assert balances(talk) == [(0, bound)]
    answer(talk, 9, 50)
    assert balances(talk) == [(9 * 1_000 + 50 * 2_000, 0)]
    assert talk.settled.cost_nanousd == 109_000


def test_N4_what_fits_is_admitted_and_what_does_not_is_spent(is_late):
    talk = dialogue("0.001/day", is_late)
    ask(talk, max_tokens=100)
    answer(talk, 400, 250)  # 900,000 of 1,000,000
    refused = ask(talk, max_tokens=100)
    assert refused.status == 429
    told = headers(refused)
    assert told["x-switchgear-error"] == "insufficient_quota"
    assert told["x-should-retry"] == "false"
    assert "retry-after" not in told
    assert told["x-switchgear-budget-reset"].endswith("T00:00:00Z")
    error = json.loads(refused.body)["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert error["message"].startswith("Budget has been exceeded: this API key, 0.0009 of 0.001 USD per day, resets ")
    # A smaller one still fits: settled + its own hold ≤ limit.
    assert ask(talk, max_tokens=1) is None


def test_what_others_hold_is_waited_for_and_then_taken(is_late):
    talk = dialogue("0.001/day", is_late)
    assert ask(talk, max_tokens=400) is None
    first = talk.client.exchange
    talk.client >> chat("m", max_tokens=400)
    talk.advance(1.0)
    talk.vault << NOTHING
    talk.vault >> JSON >> Last(ANSWER % (9, 1, 10))
    assert [sent.status for sent in first.seen] == [200]
    for _ in range(4):
        talk.advance(0.25)
    talk.vault << Asked("a/default", 1)


def test_what_others_hold_for_five_seconds_is_a_rate_and_no_end_of_the_day(is_late):
    talk = dialogue("0.001/day", is_late)
    assert ask(talk, max_tokens=400) is None
    talk.client >> chat("m", max_tokens=400)
    talk.advance(0.01)
    talk.client << NOTHING
    for _ in range(30):
        talk.advance(0.25)
    (refused,) = talk.client.exchange.seen
    told = headers(refused)
    assert (refused.status, told["x-switchgear-error"], told["retry-after"]) == (429, "rate_limit_exceeded", "1")
    assert "held by requests that are under way" in json.loads(refused.body)["error"]["message"]


def test_a_request_without_a_limit_gets_what_still_fits_written_into_its_body(is_late):
    talk = dialogue("0.01/day", is_late)
    talk.client >> chat("m")
    for _ in range(6):
        talk.advance(0.001)
    sent = json.loads(talk.link.asked[-1].body)
    bytes_in = body_bytes(talk)
    # 10,000,000 nano-USD − bytes × 1,000, by 2,000 a token.
    assert sent["max_tokens"] == (10_000_000 - bytes_in * 1_000) // 2_000
    (held,) = talk.recorded(records.Reserve)[0].budgets
    assert held.amount <= 10_000_000


def test_a_request_with_a_limit_of_its_own_passes_unchanged():
    talk = dialogue("1/day")
    talk.client >> chat("m", max_tokens=77)
    talk.advance(0.001)
    assert json.loads(talk.link.asked[-1].body)["max_tokens"] == 77


def test_a_soft_budget_refuses_nothing_and_is_booked():
    talk = dialogue(BudgetSpec(limit="0.0001/day", hard=False))
    for _ in range(3):
        assert ask(talk) is None
        answer(talk, 100, 10)
    assert balances(talk) == [(3 * 120_000, 0)]


def test_a_free_model_goes_on_when_the_budget_is_spent():
    talk = dialogue("0.001/day")
    ask(talk)
    answer(talk, 1_000, 100)
    assert ask(talk).status == 429
    assert ask(talk, "free") is None


def test_a_model_without_a_price_is_402_on_a_budgeted_key():
    talk = dialogue("1/day", price=None)
    refused = ask(talk)
    assert (refused.status, headers(refused)["x-switchgear-error"]) == (402, "model_unpriced")


def test_a_model_without_a_price_goes_on_where_a_budget_counts_tokens():
    talk = dialogue("10000 tokens/day", price=None)
    assert ask(talk) is None
    answer(talk, 100, 10)
    assert balances(talk) == [(110, 0)]


@pytest.mark.parametrize(("budget", "used"), [("10 requests/day", 1), ("100000 tokens/day", 110)])
def test_requests_and_tokens_are_budgets_too(budget, used):
    talk = dialogue(budget)
    ask(talk)
    answer(talk, 100, 10)
    assert balances(talk) == [(used, 0)]


def test_a_budget_that_is_spent_leads_to_its_route_and_books_it_there(is_late):
    talk = dialogue(BudgetSpec(limit="0.001/day", on_spent=Route("cheap")), is_late)
    ask(talk)
    answer(talk, 1_000, 100)
    assert ask(talk) is None
    talk.vault >> JSON >> Last(ANSWER % (10, 10, 20))
    assert headers(talk.client.exchange.seen[0])["x-switchgear-fallback-reason"] == "budget"
    talk.client << Sent(200)
    assert balances(talk) == [(1_200_000 + 30_000, 0)]
    assert records.decode_callee(talk.recorded(records.Reserve)[-1].callee).upstream_model == "c"
    assert talk.recorded(records.Settle)[-1].passed_over == ["m: budget"]


def test_a_route_that_the_key_may_not_take_leaves_the_budgets_own_answer():
    talk = Dialogue(
        table=table(), key={"budget": BudgetSpec(limit="0.001/day", on_spent=Route("cheap")), "models": ["m"]}
    )
    ask(talk)
    answer(talk, 1_000, 100)
    sent = ask(talk)
    assert (sent.status, headers(sent)["x-switchgear-error"]) == (429, "insufficient_quota")
    assert b"cheap" not in sent.body


@pytest.mark.parametrize("whose", ["a", "provider", "credential"])
def test_a_deployment_whose_budget_is_spent_is_passed_over(whose, is_late):
    talk = dialogue(None, is_late, **{whose: rules("0.001/day")})
    ask(talk)
    answer(talk, 1_000, 100)
    ask(talk)
    assert records.decode_callee(talk.recorded(records.Reserve)[-1].callee).provider == "b"


def test_a_spent_budget_of_the_key_ends_fallbacks_and_keeps_the_answer_in_hand(is_late):
    talk = dialogue("0.0003/day", is_late)
    assert ask(talk, max_tokens=50) is None
    # An error that says what it used costs that much: the budget has no room for the next attempt then.
    usage = b'"usage":{"prompt_tokens":90,"completion_tokens":90,"total_tokens":180}'
    talk.vault >> JSON >> Last(b'{"error":{"message":"overloaded","code":503},%b}' % usage)
    for _ in range(4):
        talk.advance(0.01)
    talk.vault << NOTHING
    (sent,) = talk.client.exchange.seen
    assert (sent.status, headers(sent)["x-switchgear-error"]) == (503, "upstream_error")
    assert balances(talk) == [(270_000, 0)]


def test_a_further_attempt_holds_for_itself_and_its_record_says_so(is_late):
    talk = dialogue("1/day", is_late)
    ask(talk)
    talk.vault >> BUSY >> Last(b"busy")
    for _ in range(4):
        talk.advance(0.01)
    talk.vault << Asked("b/default", 2)
    (attempt,) = talk.recorded(records.Attempt)
    (reserve,) = talk.recorded(records.Reserve)
    assert attempt.budgets == reserve.budgets
    assert balances(talk) == [(0, attempt.budgets[0].amount)]
    answer(talk, 9, 1)
    assert balances(talk) == [(11_000, 0)]
    assert talk.settled.still_charged is None


def test_L6_what_a_provider_may_charge_beyond_what_is_known_stays_uncertain_until_total_s(is_late):
    talk = dialogue("1/day", is_late, names=("a",))
    ask(talk)
    bound = talk.recorded(records.Reserve)[0].budgets[0].amount
    talk.vault >> Fail("vault_lost", "", True)
    talk.advance(0.01)
    booked = talk.settled.cost_nanousd
    assert booked > 0
    assert balances(talk) == [(booked, bound - booked)]
    ((number, lasts_s),) = [(one.number, one.lasts_s) for one in talk.settled.still_charged]
    assert (number, lasts_s) == (
        1,
        talk.recorded(records.Reserve)[0].lasts_s,
    )  # for control, where counters are forgotten
    talk.advance(3_700)
    ask(talk, max_tokens=1)
    assert balances(talk)[0][0] == booked
    assert balances(talk)[0][1] == talk.recorded(records.Reserve)[-1].budgets[0].amount


def test_what_was_not_sent_is_given_back(is_late):
    talk = dialogue("1/day", is_late, names=("a",))
    ask(talk)
    talk.vault >> Fail("connect", "", False)
    talk.advance(0.01)
    assert balances(talk) == [(0, 0)]


def test_a_budget_of_some_models_counts_what_is_served():
    talk = dialogue(BudgetSpec(limit="0.001/day", models=["@dear"]), snapshot={"model_sets": {"dear": ("m",)}})
    ask(talk)
    answer(talk, 1_000, 100)
    assert ask(talk).status == 429
    assert ask(talk, "cheap") is None


def test_each_value_of_a_dimension_has_a_balance_of_its_own():
    talk = dialogue("0.001/day per end_user")
    ask(talk, user="ann")
    answer(talk, 1_000, 100)
    assert ask(talk, user="ann").status == 429
    assert ask(talk, user="bob") is None


@pytest.mark.parametrize("who", ["organisation", "model"])
def test_budgets_of_the_organisation_and_of_a_model_hold_as_well(who):
    budget = rules("0.001/day")
    talk = dialogue(snapshot={"budgets": budget}) if who == "organisation" else dialogue(model=budget)
    ask(talk)
    answer(talk, 1_000, 100)
    message = json.loads(ask(talk).body)["error"]["message"]
    assert ("all keys together" if who == "organisation" else "this model") in message


def test_a_new_period_begins_at_nothing():
    talk = dialogue("0.001/hour")
    ask(talk)
    answer(talk, 1_000, 100)
    assert ask(talk).status == 429
    talk.advance(3_600)
    assert ask(talk) is None


def test_counting_tokens_is_never_stopped_by_a_budget():
    talk = dialogue("0.001/day")
    ask(talk)
    answer(talk, 1_000, 100)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
    talk.client >> Ask(path=b"/v1/messages/count_tokens", body=body, headers={b"anthropic-version": b"2023-06-01"})
    talk.advance(0.01)
    talk.client << Sent(200)


def test_a_stream_holds_until_its_end(is_late):
    talk = dialogue("1/day", is_late)
    ask(talk, stream=True)
    held = balances(talk)[0][1]
    assert held > 0
    first = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there"},"finish_reason":null}]}\n\n'
    last = (
        b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\ndata: [DONE]\n\n'
    )
    talk.vault >> SSE >> first
    assert balances(talk) == [(0, held)]
    talk.vault >> Last(last)
    talk.advance(0.01)
    assert balances(talk) == [(13_000, 0)]


def test_a_refusal_speaks_the_clients_dialect():
    talk = Dialogue(providers={"up": ("anthropic",)}, key={"budget": "0.0001/day"}, table=table(names=("up",)))
    body = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hello"}]}
    talk.client >> Ask(
        path=b"/v1/messages", body=json.dumps(body).encode(), headers={b"anthropic-version": b"2023-06-01"}
    )
    talk.advance(0.01)
    (refused,) = talk.client.exchange.seen
    assert refused.status == 429
    assert json.loads(refused.body)["error"]["type"] == "billing_error"
    assert int(headers(refused)["retry-after"]) > 0
    assert msgspec.json.decode(refused.body)["type"] == "error"


LONG = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there"},"finish_reason":null}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":9}}\n\n'
)


@pytest.mark.parametrize("overrun", ["cut", "finish"])
def test_a_stream_that_costs_more_than_it_holds_is_cut_unless_it_may_finish(overrun):
    talk = dialogue("1/day", snapshot={"overrun": overrun}, names=("a",))
    ask(talk, stream=True, max_tokens=100)
    talk.vault >> SSE >> (LONG % 90)
    talk.vault >> (LONG % 5_000)
    talk.advance(0.01)
    written = b"".join(one.data for one in talk.client.exchange.seen if isinstance(one, Wrote))
    assert (b"insufficient_quota" in written) == (overrun == "cut")
    assert len(talk.recorded(records.Settle)) == (overrun == "cut")
    if overrun == "cut":
        assert balances(talk) == [(9 * 1_000 + 5_000 * 2_000, 0)]


def test_a_stream_is_never_cut_for_a_soft_budget():
    talk = dialogue(BudgetSpec(limit="1/day", hard=False), names=("a",))
    ask(talk, stream=True, max_tokens=100)
    talk.vault >> SSE >> (LONG % 5_000)
    talk.advance(0.01)
    assert talk.recorded(records.Settle) == []


def test_a_model_without_a_price_goes_on_where_the_configuration_allows_it():
    talk = dialogue("1/day", price=None, snapshot={"unpriced": "allow"})
    assert ask(talk) is None


def test_a_background_answer_keeps_its_hold_until_control_knows_what_it_cost():
    providers = {"up": ProviderEntry(name="up", dialects=("responses",), credentials=("default",))}
    model = ModelEntry(name="m", deployments=(DeploymentEntry(provider="up", model="m", price=PRICE),))
    talk = Dialogue(table=RouteTable(providers=providers, models={"m": model}), key={"budget": "1/day"})
    body = {"model": "m", "input": "hello", "max_output_tokens": 100, "background": True}
    talk.client >> Ask(path=b"/v1/responses", body=json.dumps(body).encode())
    talk.advance(0.01)
    talk.vault << Asked()
    queued = {"id": "resp_1", "object": "response", "status": "queued", "output": [], "usage": None, "background": True}
    talk.vault >> JSON >> Last(json.dumps(queued).encode())
    talk.client << Sent(200)
    bound = talk.recorded(records.Reserve)[0].budgets[0].amount
    settled, held = balances(talk)[0]
    assert (settled + held, settled) == (bound, talk.settled.cost_nanousd)
    talk.advance(7_200)
    talk.handler._enforcer.look(())
    assert balances(talk) == [(settled, held)]
    talk.replica.ended.add(f"{talk.settled.id}-1")
    talk.handler._enforcer.look(())
    assert balances(talk) == [(settled, 0)]


@pytest.mark.parametrize("is_budgeted", [True, False])
def test_a_providers_tool_without_a_cap_gets_one_where_a_budget_holds(is_budgeted):
    providers = {
        "up": ProviderEntry(name="up", dialects=("anthropic",), credentials=("default",), pricing_id="anthropic")
    }
    model = ModelEntry(name="m", deployments=(DeploymentEntry(provider="up", model="m", price=PRICE),))
    key = {"budget": BudgetSpec(limit="1000000 requests/day")} if is_budgeted else {}
    talk = Dialogue(table=RouteTable(providers=providers, models={"m": model}), key=key)
    tools = [{"type": "web_search_20250305", "name": "web_search"}, {"name": "f", "input_schema": {"type": "object"}}]
    body = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], "tools": tools}
    talk.client >> Ask(
        path=b"/v1/messages", body=json.dumps(body).encode(), headers={b"anthropic-version": b"2023-06-01"}
    )
    for _ in range(3):
        talk.advance(0.01)
    sent = json.loads(talk.link.asked[-1].body)["tools"]
    assert [tool.get("max_uses") for tool in sent] == ([provider_tools.USES, None] if is_budgeted else [None, None])


def test_N4_a_budget_that_is_lowered_while_a_request_waits_holds_for_it(is_late):
    talk = dialogue("0.0004/day", is_late, names=("a",))
    ask(talk)
    first = talk.vault.attempt
    talk.client >> chat("m", max_tokens=100)
    talk.advance(0.05)
    talk.replica.key = msgspec.structs.replace(talk.replica.key, budget="0.00001/day", version=2)
    first.owner.on_response(JSON, b"", False)
    first.owner.on_body(ANSWER % (9, 1, 10), True)
    for _ in range(40):
        talk.advance(0.1)
    assert [sent.status for sent in talk.client.exchange.seen] == [429]
    talk.vault << NOTHING


@pytest.mark.parametrize("whose", ["key", "model", "a", "provider"])
def test_N4_a_budget_that_is_lowered_between_two_attempts_holds_for_the_next(whose, is_late):
    before, after = "1/day", "0.00001/day"
    if whose == "key":
        talk = dialogue(before, is_late, retries_max=1)
    else:
        talk = dialogue(is_late=is_late, names=("a",), retries_max=1, **{whose: rules(before)})
    ask(talk)
    if whose == "key":
        talk.replica.key = msgspec.structs.replace(talk.replica.key, budget=after, version=2)
    else:
        routes = table(names=("a",), retries_max=1, **{whose: rules(after)})
        talk.replica.published = msgspec.structs.replace(talk.replica.published, epoch=2, table=routes)
    talk.vault >> BUSY >> Last(b"busy")
    for _ in range(20):
        talk.advance(0.1)
    talk.vault << NOTHING
    assert talk.client.exchange.seen[0].status in {429, 503}
    assert {held for _, held in balances(talk)} == {0}


def test_N4_a_key_that_is_published_anew_while_counters_are_busy_is_answered_all_the_same():
    talk = dialogue("1/day", True)
    talk.client >> chat("m", max_tokens=100)
    talk.replica.key = msgspec.structs.replace(talk.replica.key, version=2)
    for _ in range(6):
        talk.advance(0.001)
    talk.vault << Asked()
    answer(talk)


def test_a_request_that_takes_what_is_left_is_not_told_that_all_is_spent_because_others_took_some_meanwhile():
    talk = dialogue("0.01/day", True, names=("a",))
    ask(talk)
    answer(talk)
    talk.advance(0.01)
    (bucket,) = {one.bucket for one in talk.counters._counted.values()}
    talk.client >> chat("m")  # it wants all that is left, and the counters answer a moment later
    small = MemoryCounters.take(talk.counters, [Hold(bucket, 20_000)], "f" * 32 + "-1", print)
    talk.counters.settle(small.ticket, [20_000])
    for _ in range(40):
        talk.advance(0.01)
    talk.vault << Asked()
    answer(talk)


class Spending(RuleBasedStateMachine):
    """Requests that come, wait, are answered, fail and are left, against a model: what is settled, and a list of holds."""

    LIMIT = 1_000_000

    def __init__(self):
        super().__init__()
        self.talk = dialogue("0.001 total", names=("a",))
        self.settled = 0
        self.open = []
        """(attempt, bytes, max_tokens, hold)."""
        self.uncertain = []
        """(until, amount)."""

    def held(self):
        self.uncertain = [one for one in self.uncertain if one[0] > self.talk.clock.monotonic_s()]
        return sum(one[3] for one in self.open) + sum(amount for _, amount in self.uncertain)

    @rule(max_tokens=st.integers(1, 400))
    def ask(self, max_tokens):
        held = self.held()
        self.talk.client >> chat("m", max_tokens=max_tokens)
        self.talk.advance(0.001)
        size = body_bytes(self.talk)
        own = size * 1_000 + max_tokens * 2_000
        if self.talk.link.asked:
            assert self.settled + held + own <= self.LIMIT
            self.open.append((self.talk.link.asked.pop(), size, max_tokens, own))
            return
        if not self.talk.client.exchange.seen:
            assert self.settled + own <= self.LIMIT < self.settled + held + own, "it waits for others alone"
            self.talk.client.leave()
            return
        (refused,) = self.talk.client.exchange.seen
        assert headers(refused)["x-switchgear-error"] == "insufficient_quota"
        assert self.settled + own > self.LIMIT, "nobody is told spent too early"

    def take_one(self, data):
        one = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.talk.vault.attempt = one[0]
        return one

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1))
    def answer(self, data, share):
        _, size, max_tokens, _ = self.take_one(data)
        read, written = 1 + int((size - 1) * share), int(max_tokens * share)
        self.talk.vault >> JSON >> Last(ANSWER % (read, written, read + written))
        self.settled += read * 1_000 + written * 2_000

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def fail_unsent(self, data):
        self.take_one(data)
        self.talk.vault >> Fail("connect", "", False)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def fail_sent(self, data):
        *_, own = self.take_one(data)
        before = len(self.talk.recorded(records.Settle))
        self.talk.vault >> Fail("vault_lost", "", True)
        cost = self.talk.recorded(records.Settle)[before].cost_nanousd
        self.settled += cost
        self.uncertain.append((self.talk.clock.monotonic_s() + 3_600, own - cost))

    @rule(seconds=st.sampled_from([1, 1_000, 3_700]))
    def pass_time(self, seconds):
        self.talk.advance(seconds)

    @invariant()
    def counts_what_the_model_counts(self):
        self.talk.counters.read([])
        found = balances(self.talk)
        assert found in ([], [(self.settled, self.held())])
        assert self.settled + self.held() <= self.LIMIT


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
