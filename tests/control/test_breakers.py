"""The breakers of the node, made of what settlements tell."""

from types import SimpleNamespace

import pytest

from switchgear.control.breakers import QUIET_MS, Breakers
from switchgear.ledger.deployments import DeploymentCounts, outcome_of
from switchgear.routing.breaker import BreakerRules
from switchgear.routing.states import Health, StateBook
from switchgear.routing.table import DeploymentEntry, ModelEntry, ProviderEntry, RouteTable
from switchgear.testing.clock import FakeClock

PROVIDERS = {name: ProviderEntry(name=name, dialects=("openai",), credentials=("c",)) for name in "ab"}


def table(**fields):
    deployments = tuple(DeploymentEntry(provider=name, model="m") for name in "ab")
    models = {
        "fast": ModelEntry(name="fast", deployments=deployments, **fields),
        "alone": ModelEntry(name="alone", deployments=(DeploymentEntry(provider="a", model="other"),)),
    }
    return RouteTable(providers=PROVIDERS, models=models)


class Node:
    """Breakers, with the counts that they follow."""

    def __init__(self, routes=None):
        self.known = {}
        self.published = []
        self.clock = FakeClock()
        deployments = SimpleNamespace(get=self.known.get)
        self.breakers = Breakers(lambda: routes or table(), deployments, self.clock, self.published.append)

    def book(self, name, *outcomes, latency_ms=10):
        """A batch: each outcome as an attempt that ended just now."""
        counted = DeploymentCounts()
        for outcome in outcomes:
            status = outcome if isinstance(outcome, int) else None
            word = outcome_of(status, None) if status is not None else outcome
            counted.add(word, self.clock.wall_ms(), latency_ms, status=status)
        self.known.setdefault(name, DeploymentCounts()).merge(counted)
        self.breakers.on_batch(SimpleNamespace(deployments=SimpleNamespace(counts={name: counted})))


@pytest.fixture
def node():
    return Node()


def test_failures_of_several_batches_open_and_a_good_answer_closes(node):
    node.book("a/m@c", "connect", "connect")
    assert node.published == []
    node.book("a/m@c", "connect", "connect", "connect")
    assert node.breakers.open["a/m@c"].reason == "failures" and len(node.published) == 1
    node.clock.advance(15.0)
    node.book("a/m@c", "ok")
    assert node.breakers.open == {} and node.published[-1].closed["a/m@c"] == node.clock.wall_ms()


def test_a_refused_credential_opens_at_once(node):
    node.book("a/m@c", 401)
    assert node.breakers.open["a/m@c"].reason == "credential"


@pytest.mark.parametrize(
    "outcome", ["rate_limit", "not_found", "client_error", "gateway", "timeout", "server_error", 402, 403]
)
def test_what_is_no_failure_of_the_deployment_opens_nothing(node, outcome):
    node.book("a/m@c", *[outcome] * 20)
    assert node.breakers.open == {} and node.published == []


def test_a_deployment_without_another_beside_it_has_no_breaker(node):
    node.book("a/other@c", *["connect"] * 20)
    assert node.breakers.open == {}


def test_the_rules_are_those_of_its_model():
    node = Node(table(breaker=BreakerRules(failures=2)))
    node.book("a/m@c", "connect", "connect")
    assert "a/m@c" in node.breakers.open


def test_an_answer_that_was_asked_for_before_it_opened_closes_nothing(node):
    node.book("a/m@c", *["connect"] * 5)
    node.clock.advance(1.0)
    node.book("a/m@c", "ok", latency_ms=5_000)
    assert "a/m@c" in node.breakers.open


def test_a_probe_that_failed_is_told_so_that_no_other_edge_asks_at_once(node):
    node.book("a/m@c", *["connect"] * 5)
    node.clock.advance(15.0)
    node.book("a/m@c", "connect")
    assert node.published[-1].open["a/m@c"].tried_ms == node.clock.wall_ms()


def test_a_failure_that_a_client_may_have_caused_keeps_no_other_edge_from_asking(node):
    node.book("a/m@c", *["connect"] * 5)
    tried_ms = node.published[-1].open["a/m@c"].tried_ms
    node.clock.advance(15.0)
    node.book("a/m@c", "server_error", "timeout", 403)
    assert node.breakers.open["a/m@c"].tried_ms == tried_ms


def test_what_nobody_asks_any_more_is_forgotten(node):
    node.book("a/m@c", *["connect"] * 5)
    node.clock.advance(QUIET_MS / 1_000 + 1)
    assert node.breakers.open == {}


def test_a_restarted_control_goes_on_with_what_was_published(node):
    node.book("a/m@c", *["connect"] * 5)
    other = Node()
    other.breakers.begin(node.published[-1])
    assert "a/m@c" in other.breakers.open


def test_edges_that_read_it_open_and_close(node):
    edge = StateBook(1, 2)
    node.book("a/m@c", *["connect"] * 5)
    edge.heed(node.published[-1], node.clock.monotonic_s(), node.clock.wall_ms())
    assert edge.of("a/m@c").breaker.is_open
    node.clock.advance(1.0)
    node.book("a/m@c", "ok")
    edge.heed(node.published[-1], node.clock.monotonic_s(), node.clock.wall_ms())
    assert not edge.of("a/m@c").breaker.is_open
    edge.heed(Health(), node.clock.monotonic_s(), node.clock.wall_ms())
