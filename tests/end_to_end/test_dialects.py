"""Every dialect over real HTTP: what SDKs do not show. Paths, headers, records, errors, broken streams, lists, counts."""

import http.client
import json
import time

import pytest
from tests.end_to_end.setups import SECRET

from switchgear.testing.patience import PATIENCE_S

HELLO = [{"role": "user", "content": "hello there"}]
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}


@pytest.fixture(scope="module")
def provider(strict_provider):
    return strict_provider


@pytest.fixture(scope="module")
def gateway(strict_gateway):
    return strict_gateway


@pytest.fixture(scope="module")
def key(strict_key):
    return strict_key


@pytest.fixture
def ask(gateway, key):
    def ask(method, path, body=None, headers=None, auth=True):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
        sent = (
            {"content-type": "application/json"}
            | ({"authorization": f"Bearer {key}"} if auth else {})
            | (headers or {})
        )
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            try:
                data = answer.read()
            except http.client.IncompleteRead as exc:
                data = exc.partial + b"<CUT>"
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data
        finally:
            connection.close()

    return ask


def record(gateway, request_id):
    until = time.monotonic() + PATIENCE_S
    while True:
        done = gateway.cli("log", "show", request_id, "--json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert time.monotonic() < until, done.stderr
        time.sleep(0.1)


def test_a_crossed_request_is_in_the_record_with_what_was_dropped(ask, gateway):
    body = {"model": "claude/echo", "messages": HELLO, "seed": 7, "logit_bias": {"1": 1}, "user": "ann"}
    status, headers, data = ask("POST", "/v1/chat/completions", body)
    assert status == 200 and json.loads(data)["choices"][0]["message"]["content"] == "hello there"
    assert headers["content-type"] == "application/json" and headers["x-switchgear-provider"] == "claude"
    found = record(gateway, headers["x-request-id"])
    assert (found["dialect"], found["operation"], found["path"]) == ("openai", "chat", "/chat/completions")
    assert found["dropped"] == ["logit_bias", "seed"] and found["end_user"]["id"] == "ann"
    assert (found["tokens"]["input"], found["tokens"]["output"]) == (2, 2)


@pytest.mark.parametrize(
    ("path", "body", "dialect"),
    [
        ("/v1/messages", {"model": "claude/echo", "max_tokens": 9, "messages": HELLO}, "anthropic"),
        ("/messages?beta=true", {"model": "claude/echo", "max_tokens": 9, "messages": HELLO}, "anthropic"),
        ("/v1/responses", {"model": "native/echo", "input": "hello there"}, "responses"),
        ("/openai/responses", {"model": "native/echo", "input": "hello there"}, "responses"),
        ("/v1beta/models/google/echo:generateContent", CONTENTS, "gemini"),
        ("/models/google%2Fecho:generateContent", CONTENTS, "gemini"),
        ("/v1/projects/p/locations/l/publishers/google/models/google%2Fecho:generateContent", CONTENTS, "gemini"),
        (
            "/model/aws%2Fecho/converse",
            {"messages": [{"role": "user", "content": [{"text": "hello there"}]}]},
            "bedrock",
        ),
        ("/v2/chat", {"model": "commands/echo", "messages": HELLO}, "cohere"),
        ("/openai/deployments/fast/chat/completions?api-version=1", {"messages": HELLO}, "openai"),
        ("/openai/v1/chat/completions", {"model": "fast", "messages": HELLO}, "openai"),
    ],
)
def test_every_path_of_every_dialect(ask, gateway, path, body, dialect):
    status, headers, data = ask("POST", path, body)
    assert status == 200, data
    assert b"hello there" in data
    found = record(gateway, headers["x-request-id"])
    assert found["dialect"] == dialect and found["tokens"]["input"] == 2 and found["outcome"] == "ok"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1beta/models/m:generateContent", "gemini"),
        ("/model/m/converse", "bedrock"),
        ("/v2/chat", "cohere"),
    ],
)
def test_a_refusal_speaks_the_clients_dialect(ask, path, name):
    status, headers, data = ask("POST", path, {"model": "m"}, auth=False)
    body = json.loads(data)
    assert status == 401 and headers["x-switchgear-error"] == "invalid_api_key"
    shown = {
        "anthropic": lambda: (
            body["error"]["type"] == "authentication_error" and headers["request-id"] == body["request_id"]
        ),
        "gemini": lambda: body["error"]["status"] == "UNAUTHENTICATED",
        "bedrock": lambda: headers["x-amzn-errortype"] == "AccessDeniedException",
        "cohere": lambda: set(body) == {"message"},
    }
    assert shown[name]()


