import msgspec
import pytest

from switchgear.control import answers, budget_routes
from switchgear.control.budget_routes import BudgetRaise, BudgetReset


@pytest.mark.parametrize("body", [{"reason": "x"}, {"amount": "5"}, {"amount": 5, "reason": "x"}])
def test_a_raise_needs_an_amount_and_a_reason(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, BudgetRaise)


def test_a_reset_needs_a_reason():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({}, BudgetReset)


def test_what_changes_a_budget_needs_the_permission_to_write_it():
    permissions = {route.method: route.permission for route in budget_routes.ROUTES}
    assert permissions == {"GET": "budgets:read", "POST": "budgets:write"}


def test_answers_have_the_types_that_are_described(desk):
    from tests.control.test_budgets import Books

    books = Books(desk, "5/day", "9 requests/1h rolling")
    books.run(books.service.raise_limit, "ci", "5", "x", "ann", label="day")

    async def shown():
        holder = await books.service.find("ci")
        return {"budgets": await books.service.states([holder]), "changes": await books.service.changes(holder)}

    found = desk.run(shown)
    decoded = msgspec.json.decode(msgspec.json.encode(found), type=answers.BudgetShown, strict=True)
    assert msgspec.to_builtins(decoded) == found
