"""Reading a raw request: what goes on, and what does not."""

import pytest

from switchgear.core.steps import finish
from switchgear.edge import passthrough, paths
from switchgear.edge.context import RequestContext
from switchgear.edge.passthrough import FORM_BYTES_MAX
from switchgear.routing.table import ProviderEntry, RouteTable
from switchgear.testing.edge import Ask, Dialogue, Sent
from switchgear.wire.http_requests import RequestHead


class Exchange:
    def __init__(self, target, headers):
        self.head = RequestHead(b"POST", target, headers, True, False, 0, False)


def read(target, body=b"{}", kind=b"application/json"):
    context = RequestContext(Exchange(target, {b"content-type": kind} if kind else {}), "r1", 0, 0.0)
    context.path_argument, context.body = paths.find(target).rest, body
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
def test_a_malformed_raw_request_is_refused(target, body):
    assert read(target, body)[0].case.status == 400


@pytest.mark.parametrize("name", ["k%65y", "%6bey", "%256bey", "api%5Fkey", "API%5fKEY", "access%5ftoken", "KEY"])
def test_H5_secrets_in_the_query_are_known_by_every_spelling(name):
    problem, request = read(f"/passthrough/openai/files?a=b&{name}=sk-1".encode())
    assert problem is None and request.stored_path == "/files?a=b"


@pytest.mark.parametrize(
    "target", [b"/passthrough/openai/a/%252e%252e/b", b"/passthrough/openai/a/%2e%2e/b", b"/passthrough/openai/a%zz"]
)
def test_a_path_with_another_one_behind_it_is_refused(target):
    assert read(target)[0].case.status == 400


@pytest.mark.parametrize(
    "kind",
    [
        None,
        b"text/json",
        b"application/x+json",
        b"text/plain",
        b"application/octet-stream",
        b"application/json; charset=x",
    ],
)
def test_the_model_is_found_whatever_the_body_is_called(kind):
    problem, request = read(b"/passthrough/openai/x", b' {"model":"gpt"}', kind)
    assert problem is None and request.model == "gpt"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"application/json", b'{"model":"a","x":' + b"9" * 5_000 + b',"model":"b"}'),
        (None, b'{"model":"a","model":"b"}'),
        (b"text/plain", b'{"model":"a","Model":"b"}'),
        (b"text/plain", '{"\u017ftream":true}'.encode()),
        (b"text/plain", b'{"model":"a",}'),
        (b"text/plain", '{"model":"a"}'.encode("utf-16-le")),
        (b"text/plain", '{"model":"a"}'.encode("utf-16")),
        (b"text/plain", b"\x00" + b'{"model":"a"}'.replace(b"", b"\x00")),
        (b"application/json", b'{"model":["a"]}'),
        (b"application/json", b'{"model":7}'),
        (b"application/json", b'[{"model":"a"},{"model":"b"}]'),
        (b"application/x-www-form-urlencoded", b"model=a&model=b"),
        (b"application/x-www-form-urlencoded", b"model=a&Model=b"),
        (b"application/x-www-form-urlencoded", b"model=a;model=b"),
        (b"multipart/form-data; boundary=A; boundary=B", b"--A--\r\n"),
        (b"multipart/mixed; boundary=A", b"--A--\r\n"),
    ],
)
def test_a_body_that_servers_read_in_two_ways_is_refused(kind, body):
    problem, _ = read(b"/passthrough/openai/x", body, kind)
    assert problem is not None and problem.case.status == 400


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        (b"/passthrough/openai/x?mod%65l=big", b"application/json", b"{}"),
        (b"/passthrough/google/models/big%3AgenerateContent", b"application/json", b"{}"),
        (b"/passthrough/azure/deployments/big/chat/completions", b"application/json", b"{}"),
        (b"/passthrough/openai/x", b"application/x-www-form-urlencoded", b"mod%65l=big"),
    ],
)
def test_a_model_in_the_path_the_query_or_a_form_is_found(target, kind, body):
    problem, request = read(target, body, kind)
    assert problem is None and request.model == "big"


