"""Durations, times, money, output."""

import json

import pytest

from switchgear.cli import base
from switchgear.core.errors import UserError


@pytest.mark.parametrize(("text", "ms"), [("15m", 900_000), ("24h", 86_400_000), ("2w", 1_209_600_000), ("500ms", 500)])
def test_durations(text, ms):
    assert base.duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "h", "-5m", "5 m", "5y"])
def test_what_is_no_duration_says_how(text):
    with pytest.raises(UserError) as info:
        base.duration_ms(text)
    assert info.value.exit_code == 2


def test_times():
    assert base.time_ms("1h", 7_200_000) == 3_600_000
    assert base.time_ms("1970-01-02", 0) == 86_400_000
    with pytest.raises(UserError):
        base.time_ms("soon", 0)
    assert base.date_of(0) == "1970-01-01 00:00" and base.date_of(None) is None
    assert base.expiry("2030-01-01") == "2030-01-01" and base.expiry(None) is None and "T" in base.expiry("1d")


@pytest.mark.parametrize(("nano", "text"), [(0, "0.00"), (1_500, "0.0000015"), (10**9, "1.00"), (None, None)])
def test_money(nano, text):
    assert base.usd(nano) == text


def test_rows_in_every_format(capsys):
    rows = [{"a": 1, "b": None, "c": ["x", "y"]}]
    for kind in base.FORMATS:
        base.Output(kind).rows({"rows": rows}, rows, {"A": "a", "B": "b", "C": "c"}, ("c",))
    out = capsys.readouterr().out
    assert (
        "a,b,c" in out and '"x, y"' in out and json.loads(out[out.index("{") : out.rindex("}") + 1]) == {"rows": rows}
    )
    base.Output("table").rows({}, [], {"A": "a"}, (), "nothing here")
    assert "nothing here" in capsys.readouterr().out
