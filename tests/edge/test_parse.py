"""What is asked, by each kind of path."""

import json

import pytest

from switchgear.core.problems import Problem
from switchgear.core.steps import finish
from switchgear.edge import paths
from switchgear.edge.context import RequestContext
from switchgear.edge.parse import parse
from switchgear.wire.http_requests import RequestHead


def parsed(target, body=b"", kind=b"application/json", method=b"POST"):
    head = RequestHead(method, target, {b"content-type": kind}, True, False, len(body), False)
    context = RequestContext(type("Exchange", (), {"head": head})(), "r", 0, 0.0)
    match = paths.find(target)
    context.endpoint, context.path_argument = match.endpoint, match.rest
    context.body, context.bytes_in = body, len(body)
    return parse(None, context), context


def test_a_json_body_is_read_and_let_go():
    problem, context = parsed(b"/v1/chat/completions", b'{"model":"m","messages":[]}')
    assert problem is None and context.request.model == "m" and context.body == b""


def test_a_large_body_is_read_in_steps():
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 200_000}]}).encode()
    steps, context = parsed(b"/v1/chat/completions", body)
    assert context.request is None
    assert finish(steps) is None and context.request.is_large and context.body == b""


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_body_that_is_none_is_refused(size):
    outcome, _ = parsed(b"/v1/chat/completions", b"{" + b" " * size)
    problem = outcome if isinstance(outcome, Problem) else finish(outcome)
    assert problem.case.status == 400


def test_something_stored_is_named_by_the_path_alone():
    problem, context = parsed(b"/v1/responses/resp_1/input_items", method=b"GET")
    assert problem is None
    assert (context.request.refers_to, context.request.stored_path) == ("resp_1", "stored_items")


def test_a_model_in_the_path_counts():
    _, context = parsed(b"/v1beta/models/m:generateContent", b'{"contents":[]}')
    assert context.request.model == "m"


def test_an_upload_without_a_boundary_is_refused():
    problem, _ = parsed(b"/v1/audio/transcriptions", b"x", b"multipart/form-data")
    assert problem.case.status == 400
