"""What an edge's log says of requests."""

import pytest

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.edge import telling
from switchgear.edge.resolver import PricedDeployment
from switchgear.wire.records import AttemptOutcome


class Lines:
    def __init__(self):
        self.found = []

    def __call__(self, text, level="warning", *, kind="", request_id=None, **fields):
        self.found.append((level, text, kind, request_id, fields))


class Named:
    def __init__(self, **values):
        self.__dict__.update(values)


def priced():
    deployment = Named(provider=Named(name="openai"), credential="default", upstream_model="gpt-4o")
    return Named(deployment=deployment, credential_id="openai/default")


@pytest.mark.parametrize(
    ("status", "error", "level"),
    [
        (401, None, "error"),
        (403, None, "error"),
        (429, None, "warning"),
        (503, None, "warning"),
        (599, None, "warning"),
        (None, "connect", "warning"),
        (200, "broken", "warning"),
        (400, None, None),
        (422, None, None),
        (200, "client_gone", None),
        (None, "interrupted", None),
    ],
)
def test_an_attempt_that_the_provider_did_not_answer_well_is_a_line(status, error, level):
    lines = Lines()
    outcome = AttemptOutcome(1, status, error, 10, None, 30, None, None)
    told: PricedDeployment = priced()
    telling.attempt(lines, "01ab", told, outcome, "why")
    assert [line[0] for line in lines.found] == ([level] if level else [])
    for _, _, kind, request_id, fields in lines.found:
        assert kind == f"upstream openai/default {status} {error}"
        assert (request_id, fields["ms"], fields["status"]) == ("01ab", 20, status)


def test_a_refusal_tells_its_code_and_not_its_words():
    lines = Lines()
    telling.refusal(lines, Problem(problems.INVALID_BODY, "the prompt was: secret words"), None)
    telling.refusal(lines, Problem(problems.OVERLOADED, "later"), None)
    assert [line[0] for line in lines.found] == ["info", "warning"]
    assert "secret words" not in str(lines.found) and "invalid_body" in lines.found[0][1]
