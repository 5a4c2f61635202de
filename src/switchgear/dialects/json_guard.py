"""What a JSON body must satisfy before it is decoded: depth, encoding, no duplicate keys. Level 1 (docs/invariants.md H4).

One scan finds all of it in time that grows with the size alone, whatever the bytes are. It works in slices, so that a large
body can be put aside between two of them; nothing here decodes a value.
"""

import codecs
import functools
import re
import unicodedata
from collections.abc import Collection, Iterable
from itertools import accumulate

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, finish

DEPTH_MAX = 64
SLICE_BYTES = 65_536
"""What is looked at between two pauses: at most 5 ms (measured for brackets alone; text takes 0.1 ms)."""
KEYS_MAX = 1_000
"""Keys of the body itself; the longest list of parameters of any dialect has about 50."""

WATCHED = (
    b'"model"',
    b'"stream"',
    b'"stream_options"',
    b'"max_tokens"',
    b'"max_completion_tokens"',
    b'"max_output_tokens"',
    b'"metadata"',
    b'"user"',
    b'"previous_response_id"',
    b'"generationConfig"',
    b'"inferenceConfig"',
)
"""Keys that are read of every body: each may stand once."""
WATCHED_KEYS = frozenset(name.strip(b'"').decode() for name in WATCHED)
SPELLED = {name.strip(b'"').decode(): name for name in WATCHED}
READ_KEYS = WATCHED_KEYS | {"safety_identifier"}
"""Keys of every body of which only their own spelling is taken, beside those that name stored things."""

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{}:"))
_STEP = [1 if byte in b"[{" else -1 for byte in range(256)]
_TOKEN = re.compile(rb'["\[\]{}:]')
_COLON = ord(":")
_QUOTE = ord('"')


class JsonRefusedError(ValueError):
    """The body is refused; the text says why."""


class Scan(msgspec.Struct):
    """What a body is made of, outside of its strings."""

    containers: int = 0
    """Objects and lists."""
    values: int = 0
    """Commas, which is at least the number of members less one per object or list."""
    keys: int = 0
    """Keys of the body itself, each as often as it stands."""
    names: list[str] | None = None
    """Those keys, where they were asked for."""


def scan_steps(
    body: bytes, depth_max: int = DEPTH_MAX, names: bool = False, slice_bytes: int = SLICE_BYTES
) -> Steps[Scan]:
    """Look through a body. Raises JsonRefusedError for deeper nesting than `depth_max`, text that is not UTF-8, or more than
    KEYS_MAX keys at the top. What is no JSON is not found here: the decoder says it."""
    found = Scan(names=[] if names else None)
    namer = _Namer(body, found.names) if found.names is not None else None
    text = _Text()
    view = memoryview(body)
    size = len(body)
    at = depth = in_string = 0
    while at < size:
        piece = bytes(view[at : at + slice_bytes])
        if piece.endswith(b"\\") and (len(piece) - len(piece.rstrip(b"\\"))) & 1:
            piece = bytes(view[at : at + slice_bytes + 1])  # half an escape: the byte that it escapes goes with it
        text.check(piece, at)
        # Escapes become letters, of the same length: then every quote that is left begins or ends a string.
        plain = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in piece else piece
        was_in_string = in_string
        if b'"' in plain:
            parts = plain.split(b'"')
            outside = b"".join(parts[in_string::2])
            in_string ^= (len(parts) - 1) & 1
        else:
            outside = b"" if in_string else plain
        found.values += outside.count(b",")
        brackets = outside.translate(None, _NOT_BRACKETS)
        opens = brackets.count(b"{") + brackets.count(b"[")
        closes = len(brackets) - opens
        found.containers += opens
        lowest = depth - closes
        if lowest < 2 or depth + opens > depth_max:
            levels = list(accumulate(map(_STEP.__getitem__, brackets), initial=depth))
            if max(levels) > depth_max:
                raise JsonRefusedError(f"the body is nested deeper than {depth_max} levels")
            lowest = min(levels)
            if lowest < 0:
                raise JsonRefusedError("the body is not JSON: a bracket closes nothing")
        if lowest < 2:
            if namer is not None:
                namer.take(plain, at, depth, was_in_string)
            found.keys += _keys(outside, depth)
            if found.keys > KEYS_MAX:
                raise JsonRefusedError(f"the body has more than {KEYS_MAX} keys")
        elif namer is not None:
            namer.skip()
        depth += opens - closes
        at += len(piece)
        yield
    text.check(b"", at, final=True)
    return found


