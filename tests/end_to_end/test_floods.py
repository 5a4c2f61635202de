"""Stopping somebody, and bounded memory, under each flood and beside each process that hangs. How long it takes is a benchmark's
business: `python -m tests.end_to_end.floods` has the floods at their full size, and the seconds."""

import pytest
from tests.end_to_end import floods

SCALE = 0.05


@pytest.mark.parametrize("name", floods.FLOODS)
def test_S2_a_revocation_and_a_freeze_hold_when_they_have_answered_under_a_flood(name):
    found = floods.measure(name, SCALE, back_s=0.0, hold_s=0)
    assert found["made"], "there was a flood"
    assert set(found["stopped"]) == {"revoke", "freeze"}
    assert max(found["peak"].values()) <= floods.BOUND_BYTES


@pytest.mark.parametrize("role", ["vault", "edge", "control"])
def test_S2_a_revocation_and_a_freeze_hold_when_they_have_answered_while_a_process_hangs(role):
    assert set(floods.measure_hung(role)) == {"revoke", "freeze"}
