"""Spool → store, exactly once, believing nothing."""

import os

import msgspec
import pytest

from switchgear.core.usage import TokenUsage
from switchgear.ledger import build, verify
from switchgear.ledger.batch import Batch
from switchgear.ledger.ingest import Blocked, SpoolIngester
from switchgear.pricing.price import Price, Rate
from switchgear.spool.writer import SpoolWriter
from switchgear.store import ledger_rows
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.wire import records
from switchgear.wire.records import Kind

PRICE = Price("echo", "override", {"input": Rate(150_000_000), "output": Rate(600_000_000)})
CALLER = msgspec.Raw(records.encode_payload(records.Caller("k", "bot", 1, "team", None, None, "127.0.0.1", "curl/8.1")))

USAGE = TokenUsage(input=10, output=5)


def callee(credential="c", price_id="p"):
    return msgspec.Raw(
        records.encode_payload(
            records.Callee(
                "chat", "/chat/completions", "openai", "a/echo", "a", f"a/{credential}", credential, "echo", price_id
            )
        )
    )


def rid(number):
    return f"{1_790_000_000_000 + number:012x}{number:020x}"


def reserve(spool, number):
    record = records.Reserve(
        rid(number), 1_790_000_000_000 + number, CALLER, callee(), False, 25, 3750, None, 100, "person", ["t"]
    )
    spool.reserve(rid(number), records.encode_payload(record))


def settle(spool, number, *, tokens=USAGE, cost=4500, outcome="ok", units=None, **more):
    outcome_of = records.AttemptOutcome(1, 200, None, 0, 3, 4, None, "req")
    record = records.Settle(
        rid(number),
        200,
        outcome,
        [outcome_of],
        tokens,
        cost,
        None,
        "stop",
        "id",
        None,
        10,
        5,
        None,
        units=units,
        **more,
    )
    spool.settle(rid(number), records.encode_payload(record))


@pytest.fixture
def store(tmp_path):
    made = Store(SqliteBackend(tmp_path / "store.sqlite"), True, os.urandom, bytes(32))
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path, clock):
    return SpoolWriter(tmp_path / "edge-0", clock, os.urandom, "run1", segment_bytes=64 * 1024)


def find(price_id, provider, model, at_ms):
    return PRICE if price_id == "p" else None


def ingester(store, tmp_path):
    def row(connection):
        return ledger_rows.spool_row(connection, (tmp_path / "edge-0" / "id").read_text().strip())

    return SpoolIngester(tmp_path / "edge-0", store.read(row).result(), find, tmp_path / "vault")


def ingest(store, following, careful=False):
    findings, blocked = [], None
    booked = {record.id for record in rows(store)} if careful else set()
    while True:
        batch, before = Batch(booked.__contains__ if careful else None), following.position
        blocked = following.ingest(batch)

        def work(connection, batch=batch):
            ledger_rows.add_requests(connection, batch.rows)
            ledger_rows.add_usage(connection, batch.sums)
            following.commit_to(connection)

        store.write(work).result()
        following.drop_finished()
        findings += batch.findings
        if blocked is not None or following.position == before:
            return findings, blocked


def rows(store):
    found = store.read(lambda c: ledger_rows.list_requests(c, ledger_rows.LogFilter(), 9000)).result()
    return [build.from_row(row, find) for row in found]


def test_L5_a_settled_request_is_in_the_ledger_with_its_cost(store, spool, tmp_path):
    reserve(spool, 1)
    settle(spool, 1)
    spool.commit()
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    [record] = rows(store)
    assert record.cost_nanousd == 4500
    assert (record.key.name, record.team.name, record.end_user.id, record.tags) == ("bot", "team", "person", ["t"])
    assert record.client.tool == "curl" and record.client.version == "8.1"
    assert [line.cost_nanousd for line in record.cost_lines] == [1500, 3000]
    assert record.attempts[0].id == rid(1) + "-1" and record.attempts[0].cost_nanousd == 4500
    [total] = store.read(lambda c: ledger_rows.sum_usage(c, [], 0, 10**7)).result()
    assert (total["requests"], total["input_tokens"], total["output_tokens"], total["cost_nanousd"]) == (1, 10, 5, 4500)


