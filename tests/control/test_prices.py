"""Prices by id: the ledger finds the one a record names, also after other prices were published."""

import json

import msgspec
import pytest

from switchgear.control.prices import PriceBook
from switchgear.pricing.catalog import Catalog
from switchgear.pricing.price import Price, Rate
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.store import ledger_rows

LISTED = {
    "id": "openai",
    "fallback": [],
    "models": [{"id": "gpt-x", "match": {"equals": "gpt-x"}, "prices": [{"meters": {"input": "1", "output": "2"}}]}],
}
OWN = Price("gpt-x", "deployment", {"input": Rate(5_000_000_000), "output": Rate(6_000_000_000)})
OVER = Price("m", "override", {"input": Rate(7_000_000_000), "output": Rate(8_000_000_000)})


def snapshot(price=None, overrides=None):
    model = ModelEntry(name="fast", deployments=(DeploymentEntry(provider="up", model="gpt-x", price=price),))
    provider = ProviderEntry(name="up", dialects=("openai",), credentials=("c",), pricing_id="openai")
    table = RouteTable(providers={"up": provider}, models={"fast": model})
    return Snapshot(store_id="s", epoch=1, table=table, price_overrides=overrides or {})


def catalog(made):
    return Catalog(
        lambda name: json.dumps(LISTED).encode() if name == "openai" else None, "2026-01-01", made.price_overrides, {}
    )


def published(book, made):
    return book.publish(made, catalog(made))


def look_up(store, book, price_id, provider="up", model="gpt-x", keep=True):
    return store.write(lambda c: book.look_up(c, price_id, provider, model, 1_790_000_000_000, keep)).result()


def stored(store, price_id):
    return store.read(lambda c: ledger_rows.price(c, price_id)).result()


@pytest.fixture
def store(desk):
    return desk.store


@pytest.fixture
def listed():
    """The list price of gpt-x."""
    return catalog(snapshot()).find("up", "openai", "gpt-x", 1_790_000_000_000)


def test_explicit_prices_are_returned_to_be_stored_before_edges_use_them():
    made = snapshot(OWN, {"up/m": OVER})
    assert published(PriceBook(), made) == {OWN.id: OWN, OVER.id: OVER}


def test_a_published_price_is_found_by_its_id_after_other_prices_came(store):
    book = PriceBook()
    published(book, snapshot(OWN))
    published(book, snapshot())
    assert look_up(store, book, OWN.id) == OWN


def test_a_list_price_is_found_by_its_id_and_stored(store, listed):
    book = PriceBook()
    published(book, snapshot())
    assert look_up(store, book, listed.id) == listed
    assert msgspec.json.decode(stored(store, listed.id), type=Price) == listed


def test_a_list_price_that_is_only_looked_at_is_not_stored(store, listed):
    book = PriceBook()
    published(book, snapshot())
    assert look_up(store, book, listed.id, keep=False) == listed
    assert stored(store, listed.id) is None


def test_a_stored_price_is_found_by_a_new_process(store, listed):
    book = PriceBook()
    published(book, snapshot())
    look_up(store, book, listed.id)
    assert look_up(store, PriceBook(), listed.id) == listed


@pytest.mark.parametrize(("provider", "model"), [("up", "gpt-x"), ("up", "unheard-of"), ("nobody", "gpt-x")])
def test_an_id_that_no_price_has_is_unknown_whatever_the_record_says(store, provider, model):
    book = PriceBook()
    published(book, snapshot())
    assert look_up(store, book, "0" * 16, provider, model) is None


def test_an_unknown_id_is_asked_of_the_store_once_until_prices_are_published_anew(store):
    book = PriceBook()
    published(book, snapshot())
    assert look_up(store, book, OWN.id) is None
    store.write(lambda c: ledger_rows.put_price(c, OWN.id, msgspec.json.encode(OWN), 1)).result()
    assert look_up(store, book, OWN.id) is None, "a compromised edge must not make the store search for each record"
    published(book, snapshot())
    assert look_up(store, book, OWN.id) == OWN
