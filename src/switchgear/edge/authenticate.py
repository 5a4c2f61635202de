"""Stage: whose key is this? Level 4 (docs/invariants.md H5, C6).

All places of a key are read; two different values are refused. The token is hashed before anything else happens to it:
it reaches no log, no record and no look-up.
"""

import hmac

from switchgear.core import problems, virtual_key
from switchgear.core.problems import Problem
from switchgear.edge import paths
from switchgear.edge.context import RequestContext
from switchgear.edge.head_facts import Claim
from switchgear.edge.services import EdgeServices
from switchgear.policies import access
from switchgear.replica import holding
from switchgear.replica.entries import KeyEntry
from switchgear.wire.http_requests import RequestHead

_AUTHORIZATION = b"authorization"
_PLACES = (b"x-api-key", b"api-key", b"x-goog-api-key")
LITELLM_KEY = b"x-litellm-api-key"
"""Read where the configuration says `compat: [litellm]`."""
_NO_KEY = Problem(
    problems.INVALID_KEY,
    "no API key was sent; send your virtual key as `Authorization: Bearer sk-sg-…` or in `x-api-key`",
)
_TWO_KEYS = Problem(problems.BAD_HTTP, "two different API keys were sent; send one")


def presented_token(head: RequestHead, in_query: bool = False) -> str | Problem:
    """Return the one token that a request presents; clients of some dialects may put it into the query."""
    headers = head.headers
    found: bytes | None = None
    value = headers.get(_AUTHORIZATION)
    if value is not None:
        if _AUTHORIZATION in head.repeated:
            return _TWO_KEYS
        scheme, _, rest = value.partition(b" ")
        if scheme.lower() == b"bearer" and rest:
            found = rest.strip()
    for place in _PLACES:
        value = headers.get(place)
        if value:
            if place in head.repeated or (found is not None and not hmac.compare_digest(found, value)):
                return _TWO_KEYS
            found = value
    if b"?" in head.target and in_query:
        value = paths.query(head.target, b"key")
        if value:
            if found is not None and not hmac.compare_digest(found, value):
                return _TWO_KEYS
            found = value
    if not found:
        return _NO_KEY
    if len(found) > virtual_key.TOKEN_BYTES_MAX or not found.isascii():
        return access.INVALID_KEY
    return found.decode("ascii")


def litellm_token(head: RequestHead) -> str | Problem | None:
    """Return the token in LiteLLM's own header, which comes before all others there (LiteLLM, "Virtual keys" and "Claude Code with
    your own subscription"; read 2026-11-27): the others may hold what the provider knows. None without one."""
    value = head.headers.get(LITELLM_KEY)
    if not value:
        return None
    if LITELLM_KEY in head.repeated:
        return _TWO_KEYS
    scheme, _, rest = value.partition(b" ")
    found = rest.strip() if scheme.lower() == b"bearer" and rest else value
    if len(found) > virtual_key.TOKEN_BYTES_MAX or not found.isascii():
        return access.INVALID_KEY
    return found.decode("ascii")


def _claim(services: EdgeServices, context: RequestContext) -> Claim | Problem:
    head = context.exchange.head
    token: str | Problem | None = None
    if LITELLM_KEY in head.headers:
        snapshot = services.replica.snapshot()
        if snapshot is not None and "litellm" in snapshot.compat:
            token = litellm_token(head)
    if token is None:
        token = presented_token(head, context.endpoint.dialect.key_in_query)
    return token if isinstance(token, Problem) else Claim(virtual_key.parse_id(token) or "", virtual_key.digest(token))


def authenticate(services: EdgeServices, context: RequestContext, now_ms: int | None = None) -> Problem | None:
    """Fill `context.key` and `context.snapshot`, or return why not. It may be asked again later, with the time of then
    (`edge.standing`)."""
    replica, peppers = services.replica, services.peppers
    claim = context.facts.claim
    if claim is None:
        found = _claim(services, context)
        if isinstance(found, Problem):
            return found
        claim = found
        if LITELLM_KEY not in context.exchange.head.headers:  # whose meaning goes by the configuration
            context.facts.claim = claim
    context.snapshot, entry = replica.look_up(claim.key_id)
    if context.snapshot is None:
        return Problem(problems.OVERLOADED, "the gateway is starting; try again in a moment", None, 1)
    if entry is not None and entry is claim.verified and entry.expires_ms is None and not context.snapshot.freezes:
        # The replica still holds the very entry that this secret was checked against: nothing changed since.
        context.key = entry
        return None
    if now_ms is None:
        now_ms = context.now_ms
    digest = claim.digest
    if entry is None:
        for pepper in peppers.values():
            entry = replica.look_up_hash(virtual_key.keyed_hash(pepper, digest))
            if entry is not None:
                break
    if entry is None or not _holds(entry, digest, peppers, now_ms):
        return access.INVALID_KEY
    context.key = entry
    freezes = context.snapshot.freezes
    problem = (
        access.check_key_times(entry.revoked, entry.expires_ms, now_ms)
        or _check_held(entry)
        or (access.check_frozen(freezes, subjects_of(entry), now_ms) if freezes else None)
        or (access.check_address(entry.cidrs, context.exchange.certain_address) if entry.cidrs is not None else None)
    )
    # The address is the connection's or stands in the head, so it is as settled as the secret; what depends on time is never
    # remembered.
    if problem is None and claim.key_id and all(secret.not_after_ms is None for secret in entry.secrets):
        claim.verified = entry
    return problem


def subjects_of(key: KeyEntry) -> list[str]:
    """Return the subjects by which a key can be frozen."""
    return ["all", f"key:{key.name}", *key.subjects]


def _check_held(key: KeyEntry) -> Problem | None:
    """Deny a key whose team, project, user or profile is gone."""
    why = holding.unheld(key)
    return None if why is None else Problem(problems.FORBIDDEN, why)


def _holds(entry: KeyEntry, digest: bytes, peppers: dict[int, bytes], now_ms: int) -> bool:
    for secret in entry.secrets:
        pepper = peppers.get(secret.pepper_id)
        if pepper is None or not hmac.compare_digest(virtual_key.keyed_hash(pepper, digest), secret.mac):
            continue
        return secret.not_after_ms is None or now_ms < secret.not_after_ms
    return False
