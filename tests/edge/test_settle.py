"""What a settlement says of usage that broke off, and of what was dropped."""

import pytest

from switchgear.core.usage import TokenUsage
from switchgear.edge import settle
from switchgear.edge.context import RequestContext


def test_L3_the_names_of_dropped_fields_are_bounded_in_bytes():
    found = settle._dropped(["\U0001d11e" * 500, "seed", *(f"field-{n}" for n in range(1000))])
    assert sum(len(text.encode()) + 2 for text in found) <= settle.DROPPED_BYTES_MAX + 5
    assert found[1] == "seed" and found[-1] == "..."


def completed(usage, output, final):
    context = RequestContext(None, "r1", 0, 0.0)
    context.input_estimate = 9
    settle.complete(context, usage, output, final, "it broke off")
    return context.usage, context.estimate_reason


def test_a_stream_that_broke_off_is_never_billed_less_than_was_seen():
    known = TokenUsage(input=5, cache_read=3, output=1)
    assert completed(known, 40, False) == (TokenUsage(input=5, cache_read=3, output=40), "it broke off")
    assert completed(known, 40, True) == (known, None)
    assert completed(None, 40, False) == (TokenUsage(input=9, output=40), "it broke off")
    assert completed(TokenUsage(input=5, output=2, reasoning=6), 8, False) == (
        TokenUsage(input=5, output=2, reasoning=6),
        "it broke off",
    )


@pytest.mark.parametrize(
    ("usage", "is_believed"),
    [
        (TokenUsage(input=0, output=0), False),
        (TokenUsage(), False),
        (TokenUsage(input=0, output=0, reasoning=0, cache_read=0), False),
        (TokenUsage(input=1), True),
        (TokenUsage(input=0, cache_read=9), True),
        (TokenUsage(reasoning=3), True),
        (TokenUsage(image=1290), True),
    ],
)
def test_a_usage_of_zero_is_no_usage(usage, is_believed):
    assert settle.reported(usage) is (usage if is_believed else None)
