"""Long work in steps."""

import pytest

from switchgear.core.steps import Steps, Stepwise, finish


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


def test_a_stepwise_function_does_all_at_once_or_in_steps_and_keeps_its_description():
    @Stepwise
    def add(numbers: list[int]) -> Steps[int]:
        """Add up."""
        total = 0
        for number in numbers:
            total += number
            yield
        return total

    assert add([1, 2, 3]) == 6
    assert add.__doc__ == "Add up."
    steps = add.steps([1, 2, 3])
    assert [next(steps) for _ in range(3)] == [None] * 3
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == 6
