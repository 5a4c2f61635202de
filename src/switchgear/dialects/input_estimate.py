"""How many input tokens a body comes to, when nobody says it. Level 1.

A quarter of its bytes, but what is inlined as base64 (pictures, documents, sounds) is no text: it is found by probes, because
looking at each byte of a large body would cost more than all the rest.
"""

import re
import zlib

BYTES_PER_TOKEN = 4
SMALL_BYTES = 16_384
"""Smaller bodies hold no picture that matters."""
PROBES = 128
MEDIA_TOKENS = 1_000
"""Of a picture: OpenAI and Anthropic charge about 800 to 1,600 for one of a common size (their guides on vision, 2026-11)."""
_PROBE = re.compile(rb"[A-Za-z0-9+/_-]{48}")
_KINDS = re.compile(rb"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])", re.DOTALL)
"""Of 48 digits of base64 three in ten thousand have no number; words with lines between them have neither that nor capitals."""
SAMPLE_BYTES = 1_024
PACKED_MIN = 0.65
"""What base64 can be packed to at best: six bits of eight, where the bytes are as good as random. Text gets below six tenths."""


def media_of(body: bytes) -> tuple[int, int]:
    """Return (bytes of base64, how many pieces of it) of a large body, estimated from evenly spaced probes."""
    size = len(body)
    if size < SMALL_BYTES:
        return 0, 0
    step = size / PROBES
    hits = [_is_base64(body, int(at * step)) for at in range(PROBES)]
    if any(hits) and not _is_packed(body, [int(at * step) for at, hit in enumerate(hits) if hit]):
        return 0, 0  # it only looks like it
    pieces = sum(hit and not before for hit, before in zip(hits, [False, *hits], strict=False))
    return int(sum(hits) * step), pieces


def _is_base64(body: bytes, at: int) -> bool:
    found = _PROBE.match(body, at)
    return found is not None and _KINDS.match(found[0]) is not None


def _is_packed(body: bytes, places: list[int]) -> bool:
    """Tell whether what looks like base64 has so little order as packed pictures and sounds have: three samples of it, which are
    packed at most a little. A text that a client makes look like base64 is not taken for a picture then."""
    samples = [body[place : place + SAMPLE_BYTES] for place in (places[0], places[len(places) // 2], places[-1])]
    return sorted(len(zlib.compress(one, 1)) / len(one) for one in samples)[1] >= PACKED_MIN


def tokens(size: int, media: tuple[int, int]) -> int:
    """Return the estimate for a body of some bytes, with what `media_of` found in it."""
    held, pieces = media
    return max(size - held, 0) // BYTES_PER_TOKEN + pieces * MEDIA_TOKENS + 1
