"""What the vault's journal says about attempts whose edge died. Level 3 (INVARIANTS C8).

Read on demand only, while an orphan waits: the journal is the second book, not part of the request path.
"""

from pathlib import Path

import msgspec

from switchgear.spool import files
from switchgear.spool.reader import Position, SpoolReader
from switchgear.wire import records
from switchgear.wire.records import Kind

SLACK_MS = 60_000


class Evidence(msgspec.Struct):
    """What is known of one attempt: it was dispatched, and perhaps how it ended."""

    deployment: str
    done: records.Done | None = None


def search(folder: Path, request_ids: set[str], oldest_ms: int) -> dict[str, Evidence]:
    """Return the dispatched attempts of some requests, by attempt id. `oldest_ms` bounds how far back to look."""
    found: dict[str, Evidence] = {}
    numbers = files.segment_numbers(folder)
    # A segment's last change is its newest record: older ones cannot speak of these requests.
    recent = [
        number
        for number in numbers
        if (folder / files.segment_name(number)).stat().st_mtime * 1000 >= oldest_ms - SLACK_MS
    ]
    if not recent:
        return found
    needles = [request_id.encode() for request_id in request_ids]
    for number in recent:
        # A plain search over the bytes costs a hundredth of parsing: most segments speak of other requests.
        data = (folder / files.segment_name(number)).read_bytes()
        if any(needle in data for needle in needles):
            _search_segment(folder, number, request_ids, found)
    return found


def _search_segment(folder: Path, number: int, request_ids: set[str], found: dict[str, Evidence]) -> None:
    reader = SpoolReader(folder, Position(number, 0))
    try:
        while (batch := reader.read()) and batch[0].after.segment == number:
            for entry in batch:
                if entry.kind not in {Kind.DISPATCH, Kind.DONE}:
                    continue
                record = records.decode_payload(entry.kind, entry.payload)
                assert isinstance(record, records.Dispatch | records.Done)
                if record.attempt_id.rpartition("-")[0] not in request_ids:
                    continue
                if isinstance(record, records.Dispatch):
                    found[record.attempt_id] = Evidence(record.deployment)
                elif record.attempt_id in found:
                    found[record.attempt_id].done = record
    finally:
        reader.close()


def drop_old(folder: Path, older_than_ms: int) -> int:
    """Delete journal segments that were last written before a time; the newest always stays. Returns how many."""
    dropped = 0
    for number in files.segment_numbers(folder)[:-1]:
        path = folder / files.segment_name(number)
        if path.stat().st_mtime * 1000 < older_than_ms:
            path.unlink()
            dropped += 1
    return dropped
