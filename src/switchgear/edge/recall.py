"""Part of stage admit: is the answer kept here already, or asked for at the moment? Level 4.

What an answer may depend on is in the name that it is kept by: the request as its provider would get it, the scope (a team, or a
key without one), the deployment with all that is configured of it, the client's dialect, and every header that goes to the
provider. So a changed route finds nothing, and nobody finds out what another scope asked. Key, freezes and routes were looked at
before (`authorize`), and are again after each wait. A hit takes the limits of requests, and nothing else.

Not kept: what a provider stores or makes in the background, what names something stored, what has its provider run tools, uploads
and media, requests that want their cost in the answer, errors, and answers that broke off or are too large.
"""

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from switchgear.core import cache_rule, problems
from switchgear.core.errors import UNREADABLE, SpoolFullError
from switchgear.core.problems import Problem
from switchgear.dialects import provider_tools
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.kept_things import UNFINISHED, WHOLE, is_stateful
from switchgear.dialects.translation import Translation
from switchgear.edge import admit, heads, replay, settle
from switchgear.edge.answer_cache import BYPASS, HIT, MISS, CachedAnswer, Flight, Recall
from switchgear.edge.context import Halt, RequestContext
from switchgear.edge.services import EdgeServices
from switchgear.replica.entries import scope_of

CACHED_OPERATIONS = frozenset({"chat", "completions", "embeddings", "embeddings_batch", "rerank", "moderations"})
BODY_BYTES_MAX = 4 * 1024 * 1024
"""A larger request is not looked up: its digest would hold up the loop."""
SORTED_BYTES_MAX = 65_536
"""Up to here the order of a body's members does not count."""
WOKEN_PER_MS = 8
"""Requests that waited for the same answer are not all answered in one turn of the loop."""
_LEDGER_FULL = Problem(problems.LEDGER_UNAVAILABLE, "the ledger cannot record new requests; try again soon", None, 5)
_encode = msgspec.msgpack.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def recall(services: EdgeServices, context: RequestContext) -> Problem | Literal[Halt.DONE, Halt.WAIT] | None:
    """Answer from what is kept; else wait for who asks the same, or go on and ask."""
    snapshot, known, cache = context.snapshot, context.recall, services.cache
    assert snapshot is not None
    cache.heed(snapshot.cache_epoch)
    if known is None:
        known = context.recall = _begin(services, context)
        setattr(cache.counts, known.told.decode(), getattr(cache.counts, known.told.decode()) + 1)
    elif known.name and _is_other(services, context, known):
        _give_up(context, known)
    if known.answer is not None:
        return _answer(services, context, known, known.answer)
    if known.flight is not None or not known.name:
        return None
    return _look_up(services, context, known)


def _is_other(services: EdgeServices, context: RequestContext, known: Recall) -> bool:
    """Tell whether the routes, or whose the key is, changed while it waited: what was found is not what it would get now."""
    key, snapshot = context.key, context.snapshot
    assert key is not None
    assert snapshot is not None
    is_moved = scope_of(key.id, key.team_id) != known.scope
    return is_moved or known.epoch != snapshot.cache_epoch or not services.cache.is_same(known.table, snapshot.table)


def _give_up(context: RequestContext, known: Recall) -> None:
    """Ask as if nothing were kept."""
    if known.answer is not None and context.admission is not None:
        context.admission.let_go()
        context.admission = None
    known.leave()
    known.told, known.name, known.answer, known.stores = BYPASS, b"", None, False


def _begin(services: EdgeServices, context: RequestContext) -> Recall:
    """Say what the cache is to a request."""
    resolution, course, key, snapshot = context.resolution, context.course, context.key, context.snapshot
    assert resolution is not None
    assert course is not None
    assert key is not None
    assert snapshot is not None
    allowed, asked = resolution.cache_s, context.client.cache
    wanted = cache_rule.wish(asked) if asked is not None else cache_rule.Wish(None)
    ttl_s = cache_rule.tightest(allowed, wanted.ttl_s)
    translation = context.translation
    is_off = not ttl_s or not (wanted.reads or wanted.stores)
    if ttl_s is None or is_off or translation is None or not _can_be_kept(context, translation):
        return Recall(BYPASS, table=snapshot.table, epoch=snapshot.cache_epoch)
    scope = scope_of(key.id, key.team_id)
    return Recall(
        MISS,
        name_of(context, translation, scope),
        scope,
        ttl_s,
        snapshot.cache_epoch,
        wanted.reads,
        wanted.stores,
        snapshot.table,
        course.current,
        cache=services.cache,
    )


def _can_be_kept(context: RequestContext, translation: Translation) -> bool:
    request = context.request
    assert request is not None
    if request.operation not in CACHED_OPERATIONS or request.references or context.client.wants_cost:
        return False
    if context.bytes_in > BODY_BYTES_MAX or request.form is not None:
        return False
    fields = request.fields
    if request.operation == "chat" and is_stateful(request.dialect, fields):
        return False
    return not provider_tools.asked_for(request.dialect, fields)


