"""Counts the text in the deltas of a passing stream: what a stream that is cut short is charged by. Level 1, sans-I/O.

Nothing is decoded: in each dialect a delta's text is the string after one of a few member names, and a stream keeps to one of
them for long, so an event costs two searches. Envelopes, signatures, repeated texts at the end of a part and base64 are never
counted. Escapes count as they stand.
"""

BYTES_PER_TOKEN = 4
"""Of English prose a little more, of code and JSON a little less; of other scripts UTF-8 has about as many bytes a token."""
_BACKSLASH = ord("\\")


def _needles(*names: str) -> tuple[bytes, ...]:
    """Return what stands before a text: the member's name, with and without a space after the colon."""
    return tuple(f'"{name}":{space}"'.encode() for space in ("", " ") for name in names)


TEXTS: dict[str, tuple[bytes, ...]] = {
    "openai": _needles("content", "reasoning_content", "reasoning", "arguments", "refusal", "text"),
    "responses": _needles("delta"),
    "anthropic": _needles("text", "thinking", "partial_json"),
    "gemini": _needles("text"),
    "cohere": _needles("text", "thinking", "arguments", "tool_plan"),
    "bedrock": _needles("text", "input", "thinking", "partial_json", "completion", "generation", "outputText"),
}
"""By dialect; Bedrock's invoked models have their own."""


class TextCount:
    """Of one stream."""

    __slots__ = ("_known", "_needle", "deltas", "size")

    def __init__(self, dialect: str) -> None:
        self._known = TEXTS[dialect]
        self._needle = self._known[0]
        self.deltas = 0
        """Deltas with a text: each is a token at least."""
        self.size = 0
        """Bytes of their texts."""

    @property
    def tokens(self) -> int:
        """Tokens seen so far, estimated."""
        return max(self.deltas, self.size // BYTES_PER_TOKEN)

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
        if not self._count(data, data.find(needle)) and self._seek(data):
            self._count(data, data.find(self._needle))

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
