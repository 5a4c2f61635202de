"""Money is an integer number of nano-USD (1 USD = 10**9). Level 0."""

from decimal import Decimal, InvalidOperation
from typing import NewType

NanoUsd = NewType("NanoUsd", int)

NANO_PER_USD = 1_000_000_000
AMOUNT_USD_MAX = Decimal(10**9)


def parse_usd(text: str) -> NanoUsd:
    """Read a decimal number of USD exactly, e.g. "0.15" -> 150_000_000.

    Raises ValueError when the text is no finite, non-negative decimal with at most 9 places.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount: write a decimal number such as 0.15") from None
    if not value.is_finite() or value < 0 or value > AMOUNT_USD_MAX:
        raise ValueError(f"{text!r} is not an amount: it must lie between 0 and {AMOUNT_USD_MAX}")
    nano = value * NANO_PER_USD
    if nano != nano.to_integral_value():
        raise ValueError(f"{text!r} has more than 9 decimal places")
    return NanoUsd(int(nano))


def format_usd(amount: int) -> str:
    """Write nano-USD as a decimal with 9 places, e.g. 1_500_000_000 -> "1.500000000"."""
    sign = "-" if amount < 0 else ""
    whole, nano = divmod(abs(amount), NANO_PER_USD)
    return f"{sign}{whole}.{nano:09d}"


def round_half_even(numerator: int, denominator: int) -> int:
    """Divide integers and round half to even: the one rounding of a cost.

    >>> round_half_even(5, 2), round_half_even(7, 2)
    (2, 4)
    """
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient
