"""What control has seen of the store, kept outside of it: marks that no row may fall behind. Level 5 (docs/invariants.md S5).

Objects and freezes have their marks here, with their last good content, in a file of control's own; keys have theirs in the
replica, whose entries say the version that was published. A row that this gateway did not write, that is older than its mark,
or that is gone, is a doubt: it is named, and what was published stays. Admin tokens that were revoked, and links that were used,
have their hashes here until they would have ended by themselves: a row that somebody puts back lets nobody in.
"""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.spool.files import write_durably
from switchgear.store.objects import SignedRow

Why = Literal["forged", "older", "missing"]
NAMED_MAX = 5
WHY: dict[Why, tuple[str, str]] = {
    "forged": ("was not written by this gateway", "were not written by this gateway"),
    "older": ("is older in the store than what was published", "are older in the store than what was published"),
    "missing": ("is gone from the store", "are gone from the store"),
}
CHECK = "what was published stays: switchgear store check"


class Doubt(msgspec.Struct, frozen=True, order=True):
    """A row that is not believed."""

    kind: str
    name: str
    why: Why


class Mark(msgspec.Struct, frozen=True):
    """What was seen last of a row."""

    version: int
    body: bytes | None
    """Its content; None: it was removed."""


ENDED = "token"
"""Stands for the kind of tokens that ended, beside the kinds of rows, in the file."""
Marks = Mapping[str, Mapping[str, Mark]]
"""By kind and name."""


class Judged(msgspec.Struct, frozen=True):
    """What may be published, and what is wrong."""

    marks: Marks
    """The rows to go by."""
    doubts: list[Doubt]

    def bodies(self, kind: str) -> dict[str, bytes]:
        """Return what there is of a kind, by name."""
        return {name: mark.body for name, mark in self.marks.get(kind, {}).items() if mark.body is not None}


def judge(rows: Mapping[str, Mapping[str, SignedRow]], marks: Marks) -> Judged:
    """Take what is good of the store's rows, and what was seen before instead of any other."""
    found: dict[str, dict[str, Mark]] = {}
    doubts: list[Doubt] = []
    for kind, stored in rows.items():
        known = marks.get(kind, {})
        found[kind] = {}
        for name in sorted(stored.keys() | known.keys()):
            row, mark = stored.get(name), known.get(name)
            why = _doubt(row, mark)
            if why is not None:
                doubts.append(Doubt(kind, name, why))
            elif row is not None:
                mark = Mark(row.version, row.body)
            if mark is not None:
                found[kind][name] = mark
    return Judged(found, doubts)


def _doubt(row: SignedRow | None, mark: Mark | None) -> Why | None:
    if row is None:
        return "missing" if mark is not None and mark.body is not None else None
    if not row.is_signed:
        return "forged"
    return "older" if mark is not None and row.version < mark.version else None


def sentences(doubts: Iterable[Doubt]) -> list[str]:
    """Return what `status` and the log say of doubts: one sentence for each kind and reason."""
    groups: dict[tuple[str, Why], list[str]] = {}
    for doubt in sorted(doubts):
        groups.setdefault((doubt.kind, doubt.why), []).append(doubt.name)
    return [_sentence(kind, why, names) for (kind, why), names in groups.items()]


def _sentence(kind: str, why: Why, names: list[str]) -> str:
    one, many = WHY[why]
    if len(names) == 1:
        return f"the {kind} {names[0]!r} {one}; {CHECK}"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{len(names)} {kind}s {many}: {', '.join(map(repr, names[:NAMED_MAX]))}{more}; {CHECK}"


class Seen:
    """The file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.marks: Marks = {}
        self._on_disk: Marks = {}
        self._ended: dict[str, Mark] = {}
        """Tokens by their hash in hexadecimal. The version is when they would have ended by themselves, 0 for never."""
        self._writing = threading.Lock()
        self.trouble: str | None = None
        """Why nothing is known of what was seen before."""

    def load(self) -> None:
        """Read what was kept. A file that cannot be read is told: then the store is believed as far as its MACs hold."""
        try:
            self._on_disk = msgspec.msgpack.decode(self._path.read_bytes(), type=dict[str, dict[str, Mark]])
            self.marks = {kind: marks for kind, marks in self._on_disk.items() if kind != ENDED}
            self._ended = {**self._on_disk.get(ENDED, {})}
        except FileNotFoundError:
            return
        except UNREADABLE as exc:
            self.trouble = (
                f"{self._path.name}, which says what was seen of the store, is damaged ({type(exc).__name__})"
            )

    def keep(self, marks: Marks) -> None:
        """Remember, on disk before this returns. Raises OSError when it cannot be written: this process knows it all the same."""
        self.marks = marks
        self._write()

    def has_ended(self, token_hash: bytes) -> bool:
        """Tell whether a token was revoked, or a link used, whatever the store says."""
        return token_hash.hex() in self._ended

    def end_tokens(self, ended: Iterable[tuple[bytes, int | None]], now_ms: int) -> None:
        """Remember tokens that hold no more, by hash and when they would have ended by themselves; on disk before this returns.
        Raises OSError when it cannot be written: this process knows it all the same."""
        new = {token_hash.hex(): Mark(until_ms or 0, None) for token_hash, until_ms in ended}
        kept = {name: mark for name, mark in self._ended.items() if not 0 < mark.version <= now_ms}
        self._ended = {**kept, **new}
        self._write()

    def _write(self) -> None:
        with self._writing:
            found = {**self.marks, ENDED: self._ended} if self._ended else self.marks
            if found != self._on_disk:
                write_durably(self._path, msgspec.msgpack.encode(found), 0o600)
                self._on_disk = found
