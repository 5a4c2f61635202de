"""The way of an attempt from a client's dialect to a provider's and back."""

import contextlib
import itertools
import json

import msgspec
import pytest
from tests.dialects.samples import ANSWER, NAMES, PAIRS, SAMPLE, ask, collect, gist, provider_stream

from switchgear.core.errors import ProtocolError
from switchgear.dialects import canonical, errors
from switchgear.dialects.dialect_choice import choose_dialect
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks
from switchgear.testing import recordings as recorded
from switchgear.testing.twins import judge


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_request_and_its_answers_cross(client, provider):
    translation = open_translation(ask(client), client, provider, "up", Quirks(), created=1)
    sent = BY_NAME[provider].translator.decode_request(Node(json.loads(translation.body)), "up", False)
    assert canonical.text_of(sent.system) == "be brief"
    results = [part for part in sent.messages[-1].parts if isinstance(part, canonical.ToolResult)]
    assert [canonical.text_of(result.content) for result in results] == ["sun", "rain"]
    assert [tool.name for tool in sent.tools] == ["weather"]
    assert sent.max_tokens == 100
    body = msgspec.json.encode(BY_NAME[provider].translator.encode_answer(ANSWER, "m", 1))
    answer = BY_NAME[client].translator.decode_answer(Node(json.loads(translation.answer(body))))
    assert gist(answer.parts) == gist(ANSWER.parts)
    assert answer.finish == "tool_calls"
    assert translation.read(body, []).usage.input_total == 10
    assert answer.usage.output_total == 5


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"error":{"message":"x"}}',
        b'{"choices":[7],"content":5,"output":1,"candidates":[1],"message":3}',
    ],
)
def test_a_strange_plain_answer_is_a_typed_error(provider, body):
    client = "openai" if provider != "openai" else "anthropic"
    translation = open_translation(ask(client), client, provider, "up", Quirks(), created=1)
    translation.read(body, [])
    with pytest.raises(ProtocolError):
        translation.answer(body)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_dialect_is_verbatim(name):
    request = ask(name, True)
    request.fields["x_unknown"] = msgspec.Raw(b"[1.50,  null]")
    translation = open_translation(request, name, name, "up", Quirks(), created=1)
    assert b"[1.50,  null]" in translation.body and translation.is_verbatim
    stream = provider_stream(name)
    for step in (1, 33, len(stream)):
        tap = open_translation(request, name, name, "up", Quirks(), created=1).tap()
        out = b"".join(tap.feed(stream[at : at + step]) for at in range(0, len(stream), step)) + tap.finish()
        if name != "openai":  # whose clients must ask for usage, else it is hidden
            assert out == stream
        assert tap.is_clean
        assert tap.metadata.usage.output_total == 5


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_an_answer_that_says_strange_things_costs_its_own_request_only(client, provider):
    """Values of any type in every place of an answer: a typed error or an answer, never another exception."""
    good = json.loads(msgspec.json.encode(BY_NAME[provider].translator.encode_answer(ANSWER, "m", 1)))
    translation = open_translation(ask(client), client, provider, "up", Quirks(), created=1)
    for strange in (None, 5, -1e300, "x", [], {}, [None], {"a": None}, True):
        for changed in changes(good, strange):
            body = msgspec.json.encode(changed)
            translation.read(body, [])
            with contextlib.suppress(ProtocolError):
                translation.answer(body)


def changes(value, strange):
    """Yield a value with one place after another replaced."""
    if isinstance(value, dict):
        for key in value:
            yield {**value, key: strange}
            for inner in changes(value[key], strange):
                yield {**value, key: inner}
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield [*value[:number], strange, *value[number + 1 :]]
            for inner in changes(item, strange):
                yield [*value[:number], inner, *value[number + 1 :]]


def test_a_body_of_millions_of_values_is_not_translated():
    body = b'{"model":"m","messages":[' + b",".join([b"{}"] * 400_000) + b"]}"
    with pytest.raises(InvalidBodyError, match="objects and lists"):
        open_translation(parse(body, "openai", "chat"), "openai", "anthropic", "up", Quirks(), created=1)


