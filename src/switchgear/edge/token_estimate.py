"""Tokens counted for a provider that has no way to: a quarter of the bytes, said to be an estimate. Level 4.

It costs nothing and is a record.
"""

from typing import Literal

import msgspec

from switchgear.core import problems
from switchgear.core.errors import SpoolFullError
from switchgear.core.problems import Problem
from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.edge import settle
from switchgear.edge.context import Halt, RequestContext
from switchgear.edge.course import Course
from switchgear.edge.services import EdgeServices

_LEDGER_FULL = Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record new requests; try again soon", None, 5)


def is_needed(context: RequestContext, course: Course) -> bool:
    """Tell whether the provider cannot be asked."""
    assert context.request is not None
    speaks = course.current.deployment.provider.dialects
    return choose_dialect(context.request.dialect, "count_tokens", speaks) is None


def answer(services: EdgeServices, context: RequestContext, course: Course) -> Problem | Literal[Halt.DONE]:
    """Answer with the estimate."""
    priced = course.current
    try:
        settle.reserve(context, priced, services.spool)
    except SpoolFullError:
        return _LEDGER_FULL
    context.status, context.outcome = 200, "ok"
    context.deployment, context.pricer = priced.deployment, priced.pricer
    shown = context.endpoint.dialect.count
    assert shown is not None
    body = msgspec.json.encode(shown(context.input_estimate))
    context.bytes_out = len(body)
    elapsed_ms = int((services.clock.monotonic_s() - context.started_s) * 1000)
    settle.settle(context, services.spool, elapsed_ms, billed=False)
    headers = (
        b"content-type: application/json\r\nx-request-id: %b\r\nx-switchgear-estimated: true\r\n" % context.id.encode()
    )
    services.commit.call(context.exchange, context.exchange.send, 200, headers + priced.headers, body)
    return Halt.DONE
