"""What an edge knows of deployments while it runs: who is busy, how fast, what is left, whose breaker is open. Level 1, no I/O.

Kept by deployment (`provider/model@credential`), whichever models lead there. An edge fills it by its own attempts; what other
edges saw comes by `StateBook.heed`, from what control makes of settlements (control/breakers). Nothing of it is on a disk.

No client (a team, else a key) can make a deployment look dead or full for others. What a client may have caused itself opens a
breaker and begins a pause for that client alone; they hold for all once a second one has the same to tell and nobody got a good
answer meanwhile. What is sent counts against a provider's limit while it is under way, and after a good answer; never beyond the
time at which the limit is full again.
"""

from collections.abc import Iterable, Mapping
from typing import Literal
from weakref import WeakValueDictionary

import msgspec

from switchgear.routing.allowance import Allowance, Headroom
from switchgear.routing.breaker import Breaker, BreakerRules, Reason, Verdict

Unfit = Literal["open", "paused", "limited"]
"""Why a deployment is passed over while there are others: its breaker is open, it said 429, its own limit has no room."""

DECAY = 0.2
"""Weight of the newest time in the moving average: the last ten make nine tenths of it."""
PAUSE_S = 5.0
"""After a 429 that does not say how long."""
PAUSE_S_MAX = 300.0
AGREED_S = 60.0
"""Within such a time two clients must have found a deployment dead."""
CLIENTS_MAX = 256
"""Of one deployment, whose failures are known apart."""
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


class ClientState(msgspec.Struct, eq=False):
    """One deployment, as one client finds it."""

    breaker: Breaker = msgspec.field(default_factory=Breaker)
    paused_until_s: float = 0.0
    headroom: Headroom = msgspec.field(default_factory=Headroom)

    def is_calm(self, now_s: float) -> bool:
        """Tell whether nothing speaks against it, now or soon."""
        return not self.breaker.is_open and self.paused_until_s <= now_s and self.headroom.is_full(now_s)


