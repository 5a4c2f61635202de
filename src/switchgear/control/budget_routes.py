"""Routes of budgets: what is spent, and how one is raised or reset. Level 5."""

from typing import Any

import msgspec

from switchgear.control import answers
from switchgear.control.api import Call, P, Route
from switchgear.control.budgets import LISTED_MAX


class BudgetRaise(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /budgets/{subject}/raise."""

    amount: str
    """In the budget's unit: `5` is 5 USD, tokens or requests."""
    reason: str
    budget: str | None = None
    """Its name, else its unit and period, where there are several."""
    value: str | None = None
    """Of the dimension, where there is one balance for each."""


class BudgetReset(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of POST /budgets/{subject}/reset."""

    reason: str
    budget: str | None = None
    value: str | None = None
    """Without it, of all values."""


async def list_budgets(call: Call) -> Any:
    """Every budget with what is spent of it."""
    states = await call.services.budgets.states(await call.services.budgets.holders())
    return {"budgets": states[:LISTED_MAX]}


async def show_budget(call: Call) -> Any:
    """The budgets of a key, a team, a model…: what is spent and held, when they begin anew, what was changed about them."""
    service = call.services.budgets
    holder = await service.find(call.path["subject"])
    return {"budgets": await service.states([holder]), "changes": await service.changes(holder)}


async def raise_budget(call: Call) -> Any:
    """A higher limit for the running period; it holds for the next request."""
    body: BudgetRaise = call.body
    return await call.services.budgets.raise_limit(
        call.path["subject"], body.amount, body.reason, call.actor, body.budget, body.value
    )


async def reset_budget(call: Call) -> Any:
    """Bring what is spent in the running period to zero, as a correction."""
    body: BudgetReset = call.body
    return await call.services.budgets.reset(call.path["subject"], body.reason, call.actor, body.budget, body.value)


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{P}/budgets", "budgets:read", list_budgets, answers.BudgetStates),
    Route("GET", f"{P}/budgets/{{subject:path}}", "budgets:read", show_budget, answers.BudgetShown),
    Route(
        "POST",
        f"{P}/budgets/{{subject:path}}/raise",
        "budgets:write",
        raise_budget,
        answers.BudgetStates,
        BudgetRaise,
    ),
    Route(
        "POST",
        f"{P}/budgets/{{subject:path}}/reset",
        "budgets:write",
        reset_budget,
        answers.BudgetStates,
        BudgetReset,
    ),
)
