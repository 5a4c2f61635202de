"""What an attempt came to, as its budgets count it. Level 4 (docs/invariants.md N4)."""

from collections.abc import Iterable, Sequence

from switchgear.core.usage import TokenUsage
from switchgear.edge.budget_sets import Counted
from switchgear.edge.context import Spent
from switchgear.policies import budgets
from switchgear.policies.buckets import Hold
from switchgear.policies.budgets import Spends


def used(
    counted: Iterable[Counted], usage: TokenUsage | None, cost_nanousd: int | None, requests: int
) -> list[int | None]:
    """Return what an attempt came to, of each budget; None: nobody knows."""
    read = written = 0
    if usage is not None:
        read, written = usage.input_total, usage.output_total
    amounts: dict[Spends, int | None] = {
        Spends.NANOUSD: cost_nanousd,
        Spends.REQUESTS: requests,
        Spends.INPUT: read,
        Spends.OUTPUT: written,
        Spends.TOTAL: read + written,
    }
    return [amounts[one.budget.unit] for one in counted]


def booked(counted: Sequence[Counted], holds: Iterable[Hold], spent: Spent, requests: int) -> list[int]:
    """Return what each budget counts of an attempt that was sent (as `ledger.balances`)."""
    found = used(counted, spent.usage, spent.cost_nanousd, requests)
    return [
        budgets.booked(one.budget.unit, known, hold.amount, is_hard=hold.bucket.is_hard, is_told=not spent.is_untold)
        for one, known, hold in zip(counted, found, holds, strict=True)
    ]