@pytest.mark.parametrize("kind", ["claude", "fake"])
@pytest.mark.parametrize(
    ("path", "body", "mark"),
    [
        ("/v1/chat/completions", {"messages": HELLO, "stream": True}, b'data: {"error"'),
        ("/v1/responses", {"input": "hello there", "stream": True}, b"event: response.failed"),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 50, "stream": True}, b"event: error"),
        ("/v1beta/models/{model}:streamGenerateContent?alt=sse", CONTENTS, b'data: {"error"'),
        ("/v2/chat", {"messages": HELLO, "stream": True}, b'"finish_reason":"ERROR"'),
        (
            "/model/{model}/converse-stream",
            {"messages": [{"role": "user", "content": [{"text": "hello there"}]}]},
            b"modelStreamErrorException",
        ),
    ],
)
def test_H6_a_broken_stream_ends_in_each_dialects_own_way(ask, gateway, kind, path, body, mark):
    model = f"{kind}/cut-1"
    status, headers, data = ask(
        "POST", path.replace("{model}", model), body | ({"model": model} if "{" not in path else {})
    )
    assert status == 200 and mark in data and data.endswith(b"<CUT>")
    found = record(gateway, headers["x-request-id"])
    assert found["outcome"] == "upstream_error" and found["cost_estimated"] is True


def test_geminis_array_mode_stays_open_when_the_stream_breaks(ask):
    status, headers, data = ask("POST", "/v1beta/models/google/echo:streamGenerateContent", CONTENTS)
    assert status == 200 and headers["content-type"] == "application/json" and len(json.loads(data)) >= 2
    _, _, data = ask("POST", "/v1beta/models/google/cut-1:streamGenerateContent", CONTENTS)
    assert not data.removesuffix(b"<CUT>").endswith(b"]") and data.endswith(b"<CUT>")


def test_model_lists_speak_the_clients_shape(ask, key):
    assert "fast" in [m["id"] for m in json.loads(ask("GET", "/v1/models")[2])["data"]]
    anthropic = json.loads(ask("GET", "/v1/models?limit=1000", headers={"anthropic-version": "2023-06-01"})[2])
    assert anthropic["has_more"] is False and anthropic["data"][0]["type"] == "model"
    assert "models/fast" in [m["name"] for m in json.loads(ask("GET", "/v1beta/models")[2])["models"]]
    assert "fast" in [m["slug"] for m in json.loads(ask("GET", "/v1/models?client_version=1.0")[2])["models"]]
    assert json.loads(ask("GET", "/v1beta/models/fast")[2])["name"] == "models/fast"
    google = {"x-goog-api-key": key}  # google-genai 3.6 asks without beta
    assert "models/fast" in [m["name"] for m in json.loads(ask("GET", "/v1/models?pageSize=9", headers=google, auth=False)[2])["models"]]  # fmt: skip
    assert json.loads(ask("GET", "/v1/models/fast", headers=google, auth=False)[2])["name"] == "models/fast"