def test_looking_for_more_needs_no_store_and_takes_nothing_away(store, spool, tmp_path):
    following = ingester(store, tmp_path)
    ingest(store, following)
    assert not following.has_more()
    reserve(spool, 1)
    settle(spool, 1)
    assert not following.has_more()  # not committed yet
    spool.commit()
    before = following.position
    assert following.has_more() and following.has_more()
    assert following.position == before and rows(store) == []
    assert ingest(store, following) == ([], None)
    assert len(rows(store)) == 1 and not following.has_more()


def test_L5_a_restart_at_any_commit_ingests_nothing_twice(store, tmp_path, clock):
    spool = SpoolWriter(tmp_path / "edge-0", clock, os.urandom, "run1", segment_bytes=2 * 1024 * 1024)
    for number in range(1200):
        reserve(spool, number)
        if number % 3:
            settle(spool, number)
        spool.commit()
        spool.maintain()
        if number % 400 == 399:
            assert ingest(store, ingester(store, tmp_path)) == ([], None)
    for number in range(0, 1200, 3):
        settle(spool, number)
    spool.commit()
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    assert store.read(ledger_rows.count_requests).result() == 1200


def test_L5_a_transaction_that_fails_changes_nothing(store, spool, tmp_path):
    reserve(spool, 1)
    settle(spool, 1)
    spool.commit()
    following, batch = ingester(store, tmp_path), Batch()
    following.ingest(batch)

    def fail(connection):
        ledger_rows.add_requests(connection, batch.rows)
        following.commit_to(connection)
        raise ValueError("the power went")

    with pytest.raises(ValueError):
        store.write(fail).result()
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    assert store.read(ledger_rows.count_requests).result() == 1


@pytest.mark.parametrize(
    ("tokens", "cost", "finding"),
    [
        (TokenUsage(input=10, output=5), 9, "does not follow"),
        (TokenUsage(input=-1), 0, "absurd"),
        (TokenUsage(output=10**12), 5, "absurd"),
    ],
)
def test_L5_a_spool_that_lies_about_cost_is_found_out(store, spool, tmp_path, tokens, cost, finding):
    reserve(spool, 1)
    settle(spool, 1, tokens=tokens, cost=cost)
    spool.commit()
    findings, _ = ingest(store, ingester(store, tmp_path))
    assert finding in findings[0].reason
    [record] = rows(store)
    assert record.cost_nanousd in {4500, None, 0}


def test_L5_a_settlement_of_somebody_else_is_refused(store, spool, tmp_path):
    reserve(spool, 1)
    settle(spool, 1)
    spool.append(
        Kind.SETTLE,
        records.encode_payload(records.Settle(rid(9), 200, "ok", [], None, 0, None, None, None, None, 0, 0, None)),
    )
    spool.append(Kind.DISPATCH, records.encode_payload(records.Dispatch("x-1", "d", 1, "l")))
    spool.commit()
    findings, _ = ingest(store, ingester(store, tmp_path))
    assert [f.reason.split(":")[0] for f in findings] == [
        "a settlement without a reservation of this spool",
        "a record of kind 16 does not belong into this spool",
    ]
    assert store.read(ledger_rows.count_requests).result() == 1


PICTURES = Price("echo", "override", {}, units={"images": 40_000_000 * 10**6})


@pytest.mark.parametrize(
    ("units", "said", "booked", "finding"),
    [
        ({"images": 2}, 80_000_000, 80_000_000, None),
        ({"images": 2}, 1, 80_000_000, "does not follow"),
        ({"images": 10**9}, 1, None, "does not follow"),
        ({"seconds": 2}, None, None, None),
        ({"invented": 2}, 5, None, "does not follow"),
        (None, None, None, None),
    ],
)
def test_L5_units_are_charged_and_not_believed(store, spool, tmp_path, units, said, booked, finding):
    reserve(spool, 1)
    settle(spool, 1, tokens=None, cost=said, units=units)
    spool.commit()
    follower = ingester(store, tmp_path)
    follower.charges.find_price = lambda *_: PICTURES
    batch = Batch()
    follower.ingest(batch)
    assert batch.rows[0][ledger_rows.REQUEST_COLUMNS.index("cost_nanousd")] == booked
    assert [finding in f.reason for f in batch.findings] == ([True] if finding else [])


