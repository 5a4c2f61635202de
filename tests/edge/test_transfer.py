"""One request's way, without a socket: what its client sees, and what is settled."""

import json
from types import SimpleNamespace

import msgspec
import pytest

from switchgear.core import problems
from switchgear.core.steps import finish
from switchgear.dialects.registry import DEFAULT
from switchgear.dialects.request import parse
from switchgear.edge.context import RequestContext
from switchgear.edge.paths import Endpoint
from switchgear.edge.plan import Plan, Target
from switchgear.edge.transfer import HELD_BYTES_MAX, PING_S, Transfer
from switchgear.pricing.price import Meterer, Price, Rate
from switchgear.replica.entries import KeyEntry
from switchgear.routing.table import Candidate, ProviderEntry, Route, Timeouts
from switchgear.wire import records
from switchgear.wire.frames import Fail, Head

SSE = Head(200, [(b"content-type", b"text/event-stream")], None)
JSON = Head(200, [(b"content-type", b"application/json")], None)
FIRST = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello there my friend"},"finish_reason":null}]}\n\n'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Exchange:
    """Notes what is done to a client."""

    def __init__(self):
        self.head = SimpleNamespace(headers={}, shared={}, target=b"/v1/chat/completions")
        self.seen = []
        self.is_blocked = self.is_ended = self.is_started = self.is_kept = False
        self.room, self.held = 1 << 30, 0

    def start(self, status, headers, first=b""):
        self.is_started = True
        self.seen.append(("start", status))

    def write(self, data):
        self.seen.append(("write", data))

    def send(self, status, headers, body):
        self.seen.append(("send", status))

    def end(self):
        self.seen.append(("end",))

    def abort(self):
        self.seen.append(("abort",))

    def hold(self, size):
        if self.held + size > self.room:
            return False
        self.held += size
        return True

    def release(self, size=0):
        pass


class Gate:
    """What a transfer needs of a gate."""

    def __init__(self, clock):
        self.clock = clock
        self.settlements, self.refused, self.cancelled = [], [], []
        self.spool = SimpleNamespace(
            settle=lambda name, payload: self.settlements.append(msgspec.msgpack.decode(payload, type=records.Settle)),
            checkpoint=lambda name, payload: None,
        )
        self.outbox = SimpleNamespace(
            call=lambda exchange, function, *arguments: function(*arguments), schedule=lambda: None, is_empty=True
        )
        self.stream = SimpleNamespace(consume=lambda size: None, cancel=lambda: self.cancelled.append(True))
        self.link = SimpleNamespace(open=lambda message, body, owner: self.stream)
        self.report = lambda *texts, **fields: None

    @property
    def now_s(self):
        return self.clock.monotonic_s()

    def refuse(self, context, problem, headers=b""):
        self.refused.append(problem)

    def settled(self, transfer):
        pass

    def keep(self, context, deployment, ids):
        pass


@pytest.fixture
def begun(clock):
    """(transfer, gate, exchange) of a streamed chat that was sent."""
    gate, exchange = Gate(clock), Exchange()
    context = RequestContext(exchange, "0" * 32, clock.wall_ms(), clock.monotonic_s())
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 400}]}).encode()
    context.request = parse(body, "openai", "chat")
    context.endpoint = Endpoint("chat", b"POST", "chat", DEFAULT, "/chat/completions")
    context.key = KeyEntry("k", "k", 1, [])
    context.client = SimpleNamespace(retry=None, wants_cost=False, timeout_s=None)
    context.input_estimate = 100
    provider = ProviderEntry(name="up", dialects=("openai",), credentials=("c",))
    candidate = Candidate(provider, "c", "m", None, Timeouts())
    price = Price("m", "override", {"input": Rate(10**9), "output": Rate(2 * 10**9)})
    target = Target(candidate, "up/c", Meterer(price), b"", {}, {})
    transfer = Transfer(gate, context, Plan(0, Route("m", (candidate,), 0), (target,), None))
    assert transfer.prepare() is None
    transfer.begin()
    return transfer, gate, exchange


def test_the_client_sees_nothing_before_the_first_event(begun):
    transfer, gate, exchange = begun
    transfer.on_response(SSE, b": waiting\n\n", False)
    transfer.on_body(FIRST[:20], False)
    assert exchange.seen == []
    transfer.on_body(FIRST[20:], False)
    assert [what for what, *_ in exchange.seen] == ["start", "write"]
    transfer.on_body(LAST, True)
    assert [what for what, *_ in exchange.seen] == ["start", "write", "write", "end"]
    assert gate.settlements[0].outcome == "ok"


def test_a_client_does_not_wait_longer_than_a_keep_alive(begun, clock):
    transfer, _, exchange = begun
    transfer.on_response(SSE, b": waiting\n\n", False)
    clock.advance(PING_S - 1)
    transfer.check(clock.monotonic_s())
    assert exchange.seen == []
    clock.advance(1)
    transfer.check(clock.monotonic_s())
    assert [what for what, *_ in exchange.seen] == ["start", "write", "write"]
    assert exchange.seen[1:] == [("write", b": waiting\n\n"), ("write", b": ping\n\n")]


