"""The outer gate: what the HTTP server calls. Level 4.

It runs the stages of `pipeline`, answers the paths that need no upstream, and owns the transfers in progress.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from switchgear.core import problems
from switchgear.core.clock import Clock
from switchgear.core.guard import Guard, each, guarded
from switchgear.core.ids import IdSource
from switchgear.core.log_line import Report
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.dialects import errors, guides, model_lists
from switchgear.dialects.dialect import Dialect
from switchgear.dialects.registry import DIALECTS
from switchgear.edge import litellm, paths, pipeline, settle, standing, telling
from switchgear.edge.context import RequestContext
from switchgear.edge.counters import Tally
from switchgear.edge.outbox import Outbox
from switchgear.edge.plan import Planner
from switchgear.edge.settle import DenialLog
from switchgear.edge.slices import Job, Slicer
from switchgear.edge.transfer import FAULT, INTERNAL_TEXT, Transfer
from switchgear.net.link import VaultLink
from switchgear.net.server import Exchange
from switchgear.replica.entries import STORED_MS, KeyEntry, Snapshot, Stored, scope_of
from switchgear.replica.reader import ReplicaReader
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind

TICK_S = 1.0
LOOK_S = 0.25
"""How often running requests are compared with what is frozen, and bodies under way with their keys."""
PLAIN_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
STORED_MAX = 10_000
STORED_WAIT_S = 0.1
DAY_MS = 86_400_000
UNKNOWN = {row.name: paths.Endpoint("unknown", b"", None, row, needs_key=False) for row in DIALECTS}
"""What stands for a path that is not served, in the shape that its client reads."""
_JSON = b"content-type: application/json\r\n"


class Gate:
    """One per edge process."""

    def __init__(
        self,
        *,
        replica: ReplicaReader,
        peppers: dict[int, bytes],
        spool: SpoolWriter,
        link: VaultLink,
        outbox: Outbox,
        planner: Planner,
        ids: IdSource,
        clock: Clock,
        report: Report,
        guard: Guard,
        log_totals: Callable[[], tuple[int, int]] = lambda: (0, 0),
        keeps_contexts: bool = False,
    ) -> None:
        self.replica = replica
        self.peppers = peppers
        self.spool = spool
        self.link = link
        self.outbox = outbox
        self.planner = planner
        self.ids = ids
        self.clock = clock
        self.now_s = clock.monotonic_s()
        self.report = report
        self.guard = guard
        self.slices = Slicer(clock, lambda turn: asyncio.get_running_loop().call_soon(turn), guard)
        self._log_totals = log_totals
        self._keeps_contexts = keeps_contexts
        self.connections: Callable[[], int] = lambda: 0
        """How many are open; filled by whoever has the server."""
        self.transfers: dict[str, Transfer] = {}
        self.tally = Tally()
        self._denials = DenialLog(spool)
        self.is_draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._stored: dict[str, Stored] = {}
        self._looked_at: Snapshot | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self.arriving: Callable[[], Iterable[Exchange]] = tuple
        """What the server holds whose turn has not come; set by whoever makes the server."""

    def start(self) -> None:
        """Begin the timers."""
        self._tick()
        self._look()
        self.outbox.syncer.wake()

    def _fault(self, exc: Exception) -> None:
        # Nothing but this one turn of a timer ends, or this one record: the next turn is due already.
        self.guard.caught(exc)

    # Handler

    def on_head(self, exchange: Exchange) -> None:
        """Handler: refuse before the body is read, or go on."""
        head = exchange.head
        now_ms = self.clock.wall_ms()
        context = RequestContext(exchange, self.ids.request_id(now_ms), now_ms, self.clock.monotonic_s())
        exchange.context, exchange.id = context, context.id
        shared = head.shared
        match = shared.get("path")
        if match is None:
            match = shared["path"] = paths.find(head.target)
        if match is None or (match.endpoint.compat and not self._is_compatible(match.endpoint.compat)):
            shown = head.target.partition(b"?")[0][:128].decode("ascii", "replace")
            context.endpoint = UNKNOWN[paths.dialect_of(head.target, head.headers).name]
            self._turn_away(context, Problem(problems.UNKNOWN_PATH, f"there is nothing at {shown}"))
            return
        endpoint = context.endpoint = match.endpoint
        context.rest = match.rest
        if head.method != endpoint.method and head.method not in paths.methods(endpoint):
            self._turn_away(
                context, Problem(problems.METHOD_NOT_ALLOWED, f"use {endpoint.method.decode()} for this path")
            )
            return
        if endpoint.operation is None:
            exchange.discard()
        if not endpoint.needs_key:
            return
        for stage in pipeline.HEAD_STAGES:
            problem = stage(self, context)
            if problem is not None:
                self._deny(context, problem)
                return
        if context.key is not None:
            exchange.owner = context.key.id

    def on_request(self, exchange: Exchange) -> None:
        """Handler: the whole request is there."""
        if exchange.is_ended:
            return
        context: RequestContext = exchange.context
        if context.endpoint.operation is None:
            problem = standing.still(self, context) if context.endpoint.needs_key else None
            if problem is not None:
                self._deny(context, problem)
                return
            _LOCAL[context.endpoint.name](self, context)
            return
        context.body = exchange.body()
        context.bytes_in = len(context.body)
        self._run(context, pipeline.BODY_STAGES)

    def _run(self, context: RequestContext, stages: tuple[pipeline.BodyStage, ...]) -> None:
        for stage in stages:
            outcome = stage(self, context)
            if outcome is not None:
                if isinstance(outcome, Problem):
                    self._deny(context, outcome)
                else:
                    self._slice(context, outcome, stages[stages.index(stage) + 1 :])
                return

    def _slice(
        self, context: RequestContext, steps: Steps[Problem | None], stages: tuple[pipeline.BodyStage, ...]
    ) -> None:
        """Let a stage work in slices; the others follow it."""
        self.slices.add(
            Job(
                steps,
                lambda problem: self._go_on(context, problem, stages),
                context.exchange.fault,
                lambda: not (context.gone or context.exchange.is_ended),
            )
        )

    def _go_on(self, context: RequestContext, problem: Problem | None, stages: tuple[pipeline.BodyStage, ...]) -> None:
        """A stage that worked in slices is done."""
        if problem is not None:
            self._deny(context, problem)
        else:
            self._run(context, stages)

    def on_gone(self, exchange: Exchange) -> None:
        """Handler: the client went away."""
        if isinstance(exchange.context, RequestContext):
            exchange.context.gone = True
        if isinstance(exchange.context, Transfer):
            exchange.context.on_gone()

    def on_writable(self, exchange: Exchange) -> None:
        """Handler: the client reads again."""
        if isinstance(exchange.context, Transfer):
            exchange.context.on_writable()

    def on_fault(self, exchange: Exchange, exc: Exception) -> None:
        """Handler: end this exchange, and nothing else, for what was raised about it."""
        state = exchange.context
        if isinstance(state, Transfer):
            state.on_fault(exc)
            return
        self.guard.caught(exc, exchange.id)
        problem = Problem(problems.INTERNAL, INTERNAL_TEXT)
        if isinstance(state, RequestContext):
            self._note_fault(state, problem)
        if exchange.is_ended:
            return
        if exchange.is_started:
            exchange.abort()
        elif isinstance(state, RequestContext):
            self.refuse(state, problem)
        else:  # it was settled: only its answer failed
            headers, body = self._refusal(problem, exchange.id, exchange.head.target, exchange.head.headers)
            exchange.send(problem.case.status, headers, body)

    @guarded(_fault)
    def _note_fault(self, context: RequestContext, problem: Problem) -> None:
        """Record what a fault ended: what was reserved is settled, what was not is a refusal."""
        self.tally.refuse(problem.case.code)
        context.problem = problem
        if context.reserved:
            context.status, context.outcome = problem.case.status, "interrupted"
            context.error = (problem.case.code, FAULT)
            settle.settle(context, self.spool, 0, billed=False)
        elif context.key is not None and not context.outcome:
            self._denials.deny(context)
        self.outbox.schedule()

    def render(self, problem: Problem, target: bytes) -> tuple[bytes, bytes]:
        """Handler: a refusal by the server itself (malformed HTTP, slow client)."""
        request_id = self.ids.request_id(self.clock.wall_ms())
        self.tally.refuse(problem.case.code)
        telling.refusal(self.report, problem, None)
        return self._refusal(problem, request_id, target, {})

    def _refusal(
        self, problem: Problem, request_id: str, target: bytes, headers: dict[bytes, bytes]
    ) -> tuple[bytes, bytes]:
        """Return (header lines, body) of a refusal, in the shape that belongs to the path."""
        dialect = paths.dialect_of(target, headers)
        more, body = dialect.error(errors.of_problem(problem, request_id))
        return self._error_headers(problem, request_id, target, dialect) + more, body

    # refusals

    def refuse(self, context: RequestContext, problem: Problem, headers: bytes = b"") -> None:
        """Answer a request with a refusal, and with further header lines."""
        if context.exchange.is_ended:
            return
        dialect = context.endpoint.dialect
        status = problem.case.status
        if problem.case is problems.OVERLOADED:
            status = dialect.errors.overloaded_status
        more, body = dialect.error(errors.of_problem(problem, context.id))
        lines = self._error_headers(problem, context.id, context.exchange.head.target, dialect)
        context.exchange.send(status, lines + headers + more, body)

    def _deny(self, context: RequestContext, problem: Problem) -> None:
        context.problem = problem
        if context.key is not None:
            self._denials.deny(context)
            self.outbox.schedule()
        self._turn_away(context, problem)

    def _turn_away(self, context: RequestContext, problem: Problem) -> None:
        """Count a refusal, tell of it, and answer."""
        context.problem = problem
        self.tally.refuse(problem.case.code)
        telling.refusal(self.report, problem, context)
        self.refuse(context, problem)

    def _error_headers(self, problem: Problem, request_id: str, target: bytes, dialect: Dialect) -> bytes:
        case = problem.case
        lines = (
            b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-error: %b\r\n"
            b"x-switchgear-error-source: %b\r\n" % (request_id.encode(), case.code.encode(), case.source.encode())
        )
        if problem.retry_after_s is not None or case.status == 503:
            lines += b"retry-after: %d\r\n" % (problem.retry_after_s or 1)
        if case.should_retry is not None:
            lines += b"x-should-retry: %b\r\n" % (b"true" if case.should_retry else b"false")
        if dialect.id_header:
            lines += b"%b: %b\r\n" % (dialect.id_header, request_id.encode())
        if case is problems.INVALID_KEY:
            lines += b"www-authenticate: Bearer\r\n"
        elif case is problems.METHOD_NOT_ALLOWED:  # RFC 9110 §15.5.6: "MUST generate an Allow header field"
            lines += b"allow: %b\r\n" % b", ".join(paths.methods_of(target))
        return lines

    # answers without an upstream

    def _send_json(self, context: RequestContext, value: Any, status: int = 200) -> None:
        headers = b"%bx-request-id: %b\r\n" % (_JSON, context.id.encode())
        context.exchange.send(status, headers, msgspec.json.encode(value))

    def _health(self, context: RequestContext) -> None:
        self._send_json(context, {"status": "ok"})

    def _unready(self) -> str | None:
        if self.is_draining:
            return "draining"
        if not self.link.is_up:
            return "the inner gate is not connected"
        if self.replica.snapshot() is None:
            return "no configuration was published yet"
        return None if self.outbox.is_recording else "the ledger cannot record"

    def _ready(self, context: RequestContext) -> None:
        reason = self._unready()
        self._send_json(
            context,
            {"status": "ready" if reason is None else "unready", "reason": reason},
            200 if reason is None else 503,
        )

    def _root(self, context: RequestContext) -> None:
        self._send_json(context, {"name": "switchgear", "api": "/v1"})

    def _connect(self, context: RequestContext) -> None:
        guide = guides.GUIDES.get(context.rest)
        if guide is None:
            known = ", ".join(guides.GUIDES)
            self.refuse(context, Problem(problems.UNKNOWN_PATH, f"there is no such client; known are {known}"))
            return
        head = context.exchange.head
        host = head.headers.get(b"host", b"127.0.0.1:4100")
        if PLAIN_HOST.fullmatch(host) is None:  # it goes into a text that people give to their shell
            self.refuse(context, Problem(problems.BAD_HTTP, "the Host is no plain name or address"))
            return
        scheme = "https" if context.exchange.is_tls else "http"
        text = guides.render(guide, f"{scheme}://{host.decode('ascii')}", "sk-sg-…", "demo/echo")
        headers = (
            b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\nx-request-id: %b\r\n"
            % context.id.encode()
        )
        context.exchange.send(200, headers, text.encode())

    def _models(self, context: RequestContext) -> None:
        assert context.snapshot is not None
        assert context.key is not None
        cards = self.planner.callable_models(context.snapshot, context.key, context.now_ms)
        priced = [self.planner.priced(context.snapshot, card, context.now_ms) for card in cards.values()]
        models = self._lister(context).models
        self._send_json(context, models.page([models.item(card) for card in priced]))

    def _model(self, context: RequestContext) -> None:
        assert context.snapshot is not None
        assert context.key is not None
        name = context.rest
        plan = self.planner.plan(context.snapshot, context.key, name, context.now_ms)
        if plan.problem is not None:
            self._deny(context, plan.problem)
            return
        card = self.planner.callable_models(context.snapshot, context.key, context.now_ms).get(
            name
        ) or model_lists.Card(name)
        card = self.planner.priced(context.snapshot, card, context.now_ms)
        self._send_json(context, self._lister(context).models.item(card))

    def _lister(self, context: RequestContext) -> Dialect:
        head = context.exchange.head
        return paths.lister_of(context.endpoint, head.target, head.headers)

    def _key(self, context: RequestContext) -> None:
        key = context.key
        assert key is not None
        self._send_json(
            context,
            {
                "id": key.id,
                "name": key.name,
                "team": key.team,
                "user": key.user,
                "project": key.project,
                "models": key.models,
                "cidrs": key.cidrs,
                "expires_ms": key.expires_ms,
                "limits": [],
                "spend_today": self._spend(key.id, context.now_ms),
                "spent_before_today_nanousd": self._before(key.id, context.now_ms),
            },
        )

    def _spend(self, key_id: str, now_ms: int) -> dict[str, Any]:
        day = now_ms // DAY_MS
        spend = self.replica.spend(key_id)
        models = spend.models if spend is not None and spend.day == day else {}
        return {
            "since_ms": day * DAY_MS,
            "as_of_ms": spend.as_of_ms if spend is not None and models else None,
            "requests": sum(count for count, _ in models.values()),
            "cost_nanousd": sum(cost for _, cost in models.values()),
            "models": {
                name: {"requests": count, "cost_nanousd": cost} for name, (count, cost) in sorted(models.items())
            },
        }

    # LiteLLM's routes

    def _is_compatible(self, name: str) -> bool:
        snapshot = self.replica.snapshot()
        return snapshot is not None and name in snapshot.compat

    def _alive(self, context: RequestContext) -> None:
        self._send_json(context, "I'm alive!")

    def _readiness(self, context: RequestContext) -> None:
        is_ready = self._unready() is None
        status = {"status": "healthy" if is_ready else "unhealthy", "db": "connected"}
        self._send_json(context, status, 200 if is_ready else 503)

    def _key_info(self, context: RequestContext) -> None:
        key = context.key
        assert key is not None
        if paths.query(context.exchange.head.target, b"key") is not None:
            self.refuse(context, Problem(problems.FORBIDDEN, "a key sees itself only here: leave out `?key=`"))
            return
        spend = self._spend(key.id, context.now_ms)
        self._send_json(context, litellm.key_info(key, spend["cost_nanousd"] + self._before(key.id, context.now_ms)))

    def _model_info(self, context: RequestContext) -> None:
        assert context.snapshot is not None
        assert context.key is not None
        cards = self.planner.callable_models(context.snapshot, context.key, context.now_ms)
        priced = [self.planner.priced(context.snapshot, card, context.now_ms) for card in cards.values()]
        self._send_json(context, litellm.model_info(priced))

    def _before(self, key_id: str, now_ms: int) -> int:
        spend = self.replica.spend(key_id)
        if spend is None:
            return 0
        today = now_ms // DAY_MS == spend.day
        return spend.before_nanousd + (0 if today else sum(cost for _, cost in spend.models.values()))

    # what providers keep

    def find_stored(self, key: KeyEntry, name: str) -> Stored | None:
        """Return where a thing of the key's own team is kept; another's is as good as none."""
        found = self.replica.stored(name) or self._stored.get(name)
        if found is None or found.scope != scope_of(key.id, key.team) or found.until_ms < self.clock.wall_ms():
            return None
        return found

    def remember_stored(self, response_id: str, entry: Stored) -> None:
        """Know a response at once that this edge has just passed on; the others learn of it from the replica."""
        if len(self._stored) >= STORED_MAX:
            self._stored.clear()
        self._stored[response_id] = entry

    def keep(self, context: RequestContext, deployment: str, ids: list[str]) -> None:
        """Note whose the things are that a provider keeps since it answered a request."""
        key, request = context.key, context.request
        assert key is not None
        assert request is not None
        payload = records.encode_payload(records.Kept(context.id, ids))
        if self.spool.spare(payload):
            self.spool.append(Kind.KEPT, payload)
        entry = Stored(scope_of(key.id, key.team), deployment, request.model, context.now_ms + STORED_MS)
        for name in ids:
            if name not in self._stored:
                self.remember_stored(name, entry)

    def try_again(self, context: RequestContext) -> None:
        """Run the last stage again in a moment: what it looked for may be on its way into the replica."""
        context.waits += 1
        asyncio.get_running_loop().call_later(STORED_WAIT_S, context.exchange.act, self._again, (context,))

    def _again(self, context: RequestContext) -> None:
        if context.gone or context.exchange.is_ended:
            return
        self._run(context, (standing.look_again, pipeline.transfer))

    # life

    def settled(self, transfer: Transfer) -> None:
        """A transfer ended."""
        self.transfers.pop(transfer.context.id, None)
        exchange = transfer.context.exchange
        exchange.context = transfer.context if self._keeps_contexts and not transfer.context.gone else None
        exchange.is_kept = False
        exchange.release()

    def interrupt_all(self, message: str) -> None:
        """End what is left when the drain is over."""
        each(self.transfers.values(), lambda transfer: transfer.interrupt(message), Transfer.on_fault)

    def stop(self) -> None:
        """Write the last records."""
        if self._timer is not None:
            self._timer.cancel()
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._denials.flush()
        self._count(0)
        self.outbox.flush()
        self.outbox.syncer.stop()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        self._arm()

    @guarded(_tick_fault)
    def _tick(self) -> None:
        self._arm()
        now_s = self.now_s = self.clock.monotonic_s()
        each(self.transfers.values(), lambda transfer: transfer.check(now_s), Transfer.on_fault)
        self._count(self.connections())

    def _arm_look(self) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._look_timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look_fault(self, exc: Exception) -> None:
        self.guard.caught(exc)
        self._arm_look()

    @guarded(_look_fault)
    def _look(self) -> None:
        """Cut what was frozen since the last time, and let go of bodies whose keys may not send them any more."""
        self._arm_look()
        snapshot = self.replica.snapshot()
        if snapshot is not None and snapshot is not self._looked_at:
            self._looked_at = snapshot
            if snapshot.freezes:
                self._cut(snapshot)
        each(self.arriving(), self._check_arriving, Exchange.fault)

    def _cut(self, snapshot: Snapshot) -> None:
        now_ms = self.clock.wall_ms()

        def look(transfer: Transfer) -> None:
            problem = standing.frozen(self.planner, snapshot, transfer.context, transfer.target, now_ms)
            if problem is not None:
                transfer.cut(problem)

        each(self.transfers.values(), look, Transfer.on_fault)

    def _check_arriving(self, exchange: Exchange) -> None:
        context = exchange.context
        if exchange.is_answered or not isinstance(context, RequestContext) or context.key is None:
            return
        problem = standing.still(self, context)
        if problem is not None:
            exchange.release()  # let it go at once: its client may not read the answer for long
            self._deny(context, problem)

    def _count(self, connections: int) -> None:
        """Hand what was counted to control, through the spool: never in the way of a settlement."""
        counted = self.tally.record(self.clock.wall_ms(), connections, *self._log_totals())
        if counted is None or not self.outbox.is_recording:
            return
        payload = records.encode_payload(counted)
        if self.spool.spare(payload):
            self.spool.append(Kind.COUNTERS, payload)
            self.tally.taken(counted)
            self.outbox.schedule()


_LOCAL: dict[str, Callable[[Gate, RequestContext], None]] = {
    "healthz": Gate._health,
    "readyz": Gate._ready,
    "root": Gate._root,
    "models": Gate._models,
    "model": Gate._model,
    "key": Gate._key,
    "connect": Gate._connect,
    "alive": Gate._alive,
    "readiness": Gate._readiness,
    "key_info": Gate._key_info,
    "model_info": Gate._model_info,
}
