"""All of control, each part over what it needs of the others, and the table of its jobs. Level 5."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from switchgear.control import (
    checkup,
    corrections,
    double_entry,
    faults,
    holds,
    housekeeping,
    ingester,
    publication,
    spend,
    stops,
    thresholds,
)
from switchgear.control.access import Access
from switchgear.control.balances import Balances
from switchgear.control.breakers import Breakers
from switchgear.control.budgets import Budgets, limit_of
from switchgear.control.checkup import Checkup
from switchgear.control.config import Config
from switchgear.control.corrections import Corrections
from switchgear.control.courier import Courier
from switchgear.control.credentials import Credentials
from switchgear.control.deployments import Deployments
from switchgear.control.double_entry import DoubleEntry
from switchgear.control.exports import Exports, Numbering
from switchgear.control.faults import Faults
from switchgear.control.freezes import Freezes
from switchgear.control.handle import Control
from switchgear.control.history import History
from switchgear.control.holders import Holders
from switchgear.control.holds import Holds, Open, snapshot_has_budgets
from switchgear.control.housekeeping import Housekeeper
from switchgear.control.ingester import Ingester
from switchgear.control.jobs import Job, Jobs
from switchgear.control.keys import Keys
from switchgear.control.ledger import Ledger
from switchgear.control.models import Models
from switchgear.control.observers import ChangedKeys, Claims, StoredPublisher
from switchgear.control.prices import PriceBook
from switchgear.control.publication import Publication
from switchgear.control.refusals import Refusals
from switchgear.control.seen import Seen
from switchgear.control.spend import SpendBoard
from switchgear.control.stops import Stops
from switchgear.control.thresholds import Thresholds
from switchgear.control.traffic import Traffic
from switchgear.core import problems
from switchgear.detect.advisories import AdvisoryFile
from switchgear.pricing.catalog import Load
from switchgear.replica.entries import Snapshot
from switchgear.routing.table import RouteTable


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """The folders and files that control looks at."""

    data: Path
    spools: Path
    journal: Path
    """The vault's."""
    status: Path
    """What the supervisor writes."""
    seen: Path
    """Where control remembers what it saw of the store."""


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """What came with the program."""

    load_prices: Load
    price_snapshot: str
    """The date of the prices."""
    advisories: AdvisoryFile
    packages: list[tuple[str, str]]


