"""Books what is known late: which answers are made in the background, and what they came to. Level 5.

What is pending comes into the store in the transaction of the record that it is about, and leaves it in that of its correction: so
each is corrected once, whatever dies when. The replica tells the edges, which ask the provider (edge/background_polls).
"""

import functools
from collections import Counter

import msgspec
from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.control.prices import PriceBook
from switchgear.ledger import build, corrections
from switchgear.ledger.batch import Batch, Told
from switchgear.ledger.charges import COST_NANOUSD_MAX
from switchgear.replica import entries
from switchgear.replica.entries import Pending
from switchgear.store import ledger_rows, objects
from switchgear.wire import records

KIND = "pending"
PAUSE_S = 0.5
EVERY_TURNS = 120
"""Turns after which the replica is compared with the store although nothing changed: a minute."""
GIVEN_UP_MS = 26 * 3_600_000
"""A provider that has told nothing for so long tells no more: its own bound is a day."""
PENDING_MAX = 10_000
PENDING_OF_KEY_MAX = 1_000
"""Answers of one key that the gateway asks for; those beyond are corrected where their client reads them."""


class Corrections:
    """Takes part in each batch of the ledger, and publishes what is pending."""

    def __init__(self, control: Control, prices: PriceBook) -> None:
        self._control = control
        self._prices = prices
        self._turns = 0
        self._changed = True
        self._crowded: frozenset[str] = frozenset()

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
                batch.booked.corrected(
                    *found, msgspec.structs.replace(record, tokens=None, cost_nanousd=0), is_told=False
                )
                return
        booked = Batch()
        booked.add_record(record)
        ledger_rows.add_requests(connection, booked.rows)
        ledger_rows.add_usage(connection, booked.sums)
        batch.late_rows += booked.rows
        batch.booked.corrected(*found, record, is_told=corrections.is_told(told.late))
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
        pending = {name: entries.decode_pending(raw) for name, raw in known.items()}
        old = {name for name, entry in pending.items() if entry.since_ms < oldest_ms}
        if old:
            await self._control.write(functools.partial(_forget, sorted(old)))
            self._control.report(f"{len(old)} answers that were made in the background stay booked as estimates")
        asked, crowded = _shared({name: entry for name, entry in pending.items() if name not in old})
        for key_id in sorted(crowded - self._crowded):
            self._control.report(
                f"key {key_id} has more than {PENDING_OF_KEY_MAX} answers that are made in the background: "
                "of those beyond, each stays an estimate until its client reads it"
            )
        self._crowded = crowded
        self._control.publisher.replace_pending({name: bytes(known[name]) for name in asked})


def _shared(pending: dict[str, Pending]) -> tuple[list[str], frozenset[str]]:
    """Return which answers are asked for, each key's oldest first and the keys in turn, and the keys that have too many."""
    counts: Counter[str] = Counter()
    ranked: list[tuple[int, int, str]] = []
    for name, entry in sorted(pending.items(), key=lambda item: (item[1].since_ms, item[0])):
        key_id = records.decode_caller(entry.who).key_id
        counts[key_id] += 1
        if counts[key_id] <= PENDING_OF_KEY_MAX:
            ranked.append((counts[key_id], entry.since_ms, name))
    crowded = frozenset(key_id for key_id, count in counts.items() if count > PENDING_OF_KEY_MAX)
    return [name for _, _, name in sorted(ranked)[:PENDING_MAX]], crowded


def _forget(names: list[str], connection: Connection) -> None:
    for name in names:
        objects.drop_object(connection, KIND, name)
