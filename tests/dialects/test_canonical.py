"""The canonical types: what goes in comes out, in every dialect."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical
from switchgear.dialects.json_node import Node
from switchgear.dialects.registry import BY_NAME
from switchgear.providers.quirks import Quirks

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    str.strip
)
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
values = st.dictionaries(
    ids, st.one_of(words, st.integers(-9, 9), st.booleans(), st.lists(words, max_size=2)), max_size=2
)
calls = st.builds(lambda i, n, a: canonical.ToolCall(i, n, json.dumps(a)), ids, ids, values)


@st.composite
def conversations(draw):
    """Turns that alternate, each call answered in the next turn, as every provider demands."""
    messages = [canonical.Message("user", [canonical.Text(draw(words))])]
    for _ in range(draw(st.integers(0, 2))):
        made = draw(st.lists(calls, max_size=2, unique_by=lambda call: call.id))
        said = [canonical.Text(text) for text in draw(st.lists(words, min_size=0 if made else 1, max_size=1))]
        messages.append(canonical.Message("assistant", [*said, *made]))
        results = [canonical.ToolResult(call.id, [canonical.Text(draw(words))], call.name) for call in made]
        messages.append(canonical.Message("user", [*results, *([canonical.Text(draw(words))] if not results else [])]))
    return messages


requests = st.builds(
    canonical.Request,
    model=st.just("m"),
    system=st.lists(st.builds(canonical.Text, words), max_size=1),
    messages=conversations(),
    tools=st.lists(st.builds(canonical.Tool, ids, words), max_size=2, unique_by=lambda tool: tool.name),
    max_tokens=st.one_of(st.none(), st.integers(100, 9_000)),
    temperature=st.one_of(st.none(), st.floats(0, 1)),
    top_p=st.one_of(st.none(), st.floats(0, 1)),
)


def meaning(request):
    """What must survive: who said what, which tools were called with what, and the limits."""
    turns = []
    for message in request.messages:
        said = [part.text for part in message.parts if isinstance(part, canonical.Text)]
        made = [(p.id, p.name, json.loads(p.arguments)) for p in message.parts if isinstance(p, canonical.ToolCall)]
        answered = [
            (p.call_id, canonical.text_of(p.content)) for p in message.parts if isinstance(p, canonical.ToolResult)
        ]
        turns.append((message.role, "".join(said), made, answered))
    tools = [(tool.name, tool.description) for tool in request.tools]
    return [text.text for text in request.system], turns, tools, request.temperature, request.top_p


@pytest.mark.parametrize("dialect", BY_NAME)
@given(request=requests)
def test_a_request_keeps_its_meaning_through_a_dialect(dialect, request):
    translator = BY_NAME[dialect].translator
    before = meaning(request)
    model = "gemini-3-pro" if dialect == "gemini" else "m"  # older ones know no ids of calls
    body = json.loads(msgspec.json.encode(translator.encode_request(request, model, Quirks())))
    after = translator.decode_request(Node(body), "m", False)
    assert meaning(after) == before
    if request.max_tokens is not None:
        assert after.max_tokens == request.max_tokens


answers = st.builds(
    canonical.Answer,
    id=ids,
    model=st.just("m"),
    parts=st.tuples(st.lists(st.builds(canonical.Text, words), max_size=1), st.lists(calls, max_size=2)).map(
        lambda pair: [*pair[0], *pair[1]]
    ),
    usage=st.builds(TokenUsage, input=st.integers(0, 1000), output=st.integers(0, 1000)),
).map(
    lambda a: msgspec.structs.replace(
        a, finish="tool_calls" if any(isinstance(p, canonical.ToolCall) for p in a.parts) else "stop"
    )
)


def gist(answer):
    texts = "".join(part.text for part in answer.parts if isinstance(part, canonical.Text))
    made = [(p.id, p.name, json.loads(p.arguments or "{}")) for p in answer.parts if isinstance(p, canonical.ToolCall)]
    return texts, made, answer.finish, answer.usage.input_total, answer.usage.output_total


@pytest.mark.parametrize("dialect", BY_NAME)
@given(answer=answers)
def test_an_answer_keeps_its_meaning_whole_and_streamed(dialect, answer):
    translator = BY_NAME[dialect].translator
    body = json.loads(msgspec.json.encode(translator.encode_answer(answer, "m", 1)))
    assert gist(translator.decode_answer(Node(body))) == gist(answer)
    encoder, decoder, collector = translator.encoder("m", 1, True), translator.decoder(), canonical.Collector()
    stream = b"".join(encoder.encode(event) for event in canonical.events_of(answer))
    for at in range(0, len(stream), 13):
        for event in decoder.feed(stream[at : at + 13]):
            collector.add(event)
    for event in decoder.finish():
        collector.add(event)
    assert collector.is_ended and gist(collector.answer) == gist(answer)


@pytest.mark.parametrize("dialect", BY_NAME)
@given(data=st.binary(max_size=200))
def test_garbage_in_a_stream_is_a_typed_error(dialect, data):
    from switchgear.core.errors import ProtocolError

    decoder = BY_NAME[dialect].translator.decoder()
    try:
        events = decoder.feed(data) + decoder.finish()
    except ProtocolError:
        return
    assert not any(isinstance(event, canonical.End) for event in events)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "content",
                    "role",
                    "parts",
                    "contents",
                    "tools",
                    "type",
                    "text",
                    "input",
                    "function",
                    "name",
                    "toolConfig",
                    "source",
                    "user",
                    "assistant",
                    "choices",
                    "message",
                    "output",
                    "usage",
                    "delta",
                    "candidates",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("dialect", BY_NAME)
@given(
    value=st.dictionaries(
        st.sampled_from(
            [
                "messages",
                "contents",
                "input",
                "system",
                "tools",
                "output",
                "choices",
                "content",
                "message",
                "candidates",
                "usage",
                "tool_choice",
                "toolConfig",
                "response_format",
                "thinking",
            ]
        ),
        json_values,
        max_size=5,
    )
)
def test_json_of_the_wrong_shape_names_its_field(dialect, value):
    from switchgear.dialects.json_node import InvalidBodyError

    translator = BY_NAME[dialect].translator
    for read in (lambda node: translator.decode_request(node, "m", False), translator.decode_answer):
        try:
            read(Node(value))
        except InvalidBodyError as exc:
            assert str(exc)


def test_signatures_are_told_apart_by_their_maker():
    packed = canonical.pack_signature("a.b.c", "gemini", "anthropic")
    assert canonical.unpack_signature(packed, "anthropic") == ("a.b.c", "gemini")
    assert canonical.unpack_signature(canonical.pack_signature("own", "anthropic", "anthropic"), "anthropic") == (
        "own",
        "anthropic",
    )
    assert canonical.unpack_signature("", "anthropic") == (None, None)


def test_a_detached_signature_of_a_call_can_be_attached_again():
    signed = [canonical.Text("x"), canonical.ToolCall("1", "f", "{}", "sig")]
    assert canonical.attach_signatures(canonical.detach_signatures(signed)) == signed


@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic", "bedrock"])
def test_geminis_signature_comes_back_through_a_client(dialect):
    """What a Gemini model signed reaches it again, through a client that knows nothing of it."""
    translator = BY_NAME[dialect].translator
    answer = canonical.Answer(id="1", parts=[canonical.ToolCall("c1", "f", "{}", "sig")], finish="tool_calls")
    said = json.loads(msgspec.json.encode(translator.encode_answer(answer, "m", 1)))
    if dialect == "openai":
        body = {"messages": [said["choices"][0]["message"]]}
    elif dialect == "responses":
        body = {"input": said["output"]}
    elif dialect == "anthropic":
        body = {"messages": [{"role": "assistant", "content": said["content"]}]}
    else:
        body = {"messages": [said["output"]["message"]]}
    request = translator.decode_request(Node(body), "m", False)
    sent = BY_NAME["gemini"].translator.encode_request(request, "gemini-3-pro", Quirks())
    assert [part.get("thoughtSignature") for part in sent["contents"][0]["parts"]] == ["sig"]


PROBED = [
    {"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105]}]}
]  # fmt: skip


def probed_stream(dialect):
    """A provider's stream of one word with its log probabilities."""
    if dialect == "openai":
        logprobs = {"content": PROBED, "refusal": None}
        chunk = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs}]}
        end = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        return b"".join(b"data: %b\n\n" % json.dumps(e).encode() for e in (chunk, end)) + b"data: [DONE]\n\n"
    if dialect == "responses":
        events = (
            {"type": "response.created", "response": {"id": "resp_1", "model": "m"}},
            {"type": "response.output_text.delta", "delta": "Hi", "logprobs": PROBED},
            {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}},
        )
        return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)
    result = {
        "chosenCandidates": [{"token": "Hi", "logProbability": -0.25}],
        "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.25}]}],
    }
    candidate = {"content": {"parts": [{"text": "Hi"}]}, "logprobsResult": result, "finishReason": "STOP"}
    return b"data: %b\r\n\r\n" % json.dumps({"candidates": [candidate], "responseId": "r"}).encode()