def test_what_a_dialect_cannot_carry_is_named():
    sample = msgspec.structs.replace(SAMPLE, seed=7, top_k=3, user="ann")
    translation = open_translation(ask("openai", sample=sample), "openai", "anthropic", "up", Quirks(), created=1)
    assert "seed" in translation.dropped
    with pytest.raises(InvalidBodyError) as info:
        open_translation(
            parse(b'{"model":"m","messages":[],"n":2}', "openai", "chat"),
            "openai",
            "anthropic",
            "up",
            Quirks(),
            created=1,
        )
    assert info.value.param == "n"


CHAT = {"model": "m", "messages": [{"role": "user", "content": "weather in Paris?"}]}


@pytest.mark.parametrize(("model", "name"), [("gpt-5", "max_completion_tokens"), ("gpt-4.1", "max_tokens")])
def test_the_output_limit_of_a_chat_body_has_the_name_that_the_model_takes(model, name):
    request = parse(json.dumps(CHAT | {"max_tokens": 50}).encode(), "openai", "chat")
    translation = open_translation(request, "openai", "openai", model, PROVIDERS["openai"].quirks, created=1)
    assert json.loads(translation.body) == CHAT | {"model": model, name: 50}
    assert judge("openai", model, translation.body) is None


def test_the_output_limit_keeps_its_name_at_servers_that_know_no_other():
    request = parse(json.dumps(CHAT | {"max_tokens": 50}).encode(), "openai", "chat")
    translation = open_translation(request, "openai", "openai", "openai/gpt-5", Quirks(), created=1)
    assert json.loads(translation.body)["max_tokens"] == 50


