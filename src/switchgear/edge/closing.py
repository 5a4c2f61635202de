"""How a request ends: its settlement, what its answer costs beside its tokens, and what the provider keeps since. Level 4."""

from switchgear.dialects import kept_things
from switchgear.dialects.reading import Reading
from switchgear.dialects.request import Request
from switchgear.edge import belongings, pending, settle
from switchgear.edge.bill import Bill, bill_of
from switchgear.edge.context import RequestContext
from switchgear.edge.plan import Target
from switchgear.edge.services import EdgeServices
from switchgear.pricing.price import Meterer

_FALSE = b"false"
NAMED_MAX = 64


def close(
    services: EdgeServices,
    context: RequestContext,
    target: Target,
    reading: Reading | None,
    elapsed_ms: int,
    billed: bool = True,
) -> int | None:
    """Settle a request; returns the cost in nano-USD. `reading` is what the answer said of itself, None where
    there was none; `billed` is False where no provider can have charged."""
    pending.note_gone(context, services.spool)
    if reading is None:
        return settle.settle(context, services.spool, elapsed_ms, billed=billed)
    if billed and context.units is None:
        context.units = reading.units  # of a stream: a plain answer's are in place
    response_id, bill = reading.response_id, None
    finish_reason = reading.finish_reason
    request = context.request
    assert request is not None
    if reading.kept or (response_id is not None and "diagnostics" in request.fields):
        ids = _kept(context, request, reading)
        if ids:
            services.stored.keep(context, target.credential_id, ids)
    if billed and (
        (reading.model is not None and reading.model != target.candidate.upstream_model)
        or reading.others is not None
        or reading.cost is not None
        or context.meterer is None
    ):
        bill = _bill(services, context, target, reading)
    if request.operation == "stored":
        pending.note(context, reading, _bill(services, context, target, reading), services.spool)
    elif finish_reason is None and pending.is_pending(request, reading):
        finish_reason = "in_progress"
    if response_id is not None and kept_things.is_stored_answer(context.endpoint.dialect.name, response_id):
        services.stored.remember(context, target.credential_id, response_id)
    return settle.settle(
        context,
        services.spool,
        elapsed_ms,
        billed=billed,
        finish_reason=finish_reason,
        response_id=response_id,
        service_tier=reading.service_tier,
        bill=bill,
    )


def _bill(services: EdgeServices, context: RequestContext, target: Target, reading: Reading) -> Bill | None:
    """Return what an answer costs beside its tokens at the asked model's price; None where nothing comes of it."""
    snapshot = context.snapshot
    assert snapshot is not None

    def price_of(model: str) -> Meterer | None:
        known = target.named
        if model not in known:
            if len(known) >= NAMED_MAX:
                known.clear()  # names are the provider's
            known[model] = services.planner.price_of(snapshot, target.candidate, model, context.now_ms)
        return known[model]

    return bill_of(context, reading, target.candidate.provider.quirks, price_of)


def _kept(context: RequestContext, request: Request, reading: Reading) -> list[str]:
    """Return what the provider keeps since this answer, beside the answer itself."""
    way, kept = context.translation, reading.kept
    if reading.response_id is not None and "diagnostics" in request.fields:
        kept = [*kept, reading.response_id]
    if way is None or not way.is_verbatim or bytes(request.fields.get("store", b"")) == _FALSE:
        return []
    return belongings.kept(context, kept)
