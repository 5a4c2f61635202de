"""What a client is told when it gets no answer, and what is noted of it. Level 4 (docs/contract.md §5)."""

from switchgear.core import problems
from switchgear.core.iso_time import format_time
from switchgear.core.log_line import Report
from switchgear.core.problems import Problem
from switchgear.dialects import errors
from switchgear.dialects.dialect import Dialect
from switchgear.edge import paths, telling
from switchgear.edge.context import RequestContext
from switchgear.edge.counters import Tally
from switchgear.edge.settle import DenialLog
from switchgear.edge.turn_commit import TurnCommit


class Refusals:
    """One per edge."""

    def __init__(self, denials: DenialLog, tally: Tally, commit: TurnCommit, report: Report) -> None:
        self.denials = denials
        self.tally = tally
        self._commit = commit
        self._report = report

    def refuse(self, context: RequestContext, problem: Problem, headers: bytes = b"") -> None:
        """Answer a request with a refusal, and with further header lines."""
        if context.exchange.is_ended:
            return
        dialect = context.endpoint.dialect
        status = problem.case.status
        if problem.case is problems.OVERLOADED:
            status = dialect.errors.overloaded_status
        elif problem.case is problems.BUDGET_SPENT:
            status = dialect.errors.spent_status
        more, body = dialect.error(errors.of_problem(problem, context.id))
        lines = _header_lines(problem, context.id, context.exchange.head.target, dialect)
        lines += context.limit_headers
        context.exchange.send(status, lines + headers + more, body)

    def deny(self, context: RequestContext, problem: Problem) -> None:
        """Refuse a request before anything was sent for it: count it, tell of it, and record it where its key is known."""
        context.problem = problem
        if context.key is not None:
            self.denials.deny(context)
            self._commit.schedule()
        self.turn_away(context, problem)

    def turn_away(self, context: RequestContext, problem: Problem) -> None:
        """Do the same without a record."""
        context.problem = problem
        self.tally.refuse(problem.case.code, problem.rule)
        telling.refusal(self._report, problem, context)
        self.refuse(context, problem)

    def of_server(self, problem: Problem, request_id: str, target: bytes) -> tuple[bytes, bytes]:
        """Return (header lines, body) of what the server itself refuses; it is counted and told of."""
        self.tally.refuse(problem.case.code, problem.rule)
        telling.refusal(self._report, problem, None)
        return rendered(problem, request_id, target, {})


def rendered(problem: Problem, request_id: str, target: bytes, headers: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return (header lines, body) of a refusal, in the shape that belongs to the path."""
    dialect = paths.dialect_of(target, headers)
    more, body = dialect.error(errors.of_problem(problem, request_id))
    return _header_lines(problem, request_id, target, dialect) + more, body


def _header_lines(problem: Problem, request_id: str, target: bytes, dialect: Dialect) -> bytes:
    case = problem.case
    lines = (
        b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-error: %b\r\n"
        b"x-switchgear-error-source: %b\r\n" % (request_id.encode(), case.code.encode(), case.source.encode())
    )
    if problem.retry_after_s is not None or case.status == 503:
        lines += b"retry-after: %d\r\n" % (problem.retry_after_s or 1)
    if problem.resets_ms is not None:
        lines += b"x-switchgear-budget-reset: %b\r\n" % format_time(problem.resets_ms).encode()
        if dialect.errors.tells_reset and problem.resets_in_s is not None:
            lines += b"retry-after: %d\r\n" % problem.resets_in_s
    if case.should_retry is not None:
        lines += b"x-should-retry: %b\r\n" % (b"true" if case.should_retry else b"false")
    if dialect.id_header:
        lines += b"%b: %b\r\n" % (dialect.id_header, request_id.encode())
    if case is problems.INVALID_KEY:
        lines += b"www-authenticate: Bearer\r\n"
    elif case is problems.METHOD_NOT_ALLOWED:  # RFC 9110 §15.5.6: "MUST generate an Allow header field"
        lines += b"allow: %b\r\n" % b", ".join(paths.methods_of(target))
    return lines
