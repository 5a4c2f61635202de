"""Whose rules hold for a request of a key: the chain of those it belongs to, from the organisation down to itself. Level 4; pure.

Limits and budgets are collected from this chain, each with its own subject: what a team may have, all its keys share.
"""

from typing import NamedTuple

from switchgear.core import limit_rule
from switchgear.core.key_policy import KeyPolicy
from switchgear.replica.entries import KeyEntry, Snapshot

ORGANISATION = "organisation"
"""The subject of all keys together."""


class Holder(NamedTuple):
    """One of the chain."""

    subject: str
    """`organisation`, `team:<id>`, `project:<id>`, `user:<id>`, `key:<id>`: what is counted for it is counted under this."""
    policy: KeyPolicy


def holders_of(key: KeyEntry, snapshot: Snapshot) -> tuple[Holder, ...]:
    """Return the chain of a key: organisation, then whatever it belongs to, from the root down, then the key."""
    organisation = KeyPolicy(limits=limit_rule.texts_of(snapshot.limits) or None)
    return (Holder(ORGANISATION, organisation), Holder(f"key:{key.id}", key))
