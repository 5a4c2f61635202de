"""A simulated hour holds all that limits and budgets promise; and where they do not, it is seen."""

import pytest

from switchgear.bench.simulation import Simulation, Size

SMALL = Size(hours=0.2, keys=120, teams=12, requests_per_s=2.0, deaths_per_hour=60.0)
FEW = Size(hours=0.05, keys=40, teams=4, requests_per_s=4.0, deaths_per_hour=60.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_limit_budget_and_count_holds(seed):
    done = Simulation(SMALL, seed).run()
    assert done.truth.violations == []
    assert done.did["edges killed"] and done.did["attempts"] > 300 and done.ends["answered"] > 200
    assert done.ends["budget spent"] and done.ends["interrupted"]


def test_a_seed_is_the_same_day_again():
    first, second = (Simulation(FEW, 7).run() for _ in range(2))
    assert (first.did, first.ends) == (second.did, second.ends)