VERTEX_COUNT = "/v1/projects/p/locations/eu/publishers/anthropic/models/count-tokens:rawPredict"
"""As Claude Code asks with ANTHROPIC_VERTEX_BASE_URL (code.claude.com/docs, "LLM gateway"; read 2026-11-27)."""


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/messages/count_tokens", {"messages": HELLO}, "input_tokens"),
        (VERTEX_COUNT, {"messages": HELLO, "anthropic_version": "vertex-2023-10-16"}, "input_tokens"),
        ("/v1beta/models/{model}:countTokens", CONTENTS, "totalTokens"),
        ("/model/{model}/count-tokens", {"input": {"converse": {"messages": []}}}, "inputTokens"),
        ("/v1/responses/input_tokens", {"input": "hello there"}, "input_tokens"),
    ],
)
def test_tokens_are_counted_for_nothing_or_estimated(ask, gateway, path, body, field):
    native = {
        "/v1/messages/count_tokens": "claude",
        VERTEX_COUNT: "claude",
        "/v1beta/models/{model}:countTokens": "google",
        "/model/{model}/count-tokens": "aws",
    }
    for provider in ("fake", native.get(path, "fake")):
        model = f"{provider}/echo"
        status, headers, data = ask(
            "POST", path.replace("{model}", model), body | ({"model": model} if "{" not in path else {})
        )
        assert status == 200 and json.loads(data)[field] > 0
        assert headers.get("x-switchgear-estimated") == ("true" if provider == "fake" else None)
        found = record(gateway, headers["x-request-id"])
        assert (found["operation"], found["cost_nanousd"], found["outcome"]) == ("count_tokens", 0, "ok")


def test_H5_geminis_key_in_the_query_works_there_only_and_goes_nowhere(ask, gateway, key, provider):
    path = f"/v1beta/models/google/echo:generateContent?key={key}"
    assert ask("POST", path, CONTENTS, auth=False)[0] == 200
    assert ask("POST", f"/v1/chat/completions?key={key}", {"model": "fast", "messages": HELLO}, auth=False)[0] == 401
    assert ask("POST", "/v1beta/models/google/echo:generateContent?key=sk-other", CONTENTS)[0] == 400
    assert all(key not in str(head) for head in provider.headers())


def test_a_body_of_responses_on_the_path_of_chat_is_answered_as_chat(ask, gateway):
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    for model in ("fake/echo", "claude/echo"):
        status, _, data = ask("POST", "/v1/chat/completions", {"model": model, "input": "hello there"})
        assert status == 200 and json.loads(data)["choices"][0]["message"]["content"] == "hello there"
        _, headers, data = ask(
            "POST", "/v1/chat/completions", {"model": model, "input": "x", "tools": tools, "stream": True}
        )
        assert record(gateway, headers["x-request-id"])["tags"] == ["quirk=responses-body"]
        assert b'"tool_calls"' in data and data.endswith(b"data: [DONE]\n\n")


def test_strict_refuses_instead_of_dropping(ask):
    status, _headers, data = ask("POST", "/v1/chat/completions", {"model": "exact", "messages": HELLO, "seed": 1})
    assert status == 400 and "seed" in json.loads(data)["error"]["message"]
    assert ask("POST", "/v1/chat/completions", {"model": "exact", "messages": HELLO})[0] == 200


def test_an_operation_that_a_provider_cannot_do_is_refused_by_name(ask):
    status, headers, data = ask("POST", "/v1/embeddings", {"model": "claude/echo", "input": "x"})
    assert status == 400 and headers["x-switchgear-error"] == "unsupported_operation"
    status, _, data = ask("POST", "/v1/chat/completions", {"model": "claude/echo", "messages": HELLO, "n": 2})
    assert status == 400 and json.loads(data)["error"]["param"] == "n"


def test_headers_of_a_dialect_reach_its_providers_only(ask, provider):
    beta = {"anthropic-beta": "tools-2099", "anthropic-version": "2099-01-01", "x-goog-user-project": "p"}
    body = {"max_tokens": 9, "messages": HELLO}
    ask("POST", "/v1/messages", {"model": "claude/echo", **body}, beta)
    assert ask("POST", "/v1/messages", {"model": "fake/echo", **body}, beta)[0] == 200
    ask("POST", "/v1/chat/completions", {"model": "claude/echo", "messages": HELLO})
    seen = [head for head in provider.headers() if head.get("anthropic-beta") == "tools-2099"]
    assert {head["anthropic-version"] for head in seen} <= {"2099-01-01"}
    assert all("x-goog-user-project" not in head for head in provider.headers())


