"""When a deployment is left alone for a while, and when it is asked again. Level 1, pure: the clock is an argument.

A breaker opens after failures in a row, at a rate of failures among enough attempts, and at once where a provider does not know the
gateway's credential (401, 407). While it is open, one real request per `probe_s` is sent there; a good answer closes it. No
request is ever made only to look: it would cost money. An answer that was asked for before it opened closes nothing.

Most failures may be a client's doing: an answer that takes too long because it was asked to be long, a 500 for an odd schema, a 403
that means a moderated prompt. They are `doubtful`, and count for the client that had them alone (routing/states) until others have
them, too.
"""

from typing import Literal

import msgspec

from switchgear.routing.retry import OUR_FAULT

Verdict = Literal["good", "failed", "credential", "doubtful", "neutral"]
"""What an attempt says of its deployment. `failed`, `credential`: nothing that a client sent can have been the cause;
`doubtful`: it may have been. `neutral`: nothing, as a client's mistake, or a client that left."""
Reason = Literal["failures", "error_rate", "credential"]

WINDOW_S = 30.0
"""The rate of failures is that of this and the last window."""
_FAILED = frozenset({"connect"})
_DOUBTFUL = frozenset({"timeout", "broken", "unfinished", "garbage", "error_200", "error_first"})
_UNKNOWN = frozenset({401, 407})
"""Statuses that say that the credential is none: a 402 or 403 may be about what was asked (OpenRouter's 403 is a prompt that was
flagged: its page "Errors", read 2026-11-27; its 402 may ask for fewer `max_tokens`: from memory)."""


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
    tried_by: str = ""
    """Whose request that was."""
    is_tried: bool = False
    """Its end is not known yet."""
    is_due: bool = False
    """It said nothing: anybody else may try at once."""
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

    def may_probe(self, now_s: float, probe_s: float, client: str = "") -> bool:
        """Tell whether a client's request may be sent there although it is open. One whose last one says nothing yet, or said
        nothing, gives others the time to try: it cannot keep it open by asking first."""
        if client == self.tried_by:
            return now_s - self.tried_s >= (2 * probe_s if self.is_tried else probe_s)
        return self.is_due or now_s - self.tried_s >= probe_s

    def claim(self, now_s: float, client: str = "") -> None:
        """A request is sent there: others wait for `probe_s` again."""
        self.tried_s, self.tried_by, self.is_tried, self.is_due = now_s, client, True, False

    def note(self, verdict: Verdict, started_s: float, now_s: float, rules: BreakerRules, client: str = "") -> bool:
        """Take note of how a client's attempt ended that began at `started_s`. Returns True where that opened or closed it."""
        is_probe = self.is_tried and client == self.tried_by and started_s >= self.tried_s
        if verdict == "neutral":
            if is_probe:
                self.is_tried, self.is_due = False, True
            return False
        if self.reason is not None:
            if verdict == "good" and started_s >= self.opened_s:
                self.close(now_s)
                return True
            if verdict != "good" and started_s >= self.tried_s:
                self.tried_s = now_s  # its probe failed: the pause counts from then
                self.is_tried = self.is_due = False
            return False
        if verdict == "credential":
            self.open("credential", now_s)
            return True
        self._count(verdict == "good", now_s)
        if self.failures_in_row >= rules.failures:
            self.open("failures", now_s)
            return True
        good, bad = self.good + self.before[0], self.bad + self.before[1]
        if verdict != "good" and good + bad >= rules.requests_min and bad > rules.error_rate * (good + bad):
            self.open("error_rate", now_s)
            return True
        return False

    def open(self, reason: Reason, now_s: float) -> None:
        """Open it, whoever saw why."""
        self.reason, self.opened_s, self.tried_s = reason, now_s, now_s
        self.tried_by, self.is_tried, self.is_due = "", False, False

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


def verdict_of(status: int | None, error: str | None, said: int | None = None) -> Verdict:
    """Return what an attempt's end says of its deployment: its status, and why it failed in the words of `frames.Fail` or
    `edge.setback`; `said` is the status that an error object within an answer stands for. A 429 is a limit and no failure; a 404
    may be a name that a client invented."""
    if error is not None:
        if error in _FAILED:
            return "failed"
        if error not in _DOUBTFUL or (said is not None and not _is_doubtful(said)):
            return "neutral"
        return "doubtful"
    if status is None:
        return "neutral"
    if status < 400:
        return "good"
    if status in _UNKNOWN:
        return "credential"
    return "doubtful" if _is_doubtful(status) else "neutral"


def _is_doubtful(status: int) -> bool:
    return status >= 500 or status == 408 or status in OUR_FAULT
