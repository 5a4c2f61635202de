"""What travels between control and the courier fits a frame."""

import msgspec

from switchgear.courier import verbs
from switchgear.wire import frames


def test_only_a_request_must_not_be_asked_twice():
    assert [verb.name for verb in verbs.VERBS if verb.once] == ["send", "notify"]


def test_the_largest_question_and_answer_fit_a_frame():
    request = verbs.Request(
        destination="d" * 63,
        method="POST",
        path="/" + "p" * 3_000,
        content_type="t" * 128,
        body=bytes(verbs.REQUEST_BODY_BYTES_MAX),
    )
    question = frames.Question("send", msgspec.Raw(frames.encode_payload(request)))
    assert len(frames.encode_payload(question)) <= frames.PAYLOAD_BYTES_MAX
    reply = verbs.Reply(
        status=200, content_type="t" * 128, retry_after="r" * 128, body=bytes(verbs.REPLY_BODY_BYTES_MAX)
    )
    answer = frames.Answer(True, "", msgspec.Raw(frames.encode_payload(reply)))
    assert len(frames.encode_payload(answer)) <= frames.PAYLOAD_BYTES_MAX
