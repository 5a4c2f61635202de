"""Long work in steps."""

import pytest

from switchgear.core.steps import Steps, finish


def count(to: int) -> Steps[int]:
    for number in range(to):
        if number == 7:
            raise ValueError("seven")
        yield
    return to


def test_finish_does_all_of_it_and_returns_what_it_made():
    assert finish(count(5)) == 5
    assert finish(count(0)) == 0


def test_finish_raises_what_the_work_raises():
    with pytest.raises(ValueError, match="seven"):
        finish(count(9))
