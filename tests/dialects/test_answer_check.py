"""What comes under a status of success, and is no answer."""

import pytest

from switchgear.dialects import answer_check
from switchgear.dialects.registry import BY_NAME, DIALECTS
from switchgear.dialects.request import Request
from switchgear.dialects.translation import Translation
from switchgear.testing import recordings

JSON = b"application/json"
MEMBERS = {(row.name, name): operation.members for row in DIALECTS for name, operation in row.operations.items()}
MEMBERS = {name: members for name, members in MEMBERS.items() if members is not None}


def judge(dialect, operation, body, content_type):
    return answer_check.judge(BY_NAME[dialect].operations[operation].members, body, content_type)


@pytest.mark.parametrize(("dialect", "operation"), MEMBERS)
@pytest.mark.parametrize("body", [b"<html></html>", b"  <!DOCTYPE html>"])
def test_a_page_is_no_answer(dialect, operation, body):
    assert judge(dialect, operation, body, JSON).text == "it is HTML"


@pytest.mark.parametrize(("dialect", "operation"), [name for name, members in MEMBERS.items() if members])
def test_only_what_an_operation_answers_with_is_an_answer(dialect, operation):
    member = MEMBERS[dialect, operation][0].encode()
    good = b'{"%b": {"a": 1}, "x": 2}' % member
    assert judge(dialect, operation, good, JSON) is None
    for cut in range(len(good)):
        assert judge(dialect, operation, good[:cut], JSON) is not None, good[:cut]
    for strange in (b"[]", b"3", b"null", b'"text"', b"{}", b'{"%b": null}' % member, b"\xff\xfe", b"[" * 5000):
        assert judge(dialect, operation, strange, JSON) is not None, strange


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai", b'{"error": {"message": "quota", "code": 429}}'),
        ("openai", b'{"choices": [], "error": "quota"}'),
        ("openai", b'{"detail": "not found"}'),
        ("anthropic", b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}'),
        ("gemini", b'{"error": {"code": 503, "status": "UNAVAILABLE"}}'),
        ("cohere", b'{"message": "invalid request"}'),
        ("responses", b'{"error": {"message": "x"}}'),
        ("bedrock", b'{"message": "x"}'),
    ],
)
def test_an_error_object_is_known_as_one(dialect, body):
    assert judge(dialect, "chat", body, JSON).is_error


def test_an_answer_that_says_there_was_no_error_is_one():
    assert judge("responses", "chat", b'{"error": null, "output": []}', JSON) is None
    assert judge("openai", "chat", b'{"error": null, "choices": []}', JSON) is None


def test_sounds_and_texts_are_not_json():
    for operation in ("speech", "transcriptions"):
        assert judge("openai", operation, b"\x00\x01sound", b"audio/mpeg") is None
        assert judge("openai", operation, b'{"error": {"message": "x"}}', JSON).is_error


def test_what_a_provider_keeps_and_invoked_models_answer_as_they_like():
    assert judge("bedrock", "invoke", b"[1]", JSON) is None
    assert judge("responses", "stored", b"", JSON) is None


@pytest.mark.parametrize(
    ("data", "idle"),
    [(b'{"type":"ping"}', True), (b' {"type": "keepalive","sequence_number":3}', True), (b'{"type":"message_start"}', False), (b"[DONE]", False)],
)  # fmt: skip
def test_pings_are_no_beginning(data, idle):
    assert answer_check.is_idle(data) is idle


def opened(dialect="openai", provider=None):
    request = Request({}, dialect, "chat", "m", True)
    return Translation(request, dialect, provider or dialect, 0, False, "id")


def test_the_first_event_is_what_is_no_keep_alive():
    translation = opened()
    assert translation.first_event(b"") is None
    assert translation.first_event(b": waiting\n\n") is None
    assert translation.first_event(b'event: ping\ndata: {"type": "ping"}\n\n') is None
    assert translation.first_event(b': x\n\ndata: {"a": 1}\n\ndata: {"b": 2}\n\n') == b'{"a": 1}'


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_every_recorded_answer_is_fit():
    operations = {
        "/embeddings": ("openai", "embeddings"),
        ":countTokens": ("gemini", "count_tokens"),
        "/invoke": ("bedrock", "invoke"),
    }
    judged = 0
    for one in recordings.exchanges():
        dialect, operation = recordings.dialect_of(one.path), "chat"
        if dialect is None:
            dialect, operation = next(
                (names for end, names in operations.items() if one.path.endswith(end)), (None, "")
            )
        if dialect is None or one.status != 200 or one.is_stream:
            continue
        request = Request({}, dialect, operation, "m", False)
        found = Translation(request, dialect, dialect, 0, False, "id").read(one.body, [(b"content-type", JSON)])
        assert found.unfit is None, (one.id, found.unfit)
        judged += 1
    assert judged
