"""What control can tell of the gateway's health: keys, credentials, prices, backlog, disk, clock, versions. Level 5.

The facts are gathered in one place and judged by pure functions. `switchgear doctor` adds what only the machine's owner can
see (files, processes, installed code). A nightly run feeds /metrics.
"""

import asyncio
import datetime
import functools
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from switchgear import __released__, __version__
from switchgear.control import disk, thresholds
from switchgear.control.deployments import Deployments
from switchgear.control.handle import Control
from switchgear.control.publication import Publication
from switchgear.control.refusals import Refusal, Refusals
from switchgear.control.seen import Doubt, sentences
from switchgear.core.text import counted
from switchgear.detect.advisories import STALE_DAYS, AdvisoryFile
from switchgear.detect.checks import finding, vulnerable
from switchgear.detect.finding import SEVERITIES, Finding
from switchgear.ledger.deployments import DeploymentCounts
from switchgear.routing.states import Opened
from switchgear.store import ledger_rows, objects, outbox
from switchgear.store.database import StoreGoneError
from switchgear.store.objects import KeyRow
from switchgear.store.outbox import Cursor
from switchgear.vault.verbs import Metadata

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
CREDENTIAL_DAYS = 90
KEY_UNUSED_DAYS = 30
PRICES_DAYS = 60
VERSION_DAYS = 90
BACKLOG_BYTES = 1 << 30
DISK_FREE_MIN = 0.05
CLOCK_AHEAD_MS = 300_000
NAMED_MAX = 20
EXPORT_DAYS = 2
FAILING_DAYS = 7
"""What failed longer ago and was not asked since is no news."""
FIRST_S, EVERY_S = 120.0, 86_400.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked up."""

    now_ms: int
    keys: list[KeyRow] = []
    used_key_ids: set[str] = set()
    """Of the last KEY_UNUSED_DAYS."""
    credentials: list[Metadata] = []
    refused: Mapping[str, Refusal] = {}
    """Credentials that their providers refuse, by id."""
    tokens_for_ever: list[str] = []
    unpriced: list[tuple[str, int]] = []
    """provider/model and requests without a price in the last week."""
    newest_record_ms: int = 0
    spool_bytes: int = 0
    disk_free: float = 1.0
    prices_date: str = ""
    freezes: dict[str, int | None] = {}
    doubts: list[Doubt] = []
    """Rows of the store that are not believed."""
    packages: list[tuple[str, str]] = []
    failing: Mapping[str, DeploymentCounts] = {}
    """Deployments that failed at their last attempts, by name."""
    open: Mapping[str, Opened] = {}
    """Breakers that are open, by deployment."""
    cursors: list[Cursor] = []
    head_seq: int = 0
    """The last number of the outbox."""
    budgets: list[str] = []
    """What thresholds of budgets were passed in periods that still run, a sentence each."""


def judge(facts: Facts, advisories: AdvisoryFile) -> list[Finding]:
    """Return what should be otherwise."""
    return [
        *_keys(facts),
        *_credentials(facts),
        *_prices(facts),
        *_state(facts),
        *_deployments(facts),
        *_breakers(facts),
        *_exports(facts),
        *_budgets(facts),
        *_program(facts, advisories),
    ]


def _named(names: list[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(sorted(names)[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _keys(facts: Facts) -> Iterator[Finding]:
    live = [k for k in facts.keys if k.revoked_ms is None]
    expired = [k for k in live if k.expires_ms is not None and k.expires_ms <= facts.now_ms]
    working = [k for k in live if k not in expired]
    for_ever = [k.name for k in working if k.expires_ms is None]
    if for_ever:
        title = f"{len(for_ever)} keys never expire" if len(for_ever) > 1 else "1 key never expires"
        yield finding("key-no-expiry", "low", title, _named(for_ever), "switchgear key update NAME --expires 90d")
    everything = [k.name for k in working if k.models is None]
    if everything:
        title = f"{counted(len(everything), 'key')} may call every model"
        yield finding("key-all-models", "low", title, _named(everything), "switchgear key update NAME --models A,B")
    since = facts.now_ms - KEY_UNUSED_DAYS * DAY_MS
    unused = [k.name for k in working if k.id not in facts.used_key_ids and k.created_ms < since]
    if unused:
        title = f"{counted(len(unused), 'key')} not used for {KEY_UNUSED_DAYS} days"
        yield finding("key-unused", "low", title, _named(unused), "switchgear key revoke NAME")
    if expired:
        title = f"{counted(len(expired), 'key')} expired"
        yield finding("key-expired", "info", title, _named([k.name for k in expired]), "switchgear key revoke NAME")
    if facts.tokens_for_ever:
        title = f"{len(facts.tokens_for_ever)} tokens for automation never expire"
        fix = "switchgear token revoke NAME; switchgear token create NAME --expires 90d"
        yield finding("token-no-expiry", "low", title, _named(facts.tokens_for_ever), fix)


def _credentials(facts: Facts) -> Iterator[Finding]:
    for credential in facts.credentials:
        if credential.state == "removed" or not credential.last4:
            continue
        if not credential.opens:
            fix = f"add it again: switchgear credential add {credential.provider} --name {credential.name}"
            title = (
                f"credential {credential.id} is not used: {credential.wrong}"
                if credential.wrong
                else f"the KEK does not open credential {credential.id}"
            )
            yield finding("credential-sealed-otherwise", "high", title, credential.id, fix, credential.id)
        refusal = facts.refused.get(credential.id)
        if refusal is not None:
            new = f"switchgear credential add {credential.provider} --name {credential.name}"
            fix = f"switchgear credential test {credential.id}; a new one: {new}"
            title = f"the provider refuses credential {credential.id} (status {refusal.status})"
            yield finding("credential-refused", "high", title, credential.id, fix, credential.id)
        days = (facts.now_ms - credential.changed_ms) // DAY_MS
        if credential.state == "active" and days > CREDENTIAL_DAYS:
            title = f"credential {credential.id} is {days} days old"
            fix = f"make a new one at the provider, then: switchgear credential add {credential.provider} --name {credential.name}"
            yield finding("credential-old", "medium", title, credential.id, fix, credential.id)
        if credential.state == "disabled":
            fix = f"switchgear credential enable {credential.id}, or remove"
            yield finding(
                "credential-unused-state",
                "info",
                f"credential {credential.id} is disabled",
                credential.id,
                fix,
                credential.id,
            )


def _prices(facts: Facts) -> Iterator[Finding]:
    age = _age_days(facts.prices_date, facts.now_ms)
    if age is not None and age > PRICES_DAYS:
        title = f"the shipped prices are {age} days old"
        yield finding(
            "prices-old", "low", title, facts.prices_date, "update switchgear, or set prices: switchgear price set"
        )
    for model, count in facts.unpriced[:NAMED_MAX]:
        title = f"{model} has no price: {counted(count, 'request')} of the last week cost nothing in the ledger"
        fix = f"switchgear price set {shlex.quote(model)} --input … --output …"
        yield finding("model-unpriced", "medium", title, model, fix, model)


def _state(facts: Facts) -> Iterator[Finding]:
    if facts.spool_bytes > BACKLOG_BYTES:
        title = f"{facts.spool_bytes >> 20} MiB of records wait in the spools"
        yield finding("spool-backlog", "medium", title, "spool", "see `switchgear status`: is the store away?")
    if facts.disk_free < DISK_FREE_MIN:
        title = f"{facts.disk_free:.1%} of the disk is free"
        yield finding("disk-space", "high", title, "data folder", "make room, or set retention.ledger_days")
    if facts.newest_record_ms > facts.now_ms + CLOCK_AHEAD_MS:
        yield finding(
            "clock", "high", "the newest record lies in the future: the clock was set back", "clock", "check NTP"
        )
    if _age_days(__released__, facts.now_ms) == -1:
        yield finding(
            "clock",
            "high",
            f"the clock shows a time before {__released__}, when this was released",
            "clock",
            "check NTP",
        )
    for sentence in sentences(facts.doubts):
        fix = "whoever wrote there can write again: find out who; then docs/operations.md, A database that is not believed"
        yield finding("store-row", "high", sentence, "store", fix, sentence)
    if facts.freezes:
        subjects = _named(list(facts.freezes))
        undo = "switchgear unfreeze " + next(iter(facts.freezes)).replace(":", " ", 1)
        yield finding(
            "frozen",
            "low",
            f"{len(facts.freezes)} subjects are frozen" if len(facts.freezes) > 1 else "1 subject is frozen",
            subjects,
            undo,
        )


def _deployments(facts: Facts) -> Iterator[Finding]:
    for name, state in list(facts.failing.items())[:NAMED_MAX]:
        if facts.now_ms - (state.last_failure_ms or 0) > FAILING_DAYS * DAY_MS:
            continue
        never = "" if state.last_success_ms is not None else " and never answered well"
        title = f"{name} failed {state.failures_in_row} times in a row{never}, last: {state.last_failure}"
        model = name.rpartition("@")[0]
        fix = f"switchgear model test {shlex.quote(model)}; other places for it: switchgear model explain"
        yield finding("deployment-failing", "medium", title, name, fix, name)


def _breakers(facts: Facts) -> Iterator[Finding]:
    for name, one in list(facts.open.items())[:NAMED_MAX]:
        minutes = max(0, facts.now_ms - one.since_ms) // 60_000
        if one.reason == "credential":
            provider, _, rest = name.partition("/")
            title, fix = (
                f"{name} does not know its credential",
                f"switchgear credential test {provider}/{rest.rpartition('@')[2]}",
            )
        else:
            title, fix = f"{name} cannot be reached", f"switchgear model test {shlex.quote(name.rpartition('@')[0])}"
        title += f": its breaker is open since {minutes} min, and it gets one request now and then"
        yield finding("breaker-open", "medium", title, name, fix, name)


def _exports(facts: Facts) -> Iterator[Finding]:
    for one in facts.cursors:
        fix = f"run what reads with it, or: switchgear log cursor remove {one.name}"
        days = (facts.now_ms - one.moved_ms) // DAY_MS
        if one.lost:
            title = f"{one.lost} records reached the end of their retention before the export {one.name} handed them on"
            yield finding("export-lost", "medium", title, one.name, fix, one.name)
        elif one.seq < facts.head_seq and days >= EXPORT_DAYS:
            title = (
                f"the export {one.name} is {facts.head_seq - one.seq} records behind and has not moved for {days} days"
            )
            yield finding("export-behind", "low", title, one.name, fix, one.name)


def _budgets(facts: Facts) -> Iterator[Finding]:
    for title in facts.budgets[:NAMED_MAX]:
        name = title.partition(" ")[0]
        fix = f"switchgear budget show {shlex.quote(name)}"
        yield finding("state-budget", "info", title, name, fix, title)


def _program(facts: Facts, advisories: AdvisoryFile) -> Iterator[Finding]:
    age = _age_days(__released__, facts.now_ms)
    if age is not None and age > VERSION_DAYS:
        yield finding("version-old", "medium", f"this version is {age} days old", __version__, "update switchgear")
    data_age = _age_days(advisories.as_of, facts.now_ms)
    if data_age is not None and data_age > STALE_DAYS:
        title = f"the advisory data is of {advisories.as_of}"
        yield finding(
            "advisories-old", "low", title, "advisories", "update switchgear, or: switchgear doctor --advisories FILE"
        )
    yield from vulnerable(facts.packages, advisories)


def _age_days(date: str, now_ms: int) -> int | None:
    """Return how many days ago a date was; -1 for one in the future; None when it is none."""
    try:
        at = datetime.date.fromisoformat(date[:10])
    except ValueError:
        return None
    days = (datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC).date() - at).days
    return days if days >= 0 else -1


class Checkup:
    """Gathers facts, judges them, remembers the last nightly result."""

    def __init__(
        self,
        control: Control,
        publication: Publication,
        refused: Refusals,
        deployments: Deployments,
        advisories: AdvisoryFile,
        packages: list[tuple[str, str]],
        spools: Path,
        data: Path,
        opened: Callable[[], Mapping[str, Opened]] = dict,
    ) -> None:
        """`opened` gives the breakers that are open."""
        self._control = control
        self._publication = publication
        self._refusals = refused
        self._deployments = deployments
        self._advisories = advisories
        self.packages = packages
        self._spools = spools
        self._opened = opened
        self._data = data
        self.last: list[Finding] | None = None
        self.last_ms = 0

    async def nightly(self) -> None:
        """Look: a turn of the job. A store that is away is looked at tomorrow."""
        try:
            await self.look()
        except (StoreGoneError, DatabaseError, OSError) as exc:
            self._control.report(f"the nightly doctor could not look: {exc}")

    async def look(self) -> list[Finding]:
        """Look now."""
        found = judge(await self.facts(), self._advisories)
        self.last, self.last_ms = found, self._control.clock.wall_ms()
        return found

    def counts(self) -> dict[str, int]:
        """Return the last result by severity, for metrics."""
        return {severity: sum(f.severity == severity for f in self.last or ()) for severity in SEVERITIES}

    async def facts(self) -> Facts:
        """Gather."""
        publication = self._publication
        doubts = await publication.look()
        now = self._control.clock.wall_ms()
        look_up = functools.partial(_read, now_ms=now)
        read: dict[str, Any] = await self._control.read(look_up)
        read["unpriced"] = [(name, count) for name, count in read["unpriced"] if not self._has_price(name)]
        free = await asyncio.to_thread(disk.free_share, self._data)
        backlog = await asyncio.to_thread(disk.spool_bytes, self._spools)
        return Facts(
            now_ms=now,
            credentials=publication.credentials,
            refused=self._refusals.current(publication.credentials),
            failing=self._deployments.failing,
            open=self._opened(),
            spool_bytes=backlog,
            disk_free=free,
            prices_date=publication.price_snapshot,
            doubts=doubts,
            freezes=publication.snapshot.freezes if publication.snapshot is not None else {},
            packages=self.packages,
            **read,
        )

    def _has_price(self, name: str) -> bool:
        """Tell whether a `provider/model` has a price by now."""
        provider, _, model = name.partition("/")
        if self._publication.find_price(provider, model) is not None:
            return True
        snapshot = self._publication.snapshot
        return snapshot is not None and any(
            one.price is not None and (one.provider, one.model) == (provider, model)
            for entry in snapshot.table.models.values()
            for one in entry.deployments
        )


def _read(connection: Connection, now_ms: int) -> dict[str, Any]:
    until = now_ms // HOUR_MS + 1
    used = ledger_rows.keys_in_use(connection, until - KEY_UNUSED_DAYS * 24, until)
    week = ledger_rows.sum_usage(connection, ["provider", "upstream_model"], until - 7 * 24, until)
    unpriced = [
        (f"{row['group_provider']}/{row['group_upstream_model']}", int(row["unpriced_requests"]))
        for row in week
        if row["unpriced_requests"] and row["group_provider"]
    ]
    return {
        "keys": [row for row in objects.keys(connection) if not row.is_forged],
        "used_key_ids": used,
        "tokens_for_ever": [row.name for row in objects.tokens(connection) if row.expires_ms is None],
        "unpriced": sorted(unpriced, key=lambda item: -item[1]),
        "newest_record_ms": ledger_rows.newest_ms(connection),
        "cursors": outbox.all_cursors(connection),
        "head_seq": outbox.head(connection),
        "budgets": thresholds.running(connection, now_ms),
    }
