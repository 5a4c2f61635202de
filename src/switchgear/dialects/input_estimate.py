"""How many input tokens a body comes to, when nobody says it. Level 1.

A quarter of its bytes, but what is inlined as base64 (pictures, documents, sounds) is no text: it is found by probes, because
looking at each byte of a large body would cost more than all the rest.
"""

import re

BYTES_PER_TOKEN = 4
SMALL_BYTES = 16_384
"""Smaller bodies hold no picture that matters."""
PROBES = 128
MEDIA_TOKENS = 1_000
"""Of a picture: OpenAI and Anthropic charge about 800 to 1,600 for one of a common size (their guides on vision, 2026-11)."""
_PROBE = re.compile(rb"[A-Za-z0-9+/_-]{48}")


def media_of(body: bytes) -> tuple[int, int]:
    """Return (bytes of base64, how many pieces of it) of a large body, estimated from evenly spaced probes."""
    size = len(body)
    if size < SMALL_BYTES:
        return 0, 0
    step = size / PROBES
    hits = [_PROBE.match(body, int(at * step)) is not None for at in range(PROBES)]
    pieces = sum(hit and not before for hit, before in zip(hits, [False, *hits], strict=False))
    return int(sum(hits) * step), pieces


def tokens(size: int, media: tuple[int, int]) -> int:
    """Return the estimate for a body of some bytes, with what `media_of` found in it."""
    held, pieces = media
    return max(size - held, 0) // BYTES_PER_TOKEN + pieces * MEDIA_TOKENS + 1
