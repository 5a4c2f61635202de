"""Whose rules hold for a request of a key: the chain of those it belongs to, from the organisation down to itself. Level 4; pure.

Limits and budgets are collected from this chain, each with its own subject: what a team may have, all its keys share. A profile's
are counted for each person, over all keys of theirs, or for each key that is nobody's.
"""

from typing import NamedTuple

from switchgear.core import limit_rule
from switchgear.core.key_policy import KeyPolicy
from switchgear.replica.entries import HolderEntry, KeyEntry, Snapshot

ORGANISATION = "organisation"
"""The subject of all keys together."""
PROFILE = "profile"


class Holder(NamedTuple):
    """One of the chain."""

    subject: str
    """`organisation`, `team:<id>`, `project:<id>`, `user:<id>`, `profile:<id>/user:<id>`, `profile:<id>/key:<id>`, `key:<id>`: what
    is counted for it is counted under this."""
    policy: KeyPolicy


def holders_of(key: KeyEntry, snapshot: Snapshot) -> tuple[Holder, ...]:
    """Return the chain of a key: organisation, teams from the root down, project, user, profiles, then the key."""
    organisation = KeyPolicy(limits=limit_rule.texts_of(snapshot.limits) or None)
    whole = (Holder(subject_of(key, holder), holder) for holder in key.held_by)
    return (Holder(ORGANISATION, organisation), *whole, Holder(f"key:{key.id}", key))


def subject_of(key: KeyEntry, holder: HolderEntry) -> str:
    """Return under what the rules of one that a key belongs to are counted for it."""
    if holder.kind != PROFILE:
        return holder.subject
    person = next((one.subject for one in key.held_by if one.kind == "user"), None)
    return f"{holder.subject}/{person if person is not None and holder.pot != 'key' else f'key:{key.id}'}"


def names_of(key: KeyEntry) -> dict[str, str]:
    """Return subject → name of what a key belongs to, and of itself."""
    return {subject_of(key, holder): holder.name for holder in key.held_by} | {f"key:{key.id}": key.name}