def test_the_model_in_a_path_is_escaped():
    translation = open_translation(ask("gemini", True), "gemini", "gemini", "a/b c", Quirks(), created=1)
    assert translation.path == "/models/a%2Fb%20c:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("name", "ping"),
    [
        ("openai", b": ping\n\n"),
        ("anthropic", b'event: ping\ndata: {"type": "ping"}\n\n'),
        ("gemini", b"\n"),
        ("cohere", b"\n"),
        ("bedrock", b""),
    ],
)
def test_a_keep_alive_is_what_each_dialects_clients_bear(name, ping):
    translation = open_translation(ask(name, True), name, name, "up", Quirks(), created=1)
    tap = translation.tap()
    stream = provider_stream(name)
    before = tap.feed(stream[: len(stream) // 3])
    assert translation.ping(tap) == ping
    # Between two events it changes nothing of what the client reads.
    rest = tap.feed(stream[len(stream) // 3 :]) + tap.finish()
    assert gist(collect(name, before + ping + rest).answer.parts) == gist(ANSWER.parts)


@pytest.mark.parametrize("provider", ["responses", "anthropic"])
def test_a_keep_alive_of_responses_repeats_the_last_sequence_number(provider):
    translation = open_translation(ask("responses", True), "responses", provider, "up", Quirks(), created=1)
    tap = translation.tap()
    stream = provider_stream(provider)
    out = tap.feed(stream[: len(stream) // 2])
    last = json.loads(out.rstrip().rpartition(b"data: ")[2])["sequence_number"]
    assert translation.ping(tap) == b'data: {"type":"keepalive","sequence_number":%d}\n\n' % last
    fault = errors.Fault(502, "broke off", "upstream_error", None, "api_error", request_id="r1")
    assert b'"sequence_number":%d' % (last + 1) in translation.broken(fault, tap)


def test_quirks_set_and_remove_keys():
    quirks = Quirks(body={"anthropic_version": "v", "model": None}, paths={"chat": "/models/{model}:rawPredict"})
    translation = open_translation(ask("anthropic"), "anthropic", "anthropic", "claude", quirks, created=1)
    body = json.loads(translation.body)
    assert translation.path == "/models/claude:rawPredict" and body["anthropic_version"] == "v" and "model" not in body


def exchanges():
    return [r for r in recorded.exchanges() if recorded.dialect_of(r.path) is not None and r.status == 200]


def model_of(recording, dialect):
    return recording.path.rpartition("/models/")[2].partition(":")[0] if dialect == "gemini" else "m"


@pytest.mark.skipif(recorded.folder() is None, reason="no recordings here")
def test_recorded_exchanges_of_the_same_dialect_are_verbatim_and_their_usage_is_read():
    unread = []
    for recording in exchanges():
        dialect = recorded.dialect_of(recording.path)
        in_path = dialect in {"gemini", "bedrock"}
        raw = msgspec.json.encode(recording.request)
        if "model" not in recording.request and not in_path:
            continue  # a routing preset of one provider
        request = parse(
            raw,
            dialect,
            "chat",
            model_of(recording, dialect) if in_path else None,
            recording.is_stream if in_path else None,
        )
        translation = open_translation(request, dialect, dialect, request.model, Quirks(stream_usage=False), created=1)
        assert json.loads(translation.body) == recording.request
        if not recording.is_stream:
            metadata = translation.read(recording.body, [])
        else:
            request.asked_usage = True
            for step in (len(recording.body), 50):
                tap = translation.tap()
                pieces = (recording.body[at : at + step] for at in range(0, len(recording.body), step))
                assert b"".join(tap.feed(piece) for piece in pieces) + tap.finish() == recording.body
            metadata = tap.metadata
        total = usage_of(recording, dialect)
        if total is None:
            continue
        if metadata.usage is None or (metadata.usage.input_total, metadata.usage.output_total) not in total:
            unread.append((recording.id, recording.provider, metadata.usage, total))
    assert not unread


def usage_of(recording, dialect):
    """The recorded totals of input and output, read here in another way; a set, where a provider may be read two ways."""
    values = [json.loads(recording.body)] if not recording.is_stream else events_in(recording.body, dialect)
    found = None
    for value in values:
        holders = [
            value,
            value.get("response") or {},
            value.get("message") or {},
            value.get("delta") or {},
            value.get("x_groq") or {},
        ]
        for holder in holders:
            usage = (holder.get("usage") or holder.get("usageMetadata")) if isinstance(holder, dict) else None
            if isinstance(usage, dict):
                before = {} if dialect == "gemini" else found or {}  # Gemini's last chunk replaces those before
                found = {**before, **{k: v for k, v in usage.items() if v is not None}}
    if found is None:
        return None
    get = lambda *names: next((found[n] for n in names if n in found), 0) or 0  # noqa: E731
    if dialect == "anthropic":
        cached = get("cache_read_input_tokens") + get("cache_creation_input_tokens")
        return {(get("input_tokens") + cached, get("output_tokens"))}
    if dialect == "gemini":
        total = get("promptTokenCount") + get("toolUsePromptTokenCount")
        return {(total, get("candidatesTokenCount") + get("thoughtsTokenCount"))}
    if dialect == "bedrock":
        cached = get("cacheReadInputTokens") + get("cacheWriteInputTokens")
        return {(get("inputTokens") + cached, get("outputTokens"))}
    if dialect == "cohere":
        billed = found["billed_units"]
        return {(billed["input_tokens"], billed["output_tokens"])}
    details = found.get("completion_tokens_details") or {}
    written = get("completion_tokens", "output_tokens")
    # Some providers count reasoning beside the completion instead of inside it.
    return {
        (get("prompt_tokens", "input_tokens"), written + extra) for extra in (0, details.get("reasoning_tokens") or 0)
    }


def events_in(body, dialect):
    if dialect == "bedrock":
        from switchgear.wire import eventstream

        return [json.loads(message.payload) for message in eventstream.Decoder().feed(body)]
    lines = body.decode().replace("\r", "").split("\n")
    return [json.loads(line[5:]) for line in lines if line.startswith("data:") and "[DONE]" not in line]


@pytest.mark.skipif(recorded.folder() is None, reason="no recordings here")
def test_recorded_exchanges_cross_into_every_other_dialect():
    """What cannot be said is refused with a field's name; what can must arrive with the same text and tool calls."""
    tried, refused = 0, 0
    for recording, client in itertools.product(exchanges(), NAMES):
        provider = recorded.dialect_of(recording.path)
        if client == provider:
            continue
        own, other = BY_NAME[provider].translator, BY_NAME[client].translator
        try:
            asked = own.decode_request(Node(recording.request), "m", recording.is_stream)
            body = other.encode_request(asked, "m", Quirks())
            again = other.decode_request(Node(json.loads(msgspec.json.encode(body))), "m", recording.is_stream)
            msgspec.json.encode(own.encode_request(again, "m", Quirks()))
        except InvalidBodyError:
            refused += 1
            continue
        tried += 1
        translation = open_translation(ask(client, recording.is_stream), client, provider, "m", Quirks(), created=1)
        if recording.is_stream:
            tap = translation.tap()
            try:
                out = tap.feed(recording.body) + tap.finish()
            except ProtocolError as exc:
                assert "broke off" in str(exc)  # an error event was recorded
                continue
            wanted, got = collect(provider, recording.body), collect(client, out)
            assert got.is_ended
            assert gist(got.answer.parts) == gist(wanted.answer.parts), recording.id
        else:
            wanted = own.decode_answer(Node(json.loads(recording.body)))
            got = other.decode_answer(Node(json.loads(translation.answer(recording.body))))
            assert gist(got.parts) == gist(wanted.parts), recording.id
    assert tried > 3000 and refused < tried / 4


@pytest.mark.parametrize("client", [name for name in NAMES if name not in {"bedrock", "cohere"}])
def test_an_answer_without_an_id_gets_one_of_its_request(client):
    """Converse's answers have none (docs.aws.amazon.com, API_runtime_Converse; from memory); Claude Code and LangGraph
    join messages that bear one id."""
    answer = msgspec.structs.replace(ANSWER, id=None)
    body = msgspec.json.encode(BY_NAME["bedrock"].translator.encode_answer(answer, "m", 1))
    found = []
    for name in ("a1", "b2"):
        plain = open_translation(ask(client), client, "bedrock", "up", Quirks(), created=1, answer_id=name)
        found.append(BY_NAME[client].translator.decode_answer(Node(msgspec.json.decode(plain.answer(body)))).id)
        translation = open_translation(ask(client, True), client, "bedrock", "up", Quirks(), created=1, answer_id=name)
        tap = translation.tap()
        streamed = tap.feed(provider_stream("bedrock", answer)) + tap.finish()
        assert collect(client, streamed).answer.id == found[-1]
        assert tap.metadata.response_id is None
        assert found[-1].endswith(name)
    assert found[0] != found[1]


@pytest.mark.parametrize(("more", "is_sent"), [({}, False), ({"store": False}, False), ({"store": True}, True)])
def test_metadata_goes_to_openai_with_store_only(more, is_sent):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "metadata": {"trace_id": "t"}, **more}
    for quirks, expected in ((Quirks(metadata_needs_store=True), is_sent), (Quirks(), True)):
        request = parse(json.dumps(body).encode(), "openai", "chat")
        translation = open_translation(request, "openai", "openai", "m", quirks, created=1)
        assert ("metadata" in json.loads(translation.body)) is expected
        assert ("metadata" in translation.dropped) is not expected


def test_what_litellms_clients_say_to_it_is_not_sent_on():
    body = {"model": "m", "messages": [], "cache": {"no-cache": True}, "mock_response": "x", "drop_params": True}
    request = parse(json.dumps(body).encode(), "openai", "chat")
    translation = open_translation(request, "openai", "openai", "m", Quirks(), created=1)
    assert set(json.loads(translation.body)) == {"model", "messages"}


def test_claudes_count_on_vertex_has_a_path_of_its_own_and_names_the_model():
    """docs.cloud.google.com, "Count tokens for Claude models" (from memory)."""
    row = PROVIDERS["vertex-anthropic"]
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    for operation, path, named in (
        ("count_tokens", "/models/count-tokens:rawPredict", True),
        ("chat", "/models/claude-x:rawPredict", False),
    ):
        request = parse(json.dumps(body).encode(), "anthropic", operation)
        translation = open_translation(request, "anthropic", "anthropic", "claude-x", row.quirks, created=1)
        assert translation.path == path
        assert ("model" in json.loads(translation.body)) is named


def test_a_ranking_reaches_providers_of_another_dialect_as_it_is():
    """Cohere's shape (docs.cohere.com/reference/rerank; from memory) is that of /v1/rerank elsewhere."""
    body = {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1}
    request = parse(json.dumps(body).encode(), "openai", "rerank")
    assert choose_dialect("openai", "rerank", ("cohere",)) == "cohere"
    assert choose_dialect("openai", "rerank", ("anthropic",)) is None
    translation = open_translation(request, "openai", "cohere", "rerank-v3.5", Quirks(), created=1)
    assert translation.path == "/rerank" and json.loads(translation.body) == body | {"model": "rerank-v3.5"}
    answer = b'{"id":"i","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1}}}'
    metadata = translation.read(answer, [])
    assert translation.answer(answer) == answer and metadata.units == {"searches": 1}


def test_a_ranking_by_voyage_is_asked_and_read_in_its_own_words():
    """Voyage AI's SDKs: `RerankRequest` has `top_k`, `RerankResponse` has `data` (read 2026-11-27). Clients of /v1/rerank send
    `top_n` and read `results` (docs.cohere.com/reference/rerank, docs.jina.ai)."""
    quirks = PROVIDERS["voyage"].quirks
    body = {"model": "rerank", "query": "q", "documents": ["a", "b"], "top_n": 1}
    request = parse(json.dumps(body).encode(), "openai", "rerank")
    translation = open_translation(request, "openai", "openai", "rerank-2.5", quirks, created=1)
    assert json.loads(translation.body) == {"model": "rerank-2.5", "query": "q", "documents": ["a", "b"], "top_k": 1}
    ranks = [{"index": 1, "relevance_score": 0.4375}]
    said = {"object": "list", "data": ranks, "model": "rerank-2.5", "usage": {"total_tokens": 26}}
    assert json.loads(translation.answer(json.dumps(said).encode())) == said | {"results": ranks}
    plain = open_translation(request, "openai", "openai", "m", PROVIDERS["jina"].quirks, created=1)
    assert json.loads(plain.body)["top_n"] == 1 and plain.answer(b'{"data":[]}') == b'{"data":[]}'
    with pytest.raises(InvalidBodyError, match="top_n"):
        wrong = parse(json.dumps(body | {"top_n": "x"}).encode(), "openai", "rerank")
        open_translation(wrong, "openai", "openai", "m", quirks, created=1)


def test_a_stream_of_claude_at_vertex_is_asked_for_on_the_path_of_streams():
    # Google Cloud, "Streaming": `streamRawPredict` for streams, `rawPredict` for plain answers (from memory)
    raw = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}],"stream":%b}'
    quirks = PROVIDERS["vertex-anthropic"].quirks
    paths = [
        open_translation(
            parse(raw % flag, "anthropic", "chat"), "anthropic", "anthropic", "claude-x", quirks, created=1
        ).path
        for flag in (b"true", b"false")
    ]
    assert paths == ["/models/claude-x:streamRawPredict", "/models/claude-x:rawPredict"]


def test_a_stream_that_nobody_asked_for_is_read_as_a_plain_answer():
    translation = open_translation(ask("anthropic"), "anthropic", "openai", "up", Quirks(), created=1, answer_id="r")
    body = translation.gather(provider_stream("openai"))
    said = json.loads(translation.answer(body))
    assert [block["type"] for block in said["content"]] == ["text", "tool_use", "tool_use"]
    assert translation.read(body, []).usage == canonical.TokenUsage(
        input=10, output=5, cache_read=0, audio_in=0, reasoning=0, audio_out=0
    )
    cut = provider_stream("openai")[:200]
    assert (
        translation.gather(cut) == cut
        and translation.gather(b"{}") == b"{}"
        and translation.gather(b"data: x\n\n") == b"data: x\n\n"
    )
