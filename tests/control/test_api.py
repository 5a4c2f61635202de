from types import SimpleNamespace

import pytest

from switchgear.control.api import Call, time_of
from switchgear.core.errors import UserError


class Nothing:
    services = SimpleNamespace(control=None)


def call(**query: str) -> Call:
    return Call(Nothing(), "ann", {}, query, None)  # type: ignore[arg-type]


def test_numbers_of_a_query():
    assert call().number("limit", 50, 1, 100) == 50 and call(limit="7").number("limit", 50, 1, 100) == 7


@pytest.mark.parametrize("text", ["", "x", "-1", "101", "0", "³", "9" * 30, "1.5", " 1"])
def test_a_number_out_of_range_is_refused_with_its_parameters_name(text):
    with pytest.raises(UserError, match="limit="):
        call(limit=text).number("limit", 50, 1, 100)


def test_a_time_parameter_is_iso_8601_or_refused():
    assert time_of(None) is None and time_of("1970-01-02") == 86_400_000
    with pytest.raises(UserError, match="not an ISO 8601"):
        time_of("tomorrow")
