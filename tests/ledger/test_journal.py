"""The second book."""

import os
import time

from switchgear.ledger import journal
from switchgear.net.clock import SystemClock
from switchgear.spool import files
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import records
from switchgear.wire.records import Kind


def fill(folder, count=2000):
    writer = SpoolWriter(folder, SystemClock(), os.urandom, "v", segment_bytes=64 * 1024)
    for number in range(count):
        attempt = f"{number:032x}-1"
        writer.append(Kind.DISPATCH, records.encode_payload(records.Dispatch(attempt, "a/c", number, "run")))
        if number % 2:
            writer.append(Kind.DONE, records.encode_payload(records.Done(attempt, 200, None, 5, 6, number)))
        writer.commit()
        writer.maintain()
    return writer


def test_C8_it_finds_what_was_dispatched_and_how_it_ended(tmp_path):
    fill(tmp_path)
    found = journal.search(tmp_path, {f"{n:032x}" for n in (4, 5, 5000)}, 0)
    assert set(found) == {f"{4:032x}-1", f"{5:032x}-1"}
    assert found[f"{4:032x}-1"].done is None
    assert found[f"{5:032x}-1"].done.status == 200


def test_old_segments_are_dropped_but_the_newest(tmp_path):
    fill(tmp_path)
    count = len(files.segment_numbers(tmp_path))
    assert journal.drop_old(tmp_path, 0) == 0
    assert journal.drop_old(tmp_path, int((time.time() + 60) * 1000)) == count - 1
    assert journal.search(tmp_path, {"x"}, int((time.time() + 3600) * 1000)) == {}