def test_two_places_that_name_two_models_are_refused():
    assert read(b"/passthrough/azure/deployments/small/chat?x=1", b'{"model":"big"}')[0].case.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"requests":[{"custom_id":"a","params":{"model":"big","max_tokens":1}}]}',  # Anthropic, "Message Batches"
        b'{"requests":[{"model":"big","content":{}}]}',  # Gemini API, "batchEmbedContents"
        b'{"generateContentRequest":{"model":"big","contents":[]}}',  # Gemini API, "countTokens"
        b'{"session":{"type":"realtime","model":"big"}}',  # OpenAI API, "Create client secret"
        b'[{"body":{"model":"big"}}]',
    ],
)
def test_a_model_of_a_request_within_the_request_is_found(body):
    problem, request = read(b"/passthrough/openai/x", body)
    assert problem is None and request.model == "big"
    assert read(b"/passthrough/openai/x?model=small", body)[0].case.status == 400


def test_keys_of_tools_and_schemas_are_no_models_of_a_raw_request():
    body = b'{"model":"a","tools":[{"input_schema":{"properties":{"Model":{},"model":{}}}}],"metadata":{"Model":"T","model":"T"}}'
    problem, request = read(b"/passthrough/openai/x", body)
    assert problem is None and request.model == "a"


def test_a_large_urlencoded_form_is_refused():
    body = b"model=a&x=" + b"%41" * (FORM_BYTES_MAX // 3)
    context_steps, _ = read(b"/passthrough/openai/x", body, b"application/x-www-form-urlencoded")
    assert finish(context_steps).case.status == 400


@pytest.mark.parametrize("query", [b"file_id=file-1&file_id=file-2", b"file_ids[]=file-1&file_ids[]=file-2"])
def test_ids_of_the_query_are_found_as_often_as_they_stand(query):
    problem, request = read(b"/passthrough/openai/x?" + query, b"")
    assert problem is None and {found.id for found in request.references} == {"file-1", "file-2"}


def test_a_model_written_as_a_list_of_a_form_is_refused():
    kind = b"application/x-www-form-urlencoded"
    assert read(b"/passthrough/openai/x", b"model=a&model[]=b", kind)[0].case.status == 400


def test_a_model_in_a_path_of_other_letters_is_found():
    assert read(b"/passthrough/azure/Deployments/big/chat/completions", b"{}")[1].model == "big"


def test_the_first_line_of_lines_is_judged_as_a_request():
    # Go's `json.Decoder` and others take the first value and leave the rest
    body = b'{"model":"big"}\n{"x":1}'
    assert read(b"/passthrough/openai/x", body, b"application/jsonl")[1].model == "big"
    batch = b'{"custom_id":"1","url":"/v1/chat/completions","body":{"model":"big"}}\n{"custom_id":"2"}\n'
    assert read(b"/passthrough/openai/x", batch, b"application/x-ndjson")[1].model == "big"


@pytest.mark.parametrize("body", [b'/* x */{"model":"big"}', b' //x\n{"model":"big"}'])
def test_a_body_that_begins_with_a_comment_is_refused(body):
    assert read(b"/passthrough/openai/x", body, b"text/plain")[0].case.status == 400


@pytest.mark.parametrize(("region", "asked"), [("us", []), ("eu", ["a/c"])])
def test_a_raw_path_is_bound_by_the_labels_that_its_key_requires(region, asked):
    provider = ProviderEntry(name="a", dialects=("openai",), credentials=("c",), labels={"region": region})
    key = {"require": {"region": "eu"}, "passthrough": ("a POST /*",)}
    talk = Dialogue(table=RouteTable(providers={"a": provider}), key=key)
    talk.client >> Ask(path=b"/passthrough/a/chat/completions", body=b'{"model":"m","messages":[]}')
    assert [one.route.credential_id for one in talk.link.asked] == asked
    if not asked:
        talk.client << Sent(403)
