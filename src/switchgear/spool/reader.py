"""Reads a spool that somebody else writes. Level 2.

The reader trusts nothing: a record that does not parse in a segment that is not the last is damage, and the segment is
set aside. At the end of the last one it waits: the writer may be in the middle of a write (docs/invariants.md L4, L5).
"""

import os
from pathlib import Path

import msgspec

from switchgear.core.errors import RecordError
from switchgear.spool import files
from switchgear.wire import records

READ_BYTES = 1024 * 1024
GLANCE_BYTES = 32 * 1024
"""Whoever is at the end looks at so much first: most of a segment is free room, and a megabyte of zeros costs 0.3 ms."""
LOOKS_MAX = 200
"""Files that are looked at in one read: whoever reads has others to serve."""


class Position(msgspec.Struct, frozen=True):
    """A place in a spool: the segment's number and the offset of the next record."""

    segment: int
    offset: int


class Entry(msgspec.Struct, frozen=True):
    """One record as read."""

    kind: int
    sequence: int
    payload: bytes
    after: Position


class SpoolReader:
    """Reads records in order from a position."""

    def __init__(self, folder: Path, position: Position | None = None) -> None:
        self.folder = folder
        """Raises RecordError where a file is not what it must be, OSError."""
        self.spool_id = files.read_id(folder)
        self._seed = records.seed_of(self.spool_id)
        self._fd = -1
        self._fd_segment = -1
        self.position = position or Position(0, 0)
        self.damaged: list[int] = []
        """Numbers of segments with damage in the middle, and of those that are none."""
        self._passed: dict[int, int] = {}
        """What was passed over, and its inode: no segments, or nothing was written to them. A successor may use the number."""
        self.is_at_end = False
        """True when the last `read` returned all that was there: whoever works through a backlog can stop, and does not chase
        a writer at work record by record."""

    def read(self, bytes_max: int = READ_BYTES) -> list[Entry]:
        """Return the next complete records, at most about `bytes_max` bytes; an empty list means wait."""
        while True:
            segment, offset = self.position.segment, self.position.offset
            if not self._open(segment):
                if not self._advance():
                    return []
                continue
            size = min(GLANCE_BYTES, bytes_max) if self.is_at_end else bytes_max
            data = os.pread(self._fd, size, offset)
            entries: list[Entry] = []
            at = 0
            while (found := records.parse(self._seed, offset, data, at)) is not None:
                kind, sequence, payload, at = found
                entries.append(Entry(kind, sequence, payload, Position(segment, offset + at)))
            # Free room begins with zeros; a finished segment has none.
            self.is_at_end = at < len(data) and data[at] == 0
            if size < bytes_max and not self.is_at_end:
                continue  # more than a glance shows
            if entries:
                self.position = entries[-1].after
                return entries
            if len(data) == bytes_max and bytes_max <= records.PAYLOAD_BYTES_MAX + records.HEADER.size:
                bytes_max *= 2
                continue
            following = self._following()
            if following is None:
                return []
            # The writer has moved on; it may have done so after the pread above, so look once more.
            if records.parse(self._seed, offset, os.pread(self._fd, READ_BYTES, offset), 0) is not None:
                continue
            if os.fstat(self._fd).st_size != offset:
                self.damaged.append(segment)
            self.position = Position(following, 0)

    def close(self) -> None:
        """Close the open segment."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = self._fd_segment = -1

    def finished_segments(self) -> list[Path]:
        """Return the files of segments wholly before the position, but for damaged ones."""
        kept = set(self.damaged)
        return [
            self.folder / files.segment_name(number)
            for number in files.segment_numbers(self.folder)
            if number < self.position.segment and number not in kept
        ]

    def _open(self, segment: int) -> bool:
        if self._fd_segment == segment:
            return True
        self.close()
        try:
            self._fd = files.open_to_read(self.folder / files.segment_name(segment))
        except FileNotFoundError:
            return False
        except RecordError:
            if segment not in self.damaged:
                self.damaged.append(segment)
            return False
        self._fd_segment = segment
        return True

    def _following(self) -> int | None:
        """Return the next segment that begins as one of this spool does. What lies between is passed over and never looked at
        again: a compromised writer leaves thousands of files, under names before those of its successor and after them."""
        looked = 0
        present = files.segments(self.folder)
        if len(self._passed) > 2 * len(present) + LOOKS_MAX:  # most are gone: what is remembered has a bound
            self._passed = {number: inode for number, inode in self._passed.items() if number in present}
            self.damaged = [number for number in self.damaged if number in present]
        for number, inode in sorted(present.items()):
            if number <= self.position.segment or self._passed.get(number) == inode:
                continue
            looked += 1
            if looked > LOOKS_MAX:
                return None
            try:
                begins = files.beginning(self.folder / files.segment_name(number), self._seed)
            except FileNotFoundError:
                continue
            except RecordError:
                self._pass(number, inode, True)
                continue
            if begins is not None and (begins.spool_id, begins.number) == (self.spool_id, number):
                if self._passed.pop(number, None) is not None and number in self.damaged:
                    self.damaged.remove(number)
                return number
            self._pass(number, inode, begins is not None)
        return None

    def _pass(self, number: int, inode: int, is_damage: bool) -> None:
        if is_damage and number not in self._passed:
            self.damaged.append(number)
        self._passed[number] = inode

    def _advance(self) -> bool:
        following = self._following()
        if following is None:
            return False
        self.position = Position(following, 0)
        return True
