"""The spool's reader trusts nothing."""

import os

import pytest

from switchgear.spool import files
from switchgear.spool.reader import LOOKS_MAX, Position, SpoolReader
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind


def fill(folder, clock, count=1500):
    spool = SpoolWriter(folder, clock, os.urandom, "run", segment_bytes=16 * 1024)
    for number in range(count):
        spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd(f"{number:08d}", number)))
        spool.commit()
        spool.maintain()
    return spool


def numbers(reader):
    found = []
    while batch := reader.read(4096):
        found += [records.decode_payload(e.kind, e.payload).time_ms for e in batch if e.kind == Kind.LINK_END]
    return found


def test_a_reader_goes_on_from_any_position(tmp_path, clock):
    fill(tmp_path, clock)
    reader = SpoolReader(tmp_path)
    first = list(reader.read(4096))
    again = SpoolReader(tmp_path, first[10].after)
    assert again.read(4096)[0].sequence == first[11].sequence


def test_a_reader_at_the_end_waits_for_new_records(tmp_path, clock):
    spool = fill(tmp_path, clock, 3)
    reader = SpoolReader(tmp_path)
    assert numbers(reader) == [0, 1, 2]
    assert reader.read() == []
    spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd("x", 99)))
    spool.commit()
    assert numbers(reader) == [99]


def test_L5_damage_in_the_middle_is_set_aside_and_the_rest_is_read(tmp_path, clock):
    fill(tmp_path, clock)
    path = tmp_path / files.segment_name(1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    reader = SpoolReader(tmp_path)
    found = numbers(reader)
    assert reader.damaged == [1]
    assert found[-1] == 1499
    assert path not in reader.finished_segments()
    assert tmp_path / files.segment_name(2) in reader.finished_segments()


def test_a_missing_segment_is_skipped(tmp_path, clock):
    fill(tmp_path, clock)
    (tmp_path / files.segment_name(1)).unlink()
    assert numbers(SpoolReader(tmp_path, Position(1, 500)))[-1] == 1499


def test_a_reader_tells_that_the_end_was_reached(tmp_path, clock):
    spool = fill(tmp_path, clock, 1500)  # several segments
    reader = SpoolReader(tmp_path)
    ends = []
    while reader.read(4096):
        ends.append(reader.is_at_end)
    assert ends[-1]
    assert not any(ends[:-1]), "a full read, and the end of a finished segment, are no ends"
    spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd("x", 99)))
    spool.commit()
    assert len(reader.read()) == 1
    assert reader.is_at_end


def test_after_a_glance_at_the_end_a_backlog_is_read_whole(tmp_path, clock):
    spool = SpoolWriter(tmp_path, clock, os.urandom, "run", segment_bytes=1 << 20)
    reader = SpoolReader(tmp_path)
    assert len(reader.read()) == 1
    assert reader.is_at_end
    for number in range(2_000):
        spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd(f"{number:032d}", number)))
    spool.commit()
    assert len(reader.read()) == 2_000
    assert reader.is_at_end


def plant(folder, number, data=b"garbage"):
    (folder / files.segment_name(number)).write_bytes(data)


def test_L5_thousands_of_files_that_are_no_segments_cost_each_read_a_bounded_look(tmp_path, clock):
    spool = fill(tmp_path, clock, 3)
    for number in range(1_000, 1_000 + 5 * LOOKS_MAX):
        plant(tmp_path, number)
    reader = SpoolReader(tmp_path)
    assert numbers(reader) == [0, 1, 2]
    before = len(reader.damaged)
    assert reader.read() == []
    assert len(reader.damaged) - before <= LOOKS_MAX
    for _ in range(6):
        assert reader.read() == []
    assert len(reader.damaged) == 5 * LOOKS_MAX, "each is told"
    spool.append(Kind.LINK_END, records.encode_payload(records.LinkEnd("x", 99)))
    spool.commit()
    assert numbers(reader) == [99], "and what its writer goes on writing is read"


@pytest.mark.parametrize("number", [2, 3, 50_000_000, 99_999_999])
@pytest.mark.parametrize("kind", ["garbage", "empty", "copy", "folder", "link"])
def test_L5_planted_files_of_a_compromised_writer_hide_no_record_of_its_successor(tmp_path, clock, number, kind):
    spool = fill(tmp_path, clock, 3)
    reader = SpoolReader(tmp_path)
    assert numbers(reader) == [0, 1, 2]
    path = tmp_path / files.segment_name(number)
    {
        "garbage": lambda: path.write_bytes(b"\xff" * 9_000),
        "empty": path.touch,
        "copy": lambda: path.write_bytes((tmp_path / files.segment_name(1)).read_bytes()),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    assert reader.read() == []
    os.close(spool._lock)  # it dies
    successor = SpoolWriter(tmp_path, clock, os.urandom, "run-2", segment_bytes=16 * 1024)
    successor.append(Kind.LINK_END, records.encode_payload(records.LinkEnd("x", 99)))
    successor.commit()
    assert numbers(reader) == [99], "by control as it runs"
    assert numbers(SpoolReader(tmp_path)) == [0, 1, 2, 99], "and by control after a restart"
    successor.close()


def test_L5_foreign_files_in_a_spool_are_remembered_up_to_a_bound(tmp_path, clock):
    fill(tmp_path, clock, 3)
    reader = SpoolReader(tmp_path)
    numbers(reader)
    for turn in range(20):
        for number in range(1_000 + turn * LOOKS_MAX, 1_000 + (turn + 1) * LOOKS_MAX):
            plant(tmp_path, number)
        assert reader.read() == []
        for number in range(1_000 + turn * LOOKS_MAX, 1_000 + (turn + 1) * LOOKS_MAX):
            (tmp_path / files.segment_name(number)).unlink()
    assert len(reader.damaged) <= 5 * LOOKS_MAX and len(reader._passed) <= 5 * LOOKS_MAX
