"""The spool's writer: nothing acknowledged is lost, nothing torn is read."""

import os
import random

import pytest

from switchgear.core.errors import SpoolFullError
from switchgear.spool import files
from switchgear.spool.reader import Position, SpoolReader
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind

SEGMENT = 64 * 1024
FRAME = records.frame


def writer(folder, clock, run="run1", size=SEGMENT):
    return SpoolWriter(folder, clock, os.urandom, run, segment_bytes=size)


def reserve(number):
    import msgspec

    raw = msgspec.Raw(b"\x90")
    return records.encode_payload(records.Reserve(f"{number:032x}", 1, raw, raw, False, 1, None, None, 1))


def settle(number):
    return records.encode_payload(
        records.Settle(f"{number:032x}", 200, "ok", [], None, 0, None, None, None, None, 0, 0, None)
    )


def read_all(folder):
    reader, found = SpoolReader(folder), []
    while batch := reader.read():
        found += [(entry.kind, records.decode_payload(entry.kind, entry.payload)) for entry in batch]
    reader.close()
    assert reader.damaged == []
    return found


def ids(found, kind):
    return [record.id for k, record in found if k == kind]


def die(spool):
    """What kill -9 leaves: the lock is gone, nothing was said."""
    os.close(spool._lock)
    os.close(spool._fd)


def test_L2_committed_records_are_read(tmp_path, clock):
    spool = writer(tmp_path, clock)
    for number in range(500):
        spool.reserve(f"{number:032x}", reserve(number))
        spool.settle(f"{number:032x}", settle(number))
        spool.commit()
        spool.maintain()
    found = read_all(tmp_path)
    assert ids(found, Kind.SETTLE) == [f"{n:032x}" for n in range(500)]
    assert len(files.segment_numbers(tmp_path)) > 1


def test_L2_records_that_were_not_committed_are_not_read(tmp_path, clock):
    spool = writer(tmp_path, clock)
    spool.reserve("0" * 32, reserve(0))
    assert ids(read_all(tmp_path), Kind.RESERVE) == []


def test_L4_the_lock_says_who_lives(tmp_path, clock):
    spool = writer(tmp_path, clock)
    with pytest.raises(BlockingIOError):
        writer(tmp_path, clock)
    die(spool)
    writer(tmp_path, clock, "run2")


def test_L4_a_successor_closes_open_reservations_and_keeps_the_id(tmp_path, clock):
    spool = writer(tmp_path, clock)
    for number in (1, 2):
        spool.reserve(f"{number:032x}", reserve(number))
    spool.settle(f"{1:032x}", settle(1))
    spool.commit()
    die(spool)
    again = writer(tmp_path, clock, "run2")
    found = read_all(tmp_path)
    assert [(r.id, r.run_id) for k, r in found if k == Kind.ORPHAN] == [(f"{2:032x}", "run1")]
    assert again.spool_id == spool.spool_id


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_L4_a_torn_tail_is_cut(tmp_path, clock, cut):
    spool = writer(tmp_path, clock)
    spool.reserve(f"{1:032x}", reserve(1))
    spool.commit()
    good = spool._written
    spool.reserve(f"{2:032x}", reserve(2))
    spool.commit()
    die(spool)
    path = tmp_path / files.segment_name(1)
    data = bytearray(path.read_bytes())
    data[good + cut :] = bytes(len(data) - good - cut)
    path.write_bytes(data)
    writer(tmp_path, clock, "run2")
    found = read_all(tmp_path)
    assert set(ids(found, Kind.RESERVE)) == {f"{1:032x}"}
    assert ids(found, Kind.ORPHAN) == [f"{1:032x}"]


def test_L4_each_segment_begins_with_the_open_reservations(tmp_path, clock):
    spool = writer(tmp_path, clock)
    spool.reserve("f" * 32, records.encode_payload(records.decode_payload(Kind.RESERVE, reserve(int("f" * 32, 16)))))
    for number in range(600):
        spool.reserve(f"{number:032x}", reserve(number))
        spool.settle(f"{number:032x}", settle(number))
        spool.commit()
        spool.maintain()
    last = files.segment_numbers(tmp_path)[-1]
    assert last > 1
    for number in range(1, last):
        (tmp_path / files.segment_name(number)).unlink()
    assert ids(read_all(tmp_path), Kind.RESERVE)[0] == "f" * 32


def test_L3_a_full_spool_refuses_new_work_and_keeps_room_for_old(tmp_path, clock, monkeypatch):
    spool = writer(tmp_path, clock)
    monkeypatch.setattr(spool, "_prepare_next", lambda: None)
    spool._next_ready = False
    admitted = []
    with pytest.raises(SpoolFullError):
        for number in range(10_000):
            spool.reserve(f"{number:032x}", reserve(number))
            admitted.append(number)
    assert admitted
    large = records.encode_payload(
        records.Settle("x", 200, "ok", [], None, 0, "y" * 3900, None, None, None, 0, 0, None)
    )
    for number in admitted:
        spool.settle(f"{number:032x}", large)
    spool.commit()
    assert len(ids(read_all(tmp_path), Kind.SETTLE)) == len(admitted)


def test_L2_a_failed_sync_writes_the_records_again(tmp_path, clock, monkeypatch):
    spool = writer(tmp_path, clock)
    spool.sync()
    spool.reserve(f"{1:032x}", reserve(1))
    spool.commit()

    def fail(fd):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        spool.sync()
    spool.maintain()
    assert files.segment_numbers(tmp_path) == [1, 2]
    assert set(ids(read_all(tmp_path), Kind.RESERVE)) == {f"{1:032x}"}


