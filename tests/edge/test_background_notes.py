"""Which answers are made in the background."""

import msgspec
import pytest

from switchgear.dialects.answer_metadata import AnswerMetadata
from switchgear.dialects.request import Request
from switchgear.edge.background_notes import is_pending

YES = {"background": msgspec.Raw(b"true")}


@pytest.mark.parametrize(
    ("fields", "metadata", "expected"),
    [
        ({}, AnswerMetadata(response_id="resp_1", finish_reason="queued"), True),
        ({}, AnswerMetadata(response_id="resp_1", finish_reason="in_progress"), True),
        (YES, AnswerMetadata(response_id="resp_1"), True),
        (YES, AnswerMetadata(response_id="resp_1", finish_reason="completed"), False),
        ({}, AnswerMetadata(response_id="resp_1"), False),
        ({"background": msgspec.Raw(b"false")}, AnswerMetadata(response_id="resp_1"), False),
        (YES, AnswerMetadata(), False),
    ],
)
def test_an_answer_is_pending_where_its_provider_still_makes_it(fields, metadata, expected):
    assert is_pending(Request(fields, "responses", "chat", "m", False), metadata) is expected
