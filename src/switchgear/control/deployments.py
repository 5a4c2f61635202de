"""How each deployment does: what is counted of its attempts, kept in the store. Level 5.

The counts are written in the transaction that books the requests, so they are those of the ledger, whatever is killed. Names
in spools are not believed: how many there may be is bounded, and one that a client invents gets no row of its own by a provider's
answer that it is unknown.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear.core.errors import UNREADABLE
from switchgear.core.ids import parts_of_deployment
from switchgear.ledger.batch import Batch
from switchgear.ledger.deployments import CLIENT, GATEWAY, Counts, DeploymentCounts
from switchgear.routing.states import Opened
from switchgear.routing.table import RouteTable
from switchgear.store import deployment_rows

DEPLOYMENTS_MAX = 1_000
OTHERS = "(others)"
"""What has no row of its own."""
FAILING_MIN = 5
"""So many failures in a row are a deployment that fails."""
KEPT_MS = 90 * 86_400_000
"""A deployment that is not used for so long is forgotten."""
INVENTED = frozenset({CLIENT, GATEWAY, "not_found"})
"""Ends of attempts that a name gets which a client invented."""

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeploymentCounts).decode


class Deployments:
    """What is known of deployments."""

    def __init__(self, table: Callable[[], RouteTable | None]) -> None:
        """`table` returns the routes in force: what they name has a row of its own in any case."""
        self._table = table
        self._known: dict[str, DeploymentCounts] = {}
        self._written: dict[str, DeploymentCounts] = {}
        self._is_loaded = False

    def load(self, connection: Connection) -> None:
        """Begin with what the store knows."""
        self._known = _decoded(deployment_rows.all_rows(connection))
        self._is_loaded = True

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: add what a batch counted to the store's rows."""
        self._written = {}
        counted_here = batch.deployments.counts
        if not counted_here:
            return
        if not self._is_loaded:
            self.load(connection)
        counts: Counts = {}
        for name, counted in counted_here.items():
            row = name if self._has_row(name, counted, len(counts)) else OTHERS
            counts.setdefault(row, DeploymentCounts()).merge(counted)
        before = _decoded(deployment_rows.some_rows(connection, counts))
        for name, counted in counts.items():
            state = self._written[name] = before.get(name) or DeploymentCounts()
            state.merge(counted)
        rows = {name: (encode(state), state.last_ms) for name, state in self._written.items()}
        deployment_rows.put(connection, rows)

    def on_batch(self, batch: Batch) -> None:
        """Observer: show it."""
        self._known = self._known | self._written
        self._written = {}

    def _has_row(self, name: str, counted: DeploymentCounts, more: int) -> bool:
        if name in self._known:
            return True
        if len(self._known) + more >= DEPLOYMENTS_MAX:
            return False
        return not counted.outcomes.keys() <= INVENTED or self._is_configured(name)

    def _is_configured(self, name: str) -> bool:
        parts, table = parts_of_deployment(name), self._table()
        if parts is None or table is None:
            return False
        provider, model, _ = parts
        return any(
            one.provider == provider and one.model == model
            for entry in table.models.values()
            for one in entry.deployments
        )

    def drop_old(self, connection: Connection, now_ms: int) -> None:
        """Forget what was not used for long."""
        dropped = set(deployment_rows.drop_before(connection, now_ms - KEPT_MS))
        if dropped:
            self._known = {name: state for name, state in self._known.items() if name not in dropped}

    @property
    def known(self) -> Mapping[str, DeploymentCounts]:
        """By name, the one that was used first in front. Nothing in it changes: a batch puts others in their place."""
        return dict(sorted(self._known.items(), key=lambda item: (item[0] == OTHERS, item[1].since_ms, item[0])))

    def get(self, name: str) -> DeploymentCounts | None:
        """Return what is known of one."""
        return self._known.get(name)

    @property
    def failing(self) -> dict[str, DeploymentCounts]:
        """Return those that failed at their last attempts and that requests can still go to."""
        return {
            name: state
            for name, state in self.known.items()
            if name != OTHERS and is_failing(state) and self._is_in_reach(name)
        }

    def _is_in_reach(self, name: str) -> bool:
        """Tell whether a request can go there: what was removed is no trouble any more. True before anything is known."""
        parts, table = parts_of_deployment(name), self._table()
        if parts is None or table is None:
            return True
        provider, _, credential = parts
        entry = table.providers.get(provider)
        if entry is None or credential not in entry.credentials:
            return False
        return (
            table.implicit
            or self._is_configured(name)
            or any(
                "*" in one.model
                for entry in table.models.values()
                for one in entry.deployments
                if one.provider == provider
            )
        )

    def of(self, provider: str, upstream_model: str, credential: str | None) -> dict[str, DeploymentCounts]:
        """Return what is known of a place of a route; of each credential where it names none."""
        found = {}
        for name, state in self.known.items():
            parts = parts_of_deployment(name)
            if parts is not None and parts[:2] == (provider, upstream_model) and credential in {None, parts[2]}:
                found[name] = state
        return found


def is_failing(state: DeploymentCounts) -> bool:
    """Tell whether a deployment failed so often in a row that it is worth a look."""
    return state.failures_in_row >= FAILING_MIN


def health(state: DeploymentCounts) -> str:
    """Say in one word how a deployment does: `ok`, `failing`, or `unknown` before its first answer."""
    if is_failing(state):
        return "failing"
    return "ok" if state.last_success_ms is not None else "unknown"


def shown(name: str, state: DeploymentCounts, opened: Opened | None = None) -> dict[str, Any]:
    """Return what is told of a deployment. `opened`: its breaker, where that is open."""
    return {
        "deployment": name,
        "health": health(state),
        "breaker": "closed" if opened is None else opened.reason,
        "breaker_since_ms": None if opened is None else opened.since_ms,
        "attempts": state.attempts,
        "failures": state.failures,
        "outcomes": state.outcomes,
        "failures_in_row": state.failures_in_row,
        "last_failure": state.last_failure,
        "last_failure_ms": state.last_failure_ms,
        "last_success_ms": state.last_success_ms,
        "latency_p50_ms": state.latency.quantile_ms(0.5),
        "latency_p95_ms": state.latency.quantile_ms(0.95),
        "first_token_p50_ms": state.first_token.quantile_ms(0.5),
        "since_ms": state.since_ms,
    }


def _decoded(rows: Mapping[str, bytes]) -> dict[str, DeploymentCounts]:
    found = {}
    for name, state in rows.items():
        with contextlib.suppress(*UNREADABLE):  # it begins again
            found[name] = _decode(state)
    return found
