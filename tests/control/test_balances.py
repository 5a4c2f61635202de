"""Balances are written with the records that they come from, once, and are the sum of them."""

from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.test_balances import CALLEE, CALLER, PRICE, outcome

from switchgear.control.balances import Balances
from switchgear.core.usage import TokenUsage
from switchgear.ledger import build, settlement
from switchgear.ledger.batch import Batch
from switchgear.ledger.build import OpenRequest
from switchgear.ledger.charges import Charges
from switchgear.store import balance_rows, ledger_rows
from switchgear.wire import records
from switchgear.wire.records import Held

DAY_MS = 86_400_000
NAMES = ("one/5:key:k//day", "one/5:key:k//requests/day", "each/12:organisation//total/day/user/ann")
UNITS = dict(zip(NAMES, ("nanousd", "requests", "total"), strict=True))


def request(number, period, names):
    identity = f"{1_790_000_000_000 + number:012x}{number:020x}"
    held = [Held(name, period, 10**6, UNITS[name], (period + 1) * DAY_MS) for name in names]
    reserve = records.Reserve(
        identity,
        1_790_000_000_000,
        msgspec.Raw(records.encode_payload(CALLER)),
        msgspec.Raw(records.encode_payload(CALLEE)),
        False,
        25,
        None,
        None,
        100,
        budgets=held,
        held_us=5,
    )
    raw = records.encode_payload(reserve)
    return OpenRequest(records.decode_payload(records.Kind.RESERVE, raw), CALLER, CALLEE, raw, [])


def settle(opened, tokens):
    usage = TokenUsage(input=tokens, output=tokens // 2)
    cost = tokens * 1_000 + tokens // 2 * 2_000
    return records.Settle(
        opened.reserve.id, 200, "ok", [outcome(1)], usage, cost, None, "stop", None, None, 10, 5, None
    )


def take(store, requests):
    """Book requests as the ingester does: those that the ledger has already are left out."""

    def work(connection):
        batch = Batch(lambda identity: bool(ledger_rows.known_ids(connection, [identity])))
        for opened, record in requests:
            settlement.book(
                batch, opened, record, records.encode_payload(record), Charges(lambda *_: PRICE), pytest.fail
            )
        ledger_rows.add_requests(connection, batch.rows)
        Balances().write(connection, batch)
        return batch

    return store.write(work)


def by_hand(store):
    """Add up what every record of the ledger says that it held and used."""
    sums = Counter()
    for row in store.read(lambda c: list(ledger_rows.every_record(c, "", "g"))).result():
        opened, record = build.opened_of(row)
        tokens = record.tokens.input + record.tokens.output
        used = {"nanousd": record.cost_nanousd, "requests": 1, "total": tokens}
        for held in opened.reserve.budgets:
            sums[held.budget, held.period] += used[held.unit]
    return {key: value for key, value in sums.items() if value}


def balances(store):
    return {
        (row.budget, row.period): row.settled
        for row in store.read(lambda c: list(balance_rows.running(c, 0))).result()
        if row.settled
    }


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 25),
                st.integers(20_000, 20_002),
                st.sets(st.sampled_from(NAMES)).map(sorted),
                st.integers(0, 10_000),
            ),
            max_size=5,
            unique_by=lambda found: found[0],
        ),
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_N4_balances_are_the_sum_of_the_ledger_whatever_comes_twice_or_fails(desk, batches, failing):
    for table in ("balances", "requests", "tried", "usage"):
        desk.store.write(lambda c, name=table: c.execute(balance_rows.balances.metadata.tables[name].delete())).result()
    for number, batch in enumerate(batches):
        requests = [(opened := request(n, period, names), settle(opened, tokens)) for n, period, names, tokens in batch]
        if number == failing:  # the process dies before the commit, and the batch comes again

            def torn(connection, requests=requests):
                found = Batch()
                for opened, record in requests:
                    payload = records.encode_payload(record)
                    settlement.book(found, opened, record, payload, Charges(lambda *_: PRICE), pytest.fail)
                Balances().write(connection, found)
                raise ConnectionResetError

            assert desk.store.write(torn).exception() is not None
        take(desk.store, requests).result()
    assert balances(desk.store) == by_hand(desk.store)


def test_what_changed_is_told_once():
    watched, batch = Balances(), Batch()
    opened = request(1, 20_000, [NAMES[0]])
    record = settle(opened, 100)
    settlement.book(batch, opened, record, records.encode_payload(record), Charges(lambda *_: PRICE), pytest.fail)
    watched.on_batch(batch)
    watched.add({("x", 1)})
    assert watched.take() == {(NAMES[0], 20_000), ("x", 1)}
    assert watched.take() == set()