def test_the_session_of_claude_code_is_in_the_record(ask, gateway):
    body = {
        "model": "claude/echo",
        "max_tokens": 9,
        "messages": HELLO,
        "metadata": {"user_id": "user_a_account_b_session_s77"},
    }
    _, headers, _ = ask("POST", "/v1/messages", body, {"user-agent": "claude-cli/2.1.0 (external)"})
    found = record(gateway, headers["x-request-id"])
    assert found["session"] == "s77" and found["end_user"] is None and found["client"]["tool"] == "claude-cli"


def test_an_aws_credential_signs_and_does_not_travel(ask, provider):
    status, _, data = ask(
        "POST", "/model/signed%2Fecho/converse", {"messages": [{"role": "user", "content": [{"text": "hello there"}]}]}
    )
    assert status == 200, data
    signed = [
        head["authorization"]
        for head in provider.headers()
        if head.get("authorization", "").startswith("AWS4-HMAC-SHA256")
    ]
    assert signed and all("eu-central-1/bedrock/aws4_request" in line for line in signed)
    assert all(SECRET not in line and "wJalrXUtnFEMI" not in line for line in signed)


def test_websockets_are_refused_with_426(ask):
    status, _, data = ask("GET", "/v1/responses", headers={"connection": "Upgrade", "upgrade": "websocket"})
    assert status == 426 and b"HTTP/1.1" in data


def test_connect_prints_this_gateway_and_its_check_passes(ask, gateway, key):
    status, headers, data = ask("GET", "/connect/claude-code", auth=False)
    assert status == 200 and headers["content-type"].startswith("text/plain")
    assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:{gateway.port}".encode() in data
    assert ask("GET", "/connect/nope", auth=False)[0] == 404
    for client, model in (
        ("claude-code", "claude/echo"),
        ("codex", "fake/echo"),
        ("gemini-cli", "aws/echo"),
        ("openai", "google/echo"),
    ):
        done = gateway.cli("connect", client, "--key", key, "--model", model, "--check", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "✗" not in done.stdout and done.stdout.count("✔") >= 4
    done = gateway.cli("connect", "openai", "--key", "sk-sg-wrong", "--check", check=False)
    assert done.returncode == 1 and "✗" in done.stdout


@pytest.mark.parametrize("kind", ["fake", "google", "commands"])
def test_embeddings_asked_in_openais_dialect_are_answered_by_every_provider(gateway, key, ask, kind):
    import openai

    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client:
        rows = client.embeddings.create(model=f"{kind}/echo", input=["a", "b"]).data  # the SDK asks for base64
    assert rows[0].embedding[0] == 0.25
    status, _, data = ask("POST", f"/v1beta/models/{kind}%2Fecho:embedContent", {"content": {"parts": [{"text": "a"}]}})
    assert status == 200 and json.loads(data)["embedding"]["values"][0] == 0.25


def test_pictures_sounds_and_rankings_are_counted_in_their_own_units(gateway, key, ask):
    import openai

    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0) as client:
        raw = client.audio.transcriptions.with_raw_response.create(model="fake/whisper", file=("a.wav", b"RIFF" * 2000))
        assert raw.parse().text == "hello"
        assert record(gateway, raw.headers["x-request-id"])["units"] == {"seconds": 4}
        raw = client.images.with_raw_response.edit(model="fake/pixels", image=("a.png", b"PNG"), prompt="x")
        assert record(gateway, raw.headers["x-request-id"])["units"] == {"images": 2}
        raw = client.images.with_raw_response.generate(model="fake/pixels", prompt="x")
        found = record(gateway, raw.headers["x-request-id"])
        assert found["units"] == {"images": 1} and (found["tokens"]["input"], found["tokens"]["image"]) == (5, 7)
        raw = client.audio.speech.with_raw_response.create(model="fake/voice", voice="alloy", input="hello")
        assert raw.content == b"\xff\xf3" * 64 and raw.headers["content-type"] == "audio/mpeg"
        assert record(gateway, raw.headers["x-request-id"])["units"] == {"characters": 5}
        assert client.moderations.create(model="fake/judge", input="x").results[0].flagged is False
    for path, model in (("/v2/rerank", "commands/rank"), ("/v1/rerank", "fake/rank")):
        status, headers, data = ask("POST", path, {"model": model, "query": "a", "documents": ["a", "b"]})
        assert status == 200 and json.loads(data)["results"][0]["index"] == 0
        assert record(gateway, headers["x-request-id"])["units"] == {"searches": 1}


