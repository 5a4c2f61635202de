"""Raw paths: nothing by default, each method by name, no way around."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policies import passthrough

RULES = ["POST /audio/*", "GET /files", "GET /batches*"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/audio/speech", True),
        ("POST", "/audio/", True),
        ("POST", "/audio", False),
        ("GET", "/audio/speech", False),
        ("GET", "/files", True),
        ("GET", "/files/file-1", False),
        ("DELETE", "/files", False),
        ("GET", "/batches/b1", True),
        ("POST", "/audio/../files", False),
        ("POST", "/audio/%2e%2e/files", False),
        ("POST", "/audio/x%2fy", False),
        ("POST", "/audio/x y", False),
        ("POST", "/audio/x?y", False),
    ],
)
def test_a_rule_names_a_method_and_a_path(method, path, allowed):
    assert passthrough.is_allowed(RULES, method, path) is allowed


def test_a_keys_rules_begin_with_a_provider():
    assert passthrough.may_pass([["openai POST /audio/*"]], "openai", "POST", "/audio/x")
    assert not passthrough.may_pass([["openai POST /audio/*"]], "other", "POST", "/audio/x")
    assert not passthrough.may_pass([], "openai", "POST", "/audio/x")


def test_each_of_several_lists_must_allow_a_path():
    lists = [["openai POST /audio/*"], ["openai POST /audio/speech"]]
    assert passthrough.may_pass(lists, "openai", "POST", "/audio/speech")
    assert not passthrough.may_pass(lists, "openai", "POST", "/audio/x")


@given(st.text("/.%2eEfF5cCab*? ", max_size=24))
def test_no_path_with_dots_or_escaped_slashes_is_plain(path):
    if passthrough.is_plain(path):
        assert ".." not in path.split("/") and "." not in path.split("/")
        assert "%2f" not in path.lower() and "%5c" not in path.lower() and "?" not in path
