"""`*` alone is special, and what it matched is carried over exactly."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import pattern

NAMES = st.text(alphabet="ab-[?]{}.^$\\/é", max_size=12)


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("gpt-*-mini", "gpt-4o-mini", ("4o",)),
        ("gpt-*-mini", "gpt--mini", ("",)),
        ("gpt-*-mini", "gpt-mini", None),
        ("*", "", ("",)),
        ("a*a", "a", None),
        ("*/*", "openai/gpt/4", ("openai", "gpt/4")),
        ("a*b*c", "aXbYbZc", ("X", "YbZ")),
        ("br[a]ck*", "br[a]ck1", ("1",)),
        ("br[a]ck*", "brack1", None),
        ("m?del*", "model", None),
        ("m?del", "m?del", ()),
        ("a*b*c", "aXc", None),
    ],
)
def test_a_star_captures_the_text_between_the_fixed_parts(text, name, found):
    assert pattern.captures(text, name) == found


@given(NAMES)
def test_a_pattern_without_a_star_matches_its_own_name_only(name):
    assert pattern.captures(name, name) == ()
    assert not pattern.matches(name, name + "x")


@given(st.lists(NAMES, min_size=1, max_size=5), st.data())
def test_captured_texts_put_back_into_the_pattern_give_the_name(parts, data):
    text = "*".join(parts)
    name = "".join(part + (data.draw(NAMES) if number < len(parts) - 1 else "") for number, part in enumerate(parts))
    found = pattern.captures(text, name)
    assert found is not None and pattern.carry(text, found) == name


def test_the_rest_of_the_name_is_not_carried():
    assert pattern.carry("*", pattern.captures("gpt-*-mini", "gpt-4o-mini")) == "4o"
    assert pattern.carry("eu/*-latest", ("4o",)) == "eu/4o-latest"


def test_a_hostile_name_costs_what_its_length_says():
    text = "*a" * 8 + "b"
    started = time.process_time()
    for _ in range(10):
        assert pattern.captures(text, "a" * 50_000) is None
    assert time.process_time() - started < 30


@pytest.mark.parametrize(
    ("text", "is_one"), [("gpt-*", True), ("*", True), ("gpt-4o", False), ("m?del[1]", False), ("", False)]
)
def test_a_name_is_a_pattern_by_its_star_alone(text, is_one):
    assert pattern.is_pattern(text) is is_one
