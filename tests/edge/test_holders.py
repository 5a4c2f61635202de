"""Whose rules hold for a request of a key."""

from switchgear.core import limit_rule
from switchgear.core.limit_rule import LimitRule
from switchgear.edge.holders import holders_of
from switchgear.replica.entries import KeyEntry, Snapshot


def test_a_keys_chain_begins_with_the_organisation_and_ends_with_the_key():
    key = KeyEntry("K", "k", 1, [], rpm=5)
    snapshot = Snapshot(store_id="s", epoch=1, limits=(LimitRule("requests", 9, "day"),))
    chain = [(holder.subject, limit_rule.rules_of(holder.policy)) for holder in holders_of(key, snapshot)]
    assert chain == [
        ("organisation", (LimitRule("requests", 9, "day"),)),
        ("key:K", (LimitRule("requests", 5, "minute"),)),
    ]