class DeploymentState(msgspec.Struct, eq=False, weakref=True):
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
    good_s: float = float("-inf")
    """When the last good answer ended."""
    clients: dict[str, ClientState] = {}

    def client(self, name: str) -> ClientState:
        """Return how a client finds it, from now on the same."""
        known = self.clients.get(name)
        if known is None:
            if len(self.clients) >= CLIENTS_MAX:
                del self.clients[next(iter(self.clients))]
            known = self.clients[name] = ClientState()
        return known

    def is_open(self, client: str = "") -> bool:
        """Tell whether it is left alone, by all or by this client."""
        own = self.clients.get(client)
        return self.breaker.reason is not None or (own is not None and own.breaker.reason is not None)

    def may_probe(self, why: Unfit, now_s: float, probe_s: float, client: str = "") -> bool:
        """Tell whether a request may be sent there although it is unfit. A client whose own breaker is open goes by that alone: its
        failures keep nobody else from trying."""
        if why == "limited":
            return self.client(client).headroom.may_try(now_s, probe_s)
        return why == "open" and self._tried(client).may_probe(now_s, probe_s, client)

    def claim(self, why: Unfit, now_s: float, client: str = "") -> None:
        """A request is sent there although it is unfit."""
        if why == "limited":
            self.client(client).headroom.limited_s = now_s
        elif why == "open":
            self._tried(client).claim(now_s, client)

    def _tried(self, client: str) -> Breaker:
        own = self.clients.get(client)
        return own.breaker if own is not None and own.breaker.reason is not None else self.breaker

    def unfit(self, now_s: float, tokens: int, client: str = "") -> Unfit | None:
        """Tell why a client's request of about so many input tokens is better sent elsewhere; None where it is welcome."""
        own = self.clients.get(client)
        if self.breaker.reason is not None or (own is not None and own.breaker.reason is not None):
            return "open"
        if now_s < self.paused_until_s or (own is not None and now_s < own.paused_until_s):
            return "paused"
        if own is not None and own.headroom.allowances and not own.headroom.has_room(now_s, tokens):
            return "limited"
        return None

    def begin(self, tokens: int, client: str = "") -> int:
        """A client's request of about so many input tokens is sent there. Returns what `end` is to be told."""
        self.active += 1
        own = self.clients.get(client)
        if own is None:
            return 0
        own.headroom.use(tokens, 1)
        return own.headroom.told_number

    def end(self, tokens: int, told_number: int, is_good: bool, client: str = "") -> None:
        """An attempt ended. Without a good answer nothing was used, as far as its provider does not say otherwise."""
        self.active -= 1
        own = self.clients.get(client)
        if own is not None and not is_good and told_number == own.headroom.told_number:
            own.headroom.use(tokens, -1)

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

    def pause(self, seconds: float | None, now_s: float, client: str = "") -> None:
        """It said 429 to a client: leave it alone for so long. All do as soon as it says so to a second one (a 429 may mean that a
        request is larger than the limit), as long as both are to."""
        until_s = now_s + min(PAUSE_S if seconds is None else seconds, PAUSE_S_MAX)
        own = self.client(client)
        others_s = max((one.paused_until_s for one in self.clients.values() if one is not own), default=0.0)
        own.paused_until_s = max(own.paused_until_s, until_s)
        self.paused_until_s = max(self.paused_until_s, min(until_s, others_s))

    def told(self, allowances: Mapping[str, Allowance], client: str = "") -> None:
        """It told a client what is left of its limits, which may be others for another client's requests (long contexts, tiers)."""
        self.client(client).headroom.told(allowances)

    def note(self, verdict: Verdict, started_s: float, now_s: float, rules: BreakerRules, client: str = "") -> bool:
        """Take note of how a client's attempt ended; True where that opened or closed the breaker of all."""
        breaker = self.breaker
        if verdict == "good":
            self.good_s = now_s
        if verdict != "doubtful":
            own = self.clients.get(client)
            if verdict == "good" and own is None:
                own = self.client(client)
            if own is not None and verdict in {"good", "neutral"}:
                own.breaker.note(verdict, started_s, now_s, rules, client)
            return breaker.note(verdict, started_s, now_s, rules, client)
        own = self.client(client)
        own.breaker.note(verdict, started_s, now_s, rules, client)
        if breaker.reason is not None:
            if client == breaker.tried_by:
                breaker.note(verdict, started_s, now_s, rules, client)
            return False
        since_s = max(now_s - AGREED_S, self.good_s)
        found = [one.breaker for one in self.clients.values() if one.breaker.reason is not None]
        if own.breaker.reason is None or sum(one.opened_s > since_s for one in found) < 2:
            return False
        breaker.open("failures", now_s)
        return True


class StateBook:
    """All states of an edge. `place` and `places`: which of the node's edges this is."""

    def __init__(self, place: int = 0, places: int = 1) -> None:
        self._states: dict[str, DeploymentState] = {}
        self._held: WeakValueDictionary[str, DeploymentState] = WeakValueDictionary()
        """Also those that were forgotten, while a resolution has them."""
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
            state = self._held.get(name)
            if state is None:
                state = self._held[name] = DeploymentState(name)
            self._states[name] = state
        return state

    def _forget(self) -> None:
        self._states = {name: one for name, one in self._states.items() if one.active or one.breaker.is_open}
        self.troubled.intersection_update(self._held)

    def probe_s(self, rules: BreakerRules) -> float:
        """Return how long this edge leaves an open breaker alone. The edges of a node differ, so that one asks and the others
        hear of
        it before they do; all wait no longer than the rules say."""
        return rules.probe_s * (1.0 - self._place / max(self._places - 1, 1) / 6.0)

    def note(
        self,
        state: DeploymentState,
        verdict: Verdict,
        started_s: float,
        now_s: float,
        rules: BreakerRules,
        client: str = "",
    ) -> bool:
        """Take note of how a client's attempt ended; True where that opened or closed the breaker of all."""
        changed = state.note(verdict, started_s, now_s, rules, client)
        if state.is_open(client):
            self.troubled.add(state.name)
        return changed

    def calm(self, states: Iterable[DeploymentState], now_s: float) -> None:
        """Nobody has to look at those that are fit for everybody, but where limits may run out."""
        self.troubled.difference_update(
            state.name
            for state in states
            if state.name in self.troubled
            and not state.breaker.is_open
            and state.paused_until_s <= now_s
            and all(one.is_calm(now_s) for one in state.clients.values())
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
