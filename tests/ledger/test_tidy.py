"""What is clean stays the same object; what is not comes out clean, whichever field it stands in."""

import msgspec
import pytest

from switchgear.ledger import tidy
from switchgear.wire import records

EVIL = "a\x1b[31m\u009bx\u202eb\x00"
SETTLED = records.Settle("i", 200, "ok", [], None, 0, None, "stop", "id", "default", 0, 0, None)


def test_a_clean_settlement_is_returned_as_it_is():
    outcome = records.AttemptOutcome(1, 200, None, 0, 1, 2, None, "req_0123456789abcdef")
    settled = msgspec.structs.replace(SETTLED, attempts=[outcome], response_id="chatcmpl-0123456789abcdef")
    assert tidy.settlement(settled) is settled


@pytest.mark.parametrize("name", tidy.SETTLE)
def test_each_text_of_a_settlement_is_cleaned(name):
    value = [EVIL] if name == "dropped" else EVIL
    found = getattr(tidy.settlement(msgspec.structs.replace(SETTLED, **{name: value})), name)
    assert (found[0] if name == "dropped" else found) == "a[31mxb"


@pytest.mark.parametrize("name", tidy.OUTCOME)
@pytest.mark.parametrize("count", [1, 2])
def test_each_text_of_an_attempt_is_cleaned(name, count):
    outcome = msgspec.structs.replace(records.AttemptOutcome(1, 200, None, 0, 1, 2, None, None), **{name: EVIL})
    settled = msgspec.structs.replace(SETTLED, attempts=[outcome] * count)
    assert [getattr(one, name) for one in tidy.settlement(settled).attempts] == ["a[31mxb"] * count


def test_names_of_an_administrator_are_stripped_and_never_masked():
    caller = records.Caller("k", "sk-production-of-team-a" + EVIL, 1, None, None, None, agent="sk-0123456789abcdef0123")
    found = tidy.tidy(caller, tidy.CALLER)
    assert found.key_name == "sk-production-of-team-aa[31mxb" and found.agent == "sk-…"


def test_lists_and_units_are_capped():
    settled = msgspec.structs.replace(SETTLED, dropped=["x" * 999] * 999, units={EVIL + str(n): 1 for n in range(99)})
    found = tidy.settlement(settled)
    assert len(found.dropped) == tidy.LIST_MAX and len(found.dropped[0]) == tidy.ID_MAX
    assert len(found.units) <= tidy.UNITS_MAX and all(name.isprintable() for name in found.units)
