import pytest

from switchgear.control.services import Services
from switchgear.core.organisation import KINDS, HolderPolicy
from switchgear.store.objects import KeyRow


def test_every_job_has_a_name_of_its_own_and_a_period(desk):
    table = desk.services.table()
    assert len({job.name for job in table}) == len(table) >= 7
    assert all(job.period_s > 0 and job.first_s >= 0 for job in table)


def test_every_service_works_on_one_publication_and_one_handle(desk):
    services: Services = desk.services
    for name in ("config", "keys", "credentials", "models", "freezes"):
        assert getattr(services, name)._publication is services.publication
        assert getattr(services, name)._control is services.control
    assert services.keys._stops is services.freezes._stops is services.config._stops is services.stops


@pytest.mark.parametrize("is_key", [True, False])
def test_a_key_or_team_with_a_budget_lets_balances_be_given_before_its_first_request(desk, is_key):
    services: Services = desk.services
    desk.run(services.publication.publish, services.publication.publish_keys)
    assert not services.holds.has_budgets()
    if is_key:
        desk.run(lambda: services.keys.create(KeyRow(id="", name="k", budget="5/day"), "ann"))
    else:
        desk.run(lambda: services.holders.create(KINDS["team"], "t", HolderPolicy(budget="5/day"), "ann"))
    assert services.holds.has_budgets()
    services.publication.has_holders_budgets = False
    desk.run(services.publication.publish_keys)
    assert services.holds.has_budgets(), "also after a start"
