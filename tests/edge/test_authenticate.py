"""Which key a request presents."""

import pytest

from switchgear.core.problems import Problem
from switchgear.edge.authenticate import litellm_token, presented_token
from switchgear.wire.http_requests import RequestHead


def head(headers, repeated=()):
    return RequestHead(b"POST", b"/", headers, True, False, 0, False, frozenset(repeated), {})


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer tok"},
        {b"authorization": b"bearer  tok "},
        {b"x-api-key": b"tok"},
        {b"api-key": b"tok"},
        {b"x-goog-api-key": b"tok"},
        {b"authorization": b"Bearer tok", b"x-api-key": b"tok"},
        {b"authorization": b"Basic x", b"api-key": b"tok"},
    ],
)
def test_H5_one_token_in_any_place(headers):
    assert presented_token(head(headers)) == "tok"


@pytest.mark.parametrize(
    ("headers", "repeated", "status"),
    [
        ({}, (), 401),
        ({b"authorization": b"Basic abc"}, (), 401),
        ({b"authorization": b"Bearer "}, (), 401),
        ({b"authorization": b"Bearer a", b"x-api-key": b"b"}, (), 400),
        ({b"x-api-key": b"a", b"api-key": b"b"}, (), 400),
        ({b"authorization": b"Bearer a, Bearer b"}, (b"authorization",), 400),
        ({b"x-api-key": b"a, a"}, (b"x-api-key",), 400),
        ({b"authorization": b"Bearer \xff"}, (), 401),
        ({b"authorization": b"Bearer " + b"a" * 600}, (), 401),
    ],
)
def test_H5_none_or_two_are_refused(headers, repeated, status):
    found = presented_token(head(headers, repeated))
    assert isinstance(found, Problem) and found.case.status == status


@pytest.mark.parametrize("value", [b"tok", b"Bearer tok", b"bearer  tok"])
def test_litellms_own_header_comes_first(value):
    given = head({b"x-litellm-api-key": value, b"authorization": b"Bearer what-the-provider-knows"})
    assert litellm_token(given) == "tok"
    assert litellm_token(head({})) is None


@pytest.mark.parametrize(
    ("value", "repeated", "status"),
    [(b"a, b", (b"x-litellm-api-key",), 400), (b"a" * 600, (), 401), (b"\xff", (), 401)],
)
def test_H5_a_bad_value_of_it_is_refused(value, repeated, status):
    found = litellm_token(head({b"x-litellm-api-key": value}, repeated))
    assert isinstance(found, Problem) and found.case.status == status
