"""What `model add` says of its targets."""

import pytest

from switchgear.cli import target_options
from switchgear.core.errors import UserError
from switchgear.core.limit_rule import LimitRule
from switchgear.routing.conditions import When

TARGETS = ("a/x", "b/x:free")


def made(is_ordered=False, **said):
    whole = {"weight": (), "tier": (), "label": (), "when": (), "canary": (), **said}
    return target_options.deployments(TARGETS, is_ordered, whole)


def test_an_option_holds_for_all_targets_or_for_the_one_that_it_names():
    a, b = made(weight=("2", "b/x:free=3"), label=("region=eu", "a/x=zdr=yes"))
    assert (a.weight, b.weight) == (2.0, 3.0)
    assert (a.labels, b.labels) == ({"region": "eu", "zdr": "yes"}, {"region": "eu"})


def test_targets_in_order_are_tiers_of_their_own_unless_tiers_are_given():
    assert [one.tier for one in made(True)] == [1, 2]
    assert [one.tier for one in made(True, tier=("1",))] == [1, 1]
    assert [one.tier for one in made(False)] == [1, 1]


def test_conditions_and_canaries_are_read_as_a_file_says_them():
    a, b = made(when=("a/x=needs=images,tools", "a/x=tokens_min=9", "keys=ci"), canary=("b/x:free=5%",))
    assert a.when == When(needs=("images", "tools"), tokens_min=9, keys=("ci",)) and b.when == When(keys=("ci",))
    assert (a.canary, b.canary) == (None, 0.05)


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("weight", "c/x=3", "none of the targets"), ("weight", "much", "no number"), ("tier", "-1", "whole number"), ("canary", "5", "percentage"),
        ("label", "eu", "NAME=VALUE"), ("when", "colour=red", "known are"), ("when", "tokens_min=x", "whole number"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_what_was_said(option, text, said):
    with pytest.raises(UserError, match=said):
        made(**{option: (text,)})


def test_limits_of_a_model_are_those_of_a_file():
    found = target_options.limits(60, None, None, ("9 requests/day",))
    assert found == (LimitRule("requests", 60, "minute"), LimitRule("requests", 9, "day"))
    with pytest.raises(UserError, match="--limit: 'x' is no limit"):
        target_options.limits(None, None, None, ("x",))
