"""Metrics: one table of names, and docs that list them."""

from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from switchgear.control import metrics
from switchgear.control.refusals import Refusal
from switchgear.control.traffic import SERIES_MAX, STATUSES_MAX, Traffic
from switchgear.ledger.deployments import OUTCOMES, DeploymentCounts
from switchgear.store.outbox import Cursor
from switchgear.store.sums import Sums
from switchgear.testing.clock import FakeClock
from switchgear.wire.records import Counters

STATUS = {
    "version": "1.2.3",
    "state": "degraded",
    "problems": ["one"],
    "pids": {"supervisor": 1, "edge": [2, 3], "vault": [4], "control": 5},
    "ledger": {"absorbed": 7, "spool_bytes": 8},
    "refused": {"up/default": Refusal(401, 1, 2)},
    "faults": {"edge": 13, "vault": 14, "control": 15},
    "double_entry": {"checked": 9, "unspooled": 10, "repeated": 11, "contradicted": 12},
}
SUMS = Sums(requests=3, errors=1, attempts=4, input_tokens=5, output_tokens=6, cost_nanousd=1_500_000_000)
DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def meter():
    found = Traffic(frozenset({"invalid_api_key"}), FakeClock())
    found.settled([("openai", "gpt-4o", 200, 700, 90), ("openai", "gpt-4o", 502, 30_000, None)])
    found.counted("edge-0", [Counters(0, {"invalid_api_key": 200}, 12, 3, 1)])
    return found


EXPORTS = metrics.Exports([Cursor("bills", 7, 2, 0, 0)], 10)


def deployments():
    state = DeploymentCounts()
    for latency_ms in (90, 700):
        state.add("ok", 1, latency_ms, 30)
    state.add("rate_limit", 2)
    return {"openai/gpt-4o@main": state}


def text_of(providers, shown=None):
    shown = shown or meter()
    shown._providers = providers
    return metrics.render(
        metrics.Collector(lambda: STATUS, 2, {"high": 3, "low": 0}, shown, (5, 4, 12), deployments(), EXPORTS)
    ).decode()


def rendered(traffic):
    text = text_of(traffic)
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_the_state_of_the_gateway_is_shown_as_metrics():
    found = rendered({"openai": SUMS})
    assert found['switchgear_info{version="1.2.3"}'] == "1.0"
    assert found["switchgear_ready"] == "1.0"
    assert found['switchgear_processes{role="edge"}'] == "2.0"
    assert found["switchgear_double_entry_unspooled_total"] == "10.0"
    assert found["switchgear_findings"] == "2.0"
    shown = {role: found[f'switchgear_faults_total{{role="{role}"}}'] for role in ("edge", "vault", "control")}
    assert shown == {"edge": "13.0", "vault": "14.0", "control": "15.0"}
    assert found['switchgear_refused_credentials{credential="up/default"}'] == "401.0"
    assert found['switchgear_attempts_total{provider="openai"}'] == "4.0"
    assert found['switchgear_doctor_findings{severity="high"}'] == "3.0"
    assert found['switchgear_cost_usd_total{provider="openai"}'] == "1.5"
    assert found['switchgear_requests_total{provider="openai"}'] == "3.0"


def test_what_is_shown_of_deployments_and_exports():
    found = rendered({})
    of = 'deployment="openai/gpt-4o@main"'
    assert found[f'switchgear_deployment_attempts_total{{{of},outcome="ok"}}'] == "2.0"
    assert found[f'switchgear_deployment_attempts_total{{{of},outcome="rate_limit"}}'] == "1.0"
    assert found[f'switchgear_deployment_latency_seconds_bucket{{{of},le="0.1"}}'] == "1.0"
    assert found[f"switchgear_deployment_latency_seconds_count{{{of}}}"] == "2.0"
    assert found[f"switchgear_deployment_first_token_seconds_sum{{{of}}}"] == "0.06"
    assert found[f"switchgear_deployment_failures_in_row{{{of}}}"] == "1.0"
    assert found['switchgear_export_behind_records{cursor="bills"}'] == "3.0"
    assert found['switchgear_export_lost_records_total{cursor="bills"}'] == "2.0"


