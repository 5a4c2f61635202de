import csv
import io

from click.testing import CliRunner

from switchgear.cli.client import Client
from switchgear.cli.ledger import ledger, usage

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


def test_a_ledger_with_a_hole_is_a_finding(monkeypatch):
    monkeypatch.setattr(Client, "call", answer)
    done = CliRunner().invoke(ledger, ["verify"], standalone_mode=False)
    assert done.return_value == 3 and "1 of 9 records are missing" in done.output
