"""The bytes of a column: one edge's part of the counters that a node's edges share. Level 2; pure.

A column is words of 8 bytes in the machine's order, since it never leaves the machine and never outlives its boot: a header, the
holds of open requests, and three tables of rows. Row n belongs to one bucket in all columns; a bucket's count is the sum over the
columns. Each row begins with the bucket's tag and the *claim*, a time: where columns name different buckets, the newest claim is
right, and the others are left over from buckets that were idle.

    header   512 words: HOLDING and what follows
    holds    14 words each: H_STATE and what follows
    windows  40 words: tag, claim, last, total, held, width, scale, share; then 64 counts of 4 bytes
    slots    4 words: tag, claim, held, share
    balances 7 words: tag, claim, keep until, settled, held, uncertain, share
"""

import struct
import zlib
from typing import Self

import msgspec

from switchgear.core.errors import RecordError
from switchgear.policies.buckets import Kind

MAGIC = b"SGCOUNT1"
VERSION = 1
WORD = 8
HEADER_WORDS = 512
HOLD_WORDS = 14
ROW_WORDS: dict[int, int] = {Kind.WINDOW: 40, Kind.SLOTS: 4, Kind.BALANCE: 7}
COUNTS_AT = 8
"""Where the 64 counts of a window begin, in words."""
WAYS = 16
"""Rows of a set: a bucket stands in one of the 16 rows of either of two sets, so a look costs the same however full a table is.
With two choices a table is full to about 85 % before the first bucket finds no place (with sets of 8: 70 %)."""
COUNT_MAX = 2**32 - 1

WINDOW, SLOTS, BALANCE = int(Kind.WINDOW), int(Kind.SLOTS), int(Kind.BALANCE)
"""Plain numbers: on the path of requests a member of an enumeration costs as much as what it names."""
TAG, CLAIM = 0, 1
W_LAST, W_TOTAL, W_HELD, W_WIDTH, W_SCALE, W_SHARE = 2, 3, 4, 5, 6, 7
S_HELD, S_SHARE = 2, 3
B_KEEP, B_SETTLED, B_HELD, B_UNCERTAIN, B_SHARE = 2, 3, 4, 5, 6
HELD_AT: dict[int, int] = {Kind.WINDOW: W_HELD, Kind.SLOTS: S_HELD, Kind.BALANCE: B_HELD}
SHARE_AT: dict[int, int] = {Kind.WINDOW: W_SHARE, Kind.SLOTS: S_SHARE, Kind.BALANCE: B_SHARE}

IDENTITY = struct.Struct("=8sqqqqq16s16s16s")
"""Magic, version, rows of windows, slots and balances, holds, store, boot, salt; then a CRC of it, in a word."""

HOLDING = 32
"""Word of the header: since when this column's process has held the lock, in µs of the boot's clock; 0: it has not."""
EPOCH = 33
"""Of control's column: balances are those of claims after it; 0: they are being rebuilt."""
TICKETS = 34
"""The last number of a ticket."""
CLAIMS = 35
"""How many rows were ever claimed: while no column's changes, every bucket stands where it stood."""
WAITING = 39
"""How many attempts wait for somebody to say what became of them (ORPHANED)."""
WANTED = 38
"""1: this column's process asked for balances that were not known."""
HAS_DISTANCE, DISTANCE = 36, 37
"""The wall clock's distance from the boot's, as it is believed (`policies.periods.TrustedTime`), where HAS_DISTANCE is 1."""

H_STATE = 0
"""Word of a hold. 0: free. n: held by ticket n. −n: being closed; then H_AFTER is what its count becomes."""
H_PLACE = 1
"""Kind, position in the ticket × 8, UNCERTAIN, IN_SUM."""
H_ROW, H_CLAIM, H_AMOUNT, H_NUMBER, H_AFTER, H_UNTIL = 2, 3, 4, 5, 11, 12
"""Its row and claim, the amount, the sub-window of the admission, the attempt's id in 40 bytes, and, of an uncertain hold, when it
ends."""
ATTEMPT_BYTES = 40
UNCERTAIN, IN_SUM, ORPHANED = 1 << 16, 1 << 17, 1 << 18
"""It is not known what it will be; its amount is in its row's sum of what is held (limits have no use for that); its process died,
and nobody has said yet what became of it."""
HOLD = struct.Struct("=qqqqq40sqq")
"""What stands behind H_STATE."""


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of each kind a column has. The same in all columns."""

    windows: int = 65_536
    slots: int = 32_768
    balances: int = 131_072
    holds: int = 65_536
    """Six for each of 10,000 streams at once."""

    def rows(self, kind: int) -> int:
        """Return how many rows a table has."""
        return (self.windows, self.slots, self.balances)[kind - 1]

    def table_at(self, kind: int) -> int:
        """Return the word at which a table begins."""
        at = HEADER_WORDS + self.holds * HOLD_WORDS
        for other in Kind:
            if other == kind:
                break
            at += self.rows(other) * ROW_WORDS[other]
        return at

    @property
    def file_bytes(self) -> int:
        """Return how long a column is."""
        return (self.table_at(Kind.BALANCE) + self.balances * ROW_WORDS[Kind.BALANCE]) * WORD

    def check(self) -> None:
        """Raise ValueError for what is no geometry."""
        if any(self.rows(kind) <= 0 or self.rows(kind) % (2 * WAYS) for kind in Kind) or self.holds <= 0:
            raise ValueError(f"rows must be multiples of {2 * WAYS}")


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What all columns of a node have in common."""

    geometry: Geometry
    store: bytes
    """16 bytes: the store whose budgets are counted."""
    boot: bytes
    """16 bytes: the boot whose clock the times are of."""
    salt: bytes
    """16 random bytes: of the tags, so that nobody chooses names that collide."""

    def encode(self) -> bytes:
        """Return the beginning of a header."""
        g = self.geometry
        data = IDENTITY.pack(MAGIC, VERSION, g.windows, g.slots, g.balances, g.holds, self.store, self.boot, self.salt)
        return data + zlib.crc32(data).to_bytes(WORD, "little")

    @classmethod
    def decode(cls, data: bytes, file_bytes: int) -> Self:
        """Read it, with the length of its file. Raises RecordError for what is no column, is damaged or of another version."""
        if len(data) < IDENTITY.size + WORD or data[: len(MAGIC)] != MAGIC:
            raise RecordError("it is no column of counters")
        crc = int.from_bytes(data[IDENTITY.size : IDENTITY.size + WORD], "little")
        _, version, windows, slots, balances, holds, store, boot, salt = IDENTITY.unpack_from(data)
        if version != VERSION:
            raise RecordError(f"it is of version {version}, not {VERSION}")
        if crc != zlib.crc32(data[: IDENTITY.size]):
            raise RecordError("its header is damaged")
        geometry = Geometry(windows=windows, slots=slots, balances=balances, holds=holds)
        if file_bytes != geometry.file_bytes:
            raise RecordError(f"it has {file_bytes} bytes, not {geometry.file_bytes}")
        return cls(geometry=geometry, store=store, boot=boot, salt=salt)
