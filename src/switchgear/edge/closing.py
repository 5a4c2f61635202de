"""How a request ends: its settlement, what its answer costs beside its tokens, and what the provider keeps since. Level 4."""

from switchgear.dialects import kept_things
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.kept_things import UNFINISHED
from switchgear.dialects.request import Request
from switchgear.edge import background_notes, settle, stored_access
from switchgear.edge.bill import Bill, bill_of
from switchgear.edge.context import RequestContext
from switchgear.edge.resolver import PricedDeployment
from switchgear.edge.services import EdgeServices
from switchgear.pricing.price import Pricer

_FALSE = b"false"
_NO_END = UNFINISHED | {None}
"""What answers say that their provider may go on with."""
_OF_EARLIER = frozenset({"stored", background_notes.RAW})
"""What may tell of an answer that was asked for before."""
NAMED_MAX = 64


def close(
    services: EdgeServices,
    context: RequestContext,
    priced: PricedDeployment,
    metadata: AnswerMetadata | None,
    elapsed_ms: int,
    billed: bool = True,
) -> int | None:
    """Settle a request; returns the cost in nano-USD. `metadata` is what the answer said of itself, None where
    there was none; `billed` is False where no provider can have charged."""
    request = context.request
    assert request is not None
    if metadata is None:
        background_notes.note_gone(context, services.spool)
        return settle.settle(context, services.spool, elapsed_ms, billed=billed)
    if billed and context.units is None:
        context.units = metadata.units  # of a stream: a plain answer's are in place
    response_id, bill = metadata.response_id, None
    finish_reason = metadata.finish_reason
    if metadata.kept or (response_id is not None and "diagnostics" in request.fields):
        ids = _kept(context, request, metadata)
        if ids:
            services.stored.keep(context, priced.credential_id, ids)
    if billed and (
        (metadata.model is not None and metadata.model != priced.deployment.upstream_model)
        or metadata.others is not None
        or metadata.cost is not None
        or context.pricer is None
    ):
        bill = _bill(services, context, priced, metadata)
    if request.operation in _OF_EARLIER and (
        request.operation == "stored" or background_notes.is_earlier(request, metadata)
    ):
        background_notes.note_gone(context, services.spool)
        if request.operation == background_notes.RAW and finish_reason in UNFINISHED:
            finish_reason = None
        background_notes.note(context, metadata, _bill(services, context, priced, metadata), services.spool)
    elif finish_reason in _NO_END and background_notes.is_pending(request, metadata):
        finish_reason = finish_reason or "in_progress"
        if billed and context.estimate_reason is not None:  # also of a stream that was cut: its provider goes on
            context.is_late, context.is_untold = True, False
    if response_id is not None and kept_things.is_stored_answer(context.endpoint.dialect.name, response_id):
        services.stored.remember(context, priced.credential_id, response_id)
    return settle.settle(
        context,
        services.spool,
        elapsed_ms,
        billed=billed,
        finish_reason=finish_reason,
        response_id=response_id,
        service_tier=metadata.service_tier,
        bill=bill,
    )


def _bill(
    services: EdgeServices, context: RequestContext, priced: PricedDeployment, metadata: AnswerMetadata
) -> Bill | None:
    """Return what an answer costs beside its tokens at the asked model's price; None where nothing comes of it."""
    snapshot = context.snapshot
    assert snapshot is not None

    def price_of(model: str) -> Pricer | None:
        known = priced.named
        if model not in known:
            if len(known) >= NAMED_MAX:
                known.clear()  # names are the provider's
            known[model] = services.resolver.price_of(snapshot, priced.deployment, model, context.now_ms)
        return known[model]

    return bill_of(context, metadata, priced.deployment.provider.quirks, price_of)


def _kept(context: RequestContext, request: Request, metadata: AnswerMetadata) -> list[str]:
    """Return what the provider keeps since this answer, beside the answer itself."""
    translation, kept = context.translation, metadata.kept
    if metadata.response_id is not None and "diagnostics" in request.fields:
        kept = [*kept, metadata.response_id]
    if translation is None or not translation.is_verbatim or bytes(request.fields.get("store", b"")) == _FALSE:
        return []
    return stored_access.kept(context, kept)
