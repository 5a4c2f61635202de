"""What a key belongs to, and what holds for it of all that. Level 2; pure but for what it is handed to look things up with.

A key says its team, project, user and profile; each of these may say more: a team its parent and its profile, a project its team,
a user a profile. What is named and is not there holds everything back: a key whose team is gone may do nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from switchgear.core import key_policy, limit_rule, organisation
from switchgear.core.iso_time import format_time
from switchgear.core.limit_rule import LimitRule
from switchgear.core.organisation import DEPTH_MAX
from switchgear.replica.entries import HeldKey, HolderEntry, KeyEntry

Find = Callable[[str, str], HolderEntry]
"""From kind and id to what it is; of what is not there `gone`."""


def gone(kind: str, identity: str) -> HolderEntry:
    """Return what stands for something that is named and is not there."""
    nobody = organisation.fields_of(organisation.NOBODY)
    return HolderEntry(kind=kind, id=identity, name=identity, version=0, removed=True, **nobody)


def bare(kind: str, identity: str) -> HolderEntry:
    """Return what stands for a name that was a mere label, as older programs published it."""
    return HolderEntry(kind=kind, id=identity, name=identity, version=0)


def held(key: KeyEntry, find: Find) -> KeyEntry:
    """Return a key with what it belongs to; the key itself where that is nothing."""
    project = find("project", key.project) if key.project is not None else None
    team_id = key.team if key.team is not None else project.team if project is not None else None
    teams = _upwards(team_id, find)
    user = find("user", key.user) if key.user is not None else None
    whole = [*teams, *([project] if project is not None else ()), *([user] if user is not None else ())]
    named = [*(holder.profile for holder in whole), key.profile]
    profiles = [find("profile", name) for name in dict.fromkeys(named) if name is not None]
    holders = (*whole, *profiles)
    if not holders:
        return key
    effective = organisation.effective((*holders, key))
    values = {name: getattr(key, name) for name in KeyEntry.__struct_fields__}
    values |= {
        "team": teams[-1].name if teams else None,
        "user": user.name if user is not None else None,
        "project": project.name if project is not None else None,
        "profile": next((one.name for one in profiles if one.id == key.profile), None),
        "models": list(effective.models[-1]) if effective.models else None,
        "passthrough": list(effective.passthrough[-1]) if effective.passthrough else None,
        "cidrs": effective.cidrs,
        "expires_ms": effective.expires_ms,
        "tags": effective.tags,
        "require": effective.require,
        "cache": effective.cache,
    }
    lists = (effective.models, effective.passthrough)
    return HeldKey(**values, holders=holders, own=key_policy.policy_of(key), lists=lists)


def _upwards(identity: str | None, find: Find) -> list[HolderEntry]:
    """Return a team and those that it is a part of, from the root down."""
    found: list[HolderEntry] = []
    while identity is not None:
        if len(found) > DEPTH_MAX or any(team.id == identity for team in found):
            found.append(gone("team", identity))  # a circle: no admission of control's, so nobody is let through
            break
        found.append(find("team", identity))
        identity = found[-1].parent
    return found[::-1]


class Bound(NamedTuple):
    """A rule that binds a key, and whose it is."""

    field: str
    rule: str
    of: str
    """Kind of the holder; `key` for the key itself."""
    name: str


def binding(key: KeyEntry) -> list[Bound]:
    """Return what binds a key and from where: of limits of one unit and window, and of expiries, the tightest; else all of it: a
    request must pass each."""
    own = key.own if isinstance(key, HeldKey) else key
    chain = [*((one, one.kind, one.name) for one in key.held_by), (own, "key", key.name)]
    found: list[Bound] = []
    for policy, of, name in chain:
        for field in ("models", "cidrs", "passthrough"):
            values = getattr(policy, field)
            if values is not None:
                found.append(Bound(field, ", ".join(values) or "none", of, name))
        found += [Bound("require", f"{label}={value}", of, name) for label, value in (policy.require or {}).items()]
    ends = [(policy.expires_ms, of, name) for policy, of, name in chain if policy.expires_ms is not None]
    if ends:
        end_ms, of, name = min(ends, key=lambda end: end[0])
        found.append(Bound("expires", format_time(end_ms), of, name))
    tightest: dict[tuple[str, str, str | None], tuple[LimitRule, str, str]] = {}
    for policy, of, name in chain:
        for rule in limit_rule.rules_of(policy):
            known = tightest.get((rule.unit, rule.window, rule.per))
            if known is None or rule.amount < known[0].amount:
                tightest[rule.unit, rule.window, rule.per] = (rule, of, name)
    return found + [Bound("limits", limit_rule.write(rule), of, name) for rule, of, name in tightest.values()]


def told(key: KeyEntry) -> dict[str, Any]:
    """Return what answers tell of a key's belongings: what it belongs to, and what binds it from where."""
    return {
        "held_by": [{"kind": one.kind, "id": one.id, "name": one.name} for one in key.held_by],
        "binding": [one._asdict() for one in binding(key)],
    }


def unheld(key: KeyEntry) -> str | None:
    """Say why a key's belongings hold it back altogether; None where they do not."""
    lost = next((holder for holder in key.held_by if holder.removed), None)
    return None if lost is None else f"the {lost.kind} of this API key was removed; ask for a new key"
