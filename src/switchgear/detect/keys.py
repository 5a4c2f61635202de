"""Finds keys of AI providers in text. Level 1.

A rule's words pick a line, its pattern the key; then come what must hold besides: a variable's name before it, something
near it, entropy, a checksum, and that it is no placeholder. Rules: `data/keys`, one file each.
"""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec

from switchgear.core import virtual_key
from switchgear.detect.rules import KeyRule

_EDGE_BEFORE, _EDGE_AFTER = r"(?<![A-Za-z0-9_\-])", r"(?![A-Za-z0-9_\-])"
_ASSIGNED = r"(?P<between>[ \t\w.\-]{0,20})[\s'\"\\\])]{0,4}(?:value)?(?:=>|=|>|:{1,3}=?|\|\||\?=|,)[\x60'\"\s=\\]{0,5}(?:Bearer )?"
_NOT_A_KEY = re.compile(rb"(?i)sha|md5|hash|digest|commit|checksum|revision|etag|_id$")
_PLACEHOLDER = re.compile(
    rb"(?i)x{5,}|\*{3,}|\.{3}|-{4,}|_{4,}|(.)\1{6,}|example|your[-_]|placeholder|change[-_]?me|redacted|dummy|0123456789|123456789|"
    rb"abcdefghij|insert[-_]|replace[-_]|(?<![a-z0-9])(?:fake|sample|test|mock|demo|invalid)[-_]"
    rb"|^sk(?:-[a-z]{2,12}){2,}$"  # words alone
)


class Hit(msgspec.Struct, frozen=True):
    """A key in a block: its rule, where it stands, and itself, which must not be kept."""

    rule: KeyRule
    start: int
    end: int
    value: bytes


class _Compiled(msgspec.Struct, frozen=True):
    rule: KeyRule
    pattern: re.Pattern[bytes]
    near: re.Pattern[bytes] | None


class KeyDetector:
    """All key rules, ready to run."""

    def __init__(self, rules: Iterable[KeyRule]) -> None:
        self._rules = {f"key:{rule.id}": _compile(rule) for rule in rules}
        self._wanted: dict[frozenset[str], tuple[_Compiled, ...]] = {}
        self._near_block = b""
        self._near: dict[str, bool] = {}

    def words(self) -> dict[str, set[str]]:
        """Return what the first pass looks for: word → tags."""
        found: dict[str, set[str]] = {}
        for tag, compiled in self._rules.items():
            for word in compiled.rule.keywords:
                found.setdefault(word, set()).add(tag)
        return found

    def find(self, block: bytes, start: int, end: int, tags: frozenset[str]) -> list[Hit]:
        """Return the keys of one line, by the rules whose words stand on it; of overlapping ones the first rule's."""
        wanted = self._wanted.get(tags)
        if wanted is None:  # there are few sets of tags: those of the words that stand together on lines
            chosen = [self._rules[tag] for tag in tags if tag in self._rules]
            wanted = self._wanted[tags] = tuple(sorted(chosen, key=lambda c: (c.rule.order, c.rule.id)))
        found: list[Hit] = []
        for compiled in wanted:
            for hit in self._matches(compiled, block, start, end):
                if not any(hit.start < other.end and other.start < hit.end for other in found):
                    found.append(hit)
        return found

    def _matches(self, compiled: _Compiled, block: bytes, start: int, end: int) -> Iterator[Hit]:
        rule = compiled.rule
        for match in compiled.pattern.finditer(block, start, end):
            value = match.group("key")
            if rule.context is not None and _NOT_A_KEY.search(match.group("between")):
                continue
            if _may_be_placeholder(rule, value) and _PLACEHOLDER.search(value):
                continue
            if rule.entropy and entropy(value) < rule.entropy:
                continue
            if rule.check is not None and not _CHECKS[rule.check](value):
                continue
            if compiled.near is not None and not self._is_near(compiled, block):
                continue
            yield Hit(rule, match.start("key"), match.end("key"), value)

    def _is_near(self, compiled: _Compiled, block: bytes) -> bool:
        """Tell whether what must be near stands in the block; looked up once a block."""
        assert compiled.near is not None
        if self._near_block is not block:
            self._near_block, self._near = block, {}
        found = self._near.get(compiled.rule.id)
        if found is None:
            found = self._near[compiled.rule.id] = compiled.near.search(block) is not None
        return found


def _may_be_placeholder(rule: KeyRule, value: bytes) -> bool:
    # A checksum that holds proves the key; PEM's dashes are its own; of the weak ones the guessable words are the point.
    return rule.check is None and rule.id != "litellm-weak" and not value.startswith(b"-----")


def _compile(rule: KeyRule) -> _Compiled:
    key = f"{_EDGE_BEFORE if rule.context is None else ''}(?P<key>{rule.pattern}){_EDGE_AFTER}"
    before = "" if rule.context is None else f"(?i:{rule.context}){_ASSIGNED}"
    near = None if rule.near is None else re.compile(rule.near.encode())
    return _Compiled(rule, re.compile((before + key).encode()), near)


def entropy(value: bytes) -> float:
    """Return Shannon's entropy in bits per byte."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values()) if total else 0.0


def _is_bedrock(value: bytes) -> bool:
    # Long-term keys are base64 of `BedrockAPIKey-…` (read 2026-11).
    try:
        raw = base64.b64decode(value[4:] + b"=" * (-len(value[4:]) % 4))
    except binascii.Error:
        return False
    return raw.startswith(b"BedrockAPIKey-") or b"BedrockAPIKey-" in raw[:20]


def _is_switchgear(value: bytes) -> bool:
    return virtual_key.parse_id(value.decode("ascii")) is not None


_CHECKS: dict[str, Callable[[bytes], bool]] = {"bedrock": _is_bedrock, "switchgear": _is_switchgear}
CHECKS = frozenset(_CHECKS)
"""Names that a rule's `check` may have."""
