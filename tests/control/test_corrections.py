"""What is pending, and its one correction: in the store with the records that they are about."""

import asyncio
import os
from types import SimpleNamespace

import msgspec
import pytest
from tests.ledger.test_corrections import opened, settled, told

from switchgear.control.corrections import GIVEN_UP_MS, Corrections
from switchgear.control.exports import Numbering
from switchgear.control.prices import PriceBook
from switchgear.core.usage import TokenUsage
from switchgear.ledger import build, corrections
from switchgear.ledger.batch import Batch
from switchgear.pricing.price import Price, Rate
from switchgear.replica.publisher import Publisher
from switchgear.replica.reader import ReplicaReader
from switchgear.store import ledger_rows, outbox
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.wire import records

PRICE = Price("echo", "override", {"input": Rate(150_000_000), "output": Rate(600_000_000)})


class Books:
    def __init__(self, folder):
        self.store = Store(SqliteBackend(folder / "store.sqlite"), True, os.urandom, bytes(32))
        self.folder = folder / "replica"
        self.publisher = Publisher(self.folder)
        self.now_ms = 1_790_000_000_000
        self.said = []

        async def read(function):
            return await asyncio.wrap_future(self.store.read(function))

        async def write(function):
            return await asyncio.wrap_future(self.store.write(function))

        clock = SimpleNamespace(wall_ms=lambda: self.now_ms)
        self.control = SimpleNamespace(
            report=self.said.append, clock=clock, publisher=self.publisher, read=read, write=write
        )
        prices = PriceBook()
        prices._by_id["p"] = PRICE
        self.corrections = Corrections(self.control, prices)

    def book(self, batch):
        def work(connection):
            ledger_rows.add_requests(connection, batch.rows)
            ledger_rows.add_usage(connection, batch.sums)
            self.corrections.write(connection, batch)
            Numbering().write(connection, batch)

        self.store.write(work).result()

    def begin(self, **more):
        """A request whose answer is made in the background is booked."""
        batch, found = Batch(), opened(**more)
        reserve = found.reserve
        row = build.encode_stored(
            build.StoredRecord(
                msgspec.Raw(records.encode_payload(reserve)), [], msgspec.Raw(records.encode_payload(settled()))
            )
        )
        dimensions = ("k", "bot", "team", "", "", "a/echo", "echo", "a", "a/c")
        batch.add(
            reserve.id, dimensions, row, status=200, outcome="ok", cost_nanousd=3750, list_nanousd=3750, latency_ms=1,
            usage=settled().tokens, attempts=1, estimated=True,
        )  # fmt: skip
        batch.pending["resp_1"] = corrections.pending_of(found)
        self.book(batch)

    def tell(self, **more):
        batch = Batch()
        batch.late.append(msgspec.structs.replace(told(), **more))
        self.book(batch)
        return batch

    def total(self):
        (row,) = self.store.read(lambda c: ledger_rows.sum_usage(c, [], 0, ledger_rows.FOR_EVER)).result()
        return row["requests"], row["cost_nanousd"], row["estimated_requests"]

    def published(self):
        asyncio.run(self.corrections.turn())
        self.publisher.close()  # LMDB opens an environment once in a process
        reader = ReplicaReader(self.folder)
        found = reader.pending()
        reader.close()
        self.publisher = self.control.publisher = Publisher(self.folder)
        return found


@pytest.fixture
def books(tmp_path):
    made = Books(tmp_path)
    yield made
    made.publisher.close()
    made.store.close()


def test_what_is_told_is_booked_once(books):
    books.begin()
    assert books.published()["resp_1"].request_id == opened().reserve.id
    assert books.tell().changed_keys == {"k"}
    exact = (1, 1_000 * 150 + 2_000 * 600, 0)
    assert books.total() == exact
    assert books.tell().changed_keys == set()
    page = books.store.read(lambda c: outbox.after(c, 0, 9)).result()
    assert page.head_seq == len(page.rows) == 2, "a consumer of records is told of both"
    assert books.total() == exact
    assert books.published() == {}


