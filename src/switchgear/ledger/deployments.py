"""What the attempts of a deployment came to: how many, how they ended, how long they took, how it does now. Level 3. Pure.

Counted from settlements as they are booked: each attempt of a request stands in one settlement, which is booked once, whatever
dies, so these counts are those of the ledger and need no record of their own (decision 053).
"""

import msgspec

from switchgear.core.histogram import Histogram
from switchgear.core.ids import deployment_id
from switchgear.ledger import build
from switchgear.ledger.build import NOT_THE_PROVIDERS, OpenRequest
from switchgear.ledger.record import Record
from switchgear.routing.retry import OUR_FAULT
from switchgear.wire import records

LATENCY_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
"""Upper bounds: answers of models take from a tenth of a second to minutes."""
FIRST_TOKEN_MS = (25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200)

OK = "ok"
CREDENTIAL = "credential"
CLIENT = "client_error"
"""The provider refused the request for what the client asked: it says nothing of the deployment."""
GATEWAY = "gateway"
"""The attempt ended for a reason of this side: the client went away, a freeze, a ceiling, a process that died."""
_OF_ERROR = {
    **dict.fromkeys(NOT_THE_PROVIDERS | {"internal"}, GATEWAY),
    "connect": "connect",
    "timeout": "timeout",
    "broken": "broken",
    "unfinished": "broken",
    "garbage": "broken",
    "error_200": "server_error",
    "error_first": "server_error",
}
_OF_STATUS = {**dict.fromkeys(OUR_FAULT, "credential"), 404: "not_found", 408: "timeout", 429: "rate_limit"}
OUTCOMES = (
    OK,
    CLIENT,
    GATEWAY,
    "credential",
    "not_found",
    "rate_limit",
    "timeout",
    "connect",
    "broken",
    "server_error",
)
"""How an attempt may end. `credential`: the provider refuses ours; `not_found`: it does not know the model."""
NEUTRAL = frozenset({CLIENT, GATEWAY})
HARD = frozenset({"connect"})
"""Failures that the breakers of a node count: no request can have been the cause. Others are known by client to each edge alone
(routing/states)."""
CREDENTIAL_UNKNOWN = frozenset({401, 407})
"""Statuses that say that the credential is none, whatever was asked."""


def outcome_of(status: int | None, error: str | None) -> str:
    """Return how an attempt ended, in one word of OUTCOMES."""
    if error is not None:
        return _OF_ERROR.get(error, "broken")
    if status is None:
        return GATEWAY
    if status < 400:
        return OK
    return _OF_STATUS.get(status, CLIENT if status < 500 else "server_error")


