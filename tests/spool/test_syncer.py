"""Syncs happen after writes, and only then (docs/invariants.md L2)."""

import asyncio
import os
from pathlib import Path

import pytest

from switchgear.spool import writer
from switchgear.spool.syncer import SYNC_S, Syncer
from switchgear.spool.writer import SpoolWriter
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.wire import records
from switchgear.wire.records import Kind


def _spool(tmp_path: Path) -> SpoolWriter:
    return SpoolWriter(tmp_path / "edge-0", FakeClock(), os.urandom, "run", segment_bytes=1 << 20)


def _write(spool: SpoolWriter) -> None:
    spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd("run", 1)))
    spool.commit()


async def _wait_until(condition: "object") -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(SYNC_S / 5)


def test_L2_written_records_are_synced_and_an_idle_syncer_sleeps(tmp_path: Path) -> None:
    async def main() -> None:
        spool = _spool(tmp_path)
        syncer = Syncer(spool, reports.append, LoudGuard())
        _write(spool)
        assert spool.needs_sync
        syncer.wake()
        syncer.wake()
        await _wait_until(lambda: not spool.needs_sync and syncer._timer is None)
        assert spool.is_prepared
        await asyncio.sleep(SYNC_S * 3)
        assert syncer._timer is None
        _write(spool)
        syncer.wake()
        await _wait_until(lambda: not spool.needs_sync)
        syncer.stop()
        syncer.wake()
        assert syncer._timer is None or syncer._timer.cancelled()
        spool.close()

    reports: list[str] = []
    asyncio.run(main())
    assert reports == []


def test_L2_a_failed_sync_is_repaired_without_another_write(tmp_path: Path) -> None:
    async def main() -> None:
        spool = _spool(tmp_path)
        syncer = Syncer(spool, lambda text: None, LoudGuard())
        _write(spool)
        before = sorted(path.name for path in spool.folder.glob("*.seg"))
        spool._synced = -1  # what `sync` leaves behind when the disk refuses
        syncer.wake()
        await _wait_until(lambda: not spool.needs_sync)
        assert sorted(path.name for path in spool.folder.glob("*.seg")) != before
        syncer.stop()
        spool.close()

    asyncio.run(main())


def test_L3_no_room_for_a_repair_is_said_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sync failed and the disk has no room for another segment: the timer goes on."""

    async def main() -> None:
        spool = _spool(tmp_path)
        syncer = Syncer(spool, reports.append, LoudGuard())
        backlog = [spool.folder / f"0000009{number}.seg" for number in range(5)]
        for path in backlog:
            path.touch()
        spool._synced, spool._next_ready = -1, False
        syncer.wake()
        await _wait_until(lambda: bool(reports))
        await asyncio.sleep(SYNC_S * 4)
        assert spool.needs_sync, "what a failed sync may have dropped is not called good"
        for path in backlog:
            path.unlink()
        await _wait_until(lambda: spool.is_prepared and not spool.needs_sync)
        syncer.stop()

    monkeypatch.setattr(writer, "BACKLOG_BYTES_MAX", 1)
    reports: list[str] = []
    asyncio.run(main())
    assert len(reports) == 1 and "no room" in reports[0]
