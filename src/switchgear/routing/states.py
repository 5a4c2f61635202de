"""What an edge knows of deployments while it runs: who is busy, how fast, what is left, whose breaker is open. Level 1, no I/O.

Kept by deployment (`provider/model@credential`), whichever models lead there. An edge fills it by its own attempts; what other
edges saw comes by `StateBook.heed`, from what control makes of settlements (control/breakers). Nothing of it is on a disk.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from switchgear.routing.allowance import Allowance
from switchgear.routing.breaker import Breaker, BreakerRules, Reason, Verdict

Unfit = Literal["open", "paused", "limited"]
"""Why a deployment is passed over while there are others: its breaker is open, it said 429, its own limit has no room."""

DECAY = 0.2
"""Weight of the newest time in the moving average: the last ten make nine tenths of it."""
PAUSE_S = 5.0
"""After a 429 that does not say how long."""
PAUSE_S_MAX = 300.0
STATES_MAX = 10_000
"""Deployments that are remembered; names behind patterns are the clients'."""


class Opened(msgspec.Struct, frozen=True):
    """A breaker as all edges see it."""

    reason: Reason
    since_ms: int
    tried_ms: int
    """When it was asked last."""


class Health(msgspec.Struct, frozen=True):
    """What the edges of a node share of deployments."""

    open: dict[str, Opened] = {}
    closed: dict[str, int] = {}
    """When breakers closed lately, in ms."""


class DeploymentState(msgspec.Struct, eq=False):
    """One deployment. Times are seconds of one clock."""

    name: str
    breaker: Breaker = msgspec.field(default_factory=Breaker)
    active: int = 0
    """Attempts under way."""
    first_token_s: float | None = None
    """Moving average of streams: from the attempt's begin to the first event; None before the first."""
    answer_s: float | None = None
    """The same of plain answers, to their head."""
    paused_until_s: float = 0.0
    allowances: dict[str, Allowance] = {}
    used: dict[str, float] = {}
    """By limit: what was sent there since its provider told what is left."""

    def unfit(self, now_s: float, tokens: int) -> Unfit | None:
        """Tell why a request of about so many input tokens is better sent elsewhere; None where it is welcome."""
        if self.breaker.reason is not None:
            return "open"
        if now_s < self.paused_until_s:
            return "paused"
        for kind, allowance in self.allowances.items():
            if kind == "output-tokens":
                needed = 1.0
            else:
                needed = 1.0 if kind == "requests" else float(max(min(tokens, int(allowance.limit)), 1))
            if allowance.left(now_s) - self.used.get(kind, 0.0) < needed:
                return "limited"
        return None

    def begin(self, tokens: int) -> None:
        """A request of about so many input tokens is sent there."""
        self.active += 1
        for kind in self.allowances:
            if kind != "output-tokens":
                self.used[kind] = self.used.get(kind, 0.0) + (1.0 if kind == "requests" else tokens)

    def end(self) -> None:
        """An attempt ended."""
        self.active -= 1

    def measure(self, seconds: float, is_stream: bool) -> None:
        """Take note of how long it took until the answer began."""
        if is_stream:
            before = self.first_token_s
            self.first_token_s = seconds if before is None else before + DECAY * (seconds - before)
        else:
            before = self.answer_s
            self.answer_s = seconds if before is None else before + DECAY * (seconds - before)

    def time_s(self, is_stream: bool) -> float | None:
        """Return the moving average for a kind of request; None where none is known."""
        if is_stream:
            return self.answer_s if self.first_token_s is None else self.first_token_s
        return self.first_token_s if self.answer_s is None else self.answer_s

    def pause(self, seconds: float | None, now_s: float) -> None:
        """It said 429: leave it alone for so long."""
        self.paused_until_s = max(
            self.paused_until_s, now_s + min(PAUSE_S if seconds is None else seconds, PAUSE_S_MAX)
        )

    def told(self, allowances: Mapping[str, Allowance]) -> None:
        """It said what is left of its limits: what was sent since then counts from now."""
        if allowances:
            self.allowances = {**self.allowances, **allowances}
            self.used = {kind: used for kind, used in self.used.items() if kind not in allowances}


class StateBook:
    """All states of an edge. `place` and `places`: which of the node's edges this is."""

    def __init__(self, place: int = 0, places: int = 1) -> None:
        self._states: dict[str, DeploymentState] = {}
        self._heard = Health()
        self._place, self._places = place, places
        self.troubled: set[str] = set()
        """Those that may be unfit now, or soon: whose provider tells its limits. Nobody has to look at others."""

    def of(self, name: str) -> DeploymentState:
        """Return the state of a deployment, from now on the same."""
        state = self._states.get(name)
        if state is None:
            if len(self._states) >= STATES_MAX:
                self._forget()
            state = self._states[name] = DeploymentState(name)
        return state

    def _forget(self) -> None:
        self._states = {name: one for name, one in self._states.items() if one.active or one.breaker.is_open}

    def probe_s(self, rules: BreakerRules) -> float:
        """Return how long this edge leaves an open breaker alone. The edges of a node differ, so that one asks and the others
        hear of
        it before they do; all wait no longer than the rules say."""
        return rules.probe_s * (1.0 - self._place / max(self._places - 1, 1) / 6.0)

    def note(
        self, state: DeploymentState, verdict: Verdict, started_s: float, now_s: float, rules: BreakerRules
    ) -> bool:
        """Take note of how an attempt ended; True where that opened or closed the breaker."""
        changed = state.breaker.note(verdict, started_s, now_s, rules)
        if changed and state.breaker.is_open:
            self.troubled.add(state.name)
        return changed

    def calm(self, states: Iterable[DeploymentState]) -> None:
        """These are fit: nobody has to look at them, but where limits may run out."""
        self.troubled.difference_update(
            state.name for state in states if not state.allowances and not state.breaker.is_open
        )

    def heed(self, health: Health, now_s: float, wall_ms: int) -> None:
        """Open and close what other edges saw."""
        if health is self._heard:
            return
        self._heard = health

        def at(ms: int) -> float:
            return now_s - max(wall_ms - ms, 0) / 1_000

        for name, opened in health.open.items():
            breaker = self.of(name).breaker
            since_s, tried_s = at(opened.since_ms), at(opened.tried_ms)
            if not breaker.is_open and since_s > breaker.closed_s:
                breaker.open(opened.reason, since_s)
                self.troubled.add(name)
            if breaker.is_open:
                breaker.tried_s = max(breaker.tried_s, tried_s)
        for name, closed_ms in health.closed.items():
            state = self._states.get(name)
            if state is not None and state.breaker.is_open and at(closed_ms) >= state.breaker.opened_s:
                state.breaker.close(at(closed_ms))

    @property
    def states(self) -> Iterable[DeploymentState]:
        """All that are known."""
        return self._states.values()
