"""What control knows of deployments: the store's rows, whatever is interrupted, and bounded."""

import os

import msgspec
import pytest

from switchgear.control import deployments
from switchgear.control.deployments import OTHERS, Deployments
from switchgear.ledger.batch import Batch
from switchgear.ledger.deployments import DeploymentCounts
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.store import deployment_rows
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store

FAST = ModelEntry(name="fast", deployments=(DeploymentEntry(provider="a", model="typo"),))
TABLE = RouteTable(
    models={"fast": FAST}, providers={"a": ProviderEntry(name="a", dialects=("openai",), credentials=("c",))}
)
NOW = 1_790_000_000_000


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


def batch_of(**outcomes):
    """Return a batch that counted attempts: `a_m_c=["ok"]` is one at a/m@c."""
    batch = Batch()
    for name, ends in outcomes.items():
        provider, model, credential = name.split("_")
        state = batch.deployments._named(f"{provider}/{model}@{credential}")
        for end in ends:
            state.add(end, NOW, 5)
    return batch


def book(store, known, batch):
    store.write(lambda connection: known.write(connection, batch)).result()
    known.on_batch(batch)


def counts(known):
    return {name: state.outcomes for name, state in known.known.items()}


def test_batches_add_up_and_a_restart_goes_on_with_them(store):
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(a_m_c=["ok", "connect"]))
    book(store, known, batch_of(a_m_c=["connect"], b_m_c=["ok"]))
    expected = {"a/m@c": {"ok": 1, "connect": 2}, "b/m@c": {"ok": 1}}
    assert counts(known) == expected and known.known["a/m@c"].failures_in_row == 2
    again = Deployments(lambda: TABLE)
    store.read(again.load).result()
    assert counts(again) == expected
    book(store, again, batch_of(a_m_c=["ok"]))
    assert counts(again)["a/m@c"] == {"ok": 2, "connect": 2}


def test_a_transaction_that_fails_counts_nothing(store):
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(a_m_c=["ok"]))

    def fail(connection):
        known.write(connection, batch_of(a_m_c=["ok"]))
        raise ValueError("the power went")

    with pytest.raises(ValueError):
        store.write(fail).result()
    book(store, known, batch_of(a_m_c=["ok"]))
    assert counts(known) == {"a/m@c": {"ok": 2}}


def test_an_end_between_the_commit_and_what_is_shown_loses_nothing(store):
    known = Deployments(lambda: TABLE)
    store.write(lambda connection: known.write(connection, batch_of(a_m_c=["ok"]))).result()
    again = Deployments(lambda: TABLE)
    book(store, again, batch_of(a_m_c=["ok"]))
    assert counts(again) == {"a/m@c": {"ok": 2}}


def test_a_name_that_a_client_invents_has_no_row_and_a_configured_one_has(store):
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(a_invented_c=["not_found", "client_error"], a_typo_c=["not_found"]))
    assert counts(known) == {"a/typo@c": {"not_found": 1}, OTHERS: {"not_found": 1, "client_error": 1}}
    book(store, known, batch_of(a_invented_c=["ok"]))
    assert counts(known)["a/invented@c"] == {"ok": 1}


def test_without_routes_an_invented_name_has_no_row(store):
    known = Deployments(lambda: None)
    book(store, known, batch_of(a_typo_c=["not_found"]))
    assert counts(known) == {OTHERS: {"not_found": 1}}


def test_rows_are_bounded_and_the_rest_is_counted_together(store, monkeypatch):
    monkeypatch.setattr(deployments, "DEPLOYMENTS_MAX", 3)
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(**{f"a_m{number}_c": ["ok"] for number in range(9)}))
    book(store, known, batch_of(a_m0_c=["ok"], a_m9_c=["ok"]))
    assert len(counts(known)) == 4 and counts(known)[OTHERS] == {"ok": 7}
    assert sum(state.attempts for state in known.known.values()) == 11
    assert list(known.known)[-1] == OTHERS


def test_a_deployment_fails_after_some_failures_in_a_row_and_works_again_with_one_good_answer(store):
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(a_m_c=["rate_limit"] * (deployments.FAILING_MIN - 1), a_n_c=["ok"]))
    assert known.failing == {}
    book(store, known, batch_of(a_m_c=["rate_limit"]))
    assert list(known.failing) == ["a/m@c"]
    assert {name: deployments.health(state) for name, state in known.of("a", "m", None).items()} == {"a/m@c": "failing"}
    assert known.of("a", "m", "other") == {} and list(known.of("a", "n", "c")) == ["a/n@c"]
    book(store, known, batch_of(a_m_c=["ok"]))
    assert known.failing == {} and deployments.health(known.known["a/m@c"]) == "ok"


@pytest.mark.parametrize(
    "table",
    [
        RouteTable(providers={}),
        RouteTable(providers={"a": msgspec.structs.replace(TABLE.providers["a"], credentials=("other",))}),
        msgspec.structs.replace(TABLE, models={}, implicit=False),
    ],
)
def test_a_failing_deployment_that_was_removed_fails_no_more(store, table):
    tables = [TABLE]
    known = Deployments(lambda: tables[-1])
    book(store, known, batch_of(a_m_c=["rate_limit"] * deployments.FAILING_MIN))
    assert list(known.failing) == ["a/m@c"]
    tables.append(table)
    assert known.failing == {}


def test_what_is_told_of_a_deployment_has_estimates_of_times():
    state = DeploymentCounts()
    for latency_ms in (60, 70, 900):
        state.add("ok", NOW, latency_ms, 30)
    told = deployments.shown("a/m@c", state)
    assert (told["latency_p50_ms"], told["latency_p95_ms"], told["first_token_p50_ms"]) == (88, 925, 38)
    assert (told["health"], told["attempts"], told["failures"]) == ("ok", 3, 0)


def test_what_was_not_used_for_long_is_forgotten(store):
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(a_m_c=["ok"]))
    store.write(lambda connection: known.drop_old(connection, NOW + deployments.KEPT_MS)).result()
    assert counts(known) == {"a/m@c": {"ok": 1}}
    store.write(lambda connection: known.drop_old(connection, NOW + deployments.KEPT_MS + 1)).result()
    assert counts(known) == {}


def test_a_row_that_cannot_be_read_begins_again(store):
    store.write(lambda connection: deployment_rows.put(connection, {"a/m@c": (b"\xff", 1)})).result()
    known = Deployments(lambda: TABLE)
    book(store, known, batch_of(a_m_c=["ok"]))
    assert counts(known) == {"a/m@c": {"ok": 1}}