def test_an_answer_whose_records_come_again_is_not_corrected_again(books):
    books.begin()
    books.tell()
    again = Batch()
    again.pending["resp_1"] = corrections.pending_of(opened())
    books.book(again)
    books.tell()
    assert books.total() == (1, 1_350_000, 0)


@pytest.mark.parametrize("other", [{"scope": "team:others"}, {"credential_id": "b/c"}])
def test_anothers_answer_of_the_same_name_corrects_nothing(books, other):
    books.begin()
    books.tell(**other)
    assert books.total() == (1, 3750, 1)
    assert "resp_1" in books.published()


def test_an_answer_that_ended_without_usage_stays_an_estimate(books):
    books.begin()
    books.tell(late=msgspec.structs.replace(told().late, finish_reason="cancelled", tokens=None))
    assert books.total() == (1, 3750, 1)
    assert books.published() == {}


ZEROS = TokenUsage(input=0, output=0)


@pytest.mark.parametrize("tokens", [None, ZEROS])
def test_an_answer_that_ended_without_usage_is_booked_with_what_it_shows(books, tokens):
    books.begin()
    late = records.Late("r", "resp_1", "cancelled", tokens, output_tokens_estimate=1_000)
    books.tell(late=late)
    assert books.total() == (1, 3750 + 1_000 * 600, 1), "and is an estimate still"
    assert books.published() == {}
    assert len(books.said) == 1 and "without usage" in books.said[0]


@pytest.mark.parametrize(("shown", "output"), [(None, 800), (500, 500), (5_000, 800)])
def test_an_answer_that_ended_without_usage_has_no_more_output_than_was_asked_for(books, shown, output):
    books.begin(output_max=800)
    books.tell(late=records.Late("r", "resp_1", "cancelled", None, output_tokens_estimate=shown))
    assert books.total() == (1, 3750 + output * 600, 1)


def test_zeros_give_nothing_back(books):
    books.begin()
    books.tell(late=records.Late("r", "resp_1", "completed", ZEROS))
    assert books.total() == (1, 3750, 1)
    assert len(books.said) == 1


def crowd(books, key_id, count, start=0):
    who = records.encode_payload(records.Caller(key_id, key_id, 1, None, None, None))
    batch, one = Batch(), corrections.pending_of(opened())
    for number in range(count):
        entry = msgspec.structs.replace(one, who=who, since_ms=books.now_ms + start + number)
        batch.pending[f"resp_{key_id}_{number:05}"] = entry
    books.book(batch)


def test_no_key_has_more_than_its_share_asked_for(books, monkeypatch):
    monkeypatch.setattr("switchgear.control.corrections.PENDING_OF_KEY_MAX", 5)
    crowd(books, "a", 8)
    crowd(books, "b", 2)
    found = [f"resp_a_{number:05}" for number in range(5)] + ["resp_b_00000", "resp_b_00001"]
    assert sorted(books.published()) == found
    books.published()
    assert len(books.said) == 1 and "key a has more than 5" in books.said[0], "told once"
    last = msgspec.structs.replace(told().late, response_id="resp_a_00007")
    books.begin()
    books.tell(late=last)
    assert books.total()[1] == 1_350_000, "its client's own question corrects it"


def test_many_answers_of_one_key_crowd_out_no_other(books, monkeypatch):
    monkeypatch.setattr("switchgear.control.corrections.PENDING_MAX", 4)
    crowd(books, "a", 8)
    crowd(books, "z", 2, start=100)
    assert sorted(books.published()) == ["resp_a_00000", "resp_a_00001", "resp_z_00000", "resp_z_00001"]


def test_what_no_provider_tells_is_given_up(books):
    books.begin()
    books.now_ms += GIVEN_UP_MS + 1
    assert books.published() == {}
    assert len(books.said) == 1
