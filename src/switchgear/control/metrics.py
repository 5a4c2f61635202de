"""What Prometheus reads at /metrics. Level 5. One table of names; docs/operations.md lists them (a test compares).

Counters begin at zero with each start of control, as Prometheus expects. How many series there may be is bounded (traffic).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from switchgear.control.traffic import Traffic
from switchgear.core.histogram import Histogram
from switchgear.ledger.deployments import DeploymentCounts
from switchgear.store.outbox import Cursor

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

TRAFFIC = (
    # Name, field of store.sums.Sums, divisor, help.
    ("switchgear_requests", "requests", 1, "Requests in the ledger."),
    ("switchgear_attempts", "attempts", 1, "Attempts at a provider."),
    ("switchgear_errors", "errors", 1, "Attempts that failed at a provider; `none`: requests that were refused."),
    ("switchgear_input_tokens", "input_tokens", 1, "Input tokens."),
    ("switchgear_output_tokens", "output_tokens", 1, "Output tokens."),
    ("switchgear_cost_usd", "cost_nanousd", 1_000_000_000, "Cost in USD, of what is priced."),
    ("switchgear_unpriced_requests", "unpriced_requests", 1, "Requests whose model has no known price."),
)
GAUGES = (
    ("switchgear_ready", "1 while the gateway is ready or degraded."),
    ("switchgear_processes", "Running processes, by role."),
    ("switchgear_problems", "Problems that `switchgear status` names."),
    ("switchgear_spool_bytes", "Bytes of spools that are kept."),
    ("switchgear_findings", "Damaged or contradicting places in the books, since the first start."),
)
REFUSED = (
    "switchgear_refused_credentials",
    "Credentials that their providers refuse, with the status of the last answer.",
)
IN_FLIGHT = (
    ("switchgear_in_flight_requests", "Requests that were sent to a provider and are not settled."),
    ("switchgear_in_flight_streams", "Those of them that are streams."),
    ("switchgear_connections", "Open connections of clients."),
)
REFUSALS = (
    "switchgear_refused_requests",
    "Requests that the gateway refused, by the code of the error; with or without a valid key.",
)
LIMITED = (
    "switchgear_limit_refusals",
    "Requests that a limit refused, by whose it is and what it limits.",
)
THRESHOLDS = (
    "switchgear_budget_thresholds",
    "Thresholds of budgets that were passed since control began, by whose the budget is.",
)
LINES_LOST = ("switchgear_log_lines_lost", "Lines of the edges' logs that could not be written.")
FAULTS = (
    "switchgear_faults",
    "Faults that the vault caught, and errors in the logs of edges and control, by role.",
)
ANSWERS = ("switchgear_answers", "Requests that were settled, by provider, model and status.")
LATENCY = ("switchgear_latency_seconds", "From a request's head to the end of its answer.")
FIRST_TOKEN = ("switchgear_first_token_seconds", "From a request's head to the first byte of a stream's answer.")
DEPLOYMENT_ATTEMPTS = (
    "switchgear_deployment_attempts",
    "Attempts at a deployment, by how they ended; kept over restarts.",
)
DEPLOYMENT_LATENCY = ("switchgear_deployment_latency_seconds", "Of good answers: from the attempt's begin to the end.")
DEPLOYMENT_FIRST_TOKEN = (
    "switchgear_deployment_first_token_seconds",
    "Of good streams: from the attempt's begin to the first byte for the client.",
)
DEPLOYMENT_FAILURES = (
    "switchgear_deployment_failures_in_row",
    "Attempts at a deployment that failed since its last good answer.",
)
DEPLOYMENT_BREAKER = (
    "switchgear_deployment_breaker_open",
    "1 while a deployment is left alone, but for one request now and then.",
)
DEPLOYMENTS_MAX = 100
"""Deployments with series of their own: those that were used first, so that a series never goes away for another."""
EXPORT_BEHIND = ("switchgear_export_behind_records", "Records that an export has not passed, by its cursor.")
EXPORT_LOST = ("switchgear_export_lost_records", "Records that retention deleted before an export passed them.")
DOCTOR = ("switchgear_doctor_findings", "What the nightly doctor found, by severity.")
COUNTERS = (
    ("switchgear_ledger_records", "Records moved into the ledger."),
    ("switchgear_double_entry_checked", "Attempts that stand in both books."),
    ("switchgear_double_entry_unspooled", "Attempts that reached a provider and no edge recorded."),
    ("switchgear_double_entry_repeated", "Attempts that were sent to a provider twice."),
    (
        "switchgear_double_entry_contradicted",
        "Attempts whose end vault and edge tell differently.",
    ),
)


class Exports(NamedTuple):
    """How far exporters are."""

    cursors: Sequence[Cursor] = ()
    head_seq: int = 0


class Collector:
    """Reads the gateway's state when it is asked."""

    def __init__(
        self,
        status: Callable[[], dict[str, Any]],
        findings: int,
        doctor: Mapping[str, int],
        traffic: Traffic,
        in_flight: tuple[int, int, int],
        deployments: Mapping[str, DeploymentCounts],
        exports: Exports,
        breakers: Collection[str] = (),
        thresholds: Mapping[str, int] | None = None,
    ) -> None:
        """`breakers`: deployments whose breaker is open. `thresholds`: of budgets that were passed, by whose."""
        self._thresholds = thresholds or {}
        self._breakers = breakers
        self._deployments = deployments
        self._exports = exports
        self._status = status
        self._findings = findings
        self._doctor = doctor
        self._traffic = traffic
        self._in_flight = in_flight

    def collect(self) -> Iterator[Metric]:
        """Prometheus: all metrics, as of now."""
        status = self._status()
        pids = status.get("pids", {})
        values: dict[str, Any] = {
            "switchgear_ready": int(status["state"] in {"ready", "degraded"}),
            "switchgear_problems": len(status["problems"]),
            "switchgear_spool_bytes": status["ledger"]["spool_bytes"],
            "switchgear_findings": self._findings,
            "switchgear_ledger_records": status["ledger"]["absorbed"],
            **{f"switchgear_double_entry_{name}": value for name, value in status["double_entry"].items()},
        }
        info = GaugeMetricFamily("switchgear_info", "1, with the version as a label.", labels=["version"])
        info.add_metric([status["version"]], 1)
        yield info
        for name, text in GAUGES:
            if name == "switchgear_processes":
                family = GaugeMetricFamily(name, text, labels=["role"])
                for role, found in sorted(pids.items()):
                    family.add_metric([role], len(found) if isinstance(found, list) else 1)
                yield family
            else:
                yield GaugeMetricFamily(name, text, value=values[name])
        refused = GaugeMetricFamily(*REFUSED, labels=["credential"])
        for credential, refusal in status["refused"].items():
            refused.add_metric([credential], refusal.status)
        yield refused
        faults = CounterMetricFamily(*FAULTS, labels=["role"])
        for role, count in status["faults"].items():
            faults.add_metric([role], count)
        yield faults
        doctor = GaugeMetricFamily(*DOCTOR, labels=["severity"])
        for severity, count in self._doctor.items():
            doctor.add_metric([severity], count)
        yield doctor
        for name, text in COUNTERS:
            yield CounterMetricFamily(name, text, value=values[name])
        traffic = self._traffic.providers
        for name, column, divisor, text in TRAFFIC:
            counter = CounterMetricFamily(name, text, labels=["provider"])
            for provider, sums in sorted(traffic.items()):
                counter.add_metric([provider], getattr(sums, column) / divisor)
            yield counter
        yield from self._requests()
        yield from self._of_deployments()
        behind = GaugeMetricFamily(*EXPORT_BEHIND, labels=["cursor"])
        lost = CounterMetricFamily(*EXPORT_LOST, labels=["cursor"])
        for cursor in self._exports.cursors:
            behind.add_metric([cursor.name], self._exports.head_seq - cursor.seq)
            lost.add_metric([cursor.name], cursor.lost)
        yield behind
        yield lost

    def _requests(self) -> Iterator[Metric]:
        traffic = self._traffic
        for (name, text), value in zip(IN_FLIGHT, self._in_flight, strict=True):
            yield GaugeMetricFamily(name, text, value=value)
        yield CounterMetricFamily(*LINES_LOST, value=traffic.lines_lost)
        refused = CounterMetricFamily(*REFUSALS, labels=["reason"])
        for reason, count in sorted(traffic.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        limited = CounterMetricFamily(*LIMITED, labels=["of", "limit"])
        for rule, count in sorted(traffic.limited.items()):
            of, _, what = rule.partition(" ")
            limited.add_metric([of, what], count)
        yield limited
        passed = CounterMetricFamily(*THRESHOLDS, labels=["of"])
        for of, count in sorted(self._thresholds.items()):
            passed.add_metric([of], count)
        yield passed
        answers = CounterMetricFamily(*ANSWERS, labels=["provider", "model", "status"])
        latency = HistogramMetricFamily(*LATENCY, labels=["provider", "model"])
        first_token = HistogramMetricFamily(*FIRST_TOKEN, labels=["provider", "model"])
        for (provider, model), series in sorted(traffic.series.items()):
            for status, count in sorted(series.statuses.copy().items()):
                answers.add_metric([provider, model, status], count)
            _add(latency, [provider, model], series.latency)
            _add(first_token, [provider, model], series.first_token)
        yield answers
        yield latency
        yield first_token

    def _of_deployments(self) -> Iterator[Metric]:
        attempts = CounterMetricFamily(*DEPLOYMENT_ATTEMPTS, labels=["deployment", "outcome"])
        latency = HistogramMetricFamily(*DEPLOYMENT_LATENCY, labels=["deployment"])
        first_token = HistogramMetricFamily(*DEPLOYMENT_FIRST_TOKEN, labels=["deployment"])
        failures = GaugeMetricFamily(*DEPLOYMENT_FAILURES, labels=["deployment"])
        breakers = GaugeMetricFamily(*DEPLOYMENT_BREAKER, labels=["deployment"])
        for name, state in list(self._deployments.items())[:DEPLOYMENTS_MAX]:
            for outcome, count in sorted(state.outcomes.items()):
                attempts.add_metric([name, outcome], count)
            _add(latency, [name], state.latency)
            _add(first_token, [name], state.first_token)
            failures.add_metric([name], state.failures_in_row)
            breakers.add_metric([name], int(name in self._breakers))
        yield from (attempts, latency, first_token, failures, breakers)


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    buckets = histogram.buckets()
    if buckets[-1][1]:  # of a model that never streams there is no first token
        family.add_metric(labels, buckets, histogram.sum_ms / 1000)


def render(collector: Collector) -> bytes:
    """Return the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