OTHER = records.OtherModel("echo-2", "p", TokenUsage(input=1_000))


@pytest.mark.parametrize(
    ("said", "more", "booked", "listed", "finding"),
    [
        (6_000, {"charged_nanousd": 6_000}, 6_000, 4_500, None),
        (20_000, {"charged_nanousd": 20_000}, 20_000, 4_500, None),
        (4_500, {"charged_nanousd": 900_000_000}, 4_500, 4_500, "the provider states 900000000"),
        (900_000_000, {"charged_nanousd": 900_000_000}, 4_500, 4_500, "does not follow"),
        (4_500, {"charged_nanousd": 400}, 4_500, 4_500, "the provider states 400"),
        (4_500, {"states_cost": True}, 4_500, 4_500, "does not say how to read"),
        (0, {"charged_nanousd": 6_000}, 6_000, 4_500, "does not follow"),
        (154_500, {"others": [OTHER]}, 154_500, 154_500, None),
        (4_500, {"others": [OTHER]}, 154_500, 154_500, "does not follow"),
        (None, {"others": [records.OtherModel("unknown", None, USAGE)]}, None, None, None),
    ],
)
def test_L5_a_bill_of_more_than_tokens_is_computed_again(store, spool, tmp_path, said, more, booked, listed, finding):
    reserve(spool, 1)
    settle(spool, 1, cost=said, **more)
    spool.commit()
    findings, _ = ingest(store, ingester(store, tmp_path))
    assert [finding in found.reason for found in findings][-1:] == ([True] if finding else [])
    [record] = rows(store)
    assert (record.cost_nanousd, record.list_cost_nanousd) == (booked, listed)
    if booked is not None:
        assert sum(line.cost_nanousd for line in record.cost_lines) == booked
    [summed] = grouped(store, "model").values()
    assert (summed["cost_nanousd"], summed["list_cost_nanousd"]) == (booked or 0, listed or 0)


def test_a_name_without_a_price_is_charged_as_the_model_that_answered(store, spool, tmp_path):
    record = records.Reserve(
        rid(1), 1_790_000_000_001, CALLER, callee(price_id=None), False, 25, None, None, 100, None, None
    )
    spool.reserve(rid(1), records.encode_payload(record))
    settle(spool, 1, priced_as=("echo-2024", "p"))
    spool.commit()
    assert ingest(store, ingester(store, tmp_path))[0] == []
    [found] = rows(store)
    assert (found.cost_nanousd, found.price_version, found.upstream_model) == (4_500, "p", "echo")


def test_L5_an_absurd_cost_stops_nobody(store, spool, tmp_path):
    """A slip of the price, or a compromised edge: what does not fit the store must not end control."""
    reserve(spool, 1)
    settle(spool, 1, tokens=None, cost=None, units={"images": 10**7})
    reserve(spool, 2)
    settle(spool, 2)
    spool.commit()
    follower = ingester(store, tmp_path)
    dear = Price("echo", "override", {"input": Rate(1), "output": Rate(1)}, units={"images": 10**24})
    follower.charges.find_price = lambda *_: dear
    batch = Batch()
    follower.ingest(batch)
    costs = [row[ledger_rows.REQUEST_COLUMNS.index("cost_nanousd")] for row in batch.rows]
    assert costs[0] is None and len(costs) == 2
    assert any("absurd cost" in found.reason for found in batch.findings)
    store.write(lambda c: ledger_rows.add_requests(c, batch.rows)).result()
    store.write(lambda c: ledger_rows.add_usage(c, batch.sums)).result()


