"""What answers that pass by tell of those made in the background: that one begins, and what it cost in the end. Level 4."""

from switchgear.core.usage import TOKENS_MAX
from switchgear.dialects import kept_things
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.kept_things import UNFINISHED
from switchgear.dialects.request import Request
from switchgear.edge.bill import Bill
from switchgear.edge.context import RequestContext
from switchgear.edge.settle import reported
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind

GONE = frozenset({404, 410})
DELETED = "deleted"
NOT_FOUND = "not_found"
"""How an answer ended that its provider has no more."""
RAW = "passthrough"
REASON = "the answer is made in the background"


def is_pending(request: Request, metadata: AnswerMetadata) -> bool:
    """Tell whether a provider still makes what it answered. It goes on with the stream of such an answer, too, when that is cut."""
    if metadata.response_id is None:
        return False
    if request.operation == RAW:
        is_new = kept_things.is_response_id(metadata.response_id) and not is_earlier(request, metadata)
        return is_new and metadata.finish_reason in UNFINISHED
    if metadata.finish_reason is None:
        return request.operation == "chat" and bytes(request.fields.get("background", b"")) == b"true"
    return metadata.finish_reason in UNFINISHED


def is_earlier(request: Request, metadata: AnswerMetadata) -> bool:
    """Tell whether a raw path was asked for an answer that was made, and paid for, before: the request names it."""
    answer_id = metadata.response_id
    return (
        request.operation == RAW
        and kept_things.is_response_id(answer_id)
        and any(reference.id == answer_id for reference in request.references)
    )


def note(context: RequestContext, metadata: AnswerMetadata, bill: Bill | None, spool: SpoolWriter) -> None:
    """Record what a request for a stored answer was told of it, where it is finished. Where the disk has no room for that, somebody
    asks again. A server that puts zeros tells no usage."""
    request = context.request
    assert request is not None
    response_id = metadata.response_id
    is_named = response_id == request.refers_to or is_earlier(request, metadata)
    if response_id is None or not is_named or request.method == "DELETE":
        return
    if metadata.finish_reason is None or metadata.finish_reason in UNFINISHED:
        return
    usage = reported(metadata.usage)
    record = records.Late(
        context.id,
        response_id,
        metadata.finish_reason,
        usage,
        metadata.service_tier,
        metadata.units,
        *(bill.recorded() if bill is not None else (None, None, None)),
        min(metadata.written, TOKENS_MAX) if usage is None and metadata.written is not None else None,
    )
    _append(record, spool)


def note_gone(context: RequestContext, spool: SpoolWriter) -> None:
    """Record that a provider keeps an answer no more: its owner deleted it, or it says so. Nothing more is told of it."""
    request = context.request
    if request is None or request.operation != "stored" or request.stored_path != "stored" or not context.attempts:
        return
    response_id, status = request.refers_to, context.attempts[-1].status
    is_deleted = request.method == "DELETE" and status is not None and status < 300
    if response_id is not None and (is_deleted or status in GONE):
        _append(records.Late(context.id, response_id, DELETED if is_deleted else NOT_FOUND, None), spool)


def _append(record: records.Late, spool: SpoolWriter) -> None:
    payload = records.encode_payload(record)
    if spool.spare(payload):
        spool.append(Kind.LATE, payload)
