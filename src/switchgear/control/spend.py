"""Publishes what each key used today, so that an edge can answer `/v1/key` without a database. Level 5."""

import asyncio
import functools

import lmdb
import msgspec
from sqlalchemy.exc import DatabaseError

from switchgear.control.handle import Control
from switchgear.control.keys import OPENING
from switchgear.control.observers import ChangedKeys
from switchgear.replica.entries import Spend
from switchgear.store import ledger_rows, objects
from switchgear.store.database import StoreGoneError

PAUSE_S = 2.0
HOUR_MS = 3_600_000
HOURS_A_DAY = 24
MODELS_MAX = 256
"""Models per key; the most expensive ones are kept. Names of refused models are the client's invention: an entry must not grow
with them."""
OTHERS = "(others)"


class SpendBoard:
    """Follows the ledger. What an edge shows is at most PAUSE_S older than the ledger."""

    def __init__(self, control: Control, changed: ChangedKeys) -> None:
        self._control = control
        self._changed = changed
        self._before: dict[str, int] = {}
        self._before_day = -1
        self._is_whole = False
        """True while nothing but what changed has to be published."""

    async def turn(self) -> None:
        """Publish what changed; first, and after a failure, every key of today: a crash may have kept the last changes back."""
        key_ids = None
        if self._is_whole:
            key_ids = self._changed.take()
            if not key_ids:
                return
        self._is_whole = False
        try:
            await self._publish(key_ids)
        except (StoreGoneError, DatabaseError, OSError, lmdb.Error) as exc:
            if not isinstance(exc, StoreGoneError):  # that one is the ingester's to report
                self._control.report(f"what keys spent is not published: {exc}")
        else:
            self._is_whole = True

    async def _publish(self, key_ids: set[str] | None) -> None:
        now = self._control.clock.wall_ms()
        day = now // HOUR_MS // 24
        look_up = functools.partial(
            ledger_rows.spend_by_model, key_ids=key_ids, since_hour=day * 24, until_hour=(day + 1) * 24
        )
        found = await self._control.read(look_up)
        # At the start: today's keys, and imported ones, whose spend a crash may have kept from being published.
        wanted = {
            key_id for key_id in {*found, *(key_ids if key_ids is not None else await self._openings())} if key_id
        }
        before = await self._spent_before(day, wanted)
        spends = {key_id: Spend(day, now, bounded(found.get(key_id, {})), before[key_id]) for key_id in wanted}
        if spends:
            await asyncio.to_thread(self._control.publisher.put_spends, spends)

    async def _spent_before(self, day: int, key_ids: set[str]) -> dict[str, int]:
        """Return what keys spent before a day, here and where they came from; looked up once a day and key."""
        if day != self._before_day:
            self._before, self._before_day = {}, day
        missing = key_ids - self._before.keys()
        if missing:
            look_up = functools.partial(ledger_rows.spent_by_key, key_ids=missing, until_hour=day * HOURS_A_DAY)
            sums = await self._control.read(look_up)
            openings = await self._openings()
            for key_id in missing:
                self._before[key_id] = sums.get(key_id, 0) + msgspec.json.decode(openings.get(key_id, b"0"), type=int)
        return {key_id: self._before[key_id] for key_id in key_ids}

    async def _openings(self) -> dict[str, bytes]:
        return await self._control.read(lambda connection: objects.objects(connection, OPENING))


def bounded(models: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Keep the dearest models and add up the others, so that the sums stay whole."""
    if len(models) <= MODELS_MAX:
        return models
    ordered = sorted(models.items(), key=lambda item: item[1][1], reverse=True)
    rest = [value for _, value in ordered[MODELS_MAX:]]
    return dict(ordered[:MODELS_MAX]) | {OTHERS: (sum(count for count, _ in rest), sum(cost for _, cost in rest))}
