"""Which requests a deployment is for, and which labels it must have."""

import pytest

from switchgear.routing import conditions
from switchgear.routing.conditions import Traits, When


@pytest.mark.parametrize(
    ("when", "traits", "fits"),
    [
        (When(), Traits(), True),
        (When(keys=("ci",)), Traits(key="ci"), True),
        (When(keys=("ci",)), Traits(key="other"), False),
        (When(teams=("t",)), Traits(team=None), False),
        (When(tags=("a=1", "b=2")), Traits(tags=frozenset({"b=2"})), True),
        (When(tags=("a=1",)), Traits(), False),
        (When(tokens_max=100), Traits(tokens=100), True),
        (When(tokens_max=100), Traits(tokens=101), False),
        (When(tokens_min=100), Traits(tokens=99), False),
        (When(needs=("images",)), Traits(needs=frozenset({"images", "tools"})), True),
        (When(needs=("images", "tools")), Traits(needs=frozenset({"images"})), False),
        (When(without=("images",)), Traits(needs=frozenset({"tools"})), True),
        (When(without=("images",)), Traits(needs=frozenset({"images"})), False),
    ],
)
def test_conditions_hold_or_say_which_does_not(when, traits, fits):
    assert (conditions.mismatch(when, traits) is None) is fits


@pytest.mark.parametrize(
    ("required", "labels", "fits"),
    [({}, {}, True), ({"region": "eu"}, {"region": "eu", "zdr": "yes"}, True), ({"region": "eu|uk"}, {"region": "uk"}, True),
     ({"region": "eu"}, {"region": "us"}, False), ({"region": "eu"}, {}, False), ({"a": "1", "b": "2"}, {"a": "1"}, False)],
)  # fmt: skip
def test_required_labels_are_had_or_named(required, labels, fits):
    assert (conditions.lacks(required, labels) is None) is fits
