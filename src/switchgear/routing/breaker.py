"""When a deployment is left alone for a while, and when it is asked again. Level 1, pure: the clock is an argument.

A breaker opens after failures in a row, at a rate of failures among enough attempts, and at once where a provider refuses the
gateway's credential (401, 402, 403, 407). While it is open, one real request per `probe_s` is sent there; a good answer closes
it. No
request is ever made only to look: it would cost money. An answer that was asked for before it opened closes nothing.
"""

from typing import Literal

import msgspec

from switchgear.routing.retry import OUR_FAULT

Verdict = Literal["good", "failed", "credential", "neutral"]
"""What an attempt says of its deployment. `neutral`: nothing, as a client's mistake, or a client that left."""
Reason = Literal["failures", "error_rate", "credential"]

WINDOW_S = 30.0
"""The rate of failures is that of this and the last window."""
_FAILED = frozenset({"connect", "timeout", "broken", "unfinished", "garbage", "error_200", "error_first"})


class BreakerRules(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and how long it is left alone."""

    failures: int = 5
    """So many in a row."""
    error_rate: float = 0.5
    """A share of failures above it, of at least `requests_min` attempts in 30 to 60 s."""
    requests_min: int = 20
    probe_s: float = 15.0
    """How long until one request is sent there again: four a minute at most."""


class Breaker(msgspec.Struct, eq=False):
    """The breaker of one deployment. Times are seconds of one clock."""

    reason: Reason | None = None
    """Why it is open; None: it is closed."""
    opened_s: float = 0.0
    closed_s: float = float("-inf")
    tried_s: float = 0.0
    """While it is open: when a request was sent there last."""
    failures_in_row: int = 0
    window_s: float = float("-inf")
    """When the present window began."""
    good: int = 0
    bad: int = 0
    before: tuple[int, int] = (0, 0)
    """Good and bad ones of the window before."""

    @property
    def is_open(self) -> bool:
        """True while its deployment is left alone."""
        return self.reason is not None

    def may_probe(self, now_s: float, probe_s: float) -> bool:
        """Tell whether a request may be sent there although it is open."""
        return now_s - self.tried_s >= probe_s

    def claim(self, now_s: float) -> None:
        """A request is sent there: others wait for `probe_s` again."""
        self.tried_s = now_s

    def note(self, verdict: Verdict, started_s: float, now_s: float, rules: BreakerRules) -> bool:
        """Take note of how an attempt ended that began at `started_s`. Returns True where that opened or closed it."""
        if verdict == "neutral":
            return False
        if self.reason is not None:
            if verdict == "good" and started_s >= self.opened_s:
                self.close(now_s)
                return True
            if verdict != "good" and started_s >= self.tried_s:
                self.tried_s = now_s  # its probe failed: the pause counts from then
            return False
        if verdict == "credential":
            self.open("credential", now_s)
            return True
        self._count(verdict == "good", now_s)
        if self.failures_in_row >= rules.failures:
            self.open("failures", now_s)
            return True
        good, bad = self.good + self.before[0], self.bad + self.before[1]
        if verdict == "failed" and good + bad >= rules.requests_min and bad > rules.error_rate * (good + bad):
            self.open("error_rate", now_s)
            return True
        return False

    def open(self, reason: Reason, now_s: float) -> None:
        """Open it, whoever saw why."""
        self.reason, self.opened_s, self.tried_s = reason, now_s, now_s

    def close(self, now_s: float) -> None:
        """Close it, and forget what was counted."""
        self.reason, self.closed_s, self.failures_in_row = None, now_s, 0
        self.good, self.bad, self.before, self.window_s = 0, 0, (0, 0), now_s

    def _count(self, is_good: bool, now_s: float) -> None:
        if now_s - self.window_s >= WINDOW_S:
            is_next = now_s - self.window_s < 2 * WINDOW_S
            self.before = (self.good, self.bad) if is_next else (0, 0)
            self.good = self.bad = 0
            self.window_s = now_s
        if is_good:
            self.good += 1
            self.failures_in_row = 0
        else:
            self.bad += 1
            self.failures_in_row += 1


def verdict_of(status: int | None, error: str | None) -> Verdict:
    """Return what an attempt's end says of its deployment: its status, and why it failed in the words of `frames.Fail` or
    `edge.setback`. A 429 is a limit and no failure; a 404 may be a name that a client invented."""
    if error is not None:
        return "failed" if error in _FAILED else "neutral"
    if status is None:
        return "neutral"
    if status < 400:
        return "good"
    if status in OUR_FAULT:
        return "credential"
    return "failed" if status >= 500 or status == 408 else "neutral"
