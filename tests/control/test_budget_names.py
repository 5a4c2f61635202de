import pytest

from switchgear.control import budget_names
from switchgear.core.budget_rule import BudgetSpec, Route
from switchgear.core.errors import UserError
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable

SNAPSHOT = Snapshot(
    store_id="s",
    epoch=1,
    table=RouteTable(
        providers={"demo": ProviderEntry(name="demo", dialects={"openai": ""}, credentials=("none",))},
        models={"cheap": ModelEntry(name="cheap", deployments=(DeploymentEntry(provider="demo", model="echo"),))},
    ),
    model_sets={"premium": ("cheap",)},
)


def test_names_that_lead_somewhere_are_accepted():
    spec = BudgetSpec(limit="5/day", models=["@premium", "cheap", "demo/echo", "nothing/*"], on_spent=Route("cheap"))
    assert list(budget_names.check(SNAPSHOT, ["5/week", spec])) == []
    budget_names.refuse(None, BudgetSpec(limit="5/day", models=["@x"]))


def test_a_name_that_leads_nowhere_is_refused_with_its_path_and_what_was_meant():
    wrong = BudgetSpec(limit="5/day", models=["@premum", "cheep"], on_spent=Route("nowhere"))
    found = dict(budget_names.check(SNAPSHOT, [wrong]))
    assert "did you mean 'premium'?" in found["budget[0].models[0]"]
    assert "did you mean 'cheap'?" in found["budget[0].models[1]"]
    assert "there is no model 'nowhere'" in found["budget[0].on_spent.route"]
    with pytest.raises(UserError, match="@premum"):
        budget_names.refuse(SNAPSHOT, wrong)