def name_of(context: RequestContext, translation: Translation, scope: str) -> bytes:
    """Return the digest of all that an answer may depend on: SHA-256."""
    request, course = context.request, context.course
    assert request is not None
    assert course is not None
    deployment = course.current.deployment
    digest = hashlib.sha256()
    asked = (
        scope,
        request.model,
        request.operation,
        context.endpoint.dialect.name,
        translation.dialect,
        translation.provider_dialect,
        request.stream,
        request.asked_usage,
        translation.as_array,
        context.endpoint.name,
    )
    for part in (_encode(asked), _encode(deployment), heads.route(context, course.current, translation)):
        digest.update(b"%d:" % len(bytes(part)))
        digest.update(part)
    for piece in _canonical(translation):
        digest.update(piece)
    return digest.digest()


def _canonical(translation: Translation) -> Iterator[bytes | memoryview]:
    """Yield the body as the provider would get it; of a small one the order of members does not count."""
    body = translation.body
    if isinstance(body, list):
        yield from body
        return
    if len(body) <= SORTED_BYTES_MAX:
        try:
            fields = _decode_object(body)
        except UNREADABLE:
            fields = None
        if fields is not None:
            for member in sorted(fields):
                yield b"%d:%b%d:" % (len(member.encode()), member.encode(), len(bytes(fields[member])))
                yield bytes(fields[member])
            return
    yield body


def _look_up(
    services: EdgeServices, context: RequestContext, known: Recall
) -> Problem | Literal[Halt.DONE, Halt.WAIT] | None:
    cache, course = services.cache, context.course
    assert course is not None
    now_s = services.clock.monotonic_s()
    if known.reads:
        known.answer = cache.get(known.scope, known.name, now_s, known.ttl_s)
        if known.answer is not None:
            return _answer(services, context, known, known.answer)
    flight = cache.flight(known.name, now_s)
    if flight is None:
        if known.stores:
            known.flight = cache.lead(known.name, now_s + course.total_s)
    elif known.reads and not cache.is_crowded:
        return _follow(services, context, known, flight)
    return None


def _follow(
    services: EdgeServices, context: RequestContext, known: Recall, flight: Flight
) -> Problem | Literal[Halt.WAIT]:
    """Wait for somebody's answer, as long as this request may take at all."""
    cache, course, exchange = services.cache, context.course, context.exchange
    assert course is not None

    def landed(has_answer: bool, number: int) -> None:
        services.waiting.leave(context)
        if not has_answer:
            known.reads = False  # it asks itself
        services.loop.call_later(number // WOKEN_PER_MS / 1_000, exchange.act, services.resume, (services, context))

    def left() -> None:
        cache.unfollow(flight, landed)

    late = Problem(problems.UPSTREAM_TIMEOUT, f"no complete answer within {course.total_s:g} s")
    refused = services.waiting.enter(context, context.started_s + course.total_s, late, left)
    if refused is not None:
        return refused
    cache.follow(flight, landed)
    cache.counts.followed += 1
    return Halt.WAIT


def _answer(
    services: EdgeServices, context: RequestContext, known: Recall, answer: CachedAnswer
) -> Problem | Literal[Halt.DONE, Halt.WAIT]:
    resolution, course, cache = context.resolution, context.course, services.cache
    assert resolution is not None
    assert course is not None
    taken = admit.take_to_answer(services, context)
    if taken is not None:
        return taken
    if known.told is MISS:
        known.told = HIT
        cache.counts.hit += 1
        cache.counts.miss -= 1
    unpriced = msgspec.structs.replace(course.current, pricer=None, callees={})  # nothing is spent
    try:
        settle.reserve(context, unpriced, services.spool)
    except SpoolFullError:
        return _LEDGER_FULL
    replay.answer(services, context, answer)
    return Halt.DONE


# what is kept of an answer


def keep(services: EdgeServices, context: RequestContext, metadata: AnswerMetadata | None, cost: int | None) -> None:
    """A request that was asked is settled: keep its answer where that is good, and call those that wait for it."""
    known, snapshot = context.recall, services.replica.snapshot()
    if known is None:
        return
    is_kept = False
    course, cache = context.course, services.cache
    if (
        known.is_complete
        and known.stores
        and known.name
        and metadata is not None
        and course is not None
        and course.current is known.deployment
        and (context.output_bound is None or metadata.finish_reason in WHOLE)  # a budget's output limit did not cut it
        and snapshot is not None
        and not metadata.kept
        and metadata.finish_reason not in UNFINISHED
    ):
        cache.heed(snapshot.cache_epoch)
        now_s = services.clock.monotonic_s()
        answer = CachedAnswer(
            known.content_type,
            tuple(known.pieces),
            known.is_stream,
            now_s,
            now_s + known.ttl_s,
            cost,
            metadata.finish_reason,
            known.size,
        )
        known.clear()
        is_kept = cache.put(known.scope, known.name, answer, known.epoch)
    known.clear()
    flight, known.flight = known.flight, None
    if flight is not None:
        flight.land(is_kept)
