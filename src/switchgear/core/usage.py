"""Token counts of one request in disjoint buckets. Level 0.

None means "not reported". `input` holds uncached text only and `output` visible text only, so that a bucket is priced
by exactly one meter (providers differ in what their totals include; dialects translate).
"""

import msgspec

TOKENS_MAX = 100_000_000  # above any context window; a provider that reports more is not believed


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Counts per bucket; an element of the spool's records and of the ledger."""

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image: int | None = None
    image_in: int | None = None
    audio_cached: int | None = None
    image_cached: int | None = None
    video_in: int | None = None
    video_out: int | None = None
    citation: int | None = None
    """New buckets stand at the end: records of earlier versions are shorter."""

    def simple(self) -> tuple[int, int] | None:
        """Return input and output where those two are all that was reported, as of most answers; else None. What adds up
        each answer asks this first: it costs a third of looking at every bucket."""
        if self.input is None or self.output is None:
            return None
        counts = msgspec.structs.astuple(self)
        return (self.input, self.output) if counts.count(None) == len(counts) - 2 else None

    @property
    def input_total(self) -> int:
        """All tokens on the way in, cached or not."""
        return (
            (self.input or 0)
            + (self.cache_read or 0)
            + (self.cache_write_5m or 0)
            + (self.cache_write_1h or 0)
            + (self.audio_in or 0)
            + (self.image_in or 0)
            + (self.audio_cached or 0)
            + (self.image_cached or 0)
            + (self.video_in or 0)
        )

    @property
    def output_total(self) -> int:
        """All tokens on the way out, reasoning included."""
        return (
            (self.output or 0)
            + (self.reasoning or 0)
            + (self.audio_out or 0)
            + (self.image or 0)
            + (self.video_out or 0)
            + (self.citation or 0)
        )

    @property
    def cached_total(self) -> int:
        """All tokens that were read from the provider's cache."""
        return (self.cache_read or 0) + (self.audio_cached or 0) + (self.image_cached or 0)

    def is_sane(self) -> bool:
        """Tell whether every count lies in [0, TOKENS_MAX]; control believes no other."""
        values = set(msgspec.structs.astuple(self))
        values.discard(None)
        return not values or (min(values) >= 0 and max(values) <= TOKENS_MAX)


class Other(msgspec.Struct, frozen=True, array_like=True):
    """What another model used that the provider asked for an answer: charged at that model's price."""

    model: str
    tokens: TokenUsage


class Beside(msgspec.Struct):
    """What an answer says of its bill beside its tokens; None where it does not."""

    units: dict[str, int] | None = None
    others: list[Other] | None = None
    model: str | None = None
    """The model that answered."""
    cost: bytes | None = None
    """What the usage says of the provider's own charges: JSON."""
