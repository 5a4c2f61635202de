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
            writer.append(
                Kind.ATTEMPT_END, records.encode_payload(records.AttemptEnd(attempt, 200, None, 5, 6, number))
            )
        writer.commit()
        writer.maintain()
    return writer


def test_C8_a_search_of_the_journal_finds_dispatched_attempts_with_their_ends(tmp_path):
    fill(tmp_path)
    found = journal.search(tmp_path, {f"{n:032x}" for n in (4, 5, 5000)}, 0)
    assert set(found) == {f"{4:032x}-1", f"{5:032x}-1"}
    assert found[f"{4:032x}-1"].done is None
    assert found[f"{5:032x}-1"].done.status == 200


def test_old_segments_are_dropped_but_the_newest_two(tmp_path):
    fill(tmp_path)
    count = len(files.segment_numbers(tmp_path))
    assert journal.drop_old(tmp_path, 0) == 0
    assert journal.drop_old(tmp_path, int((time.time() + 60) * 1000)) == count - journal.NEWEST
    assert journal.search(tmp_path, {"x"}, int((time.time() + 3600) * 1000)) == {}


def test_C8_a_clock_that_was_set_back_hides_no_evidence(tmp_path):
    """The reservation was made before the step back, the journal's newest segments were changed after it."""
    fill(tmp_path)
    numbers = files.segment_numbers(tmp_path)
    now = time.time()
    for at, number in enumerate(numbers):
        changed = now - 100 + at if at < 2 else now - 86_400 + at
        os.utime(tmp_path / files.segment_name(number), (changed, changed))
    wanted = {f"{n:032x}" for n in range(2000)}
    found = journal.search(tmp_path, wanted, int(now * 1000))
    first = min(int(attempt[:32], 16) for attempt in found)
    assert len(found) == 2000 - first, "everything after the step is looked at"
    assert journal.search(tmp_path, {f"{1999:032x}"}, int((now + 86_400) * 1000)), "and the newest ones always"


def test_which_segments_may_matter():
    changes = [(1, 1e6), (2, 2e6), (3, 3e6), (4, 4e6), (5, 5e6)]
    assert journal.relevant(changes, 0) == [1, 2, 3, 4, 5]
    assert journal.relevant(changes, 3e6) == [3, 4, 5]
    assert journal.relevant(changes, 9e9) == [4, 5]
    assert journal.relevant([(1, 1e6), (2, 9e6), (3, 2e6), (4, 3e6), (5, 4e6), (6, 5e6)], 8e6) == [2, 3, 4, 5, 6]
    assert journal.relevant([(1, 1e6), (2, 9e6), (3, 2e6), (4, 3e6), (5, 4e6), (6, 5e6)], 1e7) == [3, 4, 5, 6]
    assert journal.relevant([], 0) == []