def test_a_closed_spool_leaves_its_open_requests_to_the_next(tmp_path, clock):
    spool = writer(tmp_path, clock)
    spool.reserve(f"{1:032x}", reserve(1))
    assert spool.open_count == 1
    spool.close()
    writer(tmp_path, clock, "run2")
    assert ids(read_all(tmp_path), Kind.ORPHAN) == [f"{1:032x}"]


def test_L4_each_segment_begins_with_what_its_settlements_settle(tmp_path, clock):
    """A segment is read alone by a successor after a crash, and by control after its restart: it must say what it settles.
    (A settlement that itself began a segment was not preceded by its reservation; found by dying at named places.)"""
    chance = random.Random(7)
    spool = writer(tmp_path, clock, size=16 * 1024)
    opened, number = [], 0
    for _ in range(4000):
        if opened and chance.random() < 0.5:
            chosen = opened.pop(chance.randrange(len(opened)))
            spool.settle(f"{chosen:032x}", settle(chosen))
        elif len(opened) < 3:
            number += 1
            spool.reserve(f"{number:032x}", reserve(number))
            opened.append(number)
        spool.commit()
        spool.maintain()
    segments = files.segment_numbers(tmp_path)
    assert len(segments) > 10
    for segment in segments:
        known, reader = set(), SpoolReader(tmp_path, Position(segment, 0))
        while (batch := reader.read()) and batch[0].after.segment == segment:
            for entry in batch:
                record = records.decode_payload(entry.kind, entry.payload)
                if entry.kind == Kind.RESERVE:
                    known.add(record.id)
                elif entry.kind == Kind.SETTLE:
                    assert record.id in known, (segment, record.id)
        reader.close()
    die(spool)


def test_L4_a_death_between_a_full_segment_and_its_last_settlement_loses_nothing(tmp_path, clock, monkeypatch):
    spool = writer(tmp_path, clock, size=16 * 1024)
    spool.reserve("a" * 32, reserve(0xA))
    while spool._offset + 200 < 16 * 1024:
        spool.append(Kind.DENIAL, b"x" * 100)
    spool.append(Kind.DENIAL, b"x" * (16 * 1024 - spool._offset - records.HEADER.size))
    spool.commit()
    payload = settle(0xA)
    monkeypatch.setattr(
        records, "frame", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt) if a[4] == payload else FRAME(*a)
    )
    with pytest.raises(KeyboardInterrupt):
        spool.settle("a" * 32, payload)  # dies after the new segment began and before the settlement is in it
    die(spool)
    monkeypatch.undo()
    successor = writer(tmp_path, clock, run="run2", size=16 * 1024)
    reader, kinds = SpoolReader(tmp_path), []
    while batch := reader.read():
        kinds += [entry.kind for entry in batch]
    reader.close()
    assert kinds.count(Kind.ORPHAN) + kinds.count(Kind.SETTLE) == 1, "the reservation is closed one way or the other"
    successor.close()


def a_pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def a_folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def a_link(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/passwd")


def nonsense(path):
    path.unlink(missing_ok=True)
    path.write_bytes(b"\xc3\xa9\x1b[31m" * 20)


def nothing(path):
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("spoil", [a_pipe, a_folder, a_link, nonsense, nothing])
@pytest.mark.parametrize("name", ["id", "lock", "next", "00000001.seg", "00000002.seg", "99999999.seg"])
def test_L5_files_of_a_compromised_process_do_not_stop_its_successor(tmp_path, clock, name, spoil):
    """One edge that could not start would end the start of the whole gateway."""
    first = SpoolWriter(tmp_path, clock, os.urandom, "run-1", segment_bytes=16 * 1024)
    os.close(first._lock)  # it dies
    spoil(tmp_path / name)
    second = SpoolWriter(tmp_path, clock, os.urandom, "run-2", segment_bytes=16 * 1024)
    second.append(Kind.LINK_END, records.encode_payload(records.LinkEnd("x", 99)))
    second.commit()
    kinds = []
    reader = SpoolReader(tmp_path)
    while batch := reader.read():
        kinds += [entry.kind for entry in batch]
    assert Kind.LINK_END in kinds
    second.close()


def test_L5_a_folder_that_was_flooded_with_files_is_emptied_by_the_successor(tmp_path, clock, monkeypatch):
    first = SpoolWriter(tmp_path, clock, os.urandom, "run-1", segment_bytes=16 * 1024)
    os.close(first._lock)
    monkeypatch.setattr(files, "NAMES_MAX", 50)
    for number in range(100):
        (tmp_path / files.segment_name(1_000 + number)).touch()
    second = SpoolWriter(tmp_path, clock, os.urandom, "run-2", segment_bytes=16 * 1024)
    assert len(os.listdir(tmp_path)) < 10
    assert second.spool_id != first.spool_id, "whoever read under the old id begins anew"
    second.close()


def test_L5_numbers_that_a_compromised_process_used_up_begin_anew(tmp_path, clock):
    first = SpoolWriter(tmp_path, clock, os.urandom, "run-1", segment_bytes=16 * 1024)
    os.close(first._lock)
    head = records.encode_payload(records.Segment(first.spool_id, 99_999_999, "evil", 1))
    forged = records.frame(records.seed_of(first.spool_id), 0, Kind.SEGMENT, 1, head)
    (tmp_path / files.segment_name(99_999_999)).write_bytes(forged)
    second = SpoolWriter(tmp_path, clock, os.urandom, "run-2", segment_bytes=16 * 1024)
    assert second.spool_id != first.spool_id
    assert files.segment_numbers(tmp_path) == [1]
    second.close()
