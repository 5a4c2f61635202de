"""The table of refusals."""

from switchgear.core import problems


def test_codes_are_unique_and_statuses_are_errors():
    assert len({case.code for case in problems.CASES}) == len(problems.CASES)
    assert all(400 <= case.status < 600 for case in problems.CASES)
    assert problems.INVALID_KEY.status == 401
