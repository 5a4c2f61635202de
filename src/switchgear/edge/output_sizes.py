"""How long a model's answers usually are, as this process saw them: what limits of tokens expect of the next. Level 4; pure."""

import math

SEEN_MIN = 20
"""Fewer answers say nothing of the 95th percentile."""
SEEN_MAX = 1_024
"""Then old answers count half, so that a model's new habits are learned."""
MODELS_MAX = 2_048
SHARE = 0.95
_STEPS = 4
"""Sizes are counted in steps of 2^(1/4): the percentile is at most 19 % too large."""


class OutputSizes:
    """By key and model."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def add(self, model: str, tokens: int) -> None:
        """Note an answer that is complete."""
        counts = self._counts.get(model)
        if counts is None:
            if len(self._counts) >= MODELS_MAX:
                self._counts.pop(next(iter(self._counts)))
            counts = self._counts[model] = [0] * (_STEPS * 32)
        counts[min(len(counts) - 1, math.ceil(_STEPS * math.log2(max(1, tokens))))] += 1
        if sum(counts) > SEEN_MAX:
            counts[:] = [count // 2 for count in counts]

    def usual(self, model: str) -> int | None:
        """Return the 95th percentile of a model's answers in tokens; None: too few were seen."""
        counts = self._counts.get(model)
        total = sum(counts) if counts is not None else 0
        if counts is None or total < SEEN_MIN:
            return None
        seen = 0
        for step, count in enumerate(counts):
            seen += count
            if seen >= SHARE * total:
                return int(2 ** (step / _STEPS))
        return None
