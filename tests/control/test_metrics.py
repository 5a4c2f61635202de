"""Metrics: one table of names, and docs that list them."""

from pathlib import Path

from switchgear.control import metrics
from switchgear.control.refusals import Refusal

STATUS = {
    "version": "1.2.3",
    "state": "degraded",
    "problems": ["one"],
    "pids": {"supervisor": 1, "edge": [2, 3], "vault": [4], "control": 5},
    "ledger": {"absorbed": 7, "spool_bytes": 8},
    "refused": {"up/default": Refusal(401, 1, 2)},
    "double_entry": {"checked": 9, "unspooled": 10, "repeated": 11},
}
SUMS = {
    "requests": 3,
    "errors": 1,
    "attempts": 4,
    "input_tokens": 5,
    "output_tokens": 6,
    "cost_nanousd": 1_500_000_000,
    "unpriced_requests": 0,
}
DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def rendered(traffic):
    text = metrics.render(metrics.Collector(lambda: STATUS, lambda: traffic, 2, {"high": 3, "low": 0})).decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_what_is_shown():
    found = rendered({"openai": SUMS})
    assert found['switchgear_info{version="1.2.3"}'] == "1.0"
    assert found["switchgear_ready"] == "1.0"
    assert found['switchgear_processes{role="edge"}'] == "2.0"
    assert found["switchgear_double_entry_unspooled_total"] == "10.0"
    assert found["switchgear_findings"] == "2.0"
    assert found['switchgear_refused_credentials{credential="up/default"}'] == "401.0"
    assert found['switchgear_attempts_total{provider="openai"}'] == "4.0"
    assert found['switchgear_doctor_findings{severity="high"}'] == "3.0"
    assert found['switchgear_cost_usd_total{provider="openai"}'] == "1.5"
    assert found['switchgear_requests_total{provider="openai"}'] == "3.0"


def test_names_of_providers_cannot_break_a_line():
    text = metrics.render(metrics.Collector(lambda: STATUS, lambda: {'x"\n y': SUMS}, 0, {})).decode()
    assert 'provider="x\\"\\n y"' in text


def test_the_documentation_lists_every_metric():
    text = DOCS.read_text()
    for name in rendered({"openai": SUMS}):
        assert f"`{name.partition('{')[0]}`" in text, f"{name} is not in docs/operations.md"
