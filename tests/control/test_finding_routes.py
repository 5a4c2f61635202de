import msgspec
import pytest

from switchgear.control.finding_routes import ROUTES, FindingDecide, FindingsRecord, Recognise


@pytest.mark.parametrize("digests", [["x"], ["A" * 64], ["0" * 64] * 10_001, [1]])
def test_digests_are_digests_and_bounded(digests):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"digests": digests}, Recognise)


def test_states_that_people_may_set():
    assert msgspec.convert({"state": "accepted", "reason": "r"}, FindingDecide).until is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"state": "fixed"}, FindingDecide)


def test_a_run_says_whether_it_was_partial():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"findings": [], "sources": "x"}, FindingsRecord)


def test_asking_about_secrets_needs_the_permission_to_write_findings():
    assert {r.path: r.permission for r in ROUTES}["/api/v1/recognise"] == "findings:write"
