"""Rules that name raw paths: a method and a path, a star only at the end."""

import pytest

from switchgear.core.path_rule import check_key_rule, check_rule


@pytest.mark.parametrize("rule", ["POST audio", "TRACE /x", "POST /a*b", "POST /a b", "", "post /x", "GET /x\n"])
def test_a_rule_that_is_none_is_refused_with_an_example(rule):
    assert "must be a method and a path" in check_rule(rule)
    assert "must be a provider" in check_key_rule("openai " + rule)


def test_a_keys_rule_without_a_provider_is_refused():
    assert check_key_rule("POST /audio/*") is not None


@pytest.mark.parametrize("rule", ["POST /audio/*", "GET /files", "DELETE /fine_tuning/jobs/ft-1"])
def test_a_good_rule_passes(rule):
    assert check_rule(rule) is None
    assert check_key_rule("openai " + rule) is None
