"""What a failed attempt is: its reason, its charge, and what its client would be told."""

import pytest

from switchgear.core import problems
from switchgear.core.usage import TokenUsage
from switchgear.dialects.answer_metadata import AnswerMetadata, Unfit
from switchgear.edge import setback
from switchgear.wire.frames import Fail


@pytest.mark.parametrize(
    ("reason", "case", "outcome"),
    [
        ("connect", problems.UPSTREAM_UNREACHABLE, "upstream_error"),
        ("timeout", problems.UPSTREAM_TIMEOUT, "timeout"),
        ("broken", problems.UPSTREAM_BROKEN, "upstream_error"),
        ("overloaded", problems.OVERLOADED, "upstream_error"),
        ("vault_lost", problems.UPSTREAM_BROKEN, "interrupted"),
        ("something new", problems.UPSTREAM_BROKEN, "upstream_error"),
    ],
)
def test_a_failure_is_said_in_the_words_of_the_contract(reason, case, outcome):
    found = setback.of_fail(Fail(reason, "why", False), 100, 0)
    assert (found.problem.case, found.outcome) == (case, outcome)
    assert "why" in found.noted
    assert ("why" in found.problem.message) == (reason in {"timeout", "overloaded", "broken"}), (
        "hosts are not the client's affair"
    )


def test_only_what_was_sent_may_be_charged():
    assert setback.of_fail(Fail("connect", "", False), 100, 0).usage is None
    sent = setback.of_fail(Fail("timeout", "", True), 100, 7)
    assert (sent.usage, sent.is_estimated) == (TokenUsage(input=100, output=7), True)


def test_a_status_shows_what_the_provider_said_unless_it_concerns_our_credential():
    assert setback.of_status(503, b"busy", 2.0, False).said == (503, b"busy")
    refused = setback.of_status(401, b"bad key sk-123", None, True)
    assert refused.said is None and "sk-123" not in refused.problem.message
    assert refused.problem.case is problems.UPSTREAM_AUTH
    assert setback.of_status(422, b"", None, False).outcome == "client_error"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error": {"message": "x", "code": 429}}', 429),
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}', 529),
        (b'{"error": {"code": 401, "message": "bad key"}}', 502),  # the gateway's key, not the client's
        (b'{"error": {"status": "RESOURCE_EXHAUSTED"}}', 429),
        (b'[{"error": {"code": 503}}]', 503),
        (b'{"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded"}}}', 429),
        (b'{"error": "no idea"}', 502),
        (b'{"error": {"code": true}}', 502),
        (b"\xff", 502),
    ],
)
def test_an_error_under_a_status_of_success_is_free_and_keeps_its_meaning(body, status):
    found = setback.of_answer(Unfit("it is an error", is_error=True), AnswerMetadata(), body, 100)
    assert (found.said, found.usage, found.reason) == ((status, body), None, "error_200")


def test_garbage_may_have_cost_what_an_answer_costs():
    found = setback.of_answer(Unfit("it is HTML"), AnswerMetadata(), b"<html>", 100)
    assert (found.usage, found.is_estimated, found.said) == (TokenUsage(input=100, output=0), True, None)
    reported = TokenUsage(input=3, output=4)
    found = setback.of_answer(Unfit("cut"), AnswerMetadata(reported), b"{", 100)
    assert (found.usage, found.is_estimated) == (reported, False)
