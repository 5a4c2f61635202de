"""L2: the power goes at any moment. Nothing synced is lost, nothing torn is read, every reservation is closed exactly once."""

import os
import random

import pytest
from tests.end_to_end import power

from switchgear.core.errors import SpoolFullError
from switchgear.core.secret import Secret
from switchgear.providers import endpoint
from switchgear.spool import files, writer
from switchgear.spool.reader import SpoolReader
from switchgear.spool.writer import SpoolWriter
from switchgear.testing.faults import LoudGuard
from switchgear.vault import box, kek
from switchgear.vault.seal import SealContext, seal
from switchgear.wire import records
from switchgear.wire.records import Kind

SEGMENT = 20 * 1024


class Clock:
    def wall_ms(self):
        return 1_790_000_000_000

    def monotonic_s(self):
        return 0.0


def reserve(request_id):
    import msgspec

    raw = msgspec.Raw(b"\x90")
    return records.encode_payload(records.Reserve(request_id, 1, raw, raw, False, 1, None, None, 1))


def settle(request_id):
    return records.encode_payload(
        records.Settle(request_id, 200, "ok", [], None, 0, None, None, None, None, 0, 0, None)
    )


def work(spool, chance, steps, life):
    """Reserve, settle, commit, sync at random. Returns what was synced, as (kind, id)."""
    opened, committed, synced = [], [], []
    number = 0
    for _ in range(steps):
        step = chance.random()
        try:
            if step < 0.45 and len(opened) < 3:
                number += 1
                request_id = f"{life}{number:031x}"
                spool.reserve(request_id, reserve(request_id))
                opened.append(request_id)
                committed.append((Kind.RESERVE, request_id))
            elif step < 0.85 and opened:
                request_id = opened.pop(chance.randrange(len(opened)))
                spool.settle(request_id, settle(request_id))
                committed.append((Kind.SETTLE, request_id))
        except SpoolFullError:
            pass
        if chance.random() < 0.7:
            spool.commit()
            if chance.random() < 0.3:
                spool.sync()
                synced = list(committed)
                spool.maintain()
    return synced


@pytest.mark.parametrize("seed", power.seeds())
def test_L2_a_spool_after_a_power_cut(seed, tmp_path, monkeypatch):
    chance = random.Random(seed)
    folder = tmp_path / "life-0"
    folder.mkdir()
    acknowledged = set()
    for life in range(1, chance.randint(2, 4)):
        disk = power.Disk(folder)
        with monkeypatch.context() as patched:
            power.install(patched, disk, writer, files)
            spool = SpoolWriter(folder, Clock(), os.urandom, f"run{life}", segment_bytes=SEGMENT)
            synced = work(spool, chance, chance.randint(1, 600), life)
            acknowledged.update(synced)
            disk.cut(tmp_path / f"life-{life}", chance)
            os.close(spool._lock)
            os.close(spool._fd)
            disk.end()
        folder = tmp_path / f"life-{life}"
    # The machine starts again.
    successor = SpoolWriter(folder, Clock(), os.urandom, "last", segment_bytes=SEGMENT)
    successor.commit()
    reader = SpoolReader(folder)
    found, closed, reserved = [], [], set()
    while batch := reader.read():
        for entry in batch:
            record = records.decode_payload(entry.kind, entry.payload)
            if entry.kind == Kind.RESERVE:
                reserved.add(record.id)
            elif entry.kind in {Kind.SETTLE, Kind.ORPHAN}:
                assert record.id in reserved, "what is settled was reserved"
                closed.append(record.id)
            if entry.kind in {Kind.RESERVE, Kind.SETTLE}:
                found.append((entry.kind, record.id))
    reader.close()
    successor.close()
    lost = acknowledged - set(found)
    assert not lost, f"synced and lost: {sorted(lost)[:3]}"
    assert reader.damaged == [], "a hole in the middle"
    assert len(closed) == len(set(closed)), "closed twice"
    assert reserved == set(closed), "a reservation stays open for ever"


@pytest.mark.parametrize("seed", power.seeds()[: max(10, power.rounds() // 10)])
def test_C3_the_vaults_box_after_a_power_cut(seed, tmp_path, monkeypatch):
    """A put that was acknowledged is there; the file is never half of two states."""
    chance = random.Random(seed)
    folder = tmp_path / "vault"
    folder.mkdir()
    keys = kek.KeyPair(Secret(bytes(32)))
    place = endpoint.parse("https://api.example.com/v1", auth="bearer")
    disk = power.Disk(folder)
    acknowledged = {}
    with monkeypatch.context() as patched:
        power.install(patched, disk, files)
        made = box.Box(folder, keys, LoudGuard())
        for number in range(1, chance.randint(2, 8)):
            name = f"c{chance.randint(1, 3)}"
            context = SealContext(provider="p", credential=name, version=number, endpoint=place)
            blob = seal(Secret(f"secret-{number}-0123456789".encode()), context, keys.public)
            made.put(box.Put(context, blob), number)
            acknowledged[name] = number
        disk.cut(tmp_path / "after", chance)
        disk.end()
    after = box.Box(tmp_path / "after", keys, LoudGuard())
    assert {item.name: item.version for item in after.list()} == acknowledged
    assert after.unopened == []
