"""How an attempt fails before its client got a byte: what is decided upon, recorded, charged, and said at the end. Level 4.

Whether a provider charges for what it did not deliver is not known here. Sent and unanswered: its input is estimated, and
what was seen of an answer. An error of the provider's own is free, as providers say of them.
"""

import msgspec

from switchgear.core import problems
from switchgear.core.problems import Case, Problem
from switchgear.core.usage import TokenUsage
from switchgear.dialects import errors, meanings
from switchgear.dialects.answer_metadata import AnswerMetadata, Unfit
from switchgear.dialects.taps import Tap
from switchgear.wire.frames import Fail


class Setback(msgspec.Struct, frozen=True):
    """An attempt that failed."""

    reason: str | None
    """In one word, for the record and the decision; None where `status` says it."""
    problem: Problem
    """What the client is told when nothing else is tried and the provider said nothing that can be shown."""
    outcome: str = "upstream_error"
    status: int | None = None
    """The provider's status of 400 and above."""
    retry_after_s: float | None = None
    said: tuple[int, bytes] | None = None
    """An error of the provider's own: the status it stands for, and its body."""
    usage: TokenUsage | None = None
    """What may be charged; None: nothing."""
    is_estimated: bool = False
    service_tier: str | None = None
    units: dict[str, int] | None = None
    """What may be charged beside tokens: tools that ran before it failed."""
    kind: str | None = None
    """What the provider's error means (dialects/meanings): `context_length`, `content_policy` …; None where its status says all."""
    note: str = ""
    """What records and the log say, where that differs: hosts and details that are not the client's affair, and never a
    sentence of the provider's, which may quote the prompt."""

    @property
    def noted(self) -> str:
        """What records and the log say."""
        return self.note or self.problem.message


FAILURES: dict[str, tuple[Case, str]] = {
    "connect": (problems.UPSTREAM_UNREACHABLE, "upstream_error"),
    "timeout": (problems.UPSTREAM_TIMEOUT, "timeout"),
    "broken": (problems.UPSTREAM_BROKEN, "upstream_error"),
    "refused": (problems.UPSTREAM_UNREACHABLE, "upstream_error"),
    "overloaded": (problems.OVERLOADED, "upstream_error"),
    "vault_lost": (problems.UPSTREAM_BROKEN, "interrupted"),
    "internal": (problems.INTERNAL, "interrupted"),
    "frozen": (problems.FROZEN, "interrupted"),
    "interrupted": (problems.INTERRUPTED, "interrupted"),
    "overrun": (problems.BUDGET_SPENT, "interrupted"),
}
"""Reason → (what the client is told, the record's outcome)."""
NOT_SENT = frozenset({"connect", "refused", "overloaded"})
"""Reasons for which no provider was asked anything."""
_MESSAGES = {
    "connect": "the provider cannot be reached",
    "timeout": "the provider was too slow",
    "refused": "the vault refused the request",
    "overloaded": "the gateway is at its ceiling",
    "vault_lost": "the request was interrupted inside the gateway",
}


_SHOWN = frozenset({"timeout", "overloaded", "broken"})
"""Failures whose details name no host: a time, a ceiling, what was wrong with the answer's HTTP."""


def text_of(reason: str, details: str = "") -> str:
    """Return what a client is told of a failure: nothing of hosts and addresses inside."""
    text = _MESSAGES.get(reason, "the provider's response broke off")
    return f"{text}: {details}" if details and reason in _SHOWN else text


def of_fail(fail: Fail, input_estimate: int, seen_tokens: int) -> Setback:
    """No complete response. `seen_tokens` is an estimate of what came of one."""
    case, outcome = FAILURES.get(fail.reason, (problems.UPSTREAM_BROKEN, "upstream_error"))
    message = text_of(fail.reason)
    told = text_of(fail.reason, fail.message)
    return Setback(
        fail.reason,
        Problem(case, told),
        outcome,
        note=f"{message}: {fail.message}" if fail.message else message,
        usage=TokenUsage(input=input_estimate, output=seen_tokens) if fail.dispatched else None,
        is_estimated=fail.dispatched,
    )


def of_status(status: int, body: bytes, retry_after_s: float | None, is_refused: bool) -> Setback:
    """An error status. `is_refused`: it concerns the gateway's credential, which the client cannot put right and must not take
    for its own key."""
    if is_refused:
        text = f"the provider refused the gateway's credential (status {status}); an administrator has to look at it"
        return Setback(None, Problem(problems.UPSTREAM_AUTH, text), status=status)
    outcome = "client_error" if status < 500 and status not in {408, 429} else "upstream_error"
    problem = Problem(problems.UPSTREAM_BROKEN, f"the provider answered {status}")
    note = f"the provider answered {status}{errors.label_of(body)}"
    return Setback(None, problem, outcome, status, retry_after_s, (status, body), note=note, kind=_kind(status, body))


def _kind(status: int, body: bytes) -> str | None:
    found = meanings.find(status, body, errors.message_of(body))
    return None if found is None else found.meaning


def of_answer(unfit: Unfit, metadata: AnswerMetadata, body: bytes, input_estimate: int) -> Setback:
    """A status of success, and a body that is no answer. An error object says what it stands for; anything else may have cost
    what an answer costs."""
    if unfit.is_error:
        return _of_error("error_200", metadata.usage, body)
    usage = metadata.usage or TokenUsage(input=input_estimate, output=0)
    return Setback(
        "garbage",
        Problem(problems.UPSTREAM_BROKEN, f"the provider's answer is none: {unfit.text}"),
        note="the provider's answer is none" if metadata.unfit is None else "",
        usage=usage,
        is_estimated=metadata.usage is None,
        service_tier=metadata.service_tier,
        units=metadata.units,
    )


def of_stream(tap: Tap, text: str, event: bytes | None, input_estimate: int) -> Setback:
    """A stream that said nothing before it failed. `event` is the data of the provider's own error event, if it was one."""
    metadata = tap.metadata
    if event is not None:
        return _of_error("error_first", metadata.usage, event)
    return Setback(
        "unfinished",
        Problem(problems.UPSTREAM_BROKEN, text),
        note="the provider's stream broke off before it said anything",
        usage=metadata.usage or TokenUsage(input=input_estimate, output=tap.output_tokens_estimate),
        is_estimated=metadata.usage is None,
        service_tier=metadata.service_tier,
        units=metadata.units,
    )


def _of_error(reason: str, usage: TokenUsage | None, body: bytes) -> Setback:
    status = errors.status_of(body)
    outcome = "client_error" if status < 500 and status not in {408, 429} else "upstream_error"
    problem = Problem(problems.UPSTREAM_BROKEN, f"the provider answered with an error: {errors.message_of(body)[:512]}")
    note = f"the provider answered with an error{errors.label_of(body)}"
    return Setback(reason, problem, outcome, said=(status, body), usage=usage, note=note, kind=_kind(status, body))
