"""Every price that was ever published, by id. Level 5.

The ledger computes costs again from a record's usage and price id, also for records of an hour ago under other prices.
"""

import msgspec
from sqlalchemy import Connection

from switchgear.pricing.catalog import Catalog
from switchgear.pricing.price import Price
from switchgear.replica.entries import Snapshot
from switchgear.store import ledger_rows

_decode = msgspec.json.Decoder(Price).decode


class PriceBook:
    """Finds prices by id. `look_up` runs in the store's writer thread, `publish` before edges see a snapshot."""

    def __init__(self) -> None:
        self._by_id: dict[str, Price] = {}
        self._catalog: Catalog | None = None
        self._pricing_ids: dict[str, str | None] = {}
        self._unknown: set[str] = set()

    def publish(self, snapshot: Snapshot, catalog: Catalog) -> dict[str, Price]:
        """Take a snapshot's prices; returns the explicit ones by id: store them before edges may use them."""
        explicit = [d.price for m in snapshot.table.models.values() for d in m.deployments if d.price is not None]
        for name in snapshot.price_overrides:
            provider, _, model = name.partition("/")
            found = catalog.find(provider, None, model, 0)
            if found is not None:
                explicit.append(found)
        by_id = {price.id: price for price in explicit}
        self._by_id.update(by_id)
        self._pricing_ids = {p.name: p.pricing_id for p in snapshot.table.providers.values()}
        self._catalog = catalog
        self._unknown.clear()
        return by_id

    def look_up(
        self, connection: Connection, price_id: str, provider: str, model: str, at_ms: int, keep: bool = True
    ) -> Price | None:
        """Return the price with an id: published, of the snapshot, or kept from earlier. With `keep` it is stored."""
        price = self._by_id.get(price_id)
        if price is not None or price_id in self._unknown:
            return price
        if self._catalog is not None:
            candidate = self._catalog.find(provider, self._pricing_ids.get(provider), model, at_ms)
            if candidate is not None and candidate.id == price_id:
                self._by_id[price_id] = candidate
                if keep:
                    ledger_rows.put_price(connection, price_id, msgspec.json.encode(candidate), at_ms)
                return candidate
        stored = ledger_rows.price(connection, price_id)
        if stored is None:
            self._unknown.add(price_id)
            return None
        price = self._by_id[price_id] = _decode(stored)
        return price
