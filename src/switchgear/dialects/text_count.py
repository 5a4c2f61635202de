"""Counts the text in the deltas of a passing stream: what a stream that is cut short is charged by. Level 1, sans-I/O.

Nothing is decoded: in each dialect a delta's text is the string after one of a few member names, and a stream keeps to one of
them for long, so an event costs two searches. Envelopes, signatures, repeated texts at the end of a part and base64 are never
counted. Escapes count as they stand. What an answer holds beside texts is an event of its own that begins it: a call's name and
frame, the marks around a message.
"""

from typing import NamedTuple

BYTES_PER_TOKEN = 4
"""Of English prose a little more, of code and JSON a little less; of other scripts UTF-8 has about as many bytes a token."""
LEARNED_MAX = 16
"""A stream whose events differ in more than their texts (a counter, padding) is not tried for ever."""


class Opening(NamedTuple):
    """An event that begins something which comes to tokens beside its texts."""

    marks: tuple[bytes, ...]
    """All of them stand in it."""
    tokens: int


_BACKSLASH = ord("\\")
_QUOTE = b'"'
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")


def needles(*names: str) -> tuple[bytes, ...]:
    """Return what stands before a text: the member's name, with and without a space after the colon."""
    return tuple(f'"{name}":{space}"'.encode() for space in ("", " ") for name in names)


class TextCount:
    """Of one stream."""

    __slots__ = ("_after", "_at", "_before", "_known", "_learned", "_needle", "_openings", "deltas", "opened", "size")

    def __init__(self, texts: tuple[bytes, ...], openings: tuple[Opening, ...] = ()) -> None:
        """`texts` is what stands before the text of a delta (`needles`)."""
        self._known = texts
        self._openings = openings
        self.opened = 0
        """Tokens of what began, beside its texts."""
        self._needle = self._known[0]
        self.deltas = 0
        """Deltas with a text: each is a token at least."""
        self.size = 0
        """Bytes of their texts."""
        self._before = self._after = b""
        """What stands before and after the text of the event that was learned."""
        self._at = self._learned = 0

    @property
    def tokens(self) -> int:
        """Tokens seen so far, estimated."""
        return max(self.deltas, self.size // BYTES_PER_TOKEN) + self.opened

    def add(self, data: bytes) -> None:
        """Count the texts in one or more whole events."""
        needle = self._needle
        at = data.find(needle)
        if at >= 0:
            at += len(needle)
            end = data.find(b'"', at)
            if end > at and data[end - 1] != _BACKSLASH:
                self.deltas += 1
                self.size += end - at
                at = data.find(needle, end)
                if at < 0:
                    return  # one event, and its text without quotes: the common case
                self._count(data, at)
                return
        for opening in self._openings:
            if all(mark in data for mark in opening.marks):
                self.opened += opening.tokens
                break
        if not self._count(data, data.find(needle)) and self._seek(data):
            self._count(data, data.find(self._needle))

    def learn(self, event: bytes) -> None:
        """Remember one whole event that says nothing but a text: `repeats` knows others like it."""
        needle = self._needle
        at = event.find(needle) + len(needle)
        end = event.find(_QUOTE, at)
        is_plain = at >= len(needle) and end >= at and needle not in event[end:] and event[end - 1] != _BACKSLASH
        if is_plain and self._learned < LEARNED_MAX and event.endswith(_EVENT_ENDS):
            self._learned += 1
            self._before, self._at = event[:at], at
            self._after = event[end:]

    def repeats(self, data: bytes) -> bool:
        """Count an event that is the one that was learned but for its text, and say so. Nothing else needs to be looked at
        in it: a text without quotes hides nothing. False for all others, which are not counted."""
        at = self._at
        end = data.find(_QUOTE, at)
        if end <= at or data[end:] != self._after or data[:at] != self._before:
            return False
        self.deltas += 1
        self.size += end - at
        return True

    def _count(self, data: bytes, at: int) -> bool:
        """Count the texts from a place on; tells whether there were any."""
        needle, found = self._needle, False
        while at >= 0:
            at += len(needle)
            end = data.find(b'"', at)
            while end > at and data[end - 1] == _BACKSLASH:
                end = data.find(b'"', end + 1)
            if end < 0:
                break
            if end > at:
                self.deltas += 1
                self.size += end - at
                found = True
            at = data.find(needle, end)
        return found

    def _seek(self, data: bytes) -> bool:
        """Change to the member whose text is not empty here, if there is one."""
        for needle in self._known:
            at = data.find(needle)
            if at >= 0 and data[at + len(needle) : at + len(needle) + 1] != b'"':
                self._needle = needle
                return True
        return False
