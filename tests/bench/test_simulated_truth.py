"""Counters that are wrong are found by the books beside them."""

import msgspec
import pytest

from switchgear.bench.simulation import Simulation, Size
from switchgear.counters.memory import MemoryCounters

FEW = Size(hours=0.05, keys=40, teams=4, requests_per_s=4.0, deaths_per_hour=60.0)


class Forgetful(MemoryCounters):
    """Forgets what one in ten requests used."""

    settled = 0

    def settle(self, ticket, actual):
        self.settled += 1
        super().settle(ticket, [0] * len(actual) if self.settled % 10 == 0 else actual)


class Generous(MemoryCounters):
    """Takes whatever is asked for."""

    def __init__(self, now_us):
        super().__init__(now_us)

    def take(self, holds, attempt, done):

        soft = [msgspec.structs.replace(hold.bucket, is_hard=False) for hold in holds]
        return super().take(
            [type(hold)(bucket, hold.amount) for hold, bucket in zip(holds, soft, strict=True)], attempt, done
        )


class Leaking(MemoryCounters):
    """Never gives a slot back that was released."""

    def release(self, ticket):
        pass


@pytest.mark.parametrize("counters", [Forgetful, Generous, Leaking])
def test_counters_that_are_wrong_are_found(counters):
    assert Simulation(FEW, 2, counters).run().truth.violations
