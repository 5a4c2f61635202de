"""The fast first pass: which lines hold one of many words. Level 1.

One RE2 automaton over all words reads about 500 MB/s on one core, in linear time whatever the text; what it lets through
is one line in a few hundred, and only those are looked at again (docs/decisions/015).
"""

from collections.abc import Iterable, Iterator, Mapping

import re2

BEFORE_MAX = 4_096
AFTER_MAX = 8_192
"""Bytes of a line that are looked at around a word: lines of minified code and data are long."""


class Prefilter:
    """Finds lines by words, whatever their case."""

    def __init__(self, words: Mapping[str, Iterable[str]]) -> None:
        """`words`: lower-case word → tags of those who want its line."""
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.case_sensitive = False
        options.never_capture = True
        options.log_errors = False
        # A longer word may contain a shorter one, whose tags it then carries too.
        self._tags = {
            word.encode(): frozenset(tag for other, tags in words.items() if other in word for tag in tags)
            for word in words
        }
        longest_first = sorted(self._tags, key=lambda word: (-len(word), word))
        self._pattern = re2.compile(b"|".join(map(re2.escape, longest_first)), options)

    def lines(self, block: bytes) -> Iterator[tuple[int, int, frozenset[str]]]:
        """Yield (start, end, tags) of each line with a word; of an endless line, the part around it."""
        start = end = -1
        tags: frozenset[str] = frozenset()
        known = self._tags
        for match in self._pattern.finditer(block):
            at, to = match.span()
            if at < end:
                tags |= known[block[at:to].lower()]
                continue
            if end >= 0:
                yield start, end, tags
            start = block.rfind(b"\n", max(0, at - BEFORE_MAX), at) + 1 or max(0, at - BEFORE_MAX)
            found = block.find(b"\n", at, at + AFTER_MAX)
            end = found if found >= 0 else min(len(block), at + AFTER_MAX)
            tags = known[block[at:to].lower()]
        if end >= 0:
            yield start, end, tags
