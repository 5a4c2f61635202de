"""What an answer costs beside its tokens at the asked model's price. Level 4.

A provider may ask a further model, state its own figure, or answer with a model whose name the client did not use.
"""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.core.money import NANO_PER_USD
from switchgear.core.text import clean
from switchgear.core.usage import TokenUsage
from switchgear.dialects.reading import Reading
from switchgear.edge.context import RequestContext
from switchgear.pricing.price import Meterer
from switchgear.wire import records

OTHERS_MAX = 4
"""Further models of one answer that are recorded."""
STATED_USD_MAX = 10_000
"""No answer costs more."""
PriceOf = Callable[[str], Meterer | None]


class OtherModel(msgspec.Struct, frozen=True):
    """What a further model used, and its price."""

    model: str
    tokens: TokenUsage
    meterer: Meterer | None


class Bill(msgspec.Struct, frozen=True):
    """What an answer costs beside its tokens at the asked model's price."""

    others: tuple[OtherModel, ...] = ()
    charged_nanousd: int | None = None
    model: str | None = None
    """The model that the answer named, where the asked name has no price."""
    meterer: Meterer | None = None

    def recorded(self) -> tuple[list[records.OtherModel] | None, int | None, tuple[str, str] | None]:
        """Return what a settlement says of it."""
        others = [
            records.OtherModel(
                clean(one.model, 64), one.meterer.price_id if one.meterer is not None else None, one.tokens
            )
            for one in self.others
        ]
        named = (clean(self.model, 64), self.meterer.price_id) if self.model and self.meterer is not None else None
        return others or None, self.charged_nanousd, named


def bill_of(context: RequestContext, reading: Reading, charges: str, price_of: PriceOf) -> Bill | None:
    """Return what an answer costs beside its tokens; None for most. `charges` says where the provider states its figure,
    `price_of` finds the price of another of its models."""
    charged = stated(reading.cost, charges) if charges and reading.cost is not None else None
    named = price_of(reading.model) if context.meterer is None and reading.model is not None else None
    if charged is None and named is None and not reading.others:
        return None
    others = tuple(
        OtherModel(one.model, one.tokens, price_of(one.model)) for one in (reading.others or ())[:OTHERS_MAX]
    )
    return Bill(others, charged, reading.model if named is not None else None, named)


def stated(cost: bytes, charges: str) -> int | None:
    """Return the nano-USD that a provider states in its usage; None where it does not, or nothing believable."""
    try:
        value = msgspec.json.decode(cost)
        for name in charges.split(".")[1:]:
            value = value[name]
        usd = Decimal(str(value))
    except (*UNREADABLE, KeyError, TypeError, ArithmeticError):
        return None
    if isinstance(value, bool) or not usd.is_finite() or not 0 <= usd <= STATED_USD_MAX:
        return None
    return int((usd * NANO_PER_USD).to_integral_value())
