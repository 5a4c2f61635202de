"""Reads the ledger: records of stored rows, and the sums added up again. Level 5."""

import functools

from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.control.prices import PriceBook
from switchgear.core.errors import UNREADABLE
from switchgear.core.ids import request_id_floor
from switchgear.ledger import build, verify
from switchgear.ledger.record import Record
from switchgear.store import ledger_rows


class Ledger:
    """The store's records, read."""

    def __init__(self, control: Control, prices: PriceBook) -> None:
        self._control = control
        self._prices = prices

    def records(self, connection: Connection, rows: list[bytes]) -> list[Record]:
        """Build the records of stored rows."""
        return [record for row in rows if (record := self.record(connection, row)) is not None]

    def record(self, connection: Connection, row: bytes) -> Record | None:
        """Build the record of a stored row; None for one that is damaged, which keeps nobody from seeing the others."""
        find = functools.partial(self._prices.look_up, connection, keep=False)
        try:
            return build.from_row(row, find)
        except (*UNREADABLE, ValueError, OverflowError) as exc:
            self._control.report(f"a row of the ledger is damaged and left out: {type(exc).__name__}")
            return None

    async def verify(self, since_hour: int, until_hour: int) -> verify.Verdict:
        """Add up every record of some hours again, as of one moment, and compare with the sums."""

        def work(connection: Connection) -> verify.Verdict:
            find = functools.partial(self._prices.look_up, connection, keep=False)
            adder = verify.Adder()
            floors = [request_id_floor(hour * 3_600_000) for hour in (since_hour, until_hour)]
            for row in ledger_rows.every_record(connection, *floors):
                try:
                    adder.add(build.from_row(row, find))
                except (*UNREADABLE, ValueError, OverflowError):
                    adder.unreadable += 1
            differences = adder.compare(ledger_rows.every_sum(connection, since_hour, until_hour))
            spools = ledger_rows.spool_rows(connection)
            return verify.Verdict(
                adder.requests,
                differences,
                verify.gaps(spools),
                verify.completeness(spools),
                adder.unreadable,
                [reason for _, _, reason in ledger_rows.quarantined(connection)][: verify.DIFFERENCES_MAX],
            )

        return await self._control.read(work)
