"""What attempts cost by the prices of their reservations, computed again from usage: a spool's own figures are compared, never
taken. Level 3. Pure (docs/invariants.md L5)."""

from collections.abc import Callable

from switchgear.core.usage import TokenUsage
from switchgear.ledger import build
from switchgear.ledger.batch import Try
from switchgear.ledger.build import FindPrice, OpenRequest
from switchgear.pricing.price import Price, Pricer, cost, is_believed
from switchgear.wire import records

PRICERS_MAX = 10_000
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
        self._pricers: dict[str, Pricer] = {}

    def price(self, opened: OpenRequest, callee: records.Callee | records.Attempt) -> Price | None:
        """Return the price that a reservation names for a place."""
        if callee.price_id is None:
            return None
        return self.find_price(callee.price_id, callee.provider, callee.upstream_model, opened.reserve.time_ms)

    def cost(
        self,
        opened: OpenRequest,
        callee: records.Callee | records.Attempt,
        usage: TokenUsage | None,
        tier: str | None,
        units: dict[str, int] | None,
    ) -> Amounts:
        """Return what an attempt cost."""
        pricer = self._pricer(opened, callee)
        if pricer is None:
            return None, None
        amount = listed = pricer.nanousd(usage, tier, units)
        if pricer.price.discount_bp and amount is not None:
            full = cost(pricer.price, usage, tier, units)
            listed = full.list_nanousd if full is not None else None
        return amount, listed

    def bill(self, opened: OpenRequest, usage: TokenUsage | None, settle: records.Settle, find: Find) -> Amounts:
        """Return what an answer cost, with all that stands beside its tokens."""
        callee = build.priced_callee(opened, settle)
        amount: int | None = None
        listed: int | None = None
        if callee.price_id is not None and (usage is not None or settle.units):
            amount, listed = self.cost(opened, callee, usage, settle.service_tier, build.units_of(settle))
            for other in settle.others or ():
                tokens = other.tokens if other.tokens.is_sane() else None
                more: Amounts = (None, None)
                if tokens is not None:
                    more = self.cost(opened, build.other_callee(callee, other), tokens, None, None)
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
            callee, usage = build.callee_of(opened, outcome.number), outcome.tokens
            if usage is not None and not usage.is_sane():
                find(f"absurd usage in {settle.id[:40]}")
                usage = None
            amount, listed = (
                (0, 0)
                if usage is None
                else self.cost(opened, callee, usage, outcome.service_tier, build.units_of(outcome))
            )
            if amount is not None and amount > COST_NANOUSD_MAX:
                find(f"absurd cost of {settle.id[:40]}")
                amount = listed = None
            if outcome.cost_nanousd is not None and outcome.cost_nanousd != amount:
                find(f"the cost of {settle.id[:40]} does not follow from its usage")
            tries.append(
                Try(
                    upstream_model=callee.upstream_model,
                    provider=callee.provider,
                    credential_id=callee.credential_id,
                    usage=usage,
                    cost_nanousd=amount,
                    list_nanousd=listed,
                    failed=build.is_failure(outcome.status, outcome.error),
                )
            )
        return tries

    def _pricer(self, opened: OpenRequest, callee: records.Callee | records.Attempt) -> Pricer | None:
        if callee.price_id is None:
            return None
        pricer = self._pricers.get(callee.price_id)
        if pricer is None:
            price = self.price(opened, callee)
            if price is None:
                return None
            if len(self._pricers) >= PRICERS_MAX:
                self._pricers.clear()
            pricer = self._pricers[callee.price_id] = Pricer(price)
        return pricer