def test_an_upload_that_is_no_form_is_refused(ask):
    assert ask("POST", "/v1/audio/transcriptions", {"model": "fake/x"})[0] == 415
    kind = {"content-type": "multipart/form-data; boundary=x"}
    status, _, data = ask("POST", "/v1/audio/transcriptions", {"a": 1}, kind)
    assert status == 400 and b"boundary" in data


@pytest.mark.parametrize("kind", ["fake", "claude"])
def test_large_bodies_pass_whole_and_refuse_nobody(ask, kind):
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"{n} " + "é𝄞x" * 700_000 for n in range(3)]

    def large(text):
        return json.loads(
            ask(
                "POST",
                "/v1/chat/completions",
                {"model": f"{kind}/echo", "messages": [{"role": "user", "content": text}]},
            )[2]
        )

    def small(_):
        return ask("POST", "/v1/chat/completions", {"model": "fake/echo", "messages": HELLO})[0]

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(large, texts)
        statuses = set(pool.map(small, range(60)))
        assert [answer["choices"][0]["message"]["content"] for answer in answers] == texts
    assert statuses == {200}


def test_a_large_body_is_sent_again_after_a_failure(ask):
    text = "x" * 400_000
    status, headers, data = ask(
        "POST", "/v1/chat/completions", {"model": "fake/flaky-1", "messages": [{"role": "user", "content": text}]}
    )
    assert status == 200 and headers["x-switchgear-attempts"] == "2"
    assert json.loads(data)["choices"][0]["message"]["content"] == text


def test_a_stored_response_belongs_to_the_team_that_made_it(gateway, key, ask):
    import openai

    other = gateway.key("stranger", "--team", "others")
    mate = gateway.key("mate", "--team", "quality")
    base = gateway.url + "/v1"
    with openai.OpenAI(base_url=base, api_key=key, max_retries=0) as mine:
        made = mine.responses.create(model="native/echo", input="hello there")
        again = mine.responses.create(model="native/echo", input="and now", previous_response_id=made.id)
        assert again.output_text == "and now"
        assert mine.responses.retrieve(made.id).output_text == "hello there"
        assert mine.responses.input_items.list(made.id).data == []
    with openai.OpenAI(base_url=base, api_key=other, max_retries=0) as theirs:
        for call in (
            lambda: theirs.responses.retrieve(made.id),
            lambda: theirs.responses.delete(made.id),
            lambda: theirs.responses.create(model="native/echo", input="x", previous_response_id=made.id),
            lambda: theirs.responses.create(model="native/echo", input="x", conversation="conv_1"),
            lambda: theirs.responses.retrieve("resp_never_seen"),
        ):
            with pytest.raises(openai.NotFoundError):
                call()
    with openai.OpenAI(base_url=base, api_key=mate, max_retries=0) as ours:
        assert ours.responses.retrieve(made.id).output_text == "hello there"
        with pytest.raises(openai.NotFoundError, match="another provider"):
            ours.responses.create(model="fake/echo", input="x", previous_response_id=made.id)
        ours.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            ours.responses.retrieve(made.id)


