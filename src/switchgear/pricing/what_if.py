"""What a use would have cost at another model's price. Level 1, pure.

It is an estimate: another model reads and writes other numbers of tokens for the same texts. Sums say nothing of single requests,
so prices for long prompts are left out, what was written into a cache counts as written for five minutes, and units that are no
tokens (images, searches) are not counted.
"""

import msgspec

from switchgear.core.usage import TokenUsage
from switchgear.pricing.price import Price, cost


def cost_nanousd(
    price: Price, input_tokens: int, cache_read_tokens: int, cache_write_tokens: int, output_tokens: int
) -> int | None:
    """Return what sums of tokens cost at a price, or None where it has no rate for some of them. `input_tokens` are with those that
    were read from a cache or written into one, `output_tokens` with those of reasoning."""
    plain = {meter: msgspec.structs.replace(rate, tiers=()) for meter, rate in price.rates.items()}
    usage = TokenUsage(
        input=max(0, input_tokens - cache_read_tokens - cache_write_tokens),
        cache_read=cache_read_tokens,
        cache_write_5m=cache_write_tokens,
        output=output_tokens,
    )
    found = cost(msgspec.structs.replace(price, rates=plain, units={}), usage)
    return found.nanousd if found is not None else None
