"""What the HTTP server calls: the door from a connection to the stages. Level 4."""

from collections.abc import Callable, Iterable

from switchgear.core import problems
from switchgear.core.clock import Clock, Loop
from switchgear.core.guard import Guard, guarded
from switchgear.core.ids import IdSource
from switchgear.core.log_line import Report
from switchgear.core.problems import Problem
from switchgear.counters.backend import Counters
from switchgear.counters.memory import MemoryCounters
from switchgear.dialects.registry import DIALECTS
from switchgear.edge import admission, endings, paths, pipeline, refusals, settle, standing
from switchgear.edge.answer_cache import AnswerCache
from switchgear.edge.background_polls import Background
from switchgear.edge.budget_time import BudgetTime
from switchgear.edge.context import RequestContext
from switchgear.edge.counters import CounterLog, Tally
from switchgear.edge.cutoff import LOOK_S, CutOff
from switchgear.edge.head_facts import HeadFacts
from switchgear.edge.limit_queue import LimitQueue
from switchgear.edge.local_answers import ANSWERS
from switchgear.edge.output_sizes import OutputSizes
from switchgear.edge.refusals import Refusals
from switchgear.edge.resolver import Resolver
from switchgear.edge.running import Running
from switchgear.edge.services import EdgeServices
from switchgear.edge.settle import DenialLog
from switchgear.edge.slices import Job, Slicer
from switchgear.edge.stored_things import StoredThings
from switchgear.edge.turn_commit import TurnCommit
from switchgear.edge.uncertain import UncertainHolds
from switchgear.edge.waiting import WaitingRoom
from switchgear.net.exchange import Exchange
from switchgear.net.link import LinkClient
from switchgear.net.ticker import Ticker
from switchgear.replica.reader import ReplicaReader
from switchgear.spool.writer import SpoolWriter

TICK_S = 1.0
UNKNOWN = {row.name: paths.Endpoint("unknown", b"", None, row, needs_key=False) for row in DIALECTS}
"""What stands for a path that is not served, in the shape that its client reads."""


def services_of(
    *,
    replica: ReplicaReader,
    peppers: dict[int, bytes],
    spool: SpoolWriter,
    link: LinkClient,
    commit: TurnCommit,
    resolver: Resolver,
    ids: IdSource,
    clock: Clock,
    loop: Loop,
    report: Report,
    guard: Guard,
    counters: Counters | None = None,
    budget_time: BudgetTime | None = None,
    uncertain: UncertainHolds | None = None,
    keeps_contexts: bool = False,
    wait_s: float = 0.0,
) -> EdgeServices:
    """Make the services of an edge of what it was given. `keeps_contexts`: an access log looks at what is settled. Without
    `counters` this process counts alone. `wait_s`: how long a request waits for room under its limits."""
    turned_away = Refusals(DenialLog(spool), Tally(), commit, report)

    def refuse(context: RequestContext, problem: Problem) -> None:
        turned_away.deny(context, problem)
        admission.let_go(context)

    waiting = WaitingRoom(refuse, admission.let_go)

    def ask_again(context: RequestContext) -> None:
        context.exchange.act(pipeline.resume, (services, context))

    services = EdgeServices(
        replica=replica,
        peppers=peppers,
        resolver=resolver,
        stored=StoredThings(replica, spool, clock),
        spool=spool,
        commit=commit,
        link=link,
        running=Running(clock, keeps_contexts),
        counters=counters if counters is not None else MemoryCounters(clock.boot_us),
        uncertain=uncertain if uncertain is not None else UncertainHolds(),
        budget_time=budget_time or BudgetTime(clock),
        output_sizes=OutputSizes(),
        cache=AnswerCache(),
        waiting=waiting,
        queue=LimitQueue(wait_s, waiting, clock, loop, ask_again),
        refusals=turned_away,
        slices=Slicer(clock, loop.call_soon, guard),
        clock=clock,
        loop=loop,
        ids=ids,
        report=report,
        guard=guard,
        resume=pipeline.resume,
    )
    return services


def _nothing(_done: None) -> None:
    pass


def _always() -> bool:
    return True