def test_retrieving_costs_nothing_and_counts_no_tokens_again(gateway, ask):
    made = json.loads(ask("POST", "/v1/responses", {"model": "native/echo", "input": "hello there"})[2])["id"]
    status, headers, _ = ask("GET", f"/v1/responses/{made}")
    found = record(gateway, headers["x-request-id"])
    assert status == 200 and (found["operation"], found["cost_nanousd"], found["tokens"]) == ("response", 0, None)


def test_an_invoked_models_body_passes_and_bedrocks_counts_are_booked(ask, gateway, clients_of_bedrock):
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": HELLO})
    answer = clients_of_bedrock.invoke_model(modelId="aws/claude-x", body=body)
    assert json.loads(answer["body"].read())["content"][0]["text"] == "hello"
    found = record(gateway, answer["ResponseMetadata"]["HTTPHeaders"]["x-request-id"])
    assert (found["operation"], found["tokens"]["input"], found["tokens"]["output"]) == ("invoke", 3, 5)
    answer = clients_of_bedrock.invoke_model_with_response_stream(modelId="aws/claude-x", body=body)
    chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    assert chunks[0] == {"type": "content_block_delta"}
    found = record(gateway, answer["ResponseMetadata"]["HTTPHeaders"]["x-request-id"])
    assert (found["stream"], found["tokens"]["output"], found["outcome"]) == (True, 5, "ok")


@pytest.fixture
def clients_of_bedrock(gateway, key):
    """boto3 as Claude Code's Bedrock mode uses it behind a gateway: no signature, the key in a header."""
    import boto3
    import botocore
    import botocore.config

    config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=gateway.url, config=config)
    client.meta.events.register("before-send", lambda request, **_: request.headers.update({"x-api-key": key}))
    yield client
    client.close()


def test_C2_raw_paths_need_leave_on_the_key_and_on_the_credential(gateway, key):
    allowed = gateway.key(
        "raw",
        "--passthrough",
        "fake POST /chat/*",
        "--passthrough",
        "fake GET /models",
        "--passthrough",
        "fake POST /embeddings",
        "--passthrough",
        "fake DELETE /files/f1",
    )

    def ask(method, path, token, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
        sent = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request(method, "/passthrough/" + path, json.dumps(body) if body is not None else None, sent)
        answer = connection.getresponse()
        try:
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    chat = {"model": "echo", "messages": HELLO}
    status, headers, data = ask("POST", "fake/chat/completions", allowed, chat)
    assert status == 200 and json.loads(data)["choices"][0]["message"]["content"] == "hello there"
    found = record(gateway, headers["x-request-id"])
    assert (found["operation"], found["model"], found["tokens"]["input"]) == ("passthrough", "fake/echo", 2)
    assert found["cost_nanousd"] == 1500  # priced by the model in the body
    status, _, data = ask("POST", "fake/chat/completions", allowed, chat | {"stream": True})
    assert status == 200 and data.endswith(b"data: [DONE]\n\n")
    assert ask("GET", "fake/models", allowed)[0] == 200
    for method, path, token in (
        ("POST", "fake/chat/completions", key),  # the key has no rule
        ("POST", "fake/moderations", allowed),  # no rule for this path
        ("POST", "claude/chat/completions", allowed),  # nor for this provider
        ("POST", "nobody/chat/completions", allowed),
    ):
        assert ask(method, path, token, chat)[0] == 403
    # The key may, the sealed credential does not: the vault refuses, whatever the edge says.
    status, headers, data = ask("DELETE", "fake/files/f1", allowed)
    assert status == 502 and b"the vault refused the request" in data
    assert "not an inference path" in record(gateway, headers["x-request-id"])["error"]["message"]


def test_a_client_may_be_less_patient_than_the_model(ask, gateway):
    started = time.monotonic()
    body = {"model": "fake/silent", "messages": HELLO}
    status, headers, data = ask("POST", "/v1/chat/completions", body, {"x-switchgear-timeout-s": "1"})
    assert status == 504 and b"within 1 s" in data and time.monotonic() - started < 8
    assert record(gateway, headers["x-request-id"])["outcome"] == "timeout"
