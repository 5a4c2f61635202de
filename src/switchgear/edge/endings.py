"""The ways in which a request ends: what the ledger notes of each, and what its client is told after that. Level 4.

`note_…` writes into the context what the settlement records; `tell_…` speaks to a client that is still there, with this turn's
output. Which way a request ends, and that it is settled once in between, is `edge.transfer`'s.
"""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.dialects import errors
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.kept_things import UNFINISHED
from switchgear.dialects.translation import JSON_TYPE
from switchgear.edge import setback, settle
from switchgear.edge.context import RequestContext
from switchgear.edge.course import Course
from switchgear.edge.services import EdgeServices
from switchgear.edge.setback import Setback
from switchgear.edge.upstream_answers import StreamAnswer

FAULT = "a fault of the gateway ended it"
INTERNAL = Problem(problems.INTERNAL, "internal error; an administrator finds it in the log by the request id")
BROKE_OFF = Problem(problems.UPSTREAM_BROKEN, "the provider's stream broke off")
AS_PROVIDER = b"x-switchgear-error: upstream_error\r\nx-switchgear-error-source: upstream\r\n"
GONE_STATUS = 499

# an answer that did not come


def note_unanswered(context: RequestContext, failure: Setback) -> bool:
    """Note what the last attempt costs; returns whether its provider may charge for it."""
    context.usage, context.units = failure.usage, failure.units
    if failure.is_estimated:
        context.estimate_reason = f"the provider did not answer completely ({failure.reason})"
    return failure.usage is not None


def note_said(context: RequestContext, failure: Setback) -> tuple[int, bytes, bytes, bytes | None]:
    """Note an end with the error that the provider said. Returns what the client is told: status, headers, body and its media
    type, None for the provider's own."""
    assert failure.said is not None
    assert context.translation is not None
    status, body = failure.said
    if status == problems.OVERLOADED_STATUS and failure.status is None:
        status = context.endpoint.dialect.errors.overloaded_status
    context.status = status
    context.outcome = "client_gone" if context.client_gone else failure.outcome
    context.error = ("upstream_error", failure.noted)
    translation = context.translation
    # What came under another status is put into the client's words, also where both speak one dialect.
    told, more, shown = (translation.error if failure.status is not None else translation.error_in_words)(
        status, body, context.id
    )
    context.bytes_out = len(shown)
    kind = JSON_TYPE if shown is not body or failure.status is None else None
    return told, more + AS_PROVIDER, shown, kind


def note_refusal(context: RequestContext, problem: Problem, outcome: str, note: str = "") -> None:
    """Note an end with an error of the gateway. `note` is what the record says, where that differs."""
    context.status = problem.case.status
    context.outcome = "client_gone" if context.client_gone else outcome
    context.error = (problem.case.code, note or problem.message)


def tell_refusal(services: EdgeServices, context: RequestContext, course: Course, problem: Problem) -> None:
    """Refuse, and say who was asked, and how often."""
    if not context.client_gone:
        told = b"%bx-switchgear-attempts: %d\r\n" % (course.current.headers, course.number)
        services.commit.call(context.exchange, services.refusals.refuse, context, problem, told)


# a stream that its client has begun to see


def note_end(context: RequestContext, streamed: StreamAnswer, is_missed: bool) -> None:
    """Note a stream that its provider ended. `is_missed` when its client was gone before it had everything."""
    is_clean = streamed.tap.is_clean
    if is_clean:
        context.outcome = "client_gone" if is_missed else "ok"
        why = "the provider reported no usage in the stream"
    else:
        context.outcome = "upstream_error"
        context.error = ("upstream_broken", "the stream ended without a proper end")
        why = "the stream broke off"
    usage = settle.reported(streamed.tap.metadata.usage)
    settle.complete(context, usage, streamed.seen_tokens, is_clean, why)


def tell_end(services: EdgeServices, context: RequestContext, streamed: StreamAnswer, out: bytes) -> None:
    """Send the last bytes of a stream, and end it as its provider did."""
    exchange, commit = context.exchange, services.commit
    if out:
        commit.call(exchange, exchange.write, out)
    if streamed.tap.is_clean:
        commit.call(exchange, exchange.end)
    elif streamed.tap.error:
        commit.call(exchange, exchange.abort)  # the provider's own error event was passed on
    else:
        _tell_broken(services, context, streamed, BROKE_OFF)


def note_broken(
    context: RequestContext, streamed: StreamAnswer, reason: str, message: str, note: str, is_whole: bool
) -> Problem:
    """Note a stream that broke off, for a reason in the words of `frames.Fail` or `edge.setback`; returns what its client is
    told. `note` is what the record says, where that differs; `is_whole` where a client that left missed nothing."""
    metadata = streamed.metadata
    is_final = _is_final(metadata)
    settle.complete(context, metadata.usage, streamed.seen_tokens, is_final, f"the stream broke off ({reason})")
    case, outcome = setback.FAILURES.get(reason, (problems.UPSTREAM_BROKEN, "upstream_error"))
    if context.client_gone:
        outcome = "ok" if is_whole else "client_gone"
    context.outcome = outcome
    context.error = (case.code, note or message)
    return Problem(case, message or "the stream broke off")


def tell_broken(services: EdgeServices, context: RequestContext, streamed: StreamAnswer, problem: Problem) -> None:
    """Send what is left of a stream, then its error."""
    if context.client_gone:
        return
    if rest := streamed.rest(None):
        services.commit.call(context.exchange, context.exchange.write, rest)
    _tell_broken(services, context, streamed, problem)


def _tell_broken(services: EdgeServices, context: RequestContext, streamed: StreamAnswer, problem: Problem) -> None:
    translation, exchange = context.translation, context.exchange
    assert translation is not None
    event = translation.broken(errors.of_problem(problem, context.id), streamed.tap)
    if event:
        services.commit.call(exchange, exchange.write, event)
    services.commit.call(exchange, exchange.abort)


# a client that left, and what nobody expected


def note_gone(
    context: RequestContext, streamed: StreamAnswer | None, outcome: str, why: str, seen_tokens: int | None
) -> None:
    """Note an end of which nobody is told. `seen_tokens` of an answer that is no stream, None where no provider was asked."""
    context.outcome = outcome
    context.status = context.status or GONE_STATUS
    if streamed is not None:
        metadata = streamed.metadata
        settle.complete(context, metadata.usage, streamed.seen_tokens, _is_final(metadata), why)
    elif seen_tokens is not None:
        settle.estimate(context, seen_tokens, why)


def _is_final(metadata: AnswerMetadata) -> bool:
    """Tell whether a stream that broke off had told how its answer ended."""
    return metadata.finish_reason is not None and metadata.finish_reason not in UNFINISHED


def note_barely(context: RequestContext) -> None:
    """Note no more than that a fault ended a request: something odd stands in what was to be recorded."""
    context.attempts, context.dropped, context.units = [], None, None
    settle.estimate(context, 0, FAULT)


def tell_fault(services: EdgeServices, context: RequestContext) -> None:
    """End the exchange of a request that a fault ended, if nothing else has."""
    exchange = context.exchange
    if exchange.is_ended:
        return
    if exchange.is_started:
        services.commit.call(exchange, exchange.abort)
    else:
        services.commit.call(exchange, services.refusals.refuse, context, INTERNAL)
