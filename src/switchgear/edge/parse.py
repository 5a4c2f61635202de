"""Stage parse: what is asked? Level 4."""

from collections.abc import Callable

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.dialects import input_estimate, json_node, request, request_reader
from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.references import Reference
from switchgear.edge import passthrough, paths
from switchgear.edge.context import Outcome, RequestContext
from switchgear.edge.services import EdgeServices


def parse(services: EdgeServices, context: RequestContext) -> Outcome:
    """Fill `context.request`, and let go of the body; in steps where it is large."""
    operation = context.endpoint.operation
    assert operation is not None
    read = _OTHERWISE.get(operation)
    if read is not None:
        return read(context, operation)
    body, endpoint = context.body, context.endpoint
    if context.bytes_in >= input_estimate.SMALL_BYTES:
        context.media = input_estimate.media_of(body)
        if context.bytes_in >= json_node.LARGE_BYTES:
            return _parse_large(context, operation)
    context.body = b""
    try:
        context.request = request_reader.parse(
            body, endpoint.dialect.name, operation, context.path_argument or None, endpoint.stream
        )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    return None


def _parse_upload(context: RequestContext, operation: str) -> Problem | None:
    body, context.body, context.media = context.body, b"", (context.bytes_in, 0)
    kind = context.exchange.head.headers.get(b"content-type", b"")
    try:
        context.request = request_reader.parse_form(kind, body, operation, context.path_argument or None)
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    return None


def _parse_raw(context: RequestContext, operation: str) -> Outcome:
    return passthrough.read(context)


def _parse_stored(context: RequestContext, operation: str) -> Problem | None:
    """Read a request for something stored, which stands in the path alone."""
    asked = context.request = request.Request({}, context.endpoint.dialect.name, "stored", "", False)
    asked.refers_to, asked.stored_path = context.path_argument, operation
    asked.references = [Reference("response", context.path_argument, "id")]
    asked.method = context.exchange.head.method.decode("ascii")
    context.body = b""
    return None


def _parse_large(context: RequestContext, operation: str) -> Steps[Problem | None]:
    endpoint = context.endpoint
    body, context.body = context.body, b""
    try:
        context.request = yield from request_reader.parse_steps(
            body, endpoint.dialect.name, operation, context.path_argument or None, endpoint.stream
        )
    except InvalidBodyError as exc:
        return Problem(problems.INVALID_BODY, str(exc), exc.param)
    return None


_OTHERWISE: dict[str, Callable[[RequestContext, str], Outcome]] = {
    "passthrough": _parse_raw,
    **dict.fromkeys(("stored", "stored_items", "stored_cancel"), _parse_stored),
    **dict.fromkeys(paths.UPLOADS, _parse_upload),
}
"""Operations whose body is no JSON that is read here."""
