import csv
import io
import json

import pytest
from click.testing import CliRunner

from switchgear.cli.client import Client
from switchgear.cli.ledger import ledger, usage
from switchgear.store import ledger_rows
from switchgear.store.sums import Sums

SUMS = {"requests": 2, "errors": 1, "input_tokens": 3, "output_tokens": 4, "cost_nanousd": 1_500_000_000, "unpriced_requests": 0, "estimated_requests": 0}  # fmt: skip


def answer(_self, _method, path, **query):
    if path == "/ledger/verify":
        gap = {"spool_id": "s", "missing": 1, "sequence": 9}
        return {"requests": 8, "completeness_percent": 99.9, "differences": [], "gaps": [gap]}
    return {"rows": [{"group": {"model": "=1+1", "team": None}, **SUMS}], "total": SUMS}


def test_usage_as_csv_has_money_as_a_number_and_no_formula(monkeypatch):
    monkeypatch.setattr(Client, "call", answer)
    done = CliRunner().invoke(usage, ["--by", "model,team", "-o", "csv"])
    (row,) = csv.DictReader(io.StringIO(done.output))
    assert (row["model"], row["team"], row["cost_usd"]) == ("'=1+1", "", "1.500000000")


def test_usage_for_people_has_a_total(monkeypatch):
    monkeypatch.setattr(Client, "call", answer)
    text = CliRunner().invoke(usage, ["--by", "model,team"]).output
    assert "total: 2 requests, 3 in, 4 out, 1.50 USD" in text and "nanousd" not in text


@pytest.mark.parametrize(
    ("cost", "unpriced", "told"),
    [(0, 2, "unpriced"), (1_500_000_000, 1, "≥ 1.50"), (1_500_000_000, 0, "1.50"), (0, 0, "0.00")],
)
def test_what_has_no_price_is_not_told_as_free(monkeypatch, cost, unpriced, told):
    sums = {**SUMS, "cost_nanousd": cost, "unpriced_requests": unpriced}
    found = {"rows": [{"group": {"model": "m"}, **sums}], "total": sums}
    monkeypatch.setattr(Client, "call", lambda *_, **__: found)
    head, row, total = CliRunner().invoke(usage, ["--by", "model"]).output.splitlines()
    at = head.index("COST USD")
    assert row[: at + len("COST USD")].endswith(told)
    assert ("cost not known" if told == "unpriced" else f"{told} USD") in total
    raw = CliRunner().invoke(usage, ["--by", "model", "-o", "csv"]).output
    assert f"{cost / 1e9:.9f}" in raw


def test_days_are_whole_however_narrow_the_terminal_is(monkeypatch):
    found = {"rows": [{"group": {"model": "m" * 60, "day": f"2026-11-2{n}"}, **SUMS} for n in range(3)], "total": SUMS}
    monkeypatch.setattr(Client, "call", lambda *_, **__: found)
    text = CliRunner().invoke(usage, ["--by", "model,day"], env={"COLUMNS": "60"}).output
    assert [f"2026-11-2{n}" in text for n in range(3)] == [True] * 3 and max(map(len, text.splitlines()[:4])) <= 60


def test_a_ledger_with_a_hole_is_a_finding(monkeypatch):
    monkeypatch.setattr(Client, "call", answer)
    done = CliRunner().invoke(ledger, ["verify"], standalone_mode=False)
    assert done.return_value == 3 and "1 of 9 records are missing" in done.output


def test_what_the_use_would_cost_at_another_models_price_is_shown_beside_it(served):
    sums = Sums(requests=1, attempts=1, input_tokens=1_000_000, cache_read_tokens=200_000, output_tokens=100_000)
    hour = served.desk.clock.wall_ms() // 3_600_000
    dimensions = (hour, "k", "ci", "research", "", "", "m", "m", "demo", "demo/none")
    served.desk.store.write(lambda c: ledger_rows.add_usage(c, {dimensions: sums})).result()
    assert served.run("price", "set", "openai/x", "--input", "1", "--output", "2").exit_code == 0
    done = served.run("usage", "--by", "team", "--what-if", "openai/x", "-o", "json")
    answer = json.loads(done.output)
    assert answer["total"]["what_if_nanousd"] == 1_200_000_000, "800,000 + 200,000 (no rate for cached) + 2 × 100,000"
    assert answer["rows"][0]["what_if_nanousd"] == 1_200_000_000
    assert "at openai/x: 1.20 USD" in served.run("usage", "--what-if", "openai/x").output
    assert "no known price" in str(served.run("usage", "--what-if", "nothing").exception)
