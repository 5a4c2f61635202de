"""What the vault's journal says about attempts whose edge died. Level 3 (docs/invariants.md C8).

Read on demand only, while an orphan waits: the journal is the second book, not part of the request path.
"""

from pathlib import Path

import msgspec

from switchgear.core.errors import RecordError
from switchgear.spool import files
from switchgear.spool.reader import Position, SpoolReader
from switchgear.wire import records
from switchgear.wire.records import Kind

SLACK_MS = 60_000
STEP_MS = 1_000
NEWEST = 2
"""So many segments are always looked at, and always kept."""


class Evidence(msgspec.Struct):
    """What is known of one attempt: it was dispatched, and perhaps how it ended."""

    credential_id: str
    done: records.AttemptEnd | None = None


def search(folder: Path, request_ids: set[str], oldest_ms: int) -> dict[str, Evidence]:
    """Return the dispatched attempts of some requests, by attempt id. `oldest_ms` bounds how far back to look."""
    found: dict[str, Evidence] = {}
    changes = [(number, _changed_ms(folder, number)) for number in files.segment_numbers(folder)]
    recent = relevant(changes, oldest_ms - SLACK_MS)
    needles = [request_id.encode() for request_id in request_ids]
    for number in recent:
        # A plain search over the bytes costs a hundredth of parsing: most segments speak of other requests.
        try:
            data = files.read_whole(folder / files.segment_name(number))
        except RecordError:
            continue  # no segment at all; the double entry tells of it
        if any(needle in data for needle in needles):
            _search_segment(folder, number, request_ids, found)
    return found


def relevant(changes: list[tuple[int, float]], oldest_ms: float) -> list[int]:
    """Return the segments that may speak of requests since a time, from (number, time of last change), by number.

    A segment's last change is its newest record, so those that changed before are left out. But clocks are set back: what
    follows a step back in time may be of any time, and so may the newest segments, inside which a step cannot be seen.
    """
    first = len(changes) - NEWEST
    for at, (_, changed_ms) in enumerate(changes):
        if changed_ms >= oldest_ms or (at and changed_ms < changes[at - 1][1] - STEP_MS):
            first = min(first, at)
            break
    return [number for number, _ in changes[max(0, first) :]]


def _changed_ms(folder: Path, number: int) -> float:
    return (folder / files.segment_name(number)).lstat().st_mtime * 1000


def _search_segment(folder: Path, number: int, request_ids: set[str], found: dict[str, Evidence]) -> None:
    reader = SpoolReader(folder, Position(number, 0))
    try:
        while (batch := reader.read()) and batch[0].after.segment == number:
            for entry in batch:
                if entry.kind not in {Kind.DISPATCH, Kind.ATTEMPT_END}:
                    continue
                try:
                    record = records.decode_payload(entry.kind, entry.payload)
                except RecordError:
                    continue
                assert isinstance(record, records.Dispatch | records.AttemptEnd)
                if record.attempt_id.rpartition("-")[0] not in request_ids:
                    continue
                if isinstance(record, records.Dispatch):
                    found[record.attempt_id] = Evidence(record.credential_id)
                elif record.attempt_id in found:
                    found[record.attempt_id].done = record
    finally:
        reader.close()


def drop_old(folder: Path, older_than_ms: int) -> int:
    """Delete journal segments that were last written before a time; the newest always stay. Returns how many."""
    dropped = 0
    for number in files.segment_numbers(folder)[:-NEWEST]:
        if _changed_ms(folder, number) < older_than_ms:
            (folder / files.segment_name(number)).unlink()
            dropped += 1
    return dropped
