"""What an answer costs beside its tokens at the asked model's price. Level 4.

A provider may ask a further model, state its own figure, or answer with a model whose name the client did not use.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.core.money import NANO_PER_USD
from switchgear.core.text import clean
from switchgear.core.usage import TokenUsage
from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.edge.context import RequestContext
from switchgear.pricing.price import EXPLICIT, Pricer
from switchgear.providers.quirks import Quirks
from switchgear.wire import records

OTHERS_MAX = 4
"""Further models of one answer that are recorded."""
STATED_USD_MAX = 10_000
"""No answer costs more."""
PriceOf = Callable[[str], Pricer | None]


class OtherModel(msgspec.Struct, frozen=True):
    """What a further model used, and its price."""

    model: str
    tokens: TokenUsage
    pricer: Pricer | None


class Bill(msgspec.Struct, frozen=True):
    """What an answer costs beside its tokens at the asked model's price."""

    others: tuple[OtherModel, ...] = ()
    charged_nanousd: int | None = None
    model: str | None = None
    """The model that the answer named, where the asked name has no price or another model's."""
    pricer: Pricer | None = None
    is_foreign: bool = False
    """The answer states a cost, and no row says how to read it."""

    def recorded(self) -> tuple[list[records.OtherModel] | None, int | None, tuple[str, str] | None]:
        """Return what a settlement says of it."""
        others = [
            records.OtherModel(
                clean(one.model, 64), one.pricer.price_id if one.pricer is not None else None, one.tokens
            )
            for one in self.others
        ]
        named = (clean(self.model, 64), self.pricer.price_id) if self.model and self.pricer is not None else None
        return others or None, self.charged_nanousd, named


def bill_of(context: RequestContext, metadata: AnswerMetadata, quirks: Quirks, price_of: PriceOf) -> Bill | None:
    """Return what an answer costs beside its tokens; None for most. `quirks` say where its provider states its figure, `price_of`
    finds the price of another of its models."""
    charged = stated(metadata.cost, quirks) if quirks.charges and metadata.cost is not None else None
    foreign = metadata.cost is not None and not quirks.charges
    named = _named(context.pricer, metadata.model, price_of) if metadata.model is not None else None
    if charged is None and named is None and not metadata.others and not foreign:
        return None
    others = tuple(
        OtherModel(one.model, one.tokens, price_of(one.model)) for one in (metadata.others or ())[:OTHERS_MAX]
    )
    return Bill(others, charged, metadata.model if named is not None else None, named, foreign)


def _named(asked: Pricer | None, model: str, price_of: PriceOf) -> Pricer | None:
    """Return the price of the model that answered, where it is listed as another than the one that was asked: an alias, a
    deployment's own name. A price that the operator gave stays."""
    if asked is not None and asked.price.source in EXPLICIT:
        return None
    found = price_of(model)
    return found if found is None or asked is None or found.price.model != asked.price.model else None


def stated(cost: bytes, quirks: Quirks) -> int | None:
    """Return the nano-USD that a provider states in its usage, where its row says so; None where it does not, or nothing
    believable. `cost` is what `AnswerMetadata.cost` holds."""
    try:
        said = msgspec.json.decode(cost)
        usd = _figure(said, quirks.charges) / quirks.charges_per_usd
        if quirks.charges_own_key and said.get("is_byok") is True:
            usd += _figure(said, quirks.charges_own_key) / quirks.charges_per_usd
    except (*UNREADABLE, KeyError, TypeError, AttributeError, ArithmeticError):
        return None
    if not usd.is_finite() or not 0 <= usd <= STATED_USD_MAX:
        return None
    return int((usd * NANO_PER_USD).to_integral_value())


def _figure(said: Any, path: str) -> Decimal:
    """Return the number at a path; what is none is one that is not finite."""
    for name in path.split("."):
        said = said[name]
    return Decimal("NaN") if isinstance(said, bool) or said is None else Decimal(str(said))
