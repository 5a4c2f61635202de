"""What `status` tells: what the supervisor knows, joined with what control knows. Level 5."""

import shlex
from pathlib import Path
from typing import Any

import msgspec

from switchgear import __version__
from switchgear.control import disk
from switchgear.control.seen import sentences
from switchgear.control.services import Services
from switchgear.control.traffic import NO_PROVIDER

FAILING_MAX = 20
"""Failing deployments that are named; `model health` has all."""


def read(file: Path) -> dict[str, Any]:
    """Return what the supervisor wrote last."""
    try:
        found: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {"state": "starting", "pids": {}}
    return found


def status(services: Services) -> dict[str, Any]:
    """Return the status as of now."""
    config, publication, traffic, books = services.config, services.publication, services.traffic, services.books
    base = read(services.paths.status)
    refused = services.refusals.current(publication.credentials)
    compiled = publication.compiled
    problems = [*base.get("problems", []), *_problems(services)]
    path, digest = base.pop("config_on_disk", ("", ""))
    if config.trouble is None and compiled.source == path and digest != compiled.digest:
        # Of a file that was applied from elsewhere nothing is known.
        problems.append(_drift(path, digest))
    state = base.get("state", "starting")
    return {
        **base,
        "version": __version__,
        "state": "degraded" if state == "ready" and problems else state,
        "problems": problems,
        "ledger": {"absorbed": services.ingester.ingested, "spool_bytes": disk.spool_bytes(services.paths.spools)},
        "double_entry": {
            "checked": books.checked,
            "unspooled": books.unspooled,
            "repeated": books.repeated,
            "contradicted": books.contradicted,
            "booked_as_nothing": books.free,
            "booked_as_little": books.thin,
        },
        "refused_requests": {"last_minute": traffic.refused_lately, "total": traffic.refused},
        "faults": services.faults.counts(traffic.errors),
        "courier": services.faults.courier,
        "config": {"source": compiled.source, "digest": compiled.digest, "restart": config.needs_restart()},
        "freezes": publication.snapshot.freezes if publication.snapshot is not None else {},
        "prices": publication.price_snapshot,
        "refused": refused,
        "failing": {
            name: {
                "failures_in_row": state.failures_in_row,
                "last_failure": state.last_failure,
                "last_failure_ms": state.last_failure_ms,
                "last_success_ms": state.last_success_ms,
            }
            for name, state in list(services.deployments.failing.items())[:FAILING_MAX]
        },
        "breakers": {
            name: {"reason": one.reason, "since_ms": one.since_ms, "tried_ms": one.tried_ms}
            for name, one in list(services.breakers.open.items())[:FAILING_MAX]
        },
        "providers": {
            name: {"attempts": sums.attempts, "errors": sums.errors}
            for name, sums in traffic.providers.items()
            if name != NO_PROVIDER
        },
    }


def _problems(services: Services) -> list[str]:
    """Return what is wrong, from what stands still to what should be looked at."""
    config, publication = services.config, services.publication
    refused = services.refusals.current(publication.credentials)
    return [
        *([config.trouble] if config.trouble is not None else services.ingester.problems),
        *services.jobs.problems,
        *config.refused_puts,
        *config.without_secret,
        *sorted(publication.damaged),
        *sentences(publication.doubts),
        *([services.seen.trouble] if services.seen.trouble is not None else []),
        *services.books.problems,
        *services.faults.problems,
        *services.thresholds.problems,
        *config.problems,
        *(
            f"credential {c.id} is not used: {c.wrong}" if c.wrong else f"the KEK does not open credential {c.id}"
            for c in publication.credentials
            if not c.opens
        ),
        *(
            f"the provider refuses credential {name} (status {refusal.status}): switchgear credential test {name}"
            for name, refusal in refused.items()
        ),
    ]


def _drift(source: str, on_disk: str) -> str:
    if not on_disk:
        return f"the configuration file {source} cannot be read any more"
    return f"the file {source} differs from the configuration in force: switchgear config apply {shlex.quote(source)}"
