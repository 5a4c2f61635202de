"""Token usage: sums and bounds."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


COUNTS = st.none() | st.integers(-2, TOKENS_MAX + 2)


@given(
    st.builds(TokenUsage, **dict.fromkeys(TokenUsage.__struct_fields__, COUNTS))
    | st.builds(TokenUsage, input=COUNTS, output=COUNTS)
)
def test_what_is_simple_adds_up_to_its_totals_and_has_nothing_else(usage):
    others = [getattr(usage, name) for name in usage.__struct_fields__ if name not in {"input", "output"}]
    is_simple = usage.input is not None and usage.output is not None and all(count is None for count in others)
    assert usage.simple() == ((usage.input_total, usage.output_total) if is_simple else None)
    counts = [count for count in msgspec.structs.astuple(usage) if count is not None]
    assert usage.is_sane() == all(0 <= count <= TOKENS_MAX for count in counts)