def _keys(outside: bytes, depth: int) -> int:
    """Count the colons at the top."""
    if b":" not in outside:
        return 0
    count = 0
    for byte in outside.translate(None, _NOT_STRUCTURE):
        if byte == _COLON:
            count += depth == 1
        else:
            depth += _STEP[byte]
    return count


class _Namer:
    """Collects the keys at the top; only slices that reach up to there are looked at."""

    def __init__(self, body: bytes, names: list[str]) -> None:
        self._body = body
        self._names = names
        self._begin = -1
        self._end = -1

    def skip(self) -> None:
        """A slice holds nothing of the top."""
        self._begin = self._end = -1

    def take(self, plain: bytes, at: int, depth: int, in_string: int) -> None:
        """Look at a slice that begins `at` bytes into the body."""
        for match in _TOKEN.finditer(plain):
            byte = plain[match.start()]
            if byte == _QUOTE:
                in_string ^= 1
                if depth != 1:
                    continue
                if in_string:
                    self._begin = at + match.end()
                else:
                    self._end = at + match.start()
            elif in_string:
                continue
            elif byte != _COLON:
                depth += _STEP[byte]
            elif depth == 1 and 0 <= self._begin <= self._end:
                self._names.append(_name(self._body[self._begin : self._end]))


_decode_str = msgspec.json.Decoder(str).decode


def _name(raw: bytes) -> str:
    try:
        return _decode_str(b'"%b"' % raw)
    except UNREADABLE:
        return raw.decode("utf-8", "replace")  # no JSON: the decoder of the body refuses it


class _Text:
    """Checks that slices are UTF-8, across their cuts."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_cut = False

    def check(self, piece: bytes, at: int, final: bool = False) -> None:
        """Take a slice that begins `at` bytes into the body."""
        if not self._is_cut and piece.isascii():
            return
        held = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError as exc:
            raise JsonRefusedError(f"the body is not UTF-8 (byte {at - held + exc.start})") from None
        self._is_cut = bool(self._decoder.getstate()[0])


def check_depth(body: bytes, depth_max: int = DEPTH_MAX) -> None:
    """Refuse deeper nesting than `depth_max`, without decoding. Cheap for bodies with few brackets."""
    if body.count(b"{") + body.count(b"[") > depth_max:
        finish(scan_steps(body, depth_max))


def fold(key: str) -> str:
    """Return a key as readers that do not mind the letters' case compare it: Go's encoding/json and others fold Unicode, so that
    the Kelvin sign is a k and the long s an s. Full-width letters are folded too."""
    return (key if key.isascii() else unicodedata.normalize("NFKC", key)).casefold()


def check_names(names: Iterable[str], read: frozenset[str]) -> None:
    """Refuse keys that only some readers take for one of those that are read here."""
    folded, mixed = _folded(read)
    for name in names:
        if name in read or (name.islower() and name.isascii() and name not in mixed):
            continue
        if fold(name) in folded:
            known = next(known for known in read if fold(known) == fold(name))
            raise JsonRefusedError(f"the key {name[:64]!r} can be read in two ways: spell it {known!r}")


@functools.cache
def _folded(read: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the folded keys, and those of them that are no keys themselves."""
    folded = frozenset(map(fold, read))
    return folded, folded - read


def check_text(body: bytes) -> None:
    """Refuse what is not UTF-8."""
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise JsonRefusedError(f"the body is not UTF-8 (byte {exc.start})") from None


def check_duplicates(body: bytes, watched: Collection[bytes]) -> None:
    """Refuse a duplicate of a watched top-level key (spelled as `"name"` in bytes).

    A repeated byte sequence alone is no proof (it may stand in a message), so only then the keys are collected.
    A key that is spelled with escapes is found the same way.
    """
    count = body.count
    for name in watched:
        if count(name) > 1:
            break
    else:
        if b"\\u00" not in body:
            return
    names = finish(scan_steps(body, len(body), names=True)).names or []
    refuse_repeated(names, {name.strip(b'"').decode() for name in watched})


def refuse_repeated(names: list[str], watched: Collection[str]) -> None:
    """Refuse keys of which a watched one stands twice."""
    seen: set[str] = set()
    for name in names:
        if name in watched and name in seen:
            raise JsonRefusedError(f"the key {name!r} stands twice")
        seen.add(name)
