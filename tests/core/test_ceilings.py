"""Ceilings as they are written, and which of several holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from switchgear.core import ceilings
from switchgear.core.ceilings import EFFORTS, Ceilings

WRITTEN = {
    "output_tokens": 4096,
    "effort": "medium",
    "thinking_tokens": 2048,
    "service_tier": "default|flex",
    "provider_tools": "off",
    "cost": "0.50",
    "over": "refuse",
}


def test_what_is_written_is_read_and_written_again():
    read = ceilings.parse(WRITTEN)
    assert read == Ceilings(
        output_tokens=4096,
        effort="medium",
        thinking_tokens=2048,
        service_tiers=("default", "flex"),
        provider_tools=(),
        cost_nanousd=500_000_000,
        refuses=True,
    )
    assert ceilings.parse(ceilings.write(read)) == read
    assert ceilings.parse({name: str(value) for name, value in WRITTEN.items()}) == read, (
        "as options of commands give it"
    )
    assert ceilings.parse({}) is ceilings.parse(None) is None
    assert list(ceilings.check(WRITTEN)) == []


@pytest.mark.parametrize(
    ("written", "name", "said"),
    [
        ({"max_tokens": 5}, "max_tokens", "known are output_tokens"),
        ({"output_tokns": 5}, "output_tokns", "did you mean 'output_tokens'"),
        ({"output_tokens": 0}, "output_tokens", "at least 1"),
        ({"output_tokens": -1}, "output_tokens", "whole number"),
        ({"thinking_tokens": "many"}, "thinking_tokens", "whole number"),
        ({"effort": "huge"}, "effort", "one of none, minimal"),
        ({"service_tier": "a||b"}, "service_tier", "with | between"),
        ({"cost": "0"}, "cost", "USD above 0"),
        ({"cost": "five"}, "cost", "USD above 0"),
        ({"over": "warn"}, "over", "clamp or refuse"),
    ],
)
def test_what_is_wrong_is_named(written, name, said):
    ((where, what),) = ceilings.check(written)
    assert where == name
    assert said in what


def test_the_tightest_of_several_holds():
    one = Ceilings(output_tokens=10, effort="high", service_tiers=("default", "flex"), provider_tools=("web_search",))
    other = Ceilings(
        output_tokens=20, effort="low", service_tiers=("flex",), provider_tools=("web_", "code"), refuses=True
    )
    assert ceilings.tightest([None, one, None, other]) == Ceilings(
        output_tokens=10, effort="low", service_tiers=("flex",), provider_tools=("web_search",), refuses=True
    )
    assert ceilings.tightest([None, one]) is one
    assert ceilings.tightest([]) is None


_NAMES = some.lists(some.sampled_from(["", "a", "ab", "abc", "b"]), max_size=3, unique=True).map(tuple)
_CEILINGS = some.builds(
    Ceilings,
    output_tokens=some.none() | some.integers(1, 9),
    effort=some.none() | some.sampled_from(EFFORTS),
    provider_tools=some.none() | _NAMES,
)


@given(_CEILINGS, _CEILINGS, some.text("abc", max_size=4))
def test_nothing_passes_several_that_does_not_pass_each(one, other, tool):
    both = ceilings.tightest([one, other])
    allowed = [held.provider_tools is None or tool.startswith(held.provider_tools) for held in (one, other)]
    assert (both.provider_tools is None or tool.startswith(both.provider_tools)) is all(allowed)
    for held in (one, other):
        assert held.output_tokens is None or both.output_tokens <= held.output_tokens
        assert held.effort is None or EFFORTS.index(both.effort) <= EFFORTS.index(held.effort)
