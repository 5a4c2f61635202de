import os

import pytest
from tests.discover.test_collector import finding

from switchgear.control import findings
from switchgear.core.errors import UserError
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store

DAY = 86_400_000


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


def record(store, now, *found, sources="repo", partial=False):
    return store.write(lambda c: findings.record(c, list(found), sources, partial, "ann", now)).result()


def states(store, now=0):
    return {s.finding.id: s.state for s in store.read(lambda c: findings.everything(c, now)).result()}


def decide(store, identity, state, reason=None, until=None, now=1):
    return store.write(lambda c: findings.decide(c, identity, state, reason, until, "ann", now)).result()


def test_a_finding_is_new_then_known_then_fixed_then_open_again(store):
    assert record(store, 1, finding("a"), finding("b")) == findings.Recorded(new=2, seen=0, fixed=0)
    assert record(store, 2, finding("a")) == findings.Recorded(new=0, seen=1, fixed=1)
    assert states(store) == {"a": "open", "b": "fixed"}
    record(store, 3, finding("a"), finding("b"))
    assert states(store) == {"a": "open", "b": "open"}


def test_a_partial_run_and_a_run_of_other_sources_fix_nothing(store):
    record(store, 1, finding("a"))
    record(store, 2, partial=True)
    record(store, 3, sources="other")
    assert states(store) == {"a": "open"}


def test_a_large_run_comes_in_several_calls(store):
    record(store, 1, finding("a"), finding("b"), finding("c"))
    record(store, 2, finding("a"), partial=True)
    done = store.write(lambda c: findings.record(c, [finding("b")], "repo", False, "ann", 3, ["a"])).result()
    assert done.fixed == 1 and states(store) == {"a": "open", "b": "open", "c": "fixed"}


def test_an_acceptance_holds_until_its_date(store):
    record(store, 1, finding("a"))
    decide(store, "a", "accepted", "test rig", DAY)
    record(store, 2, finding("a"))
    assert states(store, DAY - 1) == {"a": "accepted"} and states(store, DAY) == {"a": "open"}
    decide(store, "a", "open")
    assert states(store) == {"a": "open"}


def test_an_acceptance_needs_a_reason_and_a_finding(store):
    record(store, 1, finding("a"))
    with pytest.raises(UserError, match="needs a reason"):
        decide(store, "a", "accepted", "  ")
    with pytest.raises(UserError, match="no stored finding"):
        decide(store, "zz", "open")


def test_findings_beyond_the_bound_are_not_stored(store, monkeypatch):
    monkeypatch.setattr(findings, "STORED_MAX", 2)
    record(store, 1, finding("a"), finding("b"))
    with pytest.raises(UserError, match="more than 2"):
        record(store, 2, finding("c"))
    assert set(states(store)) == {"a", "b"}


def test_texts_of_whoever_records_steer_no_terminal(store):
    record(store, 1, finding("a", title="x\x1b[2J", fix="y\n", evidence={"e": "\x1b"}))
    decide(store, "a", "accepted", "because\x1b")
    (stored,) = store.read(lambda c: findings.everything(c, 1)).result()
    assert (stored.finding.title, stored.finding.fix, stored.reason) == ("x[2J", "y", "because")


@pytest.mark.parametrize("identity", ["", "../x", "A", "g", "0" * 65])
def test_an_id_is_hexadecimal(store, identity):
    with pytest.raises(UserError, match="not the id of a finding"):
        record(store, 1, finding(identity))