def test_an_error_first_is_an_error_and_costs_nothing(begun):
    transfer, gate, exchange = begun
    transfer.on_response(SSE, b'data: {"error":{"message":"busy","code":503}}\n\n', False)
    assert exchange.seen == [("send", 503)] and gate.cancelled
    settled = gate.settlements[0]
    assert (settled.outcome, settled.cost_nanousd, settled.attempts[0].error) == ("upstream_error", 0, "error_first")


@pytest.mark.parametrize("reason", ["timeout", "broken"])
def test_what_was_sent_and_not_answered_is_charged_its_input(begun, reason):
    transfer, gate, exchange = begun
    transfer.on_response(SSE, b"", False)
    transfer.on_fail(Fail(reason, "", True))
    assert exchange.seen == [] and len(gate.refused) == 1
    settled = gate.settlements[0]
    assert (settled.tokens.input, settled.tokens.output, settled.cost_nanousd) == (100, 0, 100_000)
    assert settled.estimate_reason is not None


def test_a_client_that_has_all_is_not_gone(begun):
    transfer, gate, _ = begun
    transfer.on_response(SSE, FIRST + LAST, False)
    transfer.on_gone()
    transfer.on_body(b"", True)
    assert gate.settlements[0].outcome == "ok"


def test_a_client_that_missed_something_is_gone_and_charged_for_what_was_said(begun, clock):
    transfer, gate, _ = begun
    transfer.on_response(SSE, FIRST, False)
    transfer.on_gone()
    clock.advance(6)
    transfer.check(clock.monotonic_s())
    settled = gate.settlements[0]
    assert (settled.outcome, settled.tokens.output) == ("client_gone", len("hello there my friend") // 4)


def test_the_gateways_own_stop_is_told_as_such(begun):
    transfer, gate, exchange = begun
    transfer.on_response(SSE, FIRST, False)
    transfer.interrupt("the gateway is stopping")
    told = b"".join(data for what, *rest in exchange.seen if what == "write" for data in rest)
    assert b'"interrupted"' in told and b"upstream" not in told and exchange.seen[-1] == ("abort",)
    settled = gate.settlements[0]
    assert (settled.outcome, settled.error_code) == ("interrupted", problems.INTERRUPTED.code)


@pytest.mark.parametrize("body", [b"<html></html>", b'{"choices": [{"fin', b"{}", b""])
def test_what_is_no_answer_never_arrives_as_one(begun, body):
    transfer, gate, exchange = begun
    transfer.on_response(JSON, body, True)
    assert ("send", 200) not in exchange.seen
    assert gate.settlements[0].outcome == "upstream_error" and gate.settlements[0].attempts[0].error == "garbage"


def test_no_attempt_is_noted_twice(begun):
    transfer, gate, _ = begun
    transfer.on_fail(Fail("timeout", "", True))
    transfer.on_fail(Fail("broken", "", True))
    transfer.check(1e9)
    assert len(gate.settlements) == 1 and len(gate.settlements[0].attempts) == 1


def test_keep_alives_without_end_are_passed_on_instead_of_kept(begun):
    transfer, _, exchange = begun
    comment = b": waiting\n\n"
    transfer.on_response(SSE, comment, False)
    for _ in range(HELD_BYTES_MAX // len(comment)):
        transfer.on_body(comment, False)
    assert [what for what, *_ in exchange.seen] == ["start", "write"]
    transfer.on_body(FIRST + LAST, True)
    assert exchange.seen[-1][0] == "end"


@pytest.mark.parametrize(("room", "is_taken"), [(300_000, True), (100_000, False)])
def test_what_a_large_body_becomes_in_another_dialect_counts_as_held(clock, room, is_taken):
    gate, exchange = Gate(clock), Exchange()
    exchange.room = room
    context = RequestContext(exchange, "0" * 32, clock.wall_ms(), clock.monotonic_s())
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 200_000}]}).encode()
    context.request, context.bytes_in = parse(body, "openai", "chat"), len(body)
    context.endpoint = Endpoint("chat", b"POST", "chat", DEFAULT, "/chat/completions")
    context.client = SimpleNamespace(retry=None, wants_cost=False, timeout_s=None)
    candidate = Candidate(
        ProviderEntry(name="up", dialects=("anthropic",), credentials=("c",)), "c", "m", None, Timeouts()
    )
    target = Target(candidate, "up/c", None, b"", {}, {})
    transfer = Transfer(gate, context, Plan(0, Route("m", (candidate,), 0), (target,), None))
    problem = finish(transfer.prepare_steps())
    assert exchange.held == (len(body) if is_taken else 0)
    assert problem is None if is_taken else problem.case is problems.OVERLOADED
    if is_taken:
        finish(transfer.prepare_steps())  # for a further attempt
        assert exchange.held == len(body)
