"""Reading a raw request: what goes on, and what does not."""

import pytest

from switchgear.edge import passthrough, paths
from switchgear.edge.context import RequestContext
from switchgear.wire.http1 import RequestHead


class Exchange:
    def __init__(self, target, headers):
        self.head = RequestHead(b"POST", target, headers, True, False, 0, False)


def read(target, body=b"{}", kind=b"application/json"):
    context = RequestContext(Exchange(target, {b"content-type": kind} if kind else {}), "r1", 0, 0.0)
    context.rest, context.body = paths.find(target).rest, body
    return passthrough.read(context), context.request


def test_secrets_in_the_query_stay_here():
    problem, request = read(b"/passthrough/openai/files?purpose=x&key=sk-1&API_KEY=2&access_token=3")
    assert problem is None and request.stored_path == "/files?purpose=x"


def test_the_model_and_the_stream_are_read_from_json_only():
    _, request = read(b"/passthrough/openai/x", b'{"model":"gpt","stream":true}')
    assert (request.model, request.stream) == ("gpt", True)
    _, request = read(b"/passthrough/openai/x", b"\x00\x01", b"audio/wav")
    assert (request.model, request.form.body, request.form.content_type) == ("", b"\x00\x01", b"audio/wav")


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (b'/passthrough/openai/a?x=%0d%0a%22"', b"{}"),
        (b"/passthrough/openai/x", b"{oops"),
        (b"/passthrough/openai/x", b'{"model":"a","model":"b"}'),
    ],
)
def test_what_cannot_go_on_is_refused(target, body):
    assert read(target, body)[0].case.status == 400
