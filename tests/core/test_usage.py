"""Token usage: sums and bounds."""

import pytest

from switchgear.core.usage import TOKENS_MAX, TokenUsage


def test_totals_are_sums_of_disjoint_buckets():
    usage = TokenUsage(
        input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5, reasoning=6, audio_in=7, audio_out=8
    )
    assert usage.input_total == 17
    assert usage.output_total == 19


@pytest.mark.parametrize("bad", [-1, TOKENS_MAX + 1])
def test_L5_absurd_counts_are_not_sane(bad):
    assert not TokenUsage(output=bad).is_sane()
    assert TokenUsage(input=0, output=TOKENS_MAX).is_sane()