def test_series_of_deployments_are_bounded_and_the_first_ones_stay(monkeypatch):
    def named(count):
        state = DeploymentCounts()
        for outcome in OUTCOMES:
            state.add(outcome, 1, 5, 5)
        return {f"p/m{number}@c": state for number in range(count)}

    shown = meter()
    text = metrics.render(
        metrics.Collector(lambda: STATUS, 2, {}, shown, (5, 4, 12), named(1_000), metrics.Exports())
    ).decode()
    lines = [line for line in text.splitlines() if line.startswith("switchgear_deployment_")]
    assert len({line.partition('deployment="')[2].partition('"')[0] for line in lines}) == metrics.DEPLOYMENTS_MAX
    assert any("p/m0@c" in line for line in lines) and not any("p/m100@c" in line for line in lines)
    assert len(lines) <= metrics.DEPLOYMENTS_MAX * 45


def test_names_of_providers_cannot_break_a_line():
    text = text_of({'x"\n y': SUMS})
    assert 'provider="x\\"\\n y"' in text


def test_requests_are_shown_by_model_and_provider():
    found = rendered({})
    of = 'model="gpt-4o",provider="openai"'
    assert found[f'switchgear_answers_total{{{of},status="502"}}'] == "1.0"
    assert found[f'switchgear_latency_seconds_bucket{{le="1.0",{of}}}'] == "1.0"
    assert found[f'switchgear_latency_seconds_bucket{{le="+Inf",{of}}}'] == "2.0"
    assert found[f"switchgear_latency_seconds_sum{{{of}}}"] == "30.7"
    assert found[f"switchgear_first_token_seconds_count{{{of}}}"] == "1.0"
    assert found['switchgear_refused_requests_total{reason="invalid_api_key"}'] == "200.0"
    assert found["switchgear_in_flight_requests"] == "5.0"
    assert found["switchgear_in_flight_streams"] == "4.0"
    assert found["switchgear_connections"] == "12.0"
    assert found["switchgear_log_lines_lost_total"] == "3.0"


HOSTILE = ['a"b', "a\\", "a\nb", "a} 1\nswitchgear_ready 0", "", "\u202e", "x" * 256, '{le="1"}', "=1+1", "NaN"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_models_cannot_forge_a_series(name):
    shown = meter()
    shown.settled([("openai", name, 200, 10, 5)])
    families = {family.name: family for family in text_string_to_metric_families(text_of({name: SUMS}, shown))}
    models = {sample.labels["model"] for sample in families["switchgear_answers"].samples}
    assert models == {"gpt-4o", name}
    assert [sample.value for sample in families["switchgear_ready"].samples] == [1.0]


def test_the_text_is_what_the_strict_parser_of_openmetrics_takes():
    shown = meter()
    for name in HOSTILE:
        shown.settled([("openai", name, 200, 10, 5)])
    registry = metrics.CollectorRegistry(auto_describe=False)
    shown._providers = {"openai": SUMS}
    registry.register(metrics.Collector(lambda: STATUS, 2, {"high": 3}, shown, (5, 4, 12), deployments(), EXPORTS))
    from prometheus_client.openmetrics.exposition import generate_latest

    families = list(openmetrics.text_string_to_metric_families(generate_latest(registry).decode()))
    assert {"switchgear_latency_seconds", "switchgear_first_token_seconds"} <= {family.name for family in families}


def test_series_are_bounded_whatever_is_asked_for():
    shown = Traffic(frozenset(), FakeClock())
    shown.settled((f"p{n % 999}", f"m{n}", 100 + n % 900, n, n) for n in range(30_000))
    shown.counted("edge-0", [Counters(0, {f"code {n}": 1 for n in range(60)}, 0) for _ in range(100)])
    lines = text_of({}, shown).count("\n")
    per_series = STATUSES_MAX + 1 + (13 + 3) + (12 + 3)
    assert lines < (2 * SERIES_MAX + 1) * per_series + 100


def test_the_documentation_lists_every_metric():
    text = DOCS.read_text()
    for name in rendered({"openai": SUMS}):
        known = name.partition("{")[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        assert f"`{known}`" in text, f"{name} is not in docs/operations.md"