class Services:
    """What administrators can do and what control does by itself, by what it is about."""

    def __init__(
        self,
        control: Control,
        courier: Courier,
        paths: Paths,
        shipped: Shipped,
        errors: Callable[[], int],
        fault: Callable[[str], None],
        open_counters: Open | None = None,
    ) -> None:
        """`errors` returns how many errors control's log had; `fault` tells what nobody expected; `open_counters`
        takes control's column of the counters over."""
        self.control = control
        self.courier = courier
        self.paths = paths
        self.prices = PriceBook()
        self.refusals = Refusals(control.clock)
        self.traffic = Traffic(frozenset(case.code for case in problems.CASES), control.clock)
        self.changed_keys = ChangedKeys()
        claims = Claims()
        self.stops = Stops(control)
        self.seen = Seen(paths.seen)
        self.publication = Publication(
            control, self.stops, self.seen, self.prices, shipped.load_prices, shipped.price_snapshot
        )
        self.deployments = Deployments(self._table)
        self.breakers = Breakers(self._table, self.deployments, control.clock, control.publisher.put_health)
        self.history = History(control, self.publication)
        self.config = Config(control, self.stops, self.publication, self.history)
        self.corrections = Corrections(control, self.prices)
        self.balances = Balances()
        self.holds = Holds(control, self.prices, open_counters)
        self.ingester = Ingester(
            control.store,
            paths.spools,
            control.link,
            self.prices,
            control.clock,
            control.entropy,
            control.report,
            participants=(
                StoredPublisher(control.publisher.put_stored),
                self.refusals,
                self.deployments,
                self.corrections,
                self.balances,  # behind the corrections, which book there, too
                self.holds,
                Numbering(),
            ),
            observers=(
                self.refusals,
                self.deployments,
                self.breakers,
                self.traffic,
                self.changed_keys,
                self.balances,
                claims,
                self.holds,
            ),
        )
        self._looked_at: tuple[Snapshot | None, bool] = (None, False)
        self.holds.ingester = self.ingester
        self.holds.has_budgets = self._has_budgets
        self.holds.limit_of = self._limit_of
        self.holds.raises = lambda: self.publication.snapshot.raises if self.publication.snapshot is not None else {}
        self.spend = SpendBoard(control, self.changed_keys)
        self.budgets = Budgets(control, self.publication, self.balances)
        self.holders = Holders(control, self.publication)
        self.budgets.read, self.budgets.corrected = self.holds.read, self.holds.corrected
        self.thresholds = Thresholds(control, self.publication, self.budgets, self.balances, courier)
        self.keys = Keys(control, self.stops, self.publication, self.changed_keys)
        self.credentials = Credentials(control, self.publication, self.history, self.refusals)
        self.models = Models(control, self.publication, self.history, self.keys, self.breakers, self.holders)
        self.freezes = Freezes(control, self.stops, self.publication)
        self.access = Access(control, self.seen)
        self.ledger = Ledger(control, self.prices)
        self.exports = Exports(control, self.ledger)
        self.books = DoubleEntry(control.store, paths.journal, self.ingester, claims, control.clock, control.report)
        self.checkup = Checkup(
            control,
            self.publication,
            self.refusals,
            self.deployments,
            shipped.advisories,
            shipped.packages,
            paths.spools,
            paths.data,
            lambda: self.breakers.open,
        )
        self.housekeeper = Housekeeper(control, self.publication, self.ingester, self.deployments, paths.journal)
        self.faults = Faults(control.link, courier, errors, control.clock)
        self.jobs = Jobs(fault, control.clock)

    def _has_budgets(self) -> bool:
        """Tell whether somebody has a budget, without a look at each key; where one was missed, an edge asks for balances."""
        snapshot = self.publication.snapshot
        if snapshot is not self._looked_at[0]:  # asked ten times a second
            self._looked_at = (snapshot, snapshot is not None and snapshot_has_budgets(snapshot))
        return self._looked_at[1] or self.publication.has_holders_budgets

    def _limit_of(self, connection: Connection, name: str) -> int | None:
        snapshot = self.publication.snapshot
        return limit_of(connection, snapshot, name) if snapshot is not None else None

    def _table(self) -> RouteTable | None:
        snapshot = self.publication.snapshot
        return snapshot.table if snapshot is not None else None

    def table(self) -> tuple[Job, ...]:
        """Return what control does by itself, and how often."""
        return (
            Job("ledger", ingester.PAUSE_S, self.ingester.work),
            Job("budgets", holds.PAUSE_S, self.holds.turn),
            Job("uncertain", holds.FORGET_S, self.holds.forget, holds.FORGET_S),
            Job("debts", stops.DEBTS_S, self.stops.pay_debts, stops.DEBTS_S),
            Job("corrections", corrections.PAUSE_S, self.corrections.turn),
            Job("double entry", double_entry.PAUSE_S, self.books.work),
            Job("spend", spend.PAUSE_S, self.spend.turn),
            Job("thresholds", thresholds.PAUSE_S, self.thresholds.turn),
            Job("store", publication.LOOK_S, self.publication.look_at_few, publication.LOOK_S),
            Job("housekeeping", housekeeping.PAUSE_S, self.housekeeper.turn, housekeeping.PAUSE_S),
            Job("doctor", checkup.EVERY_S, self.checkup.nightly, checkup.FIRST_S),
            Job("faults", faults.PAUSE_S, self.faults.turn),
        )
