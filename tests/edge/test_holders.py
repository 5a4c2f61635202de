"""Whose rules hold for a request of a key."""

from switchgear.core import limit_rule
from switchgear.core.limit_rule import LimitRule
from switchgear.edge import limit_sets
from switchgear.edge.holders import holders_of, names_of
from switchgear.replica import holding
from switchgear.replica.entries import HolderEntry, KeyEntry, Snapshot


def test_a_keys_chain_begins_with_the_organisation_and_ends_with_the_key():
    key = KeyEntry("K", "k", 1, [], rpm=5)
    snapshot = Snapshot(store_id="s", epoch=1, limits=(LimitRule("requests", 9, "day"),))
    chain = [(holder.subject, limit_rule.rules_of(holder.policy)) for holder in holders_of(key, snapshot)]
    assert chain == [
        ("organisation", (LimitRule("requests", 9, "day"),)),
        ("key:K", (LimitRule("requests", 5, "minute"),)),
    ]


def holder(kind, identity, **fields):
    return HolderEntry(kind=kind, id=identity, name=identity, version=1, **fields)


def held(*holders, **fields):
    known = {(one.kind, one.id): one for one in holders}
    return holding.held(KeyEntry("K", "k", 1, [], **fields), lambda *at: known[at])


def subjects(key):
    return [one.subject for one in holders_of(key, Snapshot(store_id="s", epoch=1))]


def test_all_that_a_key_belongs_to_stands_between_the_organisation_and_the_key():
    key = held(holder("team", "root"), holder("team", "t", parent="root"), holder("user", "u"), team="t", user="u")
    assert subjects(key) == ["organisation", "team:root", "team:t", "user:u", "key:K"]
    assert names_of(key) == {"team:root": "root", "team:t": "t", "user:u": "u", "key:K": "k"}


def test_a_persons_keys_fill_one_pot_of_a_profile_unless_it_says_otherwise():
    user, shared, each = holder("user", "u"), holder("profile", "s"), holder("profile", "e", pot="key")
    assert subjects(held(user, shared, user="u", profile="s"))[2] == "profile:s/user:u"
    assert subjects(held(shared, profile="s"))[1] == "profile:s/key:K", "nobody's key has a pot of its own"
    assert subjects(held(user, each, user="u", profile="e"))[2] == "profile:e/key:K"


def test_limits_of_a_team_are_counted_for_the_team_and_told_as_its():
    key = held(holder("team", "t", rpm=7), team="t", rpm=9)
    found = limit_sets.of_key(key, Snapshot(store_id="s", epoch=1), None)
    assert [(limit.subject, limit.amount) for limit in found.paid.limits] == [("team:t", 7), ("key:K", 9)]
    assert "this key's team" in limit_sets.described(found.paid.limits[0])
