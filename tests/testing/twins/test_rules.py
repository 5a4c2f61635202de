"""The table of rules: who has which."""

import pytest

from switchgear.dialects.registry import BY_NAME
from switchgear.testing.twins import rules


def test_the_maker_of_every_dialect_has_rules():
    assert set(rules.RULES) == set(rules.COMPATIBLE) == set(BY_NAME)
    assert all(rules.RULES.values())


def test_a_compatible_server_refuses_nothing_that_the_maker_takes():
    assert all(set(rules.COMPATIBLE[dialect]) <= set(found) for dialect, found in rules.RULES.items())


@pytest.mark.parametrize("dialect", rules.RULES)
def test_a_rule_finds_nothing_in_a_request_that_says_nothing_of_it(dialect):
    found = [rule({}, "m") for rule in rules.RULES[dialect]]
    assert {one.rule.rpartition("-")[2] for one in found if one is not None} <= {"messages", "contents"}


@pytest.mark.parametrize("dialect", rules.RULES)
def test_every_rule_says_where_it_is_from(dialect):
    assert all(rule.__doc__ for rule in rules.RULES[dialect])