class EdgeHandler:
    """One per edge process."""

    def __init__(
        self,
        services: EdgeServices,
        log_totals: Callable[[], tuple[int, int]] = lambda: (0, 0),
        asks_later: bool = False,
    ) -> None:
        """`log_totals` gives how many lines of the log were lost, and how many told of errors. `asks_later`: this edge asks for
        answers that are made in the background."""
        self.services = services
        self._background = Background(services) if asks_later else None
        self.connections: Callable[[], int] = lambda: 0
        """How many are open; set by whoever makes the server."""
        self.arriving: Callable[[], Iterable[Exchange]] = tuple
        """What the server holds whose turn has not come; set by whoever makes the server."""
        self._counters = CounterLog(services.refusals.tally, services.commit, services.clock, log_totals)
        self._enforcer = CutOff(services)
        self._tickers = (
            Ticker(TICK_S, self._check, services.guard),
            Ticker(LOOK_S, self._look, services.guard),
        )

    def start(self) -> None:
        """Begin the timers."""
        for ticker in self._tickers:
            ticker.start()
        self.services.commit.syncer.wake()

    def _check(self) -> None:
        services = self.services
        services.running.check()
        if len(services.waiting):
            services.slices.add(Job(services.waiting.check(services.running.now_s), _nothing, self._fault, _always))
        services.cache.sweep(services.running.now_s)
        self._counters.write(self.connections())
        if self._background is not None:
            self._background.look()

    def _look(self) -> None:
        self._enforcer.look(self.arriving())

    def stop(self) -> None:
        """Write the last records."""
        for ticker in self._tickers:
            ticker.stop()
        services = self.services
        services.refusals.denials.flush()
        self._counters.write(0)
        services.commit.flush()
        services.commit.syncer.stop()

    # Handler

    def on_head(self, exchange: Exchange) -> None:
        """Handler: refuse before the body is read, or go on."""
        services, head = self.services, exchange.head
        now_ms = services.clock.wall_ms()
        facts = head.shared.facts
        if not isinstance(facts, HeadFacts):
            facts = head.shared.facts = HeadFacts()
        context = RequestContext(exchange, services.ids.request_id(now_ms), now_ms, services.clock.monotonic_s(), facts)
        exchange.context, exchange.id = context, context.id
        match = facts.match
        if match is None:
            match = facts.match = paths.find(head.target)
        if match is None or (match.endpoint.compat and not self._is_compatible(match.endpoint.compat)):
            shown = head.target.partition(b"?")[0][:128].decode("ascii", "replace")
            context.endpoint = UNKNOWN[paths.dialect_of(head.target, head.headers).name]
            services.refusals.turn_away(context, Problem(problems.UNKNOWN_PATH, f"there is nothing at {shown}"))
            return
        endpoint = context.endpoint = match.endpoint
        context.path_argument = match.rest
        if head.method != endpoint.method and head.method not in paths.methods(endpoint):
            text = f"use {endpoint.method.decode()} for this path"
            services.refusals.turn_away(context, Problem(problems.METHOD_NOT_ALLOWED, text))
            return
        if endpoint.operation is None:
            exchange.discard()
        if not endpoint.needs_key:
            return
        for stage in pipeline.HEAD_STAGES:
            problem = stage(services, context)
            if problem is not None:
                services.refusals.deny(context, problem)
                return
        if context.key is not None:
            exchange.owner = context.key.id

    def _is_compatible(self, name: str) -> bool:
        snapshot = self.services.replica.snapshot()
        return snapshot is not None and name in snapshot.compat

    def on_request(self, exchange: Exchange) -> None:
        """Handler: the whole request is there."""
        context = exchange.context
        if exchange.is_ended or not isinstance(context, RequestContext):
            return
        services, endpoint = self.services, context.endpoint
        problem = standing.still(services, context) if endpoint.needs_key else None
        if problem is not None:
            services.refusals.deny(context, problem)
        elif endpoint.operation is None:
            ANSWERS[endpoint.name](services, context)
        else:
            body = context.body = exchange.body()
            context.bytes_in = len(body)
            pipeline.run(services, context)

    def on_gone(self, exchange: Exchange) -> None:
        """Handler: the client went away."""
        context = exchange.context
        if isinstance(context, RequestContext):
            context.client_gone = True
            if context.transfer is not None:
                context.transfer.on_gone()

    def on_writable(self, exchange: Exchange) -> None:
        """Handler: the client reads again."""
        context = exchange.context
        if isinstance(context, RequestContext) and context.transfer is not None:
            context.transfer.on_writable()

    def on_fault(self, exchange: Exchange, exc: Exception) -> None:
        """Handler: end this exchange, and nothing else, for what was raised about it."""
        context = exchange.context
        if not isinstance(context, RequestContext):
            context = None
        elif context.transfer is not None:
            context.transfer.on_fault(exc)
            return
        services = self.services
        services.guard.caught(exc, exchange.id)
        problem = endings.INTERNAL
        if context is not None:
            self._note_fault(context, problem)
        if exchange.is_ended:
            return
        if exchange.is_started:
            exchange.abort()
        elif context is not None:
            services.refusals.refuse(context, problem)
        else:  # it was settled: only its answer failed
            headers, body = refusals.rendered(problem, exchange.id, exchange.head.target, exchange.head.headers)
            exchange.send(problem.case.status, headers, body)

    def _fault(self, exc: Exception) -> None:
        # Only this record is lost.
        self.services.guard.caught(exc)

    @guarded(_fault)
    def _note_fault(self, context: RequestContext, problem: Problem) -> None:
        """Record what a fault ended: what was reserved is settled, what was not is a refusal."""
        services = self.services
        services.refusals.tally.refuse(problem.case.code, problem.rule)
        context.problem = problem
        admission.let_go(context)
        if context.reserved:
            context.status, context.outcome = problem.case.status, "interrupted"
            context.error = (problem.case.code, endings.FAULT)
            settle.settle(context, services.spool, 0, billed=False)
        elif context.key is not None and not context.outcome:
            services.refusals.denials.deny(context)
        services.commit.schedule()

    def render(self, problem: Problem, target: bytes) -> tuple[bytes, bytes]:
        """Handler: a refusal by the server itself (malformed HTTP, slow client)."""
        services = self.services
        request_id = services.ids.request_id(services.clock.wall_ms())
        return services.refusals.of_server(problem, request_id, target)