@pytest.mark.parametrize("bad", ["not-hex-at-all!", "", "F" * 32, "0" * 31, "0" * 33, "\u0663" * 32])
def test_L5_a_request_id_that_is_none_stops_nobody(store, spool, tmp_path, bad):
    """A compromised edge invents ids; the next record is ingested all the same."""
    record = records.Reserve(bad, 1_790_000_000_000, CALLER, callee(), False, 25, 3750, None, 100, None, None)
    spool.reserve(bad, records.encode_payload(record))
    reserve(spool, 2)
    settle(spool, 2)
    spool.commit()
    findings, _ = ingest(store, ingester(store, tmp_path))
    assert "id is not one" in findings[0].reason
    assert store.read(ledger_rows.count_requests).result() == 1


@pytest.mark.parametrize("change", [{"status": 2**63}, {"status": -1}, {"latency_ms": 2**63}])
def test_L5_numbers_that_the_store_cannot_hold_stop_nobody(store, spool, tmp_path, change):
    for number in (1, 2):
        reserve(spool, number)
    settled = records.Settle(rid(1), 200, "ok", [], USAGE, 4500, None, "stop", "id", None, 10, 5, None)
    spool.settle(rid(1), records.encode_payload(msgspec.structs.replace(settled, **change)))
    settle(spool, 2)
    spool.commit()
    findings, _ = ingest(store, ingester(store, tmp_path))
    assert len(findings) == 1
    outcomes = {record.id: record.outcome for record in rows(store)}
    assert outcomes == {rid(1): "interrupted", rid(2): "ok"}, (
        "what nobody settled properly is booked, and never as nothing"
    )


def test_an_unpriced_request_costs_none_and_is_counted(store, spool, tmp_path):
    record = records.Reserve(rid(1), 1, CALLER, callee(price_id=None), False, 25, None, None, 100)
    spool.reserve(rid(1), records.encode_payload(record))
    settle(spool, 1, cost=None)
    spool.commit()
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    assert rows(store)[0].cost_nanousd is None
    [total] = store.read(lambda c: ledger_rows.sum_usage(c, [], 0, 10**7)).result()
    assert (total["unpriced_requests"], total["cost_nanousd"]) == (1, 0)


def crash(spool, clock, tmp_path, dispatched=(), done=None):
    """The edge dies; its successor closes; the vault's journal holds what was dispatched."""
    spool.commit()
    os.close(spool._lock)
    journal = SpoolWriter(tmp_path / "vault", clock, os.urandom, "vault")
    for attempt in dispatched:
        journal.append(Kind.DISPATCH, records.encode_payload(records.Dispatch(attempt, "a/c", clock.wall_ms(), "run1")))
    if done is not None:
        journal.append(Kind.ATTEMPT_END, records.encode_payload(done))
    journal.commit()
    journal.close()
    return SpoolWriter(tmp_path / "edge-0", clock, os.urandom, "run2", segment_bytes=64 * 1024)


def test_L4_an_orphan_waits_for_the_fence_and_is_then_not_sent(store, spool, tmp_path, clock):
    reserve(spool, 1)
    crash(spool, clock, tmp_path)
    following = ingester(store, tmp_path)
    assert ingest(store, following) == ([], Blocked("run1"))
    again = ingester(store, tmp_path)
    assert ingest(store, again) == ([], Blocked("run1"))
    again.fence_done("run1")
    assert ingest(store, again) == ([], None)
    [record] = rows(store)
    assert (record.outcome, record.cost_nanousd, record.attempts) == ("not_sent", 0, [])


def test_L6_a_dispatched_orphan_is_interrupted_and_costs_what_was_seen(store, spool, tmp_path, clock):
    reserve(spool, 1)
    spool.checkpoint(rid(1), records.encode_payload(records.Checkpoint(rid(1), 1, 40, 900, 6000, 200)))
    crash(spool, clock, tmp_path, [rid(1) + "-1"])
    following = ingester(store, tmp_path)
    following.fence_done("run1")
    assert ingest(store, following) == ([], None)
    [record] = rows(store)
    assert record.outcome == "interrupted" and record.cost_estimated
    assert (record.tokens.input, record.tokens.output) == (25, 40)
    assert record.cost_nanousd == 25 * 150 + 40 * 600


