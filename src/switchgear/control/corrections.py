"""Books what is known late: which answers are made in the background, and what they came to. Level 5.

What is pending comes into the store in the transaction of the record that it is about, and leaves it in that of its correction: so
each is corrected once, whatever dies when. The replica tells the edges, which ask the provider (edge/background).
"""

import functools

from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.control.prices import PriceBook
from switchgear.ledger import build, corrections
from switchgear.ledger.batch import Batch, Told
from switchgear.ledger.charges import COST_NANOUSD_MAX
from switchgear.replica import entries
from switchgear.store import ledger_rows, objects

KIND = "pending"
PAUSE_S = 0.5
EVERY_TURNS = 120
"""Turns after which the replica is compared with the store although nothing changed: a minute."""
GIVEN_UP_MS = 26 * 3_600_000
"""A provider that has told nothing for so long tells no more: its own bound is a day."""
PENDING_MAX = 10_000


class Corrections:
    """Takes part in each batch of the ledger, and publishes what is pending."""

    def __init__(self, control: Control, prices: PriceBook) -> None:
        self._control = control
        self._prices = prices
        self._turns = 0
        self._changed = True

    # in the writer's thread

    def write(self, connection: Connection, batch: Batch) -> None:
        """Participant: note what is pending, and book what was told."""
        if not batch.pending and not batch.late:
            return
        self._changed = True
        now_ms = self._control.clock.wall_ms()
        for name, pending in batch.pending.items():
            objects.set_object(connection, KIND, name, entries.encode(pending), now_ms)
        for told in batch.late:
            self._book(connection, batch, told)

    def _book(self, connection: Connection, batch: Batch, told: Told) -> None:
        name = told.late.response_id
        raw = objects.find_object(connection, KIND, name)
        if raw is None:
            return  # it was told with its answer, or before
        pending = entries.decode_pending(raw)
        if (pending.scope, pending.credential_id) != (told.scope, told.credential_id):
            return  # another's thing of the same name
        objects.drop_object(connection, KIND, name)
        row = ledger_rows.rows_of(connection, [pending.request_id]).get(pending.request_id)
        found = build.opened_of(row) if row is not None else None
        if found is None:
            return
        if ledger_rows.known_ids(connection, [corrections.id_of(pending.request_id)]):
            return  # the spool's records were taken again
        record = corrections.correction(*found, told, functools.partial(self._prices.look_up, connection))
        if (record.cost_nanousd or 0) > COST_NANOUSD_MAX:
            self._control.report(f"absurd cost of {record.corrects}: it stays an estimate")
            return
        if not corrections.is_told(told.late):
            self._control.report(
                f"the answer of {record.corrects} ended without usage ({record.finish_reason}): it stays an estimate"
            )
            more = record.tokens.output if record.tokens is not None else None
            if not more or (record.cost_nanousd or 0) < 0:
                return
        booked = Batch()
        booked.add_record(record)
        ledger_rows.add_requests(connection, booked.rows)
        ledger_rows.add_usage(connection, booked.sums)
        batch.late_rows += booked.rows
        batch.changed_keys.update(dimensions[1] for dimensions in booked.sums)

    # the job

    async def turn(self) -> None:
        """Tell the edges what is pending, and let go of what no provider tells any more."""
        self._turns += 1
        if not self._changed and self._turns % EVERY_TURNS:
            return
        self._changed = False
        oldest_ms = self._control.clock.wall_ms() - GIVEN_UP_MS
        known = await self._control.read(functools.partial(objects.objects, kind=KIND))
        old = [name for name, raw in known.items() if entries.decode_pending(raw).since_ms < oldest_ms]
        if old:
            await self._control.write(functools.partial(_forget, old))
            self._control.report(f"{len(old)} answers that were made in the background stay booked as estimates")
        self._control.publisher.replace_pending(
            {name: bytes(raw) for name, raw in list(known.items())[:PENDING_MAX] if name not in old}
        )


def _forget(names: list[str], connection: Connection) -> None:
    for name in names:
        objects.drop_object(connection, KIND, name)