@pytest.mark.parametrize("provider", ["openai", "responses", "gemini"])
@pytest.mark.parametrize("client", ["openai", "responses", "gemini", "anthropic", "cohere"])
def test_log_probabilities_cross_in_streams_where_a_dialect_has_them(provider, client):
    decoder = BY_NAME[provider].translator.decoder()
    events = decoder.feed(probed_stream(provider)) + decoder.finish()
    encoder = BY_NAME[client].translator.encoder("m", 1, True)
    out = b"".join(encoder.encode(event) for event in events)
    if client not in {"openai", "responses", "gemini"}:
        assert b"ogprob" not in out
        return
    again = BY_NAME[client].translator.decoder()
    deltas = [e for e in again.feed(out) + again.finish() if isinstance(e, canonical.Delta) and e.text == "Hi"]
    assert json.loads(bytes(deltas[0].logprobs)) == PROBED


@pytest.mark.parametrize("logprobs", [b"7", b"{}", b'[{"token":1}]', b'["x"]', b"[]", b'[{"token":"a","logprob":"b"}]'])
def test_log_probabilities_of_another_shape_are_left_out(logprobs):
    text = b'data: {"id":"c","choices":[{"delta":{"content":"Hi"},"logprobs":{"content":%b}}]}\n\n' % logprobs
    decoder = BY_NAME["openai"].translator.decoder()
    [delta] = [event for event in decoder.feed(text) if isinstance(event, canonical.Delta)]
    assert delta == canonical.Delta(0, "Hi")