def test_L6_usage_that_the_client_may_have_seen_is_booked_exactly(store, spool, tmp_path, clock):
    reserve(spool, 1)
    seen = records.Checkpoint(rid(1), 1, 3, 900, 6000, 200, TokenUsage(input=7, output=9))
    spool.checkpoint(rid(1), records.encode_payload(seen))
    crash(spool, clock, tmp_path, [rid(1) + "-1"])
    following = ingester(store, tmp_path)
    following.fence_done("run1")
    ingest(store, following)
    assert rows(store)[0].cost_nanousd == 7 * 150 + 9 * 600


def test_L6_an_attempt_that_the_provider_refused_costs_nothing(store, spool, tmp_path, clock):
    reserve(spool, 1)
    crash(spool, clock, tmp_path, [rid(1) + "-1"], records.AttemptEnd(rid(1) + "-1", 500, None, 10, 10, 1))
    following = ingester(store, tmp_path)
    following.fence_done("run1")
    ingest(store, following)
    assert (rows(store)[0].outcome, rows(store)[0].cost_nanousd) == ("interrupted", 0)


def test_L4_a_restart_of_control_between_orphan_and_decision_loses_nothing(store, spool, tmp_path, clock):
    reserve(spool, 1)
    attempt = records.Attempt(rid(1), 2, "b", "b/c", "c", "echo", None)
    spool.attempt(rid(1), records.encode_payload(attempt))
    ingest(store, ingester(store, tmp_path))
    crash(spool, clock, tmp_path, [rid(1) + "-1", rid(1) + "-2"])
    assert ingest(store, ingester(store, tmp_path))[1] == Blocked("run1")
    following = ingester(store, tmp_path)
    following.fence_done("run1")
    assert ingest(store, following) == ([], None)
    [record] = rows(store)
    assert [a.deployment for a in record.attempts] == ["a/echo@c", "b/echo@c"]


def test_L5_a_lie_in_a_spool_stops_nobody_after_a_restart(store, spool, tmp_path):
    """A settlement of nothing is a finding, once; control, which reads the segment again when it starts, goes on."""
    forged = records.Settle(rid(99), 200, "ok", [], None, 0, None, None, None, None, 0, 0, None)
    spool.append(Kind.SETTLE, records.encode_payload(forged))
    spool.commit()
    findings, _ = ingest(store, ingester(store, tmp_path))
    assert len(findings) == 1
    reserve(spool, 1)
    settle(spool, 1)
    spool.commit()
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    assert [record.id for record in rows(store)] == [rid(1)]


def test_L7_denials_are_recorded_with_their_count(store, spool, tmp_path):
    denial = records.Denial(
        rid(1),
        1,
        "k",
        "bot",
        1,
        None,
        None,
        None,
        "chat",
        "/x",
        "openai",
        "m",
        404,
        "model_not_found",
        "no",
        None,
        None,
        17,
    )
    spool.append(Kind.DENIAL, records.encode_payload(denial))
    spool.commit()
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    assert rows(store)[0].outcome == "denied"
    [total] = store.read(lambda c: ledger_rows.sum_usage(c, ["key"], 0, 10**7)).result()
    assert (total["group_key"], total["requests"], total["errors"]) == ("bot", 17, 17)


def moved_on(spool, number, outcomes, *, tokens=USAGE, cost=4500, outcome="ok", places=("b",)):
    """A request whose attempts after the first went to the credentials of `places` at provider `up2`."""
    reserve(spool, number)
    for at, name in enumerate(places, 2):
        attempt = records.Attempt(rid(number), at, "up2", f"up2/{name}", name, "echo", "p")
        spool.attempt(rid(number), records.encode_payload(attempt))
    record = records.Settle(rid(number), 200, outcome, outcomes, tokens, cost, None, "stop", "id", None, 10, 5, None)
    spool.settle(rid(number), records.encode_payload(record))
    spool.commit()