class DeploymentCounts(msgspec.Struct, kw_only=True):
    """Counts of one deployment."""

    since_ms: int = 0
    """When the first attempt ended that was counted."""
    outcomes: dict[str, int] = {}
    """Attempts, by how they ended."""
    latency: Histogram = msgspec.field(default_factory=lambda: Histogram(LATENCY_MS))
    """Of attempts that were answered: from their begin to the end of the answer."""
    first_token: Histogram = msgspec.field(default_factory=lambda: Histogram(FIRST_TOKEN_MS))
    """Of streams that were answered: from the attempt's begin to the first byte for the client."""
    last_success_ms: int | None = None
    last_failure_ms: int | None = None
    last_failure: str | None = None
    failures_in_row: int = 0
    """Since the last good answer, in the order in which the ledger took them."""
    hard_failures_in_row: int = 0
    """Of these, those that a breaker counts."""
    credential_unknown_in_row: int = 0
    """Of these, those that say that the provider does not know the credential."""
    last_good_start_ms: int | None = None
    """When the attempt began whose answer was the last good one."""
    has_succeeded: bool = False
    """Within what these counts are of: where they are added to others, the row of failures begins anew."""

    @property
    def attempts(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())

    @property
    def failures(self) -> int:
        """Attempts that failed at the provider."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != OK and outcome not in NEUTRAL)

    @property
    def last_ms(self) -> int:
        """When it was last used, as far as the provider said anything."""
        return max(self.last_success_ms or 0, self.last_failure_ms or 0, self.since_ms)

    def add(
        self,
        outcome: str,
        at_ms: int,
        latency_ms: int = 0,
        first_token_ms: int | None = None,
        status: int | None = None,
    ) -> None:
        """Count an attempt that ended at a time."""
        if outcome == OK:
            self.add_good([latency_ms], [] if first_token_ms is None else [first_token_ms], at_ms)
            return
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.since_ms = self.since_ms or at_ms
        if outcome not in NEUTRAL:
            self.failures_in_row += 1
            self.hard_failures_in_row += outcome in HARD
            self.credential_unknown_in_row += outcome == CREDENTIAL and status in CREDENTIAL_UNKNOWN
            if at_ms >= (self.last_failure_ms or 0):
                self.last_failure_ms, self.last_failure = at_ms, outcome

    def add_good(self, latencies_ms: list[int], first_tokens_ms: list[int], at_ms: int) -> None:
        """Count attempts that were answered, the last of them at a time."""
        self.outcomes[OK] = self.outcomes.get(OK, 0) + len(latencies_ms)
        self.since_ms = self.since_ms or at_ms
        self.latency.add_all(latencies_ms)
        self.first_token.add_all(first_tokens_ms)
        self.last_success_ms = max(self.last_success_ms or 0, at_ms)
        self.last_good_start_ms = max(self.last_good_start_ms or 0, at_ms - latencies_ms[-1])
        self.failures_in_row = self.hard_failures_in_row = self.credential_unknown_in_row = 0
        self.has_succeeded = True

    def merge(self, later: "DeploymentCounts") -> None:
        """Add counts that were taken after these."""
        for outcome, count in later.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        self.since_ms = self.since_ms or later.since_ms
        self.latency.merge(later.latency)
        self.first_token.merge(later.first_token)
        if later.last_success_ms is not None:
            self.last_success_ms = max(self.last_success_ms or 0, later.last_success_ms)
        if later.last_good_start_ms is not None:
            self.last_good_start_ms = max(self.last_good_start_ms or 0, later.last_good_start_ms)
        if later.last_failure_ms is not None and later.last_failure_ms >= (self.last_failure_ms or 0):
            self.last_failure_ms, self.last_failure = later.last_failure_ms, later.last_failure
        self.failures_in_row = later.failures_in_row + (0 if later.has_succeeded else self.failures_in_row)
        before = 0 if later.has_succeeded else self.hard_failures_in_row
        self.hard_failures_in_row = later.hard_failures_in_row + before
        before = 0 if later.has_succeeded else self.credential_unknown_in_row
        self.credential_unknown_in_row = later.credential_unknown_in_row + before
        self.has_succeeded = self.has_succeeded or later.has_succeeded


Counts = dict[str, DeploymentCounts]
"""By deployment: `provider/model@credential`."""


class _Good:
    """Good answers of one place that were not counted yet."""

    __slots__ = ("at_ms", "callee", "first_tokens_ms", "latencies_ms")

    def __init__(self, callee: records.Callee) -> None:
        self.callee = callee
        self.latencies_ms: list[int] = []
        self.first_tokens_ms: list[int] = []
        self.at_ms = 0


class Counter:
    """Counts the attempts of settled requests. Most requests are one attempt with a good answer: these are gathered and counted
    together, which costs a third of counting each."""

    def __init__(self) -> None:
        self._counts: Counts = {}
        self._good: dict[int, _Good] = {}
        """By the identity of the place, which requests share (ledger/open_requests)."""

    def settled(self, opened: OpenRequest, settle: records.Settle) -> None:
        """Count a settled request."""
        attempts = settle.attempts
        if len(attempts) == 1:
            one = attempts[0]
            if one.error is None and one.status is not None and one.status < 400 and one.number == 1:
                callee = opened.callee
                good = self._good.get(id(callee))
                if good is None:
                    good = self._good[id(callee)] = _Good(callee)
                good.latencies_ms.append(one.end_ms - one.start_ms)
                if settle.ttft_ms is not None and opened.reserve.stream:
                    good.first_tokens_ms.append(settle.ttft_ms - one.start_ms)
                good.at_ms = opened.reserve.time_ms + one.end_ms
                return
        self._flush()
        for one in build.tries(settle):
            first_ms = None
            if opened.reserve.stream and settle.ttft_ms is not None and one is attempts[-1]:
                first_ms = settle.ttft_ms - one.start_ms
            outcome, at_ms = outcome_of(one.status, one.error), opened.reserve.time_ms + one.end_ms
            callee_of = build.callee_of(opened, one.number)
            self._of(callee_of).add(outcome, at_ms, one.end_ms - one.start_ms, first_ms, one.status)

    def interrupted(self, opened: OpenRequest, record: Record) -> None:
        """Count a request that nobody settled: nobody saw how its attempts ended."""
        for attempt in record.attempts:
            self._named(attempt.deployment).add(GATEWAY, opened.reserve.time_ms)

    @property
    def counts(self) -> Counts:
        """What was counted, by deployment."""
        self._flush()
        return self._counts

    def _flush(self) -> None:
        for good in self._good.values():
            self._of(good.callee).add_good(good.latencies_ms, good.first_tokens_ms, good.at_ms)
        self._good = {}

    def _of(self, callee: records.Callee | records.Attempt) -> DeploymentCounts:
        return self._named(deployment_id(callee.provider, callee.upstream_model, callee.credential))

    def _named(self, name: str) -> DeploymentCounts:
        found = self._counts.get(name)
        if found is None:
            found = self._counts[name] = DeploymentCounts()
        return found
