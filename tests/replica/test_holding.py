"""What a key belongs to, and what binds it."""

from switchgear.replica import holding
from switchgear.replica.entries import HeldKey, HolderEntry, KeyEntry
from switchgear.replica.holding import Bound


def holder(kind, identity, **fields):
    return HolderEntry(kind=kind, id=identity, name=identity.upper(), version=1, **fields)


def held(key_fields, *holders):
    known = {(one.kind, one.id): one for one in holders}
    return holding.held(
        KeyEntry("K", "k", 1, [], **key_fields), lambda *at: known[at] if at in known else holding.gone(*at)
    )


def chain(key):
    return [(one.kind, one.id) for one in key.held_by]


def test_a_key_of_nobody_stays_what_it_is():
    key = held({})
    assert type(key) is KeyEntry and holding.unheld(key) is None and key.model_lists == (None,)


def test_teams_stand_from_the_root_down_then_project_user_and_profiles():
    key = held(
        {"team": "leaf", "project": "p", "user": "u", "profile": "mine"},
        holder("team", "root", profile="of_team"),
        holder("team", "leaf", parent="root"),
        holder("project", "p", team="leaf"),
        holder("user", "u", profile="mine"),
        holder("profile", "mine"),
        holder("profile", "of_team"),
    )
    assert chain(key) == [
        ("team", "root"),
        ("team", "leaf"),
        ("project", "p"),
        ("user", "u"),
        ("profile", "of_team"),
        ("profile", "mine"),
    ]
    assert (key.team, key.team_id, key.user, key.project, key.profile) == ("LEAF", "leaf", "U", "P", "MINE")
    assert key.subjects == ["team:root", "team:leaf", "project:p", "user:u"], "a frozen team stops those below it"


def test_a_key_of_a_project_belongs_to_the_projects_team():
    key = held({"project": "p"}, holder("project", "p", team="t"), holder("team", "t"))
    assert (key.team_id, key.team) == ("t", "T")


def test_what_a_key_names_and_is_not_there_holds_it_back():
    key = held({"team": "lost"})
    assert holding.unheld(key) == "the team of this API key was removed; ask for a new key"
    assert key.model_lists == ((),) and key.cidrs == []


def test_a_circle_of_teams_lets_nobody_through():
    key = held({"team": "a"}, holder("team", "a", parent="b"), holder("team", "b", parent="a"))
    assert holding.unheld(key) is not None


def test_what_binds_is_told_with_whose_it_is():
    key = held(
        {"team": "t", "rpm": 50, "models": ["a/*"], "expires_ms": 86_400_000},
        holder("team", "t", rpm=20, tpm=7, models=["*x"], expires_ms=2 * 86_400_000),
    )
    assert isinstance(key, HeldKey)
    assert holding.binding(key) == [
        Bound("models", "*x", "team", "T"),
        Bound("models", "a/*", "key", "k"),
        Bound("expires", "1970-01-02T00:00:00Z", "key", "k"),
        Bound("limits", "20 requests/minute", "team", "T"),
        Bound("limits", "7 tokens/minute", "team", "T"),
    ]


def test_a_keys_own_limits_stay_its_own():
    key = held({"team": "t", "rpm": 50}, holder("team", "t", rpm=20))
    assert key.rpm == 50 and key.held_by[0].rpm == 20
