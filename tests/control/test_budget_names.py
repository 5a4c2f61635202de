import msgspec
import pytest
from tests.control.test_models import FAST, serve

from switchgear.config.compile import Compiled
from switchgear.control import budget_names
from switchgear.core.budget_rule import BudgetSpec, Route
from switchgear.core.errors import UserError
from switchgear.core.organisation import KINDS, HolderPolicy
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.store.objects import KeyRow

SNAPSHOT = Snapshot(
    store_id="s",
    epoch=1,
    table=RouteTable(
        providers={"demo": ProviderEntry(name="demo", dialects={"openai": ""}, credentials=("none",))},
        models={
            "cheap": ModelEntry(name="cheap", deployments=(DeploymentEntry(provider="demo", model="echo"),)),
            "quick": ModelEntry(name="quick", alias="cheap"),
        },
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


def test_an_alias_counts_nothing_and_is_refused_with_the_name_that_counts():
    (found,) = budget_names.check(SNAPSHOT, BudgetSpec(limit="5/day", models=["quick"], on_spent=Route("quick")))
    assert found[0] == "budget.models[0]" and "write 'cheap'" in found[1]


def test_a_route_that_its_holder_may_not_take_is_refused():
    spec = BudgetSpec(limit="5/day", on_spent=Route("cheap"))
    assert list(budget_names.check(SNAPSHOT, spec, ["ch*"])) == []
    (found,) = budget_names.check(SNAPSHOT, spec, ["demo/*"])
    assert found[0] == "budget.on_spent.route" and "none of its `models`" in found[1]


def test_a_model_that_a_spent_budget_leads_to_is_removed_only_when_none_does(desk):
    services, spec = desk.services, BudgetSpec(limit="5/day", on_spent=Route("fast"))
    key = KeyRow(id="", name="kr", budget=spec)
    desk.run(*serve(desk), lambda: services.keys.create(key, "ann"))
    with pytest.raises(UserError, match="'fast' is not removed: key:kr would send requests there") as refused:
        desk.run(lambda: services.models.remove("fast", "ann"))
    assert "switchgear key update kr --budget" in refused.value.hint
    assert list(desk.publisher.current().table.models) == ["fast"]
    desk.run(lambda: services.keys.revoke("kr", "ann"), lambda: services.models.remove("fast", "ann"))
    assert desk.publisher.current().table.models == {}


def test_a_file_without_a_model_that_a_spent_budget_leads_to_is_refused(desk):
    config = desk.services.config
    file = Compiled(models=(msgspec.structs.replace(FAST, name="f*"),), source="/x.yaml", digest="1")
    team = HolderPolicy(budget=[BudgetSpec(limit="5/day", on_spent=Route("fast"))])
    desk.run(
        lambda: config.load(file, []), lambda: desk.services.holders.create(KINDS["team"], "research", team, "ann")
    )
    with pytest.raises(UserError, match="team:research would send requests there"):
        desk.run(lambda: config.apply(Compiled(source="/x.yaml", digest="2"), [], "ann"))
    same = msgspec.structs.replace(file, models=(FAST,), digest="3")
    desk.run(lambda: config.apply(same, [], "ann"))
    assert desk.services.publication.compiled.digest == "3"