def grouped(store, *by, **where):
    found = store.read(lambda c: ledger_rows.sum_usage(c, list(by), 0, 10**7, where)).result()
    return {tuple(row[f"group_{name}"] for name in by): row for row in found}


def test_a_failed_attempt_counts_at_the_provider_that_failed(store, spool, tmp_path):
    failed = records.AttemptOutcome(1, 500, None, 0, 3, 4, None, None)
    answered = records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)
    for number in range(5):
        moved_on(spool, number, [failed, answered])
    ingest(store, ingester(store, tmp_path))
    by_provider = grouped(store, "provider")
    assert {name: (row["requests"], row["errors"]) for (name,), row in by_provider.items()} == {
        "a": (5, 5),
        "up2": (5, 0),
    }
    assert by_provider["a",]["cost_nanousd"] == 0 and by_provider["up2",]["cost_nanousd"] == 5 * 4500
    [total] = grouped(store).values()
    assert (total["requests"], total["errors"], total["attempts"], total["cost_nanousd"]) == (5, 0, 10, 5 * 4500)
    [by_model] = grouped(store, "model").values()
    assert (by_model["requests"], by_model["errors"]) == (5, 0)


def test_an_attempt_that_may_be_charged_is_part_of_the_cost(store, spool, tmp_path):
    hung = records.AttemptOutcome(
        1, None, "timeout", 0, None, 4, None, None, TokenUsage(input=25, output=0), 3750, True
    )
    answered = records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)
    moved_on(spool, 1, [hung, answered])
    assert ingest(store, ingester(store, tmp_path)) == ([], None)
    [record] = rows(store)
    assert record.cost_nanousd == 3750 + 4500 == sum(line.cost_nanousd for line in record.cost_lines)
    assert [attempt.cost_nanousd for attempt in record.attempts] == [3750, 4500]
    assert [attempt.tokens.input for attempt in record.attempts] == [25, 10]
    assert (record.tokens.input, record.tokens.output) == (35, 5)
    assert record.cost_estimated and "attempt 1" in record.estimate_reason and "timeout" in record.estimate_reason
    sums = grouped(store, "provider")
    assert (sums["a",]["cost_nanousd"], sums["a",]["input_tokens"], sums["a",]["errors"]) == (3750, 25, 1)
    assert (sums["up2",]["cost_nanousd"], sums["up2",]["errors"]) == (4500, 0)


def test_the_sums_of_attempts_are_proven_from_the_records(store, spool, tmp_path):
    hung = records.AttemptOutcome(
        1, None, "timeout", 0, None, 4, None, None, TokenUsage(input=25, output=0), 3750, True
    )
    refused = records.AttemptOutcome(2, 401, None, 4, 6, 8, None, None)
    answered = records.AttemptOutcome(3, 200, None, 4, 6, 8, None, None)
    moved_on(spool, 1, [hung, refused, answered], places=("b", "c"))
    ingest(store, ingester(store, tmp_path))
    adder = verify.Adder()
    [record] = rows(store)
    adder.add(record)
    booked = store.read(lambda c: list(ledger_rows.every_sum(c, 0, 10**7))).result()
    assert adder.compare(booked) == []


def test_a_spool_that_lies_about_an_earlier_attempts_cost_is_found(store, spool, tmp_path):
    lie = records.AttemptOutcome(1, None, "timeout", 0, None, 4, None, None, TokenUsage(input=25, output=0), 1, True)
    moved_on(spool, 1, [lie, records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)])
    [finding], _ = ingest(store, ingester(store, tmp_path))
    assert "does not follow" in finding.reason
    assert rows(store)[0].attempts[0].cost_nanousd == 3750


def test_the_last_status_of_each_credential_is_noted(store, spool, tmp_path):
    refused = records.AttemptOutcome(1, 401, None, 0, 3, 4, None, None)
    moved_on(spool, 1, [refused, records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)])
    following, batch = ingester(store, tmp_path), Batch()
    following.ingest(batch)
    assert {name: status for name, (status, _) in batch.heard.items()} == {"a/c": 401, "up2/b": 200}
    assert batch.tried == [("a", rid(1))]


