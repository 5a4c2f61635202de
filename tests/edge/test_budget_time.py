"""An edge's trusted time and periods."""

from switchgear.edge.budget_time import BudgetTime
from switchgear.policies.budgets import Budget
from switchgear.policies.periods import Calendar

DAY = Budget(subject="key:k", limit=1, calendar=Calendar(kind="day"))
ROLLING = Budget(subject="key:k", limit=1, rolling_s=60)


def test_a_hold_lies_in_the_running_period_of_its_calendar(clock):
    time = BudgetTime(clock)
    now_ms, boot_us = time.now()
    period = time.place(DAY, now_ms, boot_us).period
    assert period.starts_ms <= now_ms < period.ends_ms
    assert period.ends_ms - period.starts_ms == 86_400_000
    assert time.place(ROLLING, now_ms, boot_us).period is None


def test_a_clock_that_jumps_opens_no_period_until_it_has_stood(clock):
    time = BudgetTime(clock)
    before = time.place(DAY, *time.now()).period
    jumped = BudgetTime(Jumping(clock, 2 * 86_400_000), time._trusted.distance_ms)
    assert jumped.place(DAY, *jumped.now()).period == before


def test_what_is_believed_is_told_once(clock):
    told = []
    time = BudgetTime(clock, None, told.append)
    time.now()
    time.now()
    assert told == [clock.wall_ms() - clock.boot_us() // 1_000]


class Jumping:
    """A clock whose wall time is wrong."""

    def __init__(self, clock, by_ms):
        self._clock, self._by_ms = clock, by_ms

    def wall_ms(self):
        return self._clock.wall_ms() + self._by_ms

    def boot_us(self):
        return self._clock.boot_us()
