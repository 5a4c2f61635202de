"""What control has seen of the store, kept outside of it: marks that no row may fall behind. Level 5 (docs/invariants.md S5).

Objects and freezes have their marks here, with their last good content, in a file of control's own; keys have theirs in the
replica, whose entries say the version that was published. A row that this gateway did not write, that is older than its mark,
or that is gone, is a doubt: it is named, and what was published stays.
"""

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
        self.trouble: str | None = None
        """Why nothing is known of what was seen before."""

    def load(self) -> None:
        """Read what was kept. A file that cannot be read is told: then the store is believed as far as its MACs hold."""
        try:
            self._on_disk = msgspec.msgpack.decode(self._path.read_bytes(), type=dict[str, dict[str, Mark]])
            self.marks = self._on_disk
        except FileNotFoundError:
            return
        except UNREADABLE as exc:
            self.trouble = (
                f"{self._path.name}, which says what was seen of the store, is damaged ({type(exc).__name__})"
            )

    def keep(self, marks: Marks) -> None:
        """Remember, on disk before this returns. Raises OSError when it cannot be written: this process knows it all the same."""
        self.marks = marks
        if marks != self._on_disk:
            write_durably(self._path, msgspec.msgpack.encode(marks), 0o600)
            self._on_disk = marks
