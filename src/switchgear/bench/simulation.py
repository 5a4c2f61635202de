"""A day of traffic in virtual time, decided by the code that decides in a gateway. Level 7; deterministic for a seed.

Real are limits, budgets, shares and their counters (`policies`, `counters.memory`, `edge.limit_sets`, `edge.budget_sets`), the
order of deployments, breakers, retries and canaries (`routing`), and the resolution of models (`edge.resolver`). Played are
clients, providers and the death of edges. There is no I/O: what is simulated is when things happen, not how.
"""

import heapq
import itertools
import math
import random
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from switchgear.bench.simulated_truth import Line, Truth
from switchgear.core.budget_rule import BudgetRule
from switchgear.core.limit_rule import LimitRule
from switchgear.core.usage import TokenUsage
from switchgear.counters.backend import Full, Taken, Ticket
from switchgear.counters.memory import MemoryCounters
from switchgear.edge import budget_sets, budget_settlement, limit_sets, shared_limits
from switchgear.edge.budget_sets import BudgetSet, Counted
from switchgear.edge.limit_sets import Limits, Values
from switchgear.edge.resolver import PricedDeployment, Resolution, Resolver
from switchgear.policies import budgets, limits
from switchgear.policies.buckets import Hold
from switchgear.policies.budgets import Place, Rates, Reach
from switchgear.policies.limits import Expected, Unit, Why
from switchgear.policies.periods import Periods
from switchgear.pricing.price import Price, Rate
from switchgear.replica.entries import HeldKey, HolderEntry, KeyEntry, Snapshot
from switchgear.routing import breaker, choice, retry
from switchgear.routing.conditions import Traits
from switchgear.routing.retry import RetryRules
from switchgear.routing.states import StateBook
from switchgear.routing.strategies import Candidate, Occasion
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

STARTS_MS = 1_774_699_200_000
"""2026-03-28 12:00 UTC: the night has an hour less in Berlin, where the budgets are."""
TIMEZONE = "Europe/Berlin"
SECOND_US = 1_000_000
EDGES = 4
DEADLINE_S = 120.0
BUDGET_WAIT_S = 5.0
WINDOW_TOKENS = 128_000
OUTPUT_MAX = 4_096
PROVIDERS = ("north", "east", "south", "west", "own")
STATES = {"good": 0.80, "flaky": 0.08, "dead": 0.05, "slow": 0.04, "full": 0.03}
"""What a provider is like for some minutes, and how often."""
OVERRUN = 0.0005
"""Of the answers cost three times what was held: a provider that bills what nobody could see."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is simulated."""

    hours: float = 24.0
    keys: int = 10_000
    teams: int = 500
    requests_per_s: float = 4.0
    """On average over a day; a key that runs wild and nights come on top."""
    deaths_per_hour: float = 6.0
    """Of edges."""


