"""Stage: may this key name what its request names, and where is it kept? Level 4.

What a provider keeps belongs to the team (or the key without one) whose request made it, at the credential that made it. Another's
is as good as none: 404. What was made elsewhere (a vector store from a dashboard, say) is nobody's until an administrator gives a
key a pass-through rule that reads that very thing, such as `openai GET /vector_stores/vs_123`; a rule with a `*` gives nothing.
"""

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.core.text import clean
from switchgear.dialects import kept_things
from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.dialects.references import KINDS, Reference
from switchgear.edge.context import Halt, RequestContext
from switchgear.edge.resolver import PricedDeployment, Resolution
from switchgear.edge.stored_things import WAITS, StoredThings
from switchgear.replica.entries import KeyEntry


def bind(
    stored_things: StoredThings, context: RequestContext, resolution: Resolution
) -> Resolution | Problem | Literal[Halt.WAIT]:
    """Return the resolution with the deployments that hold everything that the request names, or why there are none. WAIT:
    something may be on its way into the replica; look again in a moment."""
    request, key = context.request, context.key
    assert request is not None
    assert key is not None
    deployments = list(resolution.deployments)
    for reference in request.references:
        kept = [priced for priced in deployments if not _is_looked_up(reference, context, priced)]
        holders = [priced for priced in deployments if priced not in kept]
        if deployments and not holders:
            continue  # nobody here would look it up
        stored = stored_things.find(key, reference.id)
        if stored is not None:
            kept += [priced for priced in holders if priced.credential_id == stored.credential_id]
        granted = [priced for priced in holders if priced not in kept and _is_granted(key, reference, priced, context)]
        if stored is None and not granted and not kept:
            return unknown(context, reference)
        deployments = [priced for priced in deployments if priced in kept or priced in granted]
        if not deployments:
            text = f"{clean(reference.id, 128)!r} is kept by another provider than this model's"
            return Problem(problems.STORED_NOT_FOUND, text, reference.param)
    return msgspec.structs.replace(resolution, deployments=tuple(deployments))


def _is_looked_up(reference: Reference, context: RequestContext, priced: PricedDeployment) -> bool:
    """Tell whether a deployment's provider would look for it. What is given as well is looked up by its own dialect only."""
    request = context.request
    assert request is not None
    if not reference.is_soft:
        return True
    return choose_dialect(request.dialect, request.operation, priced.deployment.provider.dialects) == request.dialect


def _is_granted(key: KeyEntry, reference: Reference, priced: PricedDeployment, context: RequestContext) -> bool:
    lists = key.passthrough_lists
    provider = priced.deployment.provider.name
    if _in_all(f"{provider} GET {KINDS[reference.kind].format(reference.id)}", lists):
        return True
    request = context.request
    assert request is not None
    return reference.param == "path" and _in_all(
        f"{provider} {request.method} {request.stored_path.partition('?')[0]}", lists
    )


def _in_all(rule: str, lists: Collection[Iterable[str]]) -> bool:
    return bool(lists) and all(rule in rules for rules in lists)


def unknown(context: RequestContext, reference: Reference) -> Problem | Literal[Halt.WAIT]:
    """Return what becomes of a request that names what is not known: it waits for a while, and then it is refused."""
    if context.stored_lookups < WAITS and kept_things.is_id(reference.id):
        return Halt.WAIT
    name = clean(reference.id, 128)
    text = f"there is nothing stored as {name!r} that was made with this team's keys"
    if reference.kind not in {"response", "item", "message", "audio"}:
        path = clean(KINDS[reference.kind].format(reference.id), 160)
        text += f"; an administrator can allow what was made elsewhere: the pass-through rule `PROVIDER GET {path}`"
    return Problem(problems.STORED_NOT_FOUND, text, reference.param)


def kept(context: RequestContext, ids: Iterable[str]) -> list[str]:
    """Return what an answer made known and its request did not name: that belongs to whom it belonged before."""
    assert context.request is not None
    named = {reference.id for reference in context.request.references}
    return [name for name in ids if name not in named]
