"""Whose a thing is that a provider keeps."""

from types import SimpleNamespace

import pytest

from switchgear.edge import stored_things
from switchgear.edge.stored_things import StoredThings
from switchgear.replica.entries import STORED_MS, KeyEntry, StoredThing
from switchgear.testing.edge import FakeSpool
from switchgear.wire import records

OURS, THEIRS = KeyEntry("a", "a", 1, [], team="one"), KeyEntry("b", "b", 1, [], team="two")


@pytest.fixture
def published():
    return {}


@pytest.fixture
def spool():
    return FakeSpool()


@pytest.fixture
def things(published, spool, clock):
    return StoredThings(SimpleNamespace(stored=published.get), spool, clock)


def asked(clock, key=OURS):
    return SimpleNamespace(id="0" * 32, key=key, request=SimpleNamespace(model="m"), now_ms=clock.wall_ms())


def test_a_thing_is_found_by_its_own_team_only(things, published, clock):
    published["f"] = StoredThing("team:one", "up/c", "m", clock.wall_ms() + 1)
    assert things.find(OURS, "f").credential_id == "up/c"
    assert things.find(THEIRS, "f") is None


def test_a_thing_whose_time_is_over_is_not_found(things, published, clock):
    published["f"] = StoredThing("team:one", "up/c", "m", clock.wall_ms() - 1)
    assert things.find(OURS, "f") is None


def test_a_response_is_known_at_once_and_for_as_long_as_it_is_kept(things, clock):
    things.remember(asked(clock), "up/c", "resp_1")
    assert things.find(OURS, "resp_1").model == "m"
    clock.advance(STORED_MS / 1000 + 1)
    assert things.find(OURS, "resp_1") is None


def test_a_thing_that_was_made_is_recorded_and_stays_whose_it_was(things, spool, clock):
    things.keep(asked(clock), "up/c", ["f"])
    things.keep(asked(clock, THEIRS), "up/d", ["f"])
    assert spool.records == [records.Kept("0" * 32, ["f"])] * 2
    assert things.find(OURS, "f").credential_id == "up/c" and things.find(THEIRS, "f") is None


def test_a_full_spool_keeps_its_room_for_settlements(things, spool, clock):
    spool.is_full = True
    things.keep(asked(clock), "up/c", ["f"])
    assert spool.records == [] and things.find(OURS, "f") is not None


def test_an_edge_remembers_a_bounded_number_of_stored_things(things, clock, monkeypatch):
    monkeypatch.setattr(stored_things, "STORED_MAX", 2)
    for name in "abc":
        things.remember(asked(clock), "up/c", name)
    assert [things.find(OURS, name) is not None for name in "abc"] == [False, False, True]