class Edge:
    """One of the node's edges: what it knows of deployments dies with it."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.is_alive = False
        self.open: dict[int, Request] = {}
        """By identity, in the order in which they came."""
        self.start()

    def start(self) -> None:
        self.states = StateBook(self.place, EDGES)
        self.models: dict[str, Resolution] = {}
        self.resolver = Resolver(lambda name: None, self.states)
        self.is_alive = True


class Request(msgspec.Struct, eq=False):
    """One request, from its arrival to its end."""

    edge: Edge
    key: KeyEntry
    model: str
    input: int
    asked: int
    """Tokens that it allows its answer."""
    output: int
    """Tokens that the answer has."""
    session: str
    resolution: Resolution
    values: Values
    started_us: int
    tries: int = 0
    """How often its client was told 429 and came again."""
    left: list[PricedDeployment] = []
    retries_left: int = 0
    number: int = 0
    is_over: bool = False
    ticket: Ticket | None = None
    lines: list[Line] = []
    attempt: "Try | None" = None


class Try(msgspec.Struct, eq=False):
    """An attempt under way."""

    priced: PricedDeployment
    ticket: Ticket | None
    lines: list[Line]
    counted: tuple[Counted, ...]
    units: list[Unit]
    more: list[Unit]
    held_nanousd: int
    began_us: int
    told_number: int


class Simulation:
    """One day. `counters` may be others than the real ones: a test shows that mistakes are found."""

    def __init__(self, size: Size, seed: int, make_counters: Callable[..., Any] = MemoryCounters) -> None:
        self.size, self.seed = size, seed
        self.now_us = 10 * SECOND_US
        self._chance = random.Random(seed)  # noqa: S311 - a simulation is to be repeated
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self.counters = make_counters(lambda: self.now_us)
        self.truth = Truth()
        self.did: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self._states = dict.fromkeys(PROVIDERS, "good")
        self._edges = [Edge(place) for place in range(EDGES)]
        self._periods = Periods()
        self._snapshot = _snapshot()
        self._keys = self._make_keys()
        self._policies: dict[tuple[str, str], tuple[Limits | None, BudgetSet]] = {}
        self._until_us = self.now_us + int(size.hours * 3_600 * SECOND_US)
        self.periods: set[tuple[str, int]] = set()

    # who there is

    def _make_keys(self) -> list[HeldKey]:
        chance, found, teams = self._chance, [], self._make_teams()
        for number in range(self.size.keys):
            budget = chance.choice((None, "2/day", "0.20/day", "5 /month", "0.05/hour"))
            found.append(
                HeldKey(
                    f"k{number}",
                    f"key-{number}",
                    1,
                    [],
                    team=f"team-{number % self.size.teams}",
                    tags=[chance.choice(("env=prod", "env=dev", "env=test"))],
                    rpm=chance.choice((None, 6, 60)),
                    tpm=chance.choice((None, 20_000, 200_000)),
                    parallel=chance.choice((None, None, 2, 8)),
                    limits=chance.choice((None, ["300 requests/hour per end_user"])),
                    budget=budget,
                    holders=tuple(teams[number % self.size.teams]),
                )
            )
        return found

    def _make_teams(self) -> list[list[HolderEntry]]:
        """Teams in divisions of ten."""
        chance = self._chance

        def holder(name: str, rpm: int, budget: str) -> HolderEntry:
            return HolderEntry(kind="team", id=name, name=name, version=1, rpm=rpm, budget=budget)

        divisions = [holder(f"division-{n}", 2_000, "60/day") for n in range(self.size.teams // 10 + 1)]
        return [
            [divisions[n // 10], holder(f"team-{n}", chance.choice((30, 600)), chance.choice(("1/day", "20/day")))]
            for n in range(self.size.teams)
        ]

    # events

    def _after(self, seconds: float, function: Callable[..., None], *arguments: Any) -> None:
        at_us = self.now_us + max(1, int(seconds * SECOND_US))
        heapq.heappush(self._events, (at_us, next(self._order), function, arguments))

    def run(self) -> "Simulation":
        """Simulate it all."""
        self._after(0.1, self._arrive)
        self._after(60.0, self._run_wild)
        self._after(3_600 / max(self.size.deaths_per_hour, 0.001), self._die)
        self._after(600.0, self._look)
        for provider in PROVIDERS:
            self._after(self._chance.expovariate(1 / 600), self._turn, provider)
        while self._events:
            self.now_us, _, function, arguments = heapq.heappop(self._events)
            function(*arguments)
        self.now_us += 3 * 86_400 * SECOND_US  # whatever is uncertain has expired
        self.counters.read([])
        self.truth.compare(self.counters, list(self.truth.books.values()), self.now_us)
        held = sum(book.held for book in self.truth.books.values())
        if held:
            self.truth.violations.append(f"{held} are held when everything is over")
        return self

    @property
    def _is_over(self) -> bool:
        return self.now_us >= self._until_us

    @property
    def _wall_ms(self) -> int:
        return STARTS_MS + self.now_us // 1_000

    def _arrive(self) -> None:
        if self._is_over:
            return
        hour = self._wall_ms / 3_600_000 % 24
        rate = self.size.requests_per_s * (1 + 0.8 * math.sin((hour - 8) * math.pi / 12))
        self._after(self._chance.expovariate(max(rate, 0.01)), self._arrive)
        place = int(self.size.keys * self._chance.random() ** 3)  # few keys ask for much
        self._ask(self._keys[place], self._chance.choice(tuple(_MODELS)))

    def _run_wild(self) -> None:
        """A key asks for the same hundred times in a second: a loop without an end."""
        if self._is_over:
            return
        self._after(self._chance.expovariate(1 / 300), self._run_wild)
        key, model = self._chance.choice(self._keys), self._chance.choice(tuple(_MODELS))
        for _ in range(100):
            self._after(self._chance.random(), self._ask, key, model)

    def _turn(self, provider: str) -> None:
        """A provider is like something else from now on."""
        if self._is_over:
            self._states[provider] = "good"
            return
        state = "good" if provider == "own" else self._chance.choices(list(STATES), list(STATES.values()))[0]
        self.did[f"provider {state}"] += 1
        self._states[provider] = state
        self._after(self._chance.expovariate(1 / (600 if state == "good" else 240)), self._turn, provider)

    def _die(self) -> None:
        """An edge is killed, at whatever it does; half a second later another one has its place."""
        if self._is_over:
            return
        self._after(self._chance.expovariate(self.size.deaths_per_hour / 3_600), self._die)
        edge = self._chance.choice(self._edges)
        if not edge.is_alive:
            return
        edge.is_alive = False
        self.did["edges killed"] += 1
        for request in list(edge.open.values()):
            self._orphan(request)
        self._after(0.5, edge.start)

    def _look(self) -> None:
        """Compare some counters with the books."""
        books = list(self.truth.books.values())
        self.truth.compare(self.counters, self._chance.sample(books, min(len(books), 500)), self.now_us)
        if not self._is_over:
            self._after(600.0, self._look)

    # a request

    def _ask(self, key: KeyEntry, model: str, tries: int = 0) -> None:
        alive = [edge for edge in self._edges if edge.is_alive]
        if not alive:
            self._after(0.05, self._ask, key, model, tries)
            return
        chance, edge = self._chance, self._chance.choice(alive)
        self.did["requests"] += 1
        resolution = self._resolve(edge, key, model)
        asked = chance.choice((256, 1_024, 4_096))
        names = (key.name, key.team or "", *(key.tags or ()))
        request = Request(
            edge=edge,
            key=key,
            model=model,
            input=min(int(chance.lognormvariate(6, 1.5)) + 1, WINDOW_TOKENS),
            asked=asked,
            output=min(int(chance.lognormvariate(5, 1.0)) + 1, asked),
            session=f"{key.id}-{chance.randrange(20)}",
            resolution=resolution,
            values=Values(key_id=key.id, end_user=f"u{chance.randrange(30)}", model=model, names=names),
            started_us=self.now_us,
            tries=tries,
        )
        assert resolution.limits is not None
        rules = resolution.limits.paid
        holds = rules.holds(self._expected(request), request.values)
        answer = self.counters.take(holds, "r", _nobody)
        if isinstance(answer, Full):
            refusal = limits.judge(holds, answer.lacking, answer.readings, self.now_us)
            self._refuse(request, f"limit of the {rules.limits[refusal.at].subject.partition(':')[0]}", refusal)
            return
        assert isinstance(answer, Taken)
        request.ticket, request.lines = answer.ticket, self.truth.admitted(holds, self.now_us)
        edge.open[id(request)] = request
        self._choose(request)
        self._try(request)

    def _resolve(self, edge: Edge, key: KeyEntry, model: str) -> Resolution:
        """Return where a key's requests may go, as the edge's resolver does it; what does not change is kept for longer."""
        known = edge.models.get(model)
        if known is None:
            known = edge.models[model] = edge.resolver.resolve(self._snapshot, key, model, self._wall_ms)
        assert known.route is not None
        rules = self._policies.get((key.id, model))
        if rules is None:
            rules = self._policies[key.id, model] = (
                limit_sets.of_key(key, self._snapshot, known.route),
                budget_sets.of_key(key, self._snapshot, known.route),
            )
        return msgspec.structs.replace(known, limits=rules[0], budgets=rules[1])

    def _expected(self, request: Request) -> Expected:
        return Expected(input=request.input, output=request.asked // 4)

    def _refuse(self, request: Request, why: str, refusal: limits.Refusal | None = None) -> None:
        self.ends[why] += 1
        wait_ms = None if refusal is None else refusal.retry_after_ms
        if wait_ms is not None and request.tries < 2 and wait_ms < 120_000 and not self._is_over:
            self.did["came again"] += 1
            self._after(wait_ms / 1_000, self._ask, request.key, request.model, request.tries + 1)

    def _choose(self, request: Request) -> None:
        resolution = request.resolution
        assert resolution.route is not None
        request.retries_left = resolution.route.retries_max
        request.left = list(resolution.deployments)
        if resolution.order is None:
            return
        candidates = [_candidate(priced) for priced in resolution.deployments]
        client, book = f"team:{request.key.team}", request.edge.states
        seed = zlib.crc32(f"{request.started_us} {request.key.id}".encode())
        occasion = Occasion(
            seed, self._wall_ms, self._now_s, request.session, request.input, request.asked, False, client
        )
        traits = Traits(request.key.name, request.key.team, frozenset(request.key.tags or ()), request.input)
        chosen = choice.choose(resolution.order, candidates, occasion, traits, book)
        self.did["left out as unfit"] += sum(why in choice.WHY.values() for why in chosen.left_out.values())
        self.did["probes"] += chosen.probe is not None
        book.calm((candidates[at].state for at in chosen.positions), self._now_s)
        request.left = [resolution.deployments[at] for at in chosen.positions]

    @property
    def _now_s(self) -> float:
        return self.now_us / SECOND_US

    def _try(self, request: Request, waited_s: float = 0.0) -> None:
        """Make the next attempt, at the first deployment that has room."""
        while not request.is_over and request.left:
            priced = request.left[0]
            why = self._take(request, priced)
            if why is None:
                return
            if why is Why.HELD and waited_s < BUDGET_WAIT_S:
                self._after(0.1, self._try, request, waited_s + 0.1)
                return
            if why in {Why.SPENT, Why.HELD}:
                self._end(request, f"budget {why.value}", is_sent=request.number > 0)
                return
            self.did["deployments passed over"] += 1
            request.left.pop(0)
        if not request.is_over:
            self._end(request, "all deployments full", is_sent=request.number > 0)

    def _take(self, request: Request, priced: PricedDeployment) -> Why | None:
        """Take what an attempt holds; None when it is on its way, else why not."""
        rules = priced.limits.paid if priced.limits is not None else None
        holds = rules.holds(self._expected(request), request.values) if rules is not None else []
        first = len(holds)
        counted = request.resolution.budgets.of(priced.names)
        rates = _rates(priced)
        reach = Reach(
            body_bytes=request.input * 4,
            context_window=WINDOW_TOKENS,
            output_max=OUTPUT_MAX,
            output_asked=request.asked,
        )
        bound = budgets.bound(reach, rates, None)
        assert bound is not None
        for one in counted:
            assert one.budget.calendar is not None
            period = self._periods.at(one.budget.calendar, self._wall_ms)
            self.periods.add((one.budget.calendar.kind, period.number))
            place = Place(period=period, now_ms=self._wall_ms, boot_us=self.now_us)
            holds.append(Hold(one.bucket(place, request.values), budget_sets.amount(one.budget.unit, bound)))
        shared = rules.shared if rules is not None else ()
        wanted = shared_limits.with_classes(shared, holds, request.values.names, self.counters)
        answer = self.counters.take(wanted, "a", _nobody)
        if isinstance(answer, Full):
            if shared:
                shared_limits.note_refused(shared, request.values.names, "a", self.counters)
            return self._why(holds, first, answer)
        assert isinstance(answer, Taken)
        lines = self.truth.admitted([*holds, *wanted[len(holds) :]], self.now_us)
        request.number += 1
        state = _candidate(priced).state if priced.candidate is not None else None
        told = state.begin(request.input, self._client(request)) if state is not None else 0
        units = [rule.unit for rule in rules.limits] if rules is not None else []
        more = [rule.unit for one in shared for rule in one.more]
        request.attempt = Try(priced, answer.ticket, lines, counted, units, more, bound.cost_nanousd, self.now_us, told)
        self._dispatch(request, request.attempt)
        return None

    def _why(self, holds: list[Hold], first: int, answer: Full) -> Why:
        for at in answer.lacking:
            if at >= first and limits.why_full(holds[at], answer.readings[at]) is not Why.HELD:
                self.truth.spent(holds[at])
                return Why.SPENT
        return Why.RATE if any(at < first for at in answer.lacking) else Why.HELD

    def _client(self, request: Request) -> str:
        return f"team:{request.key.team}"

    def _dispatch(self, request: Request, attempt: Try) -> None:
        """What becomes of an attempt at its provider, and when."""
        chance, state = self._chance, self._states[attempt.priced.deployment.provider.name]
        self.did["attempts"] += 1
        seconds = 0.2 + request.output / 80
        status: int | None = 200
        error: str | None = None
        if state == "dead":
            seconds, status, error = 0.05, None, "connect"
        elif state == "flaky" and chance.random() < 0.5:
            seconds, status = 0.3, chance.choice((500, 503, 529))
        elif state == "full" and chance.random() < 0.7:
            seconds, status = 0.1, 429
        elif state == "slow":
            seconds *= 4
        elif chance.random() < 0.003:
            seconds, status, error = seconds / 2, None, "broken"
        self._after(seconds, self._answered, request, attempt, status, error)

    def _answered(self, request: Request, attempt: Try, status: int | None, error: str | None) -> None:
        if request.is_over or request.attempt is not attempt:
            return  # its edge died meanwhile
        request.attempt = None
        candidate, client = attempt.priced.candidate, self._client(request)
        if candidate is not None:
            state, began_s = candidate.state, attempt.began_us / SECOND_US
            state.end(request.input, attempt.told_number, status == 200, client)
            if status == 429:
                state.pause(None, self._now_s, client)
                request.edge.states.troubled.add(state.name)
            else:
                verdict = breaker.verdict_of(status, error)
                if request.edge.states.note(state, verdict, began_s, self._now_s, candidate.rules, client):
                    self.did["breakers opened" if state.breaker.is_open else "breakers closed"] += 1
                if status == 200:
                    state.measure(self._now_s - began_s, False)
        if status == 200:
            usage = TokenUsage(input=request.input, output=request.output)
            self._settle(request, attempt, usage, 1, is_overrun=self._chance.random() < OVERRUN)
            self._end(request, "answered" if request.number == 1 else "answered elsewhere or again", usage=usage)
            return
        if error == "connect":
            self._release(attempt)
        else:
            seen = TokenUsage(input=request.input, output=request.output // 2) if error is not None else None
            self._settle(request, attempt, seen, 0, is_certain=error is None)
        self._go_on(request, status, error)

    def _go_on(self, request: Request, status: int | None, error: str | None) -> None:
        left_s = DEADLINE_S - (self.now_us - request.started_us) / SECOND_US
        step = retry.next_step(
            status=status,
            reason=error,
            retries_left=request.retries_left,
            has_next=len(request.left) > 1,
            may_go_on=left_s > 0 and request.number < retry.ATTEMPTS_MAX,
            left_s=left_s,
        )
        if step == "give_up":
            self._end(request, f"failed: {status or error}")
        elif step == "fallback":
            request.left.pop(0)
            self._try(request)
        else:
            request.retries_left -= 1
            self._after(retry.pause_s(RetryRules(), request.number, self._chance.random()), self._try, request)

    # what was held

    def _settle(
        self,
        request: Request,
        attempt: Try,
        usage: TokenUsage | None,
        requests: int,
        is_certain: bool = True,
        is_overrun: bool = False,
    ) -> None:
        assert attempt.ticket is not None
        pricer = attempt.priced.pricer
        assert pricer is not None
        cost = 0 if usage is None else pricer.nanousd(usage, None) or 0
        if is_overrun:
            self.did["overruns"] += 1
            cost = attempt.held_nanousd * 3
        used = (
            Expected(input=0, output=0) if usage is None else Expected(input=usage.input or 0, output=usage.output or 0)
        )
        amounts = [used.amount(unit) for unit in attempt.units]
        amounts += [one or 0 for one in budget_settlement.used(attempt.counted, usage, cost, requests)]
        amounts += [used.amount(unit) for unit in attempt.more]
        rest = self.truth.settled(attempt.lines, amounts, is_certain)
        if is_certain:
            self.counters.settle(attempt.ticket, amounts)
        else:
            self.counters.settle_partly(attempt.ticket, amounts, self.now_us + int(DEADLINE_S * SECOND_US))
            if rest:
                self._after(DEADLINE_S, self.truth.expired, rest)
        self.did["nano-USD"] += cost

    def _release(self, attempt: Try) -> None:
        assert attempt.ticket is not None
        self.truth.settled(attempt.lines, [0] * len(attempt.lines))
        self.counters.release(attempt.ticket)

    def _end(self, request: Request, how: str, is_sent: bool = True, usage: TokenUsage | None = None) -> None:
        request.is_over = True
        request.edge.open.pop(id(request), None)
        self.ends[how] += 1
        ticket, request.ticket = request.ticket, None
        assert ticket is not None
        if not is_sent:
            self.truth.settled(request.lines, [0] * len(request.lines))
            self.counters.release(ticket)
            return
        used = Expected(input=usage.input or 0, output=usage.output or 0) if usage else Expected(input=0, output=0)
        assert request.resolution.limits is not None
        amounts = [used.amount(rule.unit) for rule in request.resolution.limits.paid.limits]
        self.truth.settled(request.lines, amounts)
        self.counters.settle(ticket, amounts)

    def _orphan(self, request: Request) -> None:
        """Its edge died: slots are free at once; what was sent is booked as seen, and the rest stays uncertain for a while."""
        attempt, request.attempt = request.attempt, None
        usage = None
        if attempt is not None:
            usage = TokenUsage(input=request.input, output=int(request.output * self._chance.random()))
            self._settle(request, attempt, usage, 1, is_certain=False)
        self._end(request, "interrupted", is_sent=request.number > 0, usage=usage)


def _nobody(answer: object) -> None:
    """Counters in memory answer at once."""


def _candidate(priced: PricedDeployment) -> Candidate:
    assert priced.candidate is not None
    return priced.candidate


def _rates(priced: PricedDeployment) -> Rates:
    assert priced.pricer is not None
    rates = priced.pricer.price.rates
    return Rates(input_per_mtok=rates["input"].base, output_per_mtok=rates["output"].base)


_MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fast": ("weighted", ("north", "east", "south", "own")),
    "smart": ("ordered", ("west", "north", "own")),
    "cheap": ("lowest_cost", ("south", "own", "east")),
    "cached": ("sticky", ("north", "south", "own")),
    "busy": ("least_busy", ("east", "west", "own")),
    "quick": ("lowest_latency", ("north", "west", "own")),
    "alone": ("ordered", ("own",)),
}
_SHARE = {"env=prod": 0.6, "env=dev": 0.2}


def _snapshot() -> Snapshot:
    models = {}
    for name, (strategy, places) in _MODELS.items():
        deployments = tuple(
            DeploymentEntry(
                provider=place,
                model=name,
                tier=at + 1 if strategy == "ordered" else 1,
                weight=at + 1.0,
                price=Price(
                    name,
                    "deployment",
                    {"input": Rate((at + 1) * 10**9), "output": Rate((at + 1) * 4 * 10**9)},
                ),
                limits=()
                if place == "own"
                else (
                    LimitRule("requests", 40, "minute"),
                    LimitRule("total", 200_000, "minute"),
                    LimitRule("parallel", 12),
                ),
                share=_SHARE if place == "north" else {},
                canary=0.05 if (name, place) == ("fast", "south") else None,
            )
            for at, place in enumerate(places)
        )
        models[name] = ModelEntry(name=name, deployments=deployments, strategy=strategy)
    providers = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in PROVIDERS}
    return Snapshot(
        store_id="s",
        epoch=1,
        table=RouteTable(providers=providers, models=models),
        limits=(LimitRule("requests", 3_000, "minute"),),
        budgets=(BudgetRule(amount=400 * 10**9, period="day"),),
        timezone=TIMEZONE,
    )