HUGE = [2**64 - 1, 2**63, -1, -(2**63), None, "x" * 60_000, b"\xff", [], {}, 1.5, True]
KINDS = {
    Kind.RESERVE: lambda n: [rid(n), 1_790_000_000_000, ["k", "b", 1, None, None, None], ["chat", "/", "openai", "m", "a", "a/c", "c", "e", "p"], False, 25, 1, None, 9, "u", ["t"], "s"],
    Kind.SETTLE: lambda n: [rid(n), 200, "ok", [[1, 200, None, 0, 1, 2, 0, "r"]], [1, None, None, None, 2], 5, None, "stop", "id", "default", 9, 5, 1, "code", "text", ["d"], {"images": 1}],
    Kind.CHECKPOINT: lambda n: [rid(n), 1, 5, 10, 5, 200, [1, None, None, None, 2], "default"],
    Kind.ATTEMPT: lambda n: [rid(n), 2, "a", "a/c", "c", "e", "p"],
    Kind.ORPHAN: lambda n: [rid(n), "run0", 5],
    Kind.DENIAL: lambda n: [rid(n), 5, "k", "b", 1, None, None, None, "chat", "/", "openai", "m", 403, "c", "t", None, None, 1],
    Kind.COUNTERS: lambda n: [5, {"c": 1}, 1, 1, 1],
    Kind.KEPT: lambda n: [rid(n), ["file-abc"]],
    Kind.LATE: lambda n: [rid(n), "resp_1", "completed", [1, None, None, None, 2], "default", {"web_searches": 1}, [["m", "p", [1]]], 5, ["m", "p"]],
    Kind.SEGMENT: lambda n: ["f" * 32, 1, "run0", 5, 1],
}  # fmt: skip
BAD = [(kind, at, value) for kind, make in KINDS.items() for at in range(len(make(1))) for value in range(len(HUGE))]


def bad_payload(kind, at, value, number):
    fields = KINDS[kind](number)
    fields[at] = HUGE[value]
    payload = msgspec.msgpack.encode(fields)
    # A text that is not UTF-8: msgpack's str8 in place of its bin8.
    return payload.replace(b"\xc4\x01\xff", b"\xd9\x01\xff")


def test_L5_no_field_of_any_record_ends_absorption_now_or_at_the_next_start(store, tmp_path, clock):
    """Each field of each kind, with each absurd value, on an open reservation; then an honest request."""
    spool = SpoolWriter(tmp_path / "edge-0", clock, os.urandom, "run1", segment_bytes=8 * 1024 * 1024)
    following = ingester(store, tmp_path)
    following.fence_done("run0")
    for number, (kind, at, value) in enumerate(BAD):
        if len(msgspec.msgpack.encode(HUGE[value])) > 50_000 and at % 3:
            continue  # large ones are slow; some of them do
        if kind != Kind.RESERVE:
            reserve(spool, number)
        spool.append(kind, bad_payload(kind, at, value, number))
        spool.commit()
        spool.maintain()
        if number % 40 == 39:
            ingest(store, following)
    reserve(spool, 100_000)
    settle(spool, 100_000)
    spool.commit()
    ingest(store, following)
    assert rid(100_000) in {record.id for record in rows(store)}
    ingester(store, tmp_path)  # a restart reads the open ones again
    spool.close()
    successor = SpoolWriter(tmp_path / "edge-0", clock, os.urandom, "run2", segment_bytes=8 * 1024 * 1024)
    reserve(successor, 100_001)
    settle(successor, 100_001)
    successor.commit()
    again = ingester(store, tmp_path)
    _, blocked = ingest(store, again, careful=True)
    while blocked is not None:
        again.fence_done(blocked.run_id)
        _, blocked = ingest(store, again, careful=True)
    assert rid(100_001) in {record.id for record in rows(store)}
    total = store.read(lambda c: ledger_rows.sum_usage(c, [], 0, 10**9)).result()[0]
    assert 0 <= total["input_tokens"] < 2**62 and 0 <= total["cost_nanousd"] < 2**62


