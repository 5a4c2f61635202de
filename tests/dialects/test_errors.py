"""Refusals and broken streams in each dialect's shape."""

import json

import pytest

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.dialects import errors
from switchgear.dialects.registry import BY_NAME
from switchgear.wire import eventstream

FAULT = errors.of_problem(Problem(problems.MODEL_NOT_FOUND, "no such model", "model"), "id1")


def test_each_dialect_has_its_own_words():
    shown = {name: json.loads(BY_NAME[name].error(FAULT)[1]) for name in BY_NAME}
    message = "no such model (request id: id1)"
    expected = {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    assert shown["openai"] == shown["responses"] == {"error": expected}
    assert shown["anthropic"] == {
        "type": "error",
        "error": {"type": "not_found_error", "message": message},
        "request_id": "id1",
    }
    assert shown["gemini"] == {"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}
    assert shown["bedrock"] == shown["cohere"] == {"message": message}
    assert BY_NAME["bedrock"].error(FAULT)[0] == b"x-amzn-errortype: ResourceNotFoundException\r\n"
    assert BY_NAME["anthropic"].error(FAULT)[0] == b""  # the id is a header of every answer, not of errors alone


@pytest.mark.parametrize("case", problems.CASES, ids=lambda case: case.code)
def test_every_case_can_be_said_in_every_dialect(case):
    fault = errors.of_problem(Problem(case, "x", None, 3), "id1")
    for dialect in BY_NAME:
        assert json.loads(BY_NAME[dialect].error(fault)[1])
        assert BY_NAME[dialect].error_event(fault)


def test_a_wait_is_said_in_googles_details():
    fault = errors.of_problem(Problem(problems.OVERLOADED, "x", None, 3), "id1")
    assert json.loads(BY_NAME["gemini"].error(fault)[1])["error"]["details"][0]["retryDelay"] == "3s"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"m1"}}', "m1"),
        (b'{"type":"error","error":{"type":"x","message":"m2"}}', "m2"),
        (b'[{"error":{"message":"m3"}}]', "m3"),
        (b'{"message":"m4"}', "m4"),
        (b'{"Message":"m5"}', "m5"),
        (b'{"error":"m6"}', "m6"),
        (b'{"detail":"m7"}', "m7"),
        (b"<html>secret</html>", "the provider answered with an error that is not JSON"),
        (b'{"x":1}', "the provider answered with an error"),
    ],
)
def test_a_providers_sentence_is_found(body, message):
    assert errors.message_of(body) == message


@pytest.mark.parametrize("status", [400, 401, 404, 413, 418, 422, 429, 500, 503, 529, 599])
def test_an_upstream_status_is_kept(status):
    fault = errors.of_upstream(status, b'{"message":"m"}', "id1", None)
    assert fault.status == status and fault.message == "m" and fault.anthropic_type


def test_a_broken_stream_ends_in_the_dialects_event():
    assert BY_NAME["openai"].error_event(FAULT).startswith(b'data: {"error"')
    assert BY_NAME["anthropic"].error_event(FAULT).startswith(b"event: error\n")
    failed = json.loads(BY_NAME["responses"].error_event(FAULT, 7).split(b"data: ")[1])
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 7)
    message = eventstream.Decoder().feed(BY_NAME["bedrock"].error_event(FAULT))[0]
    assert message.headers[":message-type"] == "exception"


def test_what_the_gateway_cut_is_not_said_to_be_the_models_error():
    fault = errors.of_problem(Problem(problems.FROZEN, "this key is frozen by an administrator"), "r1")
    (message,) = eventstream.Decoder().feed(BY_NAME["bedrock"].error_event(fault))
    assert message.headers[":exception-type"] == "validationException"
    assert (
        json.loads(BY_NAME["responses"].error_event(fault).split(b"data: ")[1])["response"]["error"]["code"] == "frozen"
    )
    assert b'"PERMISSION_DENIED"' in BY_NAME["gemini"].error_event(fault)
    assert b'"permission_error"' in BY_NAME["anthropic"].error_event(fault)


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b'{"error":{"message":"my prompt","type":"invalid_request_error","code":"context_length_exceeded"}}', " (invalid_request_error, context_length_exceeded)"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"my prompt"}}', " (overloaded_error)"),
        (b'{"error":{"code":400,"message":"my prompt","status":"INVALID_ARGUMENT"}}', " (INVALID_ARGUMENT)"),
        (b'[{"error":{"status":"NOT_FOUND"}}]', " (NOT_FOUND)"),
        (b'{"message":"my prompt"}', ""),
        (b'{"error":{"code":"my prompt","type":"sk-proj-0123456789abcdef"}}', ""),
        (b"my prompt", ""),
        (b'{"error":"my prompt"}', ""),
        (b'"my prompt"', ""),
    ],
)  # fmt: skip
def test_only_words_for_machines_are_kept_of_an_error(body, label):
    assert errors.label_of(body) == label


def test_what_the_provider_behind_a_router_said_is_told():
    """OpenRouter, "Errors": `metadata.raw`."""
    raw = '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}'
    error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw, "provider_name": "Anthropic"}}
    body = json.dumps({"error": error}).encode()
    assert errors.message_of(body) == "Provider returned error: prompt is too long: 210000 tokens > 200000 maximum"
    error["metadata"]["raw"] = "plain words"
    assert errors.message_of(json.dumps({"error": error}).encode()) == "Provider returned error: plain words"


def test_a_validators_list_is_told():
    """FastAPI's `detail` (fastapi.tiangolo.com, "Handling errors")."""
    detail = [{"type": "extra_forbidden", "loc": ["body", "foo"], "msg": "Extra inputs are not permitted", "input": 1}]
    assert errors.message_of(json.dumps({"detail": detail}).encode()) == "body.foo: Extra inputs are not permitted"
    for odd in ([], [1], [{"msg": 1}], [{"loc": 1, "msg": "x"}]):
        assert errors.message_of(json.dumps({"detail": odd}).encode())


@pytest.mark.parametrize(
    ("code", "status"),
    [("context_length_exceeded", 400), ("insufficient_quota", 429), ("content_filter", 400), ("new", 502)],
)
def test_a_code_without_a_status_stands_for_one(code, status):
    assert errors.status_of(json.dumps({"error": {"code": code, "message": "x"}}).encode()) == status
