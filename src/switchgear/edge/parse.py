"""Stage parse: what is asked? Level 4."""

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.dialects import input_estimate, request
from switchgear.dialects.references import Reference
from switchgear.dialects.shape import InvalidBodyError
from switchgear.edge import passthrough, paths
from switchgear.edge.context import RequestContext
from switchgear.edge.services import EdgeServices


def parse(services: EdgeServices, context: RequestContext) -> Problem | Steps[Problem | None] | None:
    """Fill `context.request`, and let go of the body; in steps where it is large."""
    operation = context.endpoint.operation
    assert operation is not None
    if operation == "passthrough":
        return passthrough.read(context)
    if operation.startswith("stored"):
        _parse_stored(context, operation)
        return None
    if operation in paths.UPLOADS:
        context.media = (context.bytes_in, 0)
    elif context.bytes_in >= input_estimate.SMALL_BYTES:
        context.media = input_estimate.media_of(context.body)
        if context.bytes_in >= request.LARGE_BYTES:
            return _parse_large(context, operation)
    try:
        if operation in paths.UPLOADS:
            kind = context.exchange.head.headers.get(b"content-type", b"")
            context.request = request.parse_form(kind, context.body, operation, context.path_argument or None)
        else:
            endpoint = context.endpoint
            context.request = request.parse(
                context.body, endpoint.dialect.name, operation, context.path_argument or None, endpoint.stream
            )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    context.body = b""
    return None


def _parse_stored(context: RequestContext, operation: str) -> None:
    """Read a request for something stored, which stands in the path alone."""
    asked = context.request = request.Request({}, context.endpoint.dialect.name, "stored", "", False)
    asked.refers_to, asked.stored_path = context.path_argument, operation
    asked.references = [Reference("response", context.path_argument, "id")]
    asked.method = context.exchange.head.method.decode("ascii")
    context.body = b""


def _parse_large(context: RequestContext, operation: str) -> Steps[Problem | None]:
    endpoint = context.endpoint
    body, context.body = context.body, b""
    try:
        context.request = yield from request.parse_steps(
            body, endpoint.dialect.name, operation, context.path_argument or None, endpoint.stream
        )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    return None