def test_L5_the_same_request_twice_in_one_batch_is_booked_once(store, spool, tmp_path):
    for _ in range(2):
        reserve(spool, 1)
        settle(spool, 1)
    spool.commit()
    ingest(store, ingester(store, tmp_path))
    assert len(rows(store)) == 1


def test_S4_texts_of_a_spool_are_cleaned_and_masked(store, spool, tmp_path):
    evil = "a\x1b]0;x\x07\u009b31m\u202e"
    secret = "sk-proj-0123456789abcdef0123456789"
    caller = msgspec.Raw(records.encode_payload(records.Caller("k" + evil, "bot" + evil, 1, "t" + evil, None, None)))
    there = records.Callee("chat", "/chat" + evil, "openai", "m" + evil, "a" + evil, "a/c", "c", "echo" + evil, "p")
    record = records.Reserve(
        rid(1), 1_790_000_000_000, caller, msgspec.Raw(records.encode_payload(there)), False, 25, None, None, 9, "u" + evil, [secret, evil], "s" + evil
    )  # fmt: skip
    spool.reserve(rid(1), records.encode_payload(record))
    outcome = records.AttemptOutcome(1, 200, "e" + evil, 0, 3, 4, None, secret)
    settlement = records.Settle(
        rid(1), 200, "ok", [outcome], USAGE, 4500, None, "stop" + evil, secret, "tier" + evil, 10, 5, None, "code" + evil, f"echo {secret}", ["d" + evil]
    )  # fmt: skip
    spool.settle(rid(1), records.encode_payload(settlement))
    spool.append(
        Kind.DENIAL,
        records.encode_payload(
            records.Denial(rid(2), 5, "k", "b" + evil, 1, None, None, None, "chat", "/", "openai", "m" + evil, 403, "c", secret, None, evil)
        ),
    )  # fmt: skip
    spool.commit()
    ingest(store, ingester(store, tmp_path))
    stored = store.read(lambda c: ledger_rows.list_requests(c, ledger_rows.LogFilter(), 10)).result()
    assert len(stored) == 2
    shown = repr([build.from_row(row, find) for row in stored]) + repr(stored)
    shown = shown.replace("\\xdc\\x00\\x1b", "")  # the length of a settlement
    for wrong in ("\\x1b", "\\x07", "\\x9b", "\\u202e", "\\xc2\\x9b", secret):
        assert wrong not in shown.replace("b'\\x9", ""), wrong


def test_a_kept_thing_belongs_to_the_caller_of_the_reservation(store, spool, tmp_path):
    reserve(spool, 1)
    spool.append(Kind.KEPT, records.encode_payload(records.Kept(rid(1), ["msg_1", "files/f"])))
    spool.append(Kind.KEPT, records.encode_payload(records.Kept(rid(2), ["nobodys"])))
    spool.append(Kind.KEPT, records.encode_payload(records.Kept(rid(1), ["an id that is none"])))
    settle(spool, 1)
    spool.commit()
    following = ingester(store, tmp_path)
    batch = Batch()
    following.ingest(batch)
    assert set(batch.stored) == {"msg_1", "files/f"}
    assert len({entry.scope for entry in batch.stored.values()}) == 1
    assert len(batch.findings) == 1
    following.close()


def test_L5_an_orphan_of_another_spools_run_is_a_finding_and_stalls_nothing(store, spool, tmp_path):
    reserve(spool, 1)
    spool.append(Kind.ORPHAN, records.encode_payload(records.Orphan(rid(1), "run-of-edge-1", 5)))
    reserve(spool, 2)
    settle(spool, 2)
    spool.commit()
    following = ingester(store, tmp_path)
    assert ingest(store, following) == ([], Blocked("run-of-edge-1"))
    following.fence_refused("run-of-edge-1")
    findings, blocked = ingest(store, following)
    assert blocked is None and "another spool" in findings[0].reason
    assert {record.outcome for record in rows(store)} == {"interrupted", "ok"}, "never silently nothing"
