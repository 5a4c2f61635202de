"""Which answers are made in the background."""

import msgspec
import pytest

from switchgear.dialects.reading import Reading
from switchgear.dialects.request import Request
from switchgear.edge.pending import is_pending

YES = {"background": msgspec.Raw(b"true")}


@pytest.mark.parametrize(
    ("fields", "reading", "expected"),
    [
        ({}, Reading(response_id="resp_1", finish_reason="queued"), True),
        ({}, Reading(response_id="resp_1", finish_reason="in_progress"), True),
        (YES, Reading(response_id="resp_1"), True),
        (YES, Reading(response_id="resp_1", finish_reason="completed"), False),
        ({}, Reading(response_id="resp_1"), False),
        ({"background": msgspec.Raw(b"false")}, Reading(response_id="resp_1"), False),
        (YES, Reading(), False),
    ],
)
def test_an_answer_is_pending_where_its_provider_still_makes_it(fields, reading, expected):
    assert is_pending(Request(fields, "responses", "chat", "m", False), reading) is expected
