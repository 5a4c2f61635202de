"""What attempts cost by the prices of their reservations, computed again from usage: a spool's own figures are compared, never
taken. Level 3. Pure (docs/invariants.md L5)."""

from collections.abc import Callable

from switchgear.core.usage import TokenUsage
from switchgear.ledger import build
from switchgear.ledger.batch import Try
from switchgear.ledger.build import FindPrice, OpenRequest
from switchgear.pricing.price import Meterer, Price, cost, is_believed
from switchgear.wire import records

METERERS_MAX = 10_000
COST_NANOUSD_MAX = 10**15
"""A million USD for one request is a lie or a slip of the price; sums of the store have 63 bits."""

Find = Callable[[str], None]
"""Takes the words of a finding."""
Amounts = tuple[int | None, int | None]
"""Nano-USD: what is charged, and what it costs by the list; None: no price is known."""


class Charges:
    """Prices of one spool's attempts, each made ready once."""

    def __init__(self, find_price: FindPrice) -> None:
        self.find_price = find_price
        """Set anew for each transaction: it looks prices up there."""
        self._meterers: dict[str, Meterer] = {}

    def price(self, opened: OpenRequest, place: records.Place | records.Attempt) -> Price | None:
        """Return the price that a reservation names for a place."""
        if place.price_id is None:
            return None
        return self.find_price(place.price_id, place.provider, place.upstream_model, opened.reserve.time_ms)

    def cost(
        self,
        opened: OpenRequest,
        place: records.Place | records.Attempt,
        usage: TokenUsage | None,
        tier: str | None,
        units: dict[str, int] | None,
    ) -> Amounts:
        """Return what an attempt cost."""
        meterer = self._meterer(opened, place)
        if meterer is None:
            return None, None
        amount = listed = meterer.nanousd(usage, tier, units)
        if meterer.price.discount_bp and amount is not None:
            full = cost(meterer.price, usage, tier, units)
            listed = full.list_nanousd if full is not None else None
        return amount, listed

    def bill(self, opened: OpenRequest, usage: TokenUsage | None, settle: records.Settle, find: Find) -> Amounts:
        """Return what an answer cost, with all that stands beside its tokens."""
        place = build.priced_place(opened, settle)
        amount: int | None = None
        listed: int | None = None
        if place.price_id is not None and (usage is not None or settle.units):
            amount, listed = self.cost(opened, place, usage, settle.service_tier, build.units_of(settle))
            for other in settle.others or ():
                tokens = other.tokens if other.tokens.is_sane() else None
                more: Amounts = (None, None)
                if tokens is not None:
                    more = self.cost(opened, build.other_place(place, other), tokens, None, None)
                amount = None if amount is None or more[0] is None else amount + more[0]
                listed = None if listed is None or more[1] is None else listed + more[1]
        charged = settle.charged_nanousd
        if charged is None:
            return amount, listed
        if not is_believed(amount, charged):
            find(f"the provider states {charged} nano-USD for {settle.id[:40]}, its list says {amount}: that is booked")
            return amount, listed
        return charged, charged if listed is None else listed

    def tries_before(self, opened: OpenRequest, settle: records.Settle, find: Find) -> list[Try]:
        """Return the attempts before the last one, as they are booked."""
        tries = []
        for outcome in build.tries(settle)[:-1]:
            place, usage = build.place_of(opened, outcome.number), outcome.tokens
            if usage is not None and not usage.is_sane():
                find(f"absurd usage in {settle.id[:40]}")
                usage = None
            amount, listed = (
                (0, 0)
                if usage is None
                else self.cost(opened, place, usage, outcome.service_tier, build.units_of(outcome))
            )
            if amount is not None and amount > COST_NANOUSD_MAX:
                find(f"absurd cost of {settle.id[:40]}")
                amount = listed = None
            if outcome.cost_nanousd is not None and outcome.cost_nanousd != amount:
                find(f"the cost of {settle.id[:40]} does not follow from its usage")
            tries.append(
                Try(
                    upstream_model=place.upstream_model,
                    provider=place.provider,
                    credential_id=place.credential_id,
                    usage=usage,
                    cost_nanousd=amount,
                    list_nanousd=listed,
                    failed=build.is_failure(outcome.status, outcome.error),
                )
            )
        return tries

    def _meterer(self, opened: OpenRequest, place: records.Place | records.Attempt) -> Meterer | None:
        if place.price_id is None:
            return None
        meterer = self._meterers.get(place.price_id)
        if meterer is None:
            price = self.price(opened, place)
            if price is None:
                return None
            if len(self._meterers) >= METERERS_MAX:
                self._meterers.clear()
            meterer = self._meterers[place.price_id] = Meterer(price)
        return meterer
