"""The one writer of a spool: buffers records of a loop turn, writes them once, syncs on a timer. Level 2.

What holds (docs/invariants.md L2–L4): `commit` returns after the kernel has every byte, so a process's death loses nothing;
`sync` makes them survive a power cut; a reservation is admitted only while its settlement still fits, so that a full
disk refuses new work and never loses old; each segment begins with the reservations still open, so that old segments
can be unlinked while a long stream runs.
"""

import os
import threading
from pathlib import Path

from switchgear.core.clock import Clock
from switchgear.core.errors import RecordError, SpoolFullError
from switchgear.core.ids import Entropy
from switchgear.spool import files
from switchgear.wire import records
from switchgear.wire.records import Kind

SEGMENT_BYTES = 16 * 1024 * 1024
BACKLOG_BYTES_MAX = 8 * 1024**3
DISK_SHARE_MAX = 0.2
HEADER_BYTES = records.HEADER.size
RECORD_BYTES_MAX = records.SETTLE_BYTES_MAX + HEADER_BYTES


class SpoolWriter:
    """Appends records to a folder. Not thread-safe, but for `sync`, which may run in one other thread."""

    def __init__(
        self, folder: Path, clock: Clock, entropy: Entropy, run_id: str, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        """Take the folder's lock, close what a dead predecessor left open, and start a segment.

        Raises BlockingIOError when another writer lives, OSError when the disk refuses.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            folder.chmod(0o700)
        self.folder = folder
        self.run_id = run_id
        self._clock = clock
        self._segment_bytes = segment_bytes
        lock = files.try_lock(folder, entropy)
        if lock is None:
            raise BlockingIOError(f"another process writes to {folder}")
        self._lock = lock
        files.prepare(folder, entropy)
        self.spool_id = files.read_or_create_id(folder, entropy)
        self._entropy = entropy
        self._seed = records.seed_of(self.spool_id)
        self._buffer: list[bytes] = []
        self._offset = 0
        self._written = 0
        self._synced = 0
        self._unsynced: list[tuple[int, bytes]] = []
        self._open: dict[str, bytes] = {}
        self._more: dict[str, list[tuple[int, bytes]]] = {}
        """Further attempts and the last checkpoint of open requests: carried along with their reservations."""
        self._swap = threading.Lock()
        self._fd = -1
        self._next_ready = False
        self._number, self._sequence, orphans = self._recover()
        if self._number > files.NUMBER_LAST:
            files.empty(folder, entropy)
            self.spool_id = files.read_or_create_id(folder, entropy)
            self._seed = records.seed_of(self.spool_id)
            self._number, self._sequence, orphans = 0, 1, []
            self._open, self._more = {}, {}
        self._prepare_next()
        self._start_segment(self._number + 1)
        for orphan in orphans:
            self.append(Kind.ORPHAN, records.encode_payload(orphan))
            del self._open[orphan.id]
            self._more.pop(orphan.id, None)
        self.commit()

    # appending

    def append(self, kind: int, payload: bytes) -> None:
        """Buffer a record; `commit` writes it. Starts a new segment when this one is full."""
        self._make_room(len(payload))
        record = records.frame(self._seed, self._offset, kind, self._sequence, payload)
        self._buffer.append(record)
        self._unsynced.append((kind, payload))
        self._offset += len(record)
        self._sequence += 1

    def _make_room(self, payload_bytes: int) -> None:
        if self._offset + payload_bytes + HEADER_BYTES > self._segment_bytes:
            self._rotate()

    def reserve(self, request_id: str, payload: bytes) -> None:
        """Buffer a reservation. Raises SpoolFullError when its settlement might not fit any more."""
        need = (len(self._open) + 1) * RECORD_BYTES_MAX + len(payload) + HEADER_BYTES
        if need > self._segment_bytes - self._offset + (self._segment_bytes if self._next_ready else 0):
            raise SpoolFullError("no room in the spool")
        self.append(Kind.RESERVE, payload)
        self._open[request_id] = payload

    def spare(self, payload: bytes) -> bool:
        """Tell whether a record fits beside the settlements of all that is open: for what may as well be left out."""
        need = len(self._open) * RECORD_BYTES_MAX + len(payload) + HEADER_BYTES
        return need <= self._segment_bytes - self._offset + (self._segment_bytes if self._next_ready else 0)

    def settle(self, request_id: str, payload: bytes) -> None:
        """Buffer the settlement of an open reservation. Raises KeyError for any other."""
        # Room first: a segment that begins here must begin with this reservation, or whoever reads it alone (a successor
        # after a crash, control after its restart) would not know what the settlement settles.
        self._make_room(len(payload))
        del self._open[request_id]
        if self._more:
            self._more.pop(request_id, None)
        self.append(Kind.SETTLE, payload)

    def attempt(self, request_id: str, payload: bytes) -> None:
        """Buffer a further attempt of an open reservation."""
        self._more.setdefault(request_id, []).append((Kind.ATTEMPT, payload))
        self.append(Kind.ATTEMPT, payload)

    def checkpoint(self, request_id: str, payload: bytes) -> None:
        """Buffer what an open request has shown so far; only the last one counts."""
        kept = [entry for entry in self._more.get(request_id, []) if entry[0] != Kind.CHECKPOINT]
        self._more[request_id] = [*kept, (Kind.CHECKPOINT, payload)]
        self.append(Kind.CHECKPOINT, payload)

    def commit(self) -> None:
        """Write what is buffered. Raises OSError; a short write is truncated back and may be tried again."""
        buffer = self._buffer
        if not buffer:
            return
        data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        if (done := os.pwrite(self._fd, data, self._written)) != len(data):
            self._write_rest(data, done)
        buffer.clear()
        self._written += len(data)

    def _write_rest(self, data: bytes, done: int) -> None:
        """Write what the kernel did not take at once."""
        try:
            while done < len(data):
                done += os.pwrite(self._fd, data[done:], self._written + done)
        except OSError:
            # Zero what was half written, so that a reader waits instead of finding a torn record in the middle.
            os.pwrite(self._fd, bytes(done), self._written)
            raise

    @property
    def open_count(self) -> int:
        """How many reservations await their settlement."""
        return len(self._open)

    @property
    def needs_sync(self) -> bool:
        """True when records were written since the last sync."""
        return self._written != self._synced

    @property
    def is_prepared(self) -> bool:
        """True when the next segment is allocated."""
        return self._next_ready

    # maintenance

    def sync(self) -> None:
        """Make written records survive a power cut. On failure the records since the last sync are written again to
        a new segment at the next `maintain` (a page that failed to write may be dropped from the cache silently)."""
        with self._swap:
            fd, end = self._fd, self._written
            count = len(self._unsynced)
            try:
                os.fdatasync(fd)
            except OSError:
                self._synced = -1
                return
            if fd == self._fd:
                self._synced = end
                del self._unsynced[:count]

    def maintain(self) -> None:
        """Prepare the next segment and repair after a failed sync. Call on a timer, from the writer's thread."""
        if self._synced < 0:
            again = list(self._unsynced)
            self._rotate()  # without room for it, what has to be written again stays known
            for kind, payload in again:
                if kind != Kind.SEGMENT:
                    self.append(kind, payload)
            self.commit()
        if not self._next_ready:
            self._prepare_next()

    def close(self) -> None:
        """Write, sync and release the lock. Open reservations become orphans of the next writer."""
        self.commit()
        os.ftruncate(self._fd, self._written)
        os.fdatasync(self._fd)
        os.close(self._fd)
        os.close(self._lock)

    # segments

    def _rotate(self) -> None:
        self.commit()
        if not self._next_ready:
            self._prepare_next()
            if not self._next_ready:
                raise SpoolFullError("no room for another segment")
        with self._swap:
            # Truncate before the next segment appears: a reader then knows this one's exact end, after a power cut too.
            os.ftruncate(self._fd, self._written)
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._start_segment(self._number + 1)

    def _start_segment(self, number: int) -> None:
        path = self.folder / "next"
        if not self._next_ready:
            raise SpoolFullError(f"no room for a segment in {self.folder}")
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._number = number
        self._offset = self._written = self._synced = 0
        self._buffer.clear()
        self._unsynced.clear()
        head = records.Segment(self.spool_id, number, self.run_id, self._clock.wall_ms())
        self.append(Kind.SEGMENT, records.encode_payload(head))
        for request_id, payload in self._open.items():
            self.append(Kind.RESERVE, payload)
            for kind, more in self._more.get(request_id, ()):
                self.append(kind, more)
        self.commit()
        path.rename(self.folder / files.segment_name(number))
        files.sync_folder(self.folder)
        self._next_ready = False

    def _prepare_next(self) -> None:
        path = self.folder / "next"
        try:
            disk = os.statvfs(self.folder)
            backlog = len(files.segment_numbers(self.folder)) * self._segment_bytes
            bound = min(BACKLOG_BYTES_MAX, int(disk.f_blocks * disk.f_frsize * DISK_SHARE_MAX))
            if backlog + self._segment_bytes > max(bound, 4 * self._segment_bytes):
                return
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
            try:
                os.posix_fallocate(fd, 0, self._segment_bytes)
            finally:
                os.close(fd)
        except RecordError:
            return
        except OSError:
            path.unlink(missing_ok=True)
            return
        self._next_ready = True

    def _recover(self) -> tuple[int, int, list[records.Orphan]]:
        """Cut the torn tail of the last segment; return (its number, next sequence, its open reservations)."""
        for number in reversed(files.segment_numbers(self.folder)):
            path = self.folder / files.segment_name(number)
            try:
                begins = files.beginning(path, self._seed)
                if begins is None:
                    _truncate_durably(path, 0)  # power was lost before its first page: nothing of it was acknowledged
                    continue
                if (begins.spool_id, begins.number) != (self.spool_id, number):
                    raise RecordError(f"{path.name} is another's")
                opened, more, end, last, run_id = scan_open(path, self._seed)
            except (RecordError, PermissionError):
                # No segment of this spool: a link, a pipe, what is larger than any, or was not written by its writer.
                files.set_aside(path, self._entropy)
                continue
            assert last is not None
            _truncate_durably(path, end)
            now = self._clock.wall_ms()
            # The new segment begins with them: whoever reads on from there must know what the orphans were.
            self._open, self._more = opened, more
            return number, last + 1, [records.Orphan(request_id, run_id, now) for request_id in opened]
        return 0, 1, []


def _truncate_durably(path: Path, size: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.ftruncate(fd, size)
        os.fdatasync(fd)
    finally:
        os.close(fd)


def scan_open(
    path: Path, seed: int
) -> tuple[dict[str, bytes], dict[str, list[tuple[int, bytes]]], int, int | None, str]:
    """Read a segment. Returns (open reservations, their attempts and checkpoints, end of the valid part, last sequence
    or None, writer's run id). Raises RecordError for what is no segment, OSError."""
    data = files.read_whole(path)
    opened: dict[str, bytes] = {}
    more: dict[str, list[tuple[int, bytes]]] = {}
    position, last, run_id = 0, None, ""
    while (found := records.parse(seed, 0, data, position)) is not None:
        kind, last, payload, position = found
        record = _decoded(kind, payload) if kind in _SCANNED else None
        if isinstance(record, records.Segment):
            run_id = record.run_id
        elif isinstance(record, records.Reserve):
            opened[record.id] = payload
        elif kind in _CLOSING:
            closed = records.id_of(payload) or ""  # control closes it too, whatever else the record says
            opened.pop(closed, None)
            more.pop(closed, None)
        elif isinstance(record, records.Attempt):
            more.setdefault(record.request_id, []).append((kind, payload))
        elif isinstance(record, records.Checkpoint):
            kept = [entry for entry in more.get(record.id, []) if entry[0] != Kind.CHECKPOINT]
            more[record.id] = [*kept, (kind, payload)]
    return opened, more, position, last, run_id


def _decoded(kind: int, payload: bytes) -> records.Payload | None:
    try:
        return records.decode_payload(kind, payload)
    except RecordError:
        return None  # a predecessor's nonsense must not keep its successor from starting; control tells of it


_SCANNED = frozenset({Kind.SEGMENT, Kind.RESERVE, Kind.ATTEMPT, Kind.CHECKPOINT})
_CLOSING = frozenset({Kind.SETTLE, Kind.ORPHAN})
