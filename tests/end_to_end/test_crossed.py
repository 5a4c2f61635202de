"""One conversation and one answer, written by hand in every dialect, crossed between all of them without a server between.

What is expected comes from the hand-written JSON through readers that share no code with the product
(`switchgear.testing.twins.said`, `asked`); answers are added up by the official SDKs. The same at full size, over HTTP and from
recorded exchanges: `tests/end_to_end/crossings.py`.
"""

import copy
import itertools
import json

import pytest
from tests.testing.twins.test_asked import REQUESTS
from tests.testing.twins.test_said import ANSWERS

from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks
from switchgear.testing.twins import asked, judge, said, sdks, streaming
from switchgear.testing.twins.said import Call, Said, Tokens
from switchgear.testing.twins.streaming import Odd

MODELS = {
    "openai": "gpt-4o",
    "responses": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
}
PAIRS = list(itertools.permutations(MODELS, 2))


def with_two_calls(dialect):
    """The hand-written answer with a second call beside the first, and a longer text."""
    answer = copy.deepcopy(ANSWERS[dialect])
    second = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    text = "so it is 😀 and 你好"
    if dialect == "openai":
        answer |= {"id": "a1", "model": "m"}
        message = answer["choices"][0]["message"]
        message["content"] = text
        message["tool_calls"] = [*message["tool_calls"], second]
    elif dialect == "responses":
        answer |= {"id": "resp_1", "model": "m"}
        answer["output"][1]["content"][0]["text"] = text
        answer["output"].append({"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"})
    elif dialect == "anthropic":
        answer |= {"id": "msg_1", "type": "message", "model": "m"}
        answer["content"][1]["text"] = text
        answer["content"].append({"type": "tool_use", "id": "c2", "name": "g", "input": {}})
    elif dialect == "gemini":
        parts = answer["candidates"][0]["content"]["parts"]
        parts[1]["text"] = text
        parts.append({"functionCall": {"id": "c2", "name": "g", "args": {}}})
    elif dialect == "bedrock":
        content = answer["output"]["message"]["content"]
        content[0]["text"] = text
        content.append({"toolUse": {"toolUseId": "c2", "name": "g", "input": {}}})
    else:
        answer["id"] = "a1"
        answer["message"]["content"][0]["text"] = text
        answer["message"]["tool_calls"] = [*answer["message"]["tool_calls"], second]
    return answer


def ended(dialect, how):
    """A text alone that ended otherwise: at its limit, or by a filter; None where the dialect has no word for it."""
    words = {
        "openai": {"length": "length", "filter": "content_filter"},
        "responses": {"length": "max_output_tokens", "filter": "content_filter"},
        "anthropic": {"length": "max_tokens", "filter": "refusal"},
        "gemini": {"length": "MAX_TOKENS", "filter": "SAFETY"},
        "bedrock": {"length": "max_tokens", "filter": "content_filtered"},
        "cohere": {"length": "MAX_TOKENS"},
    }
    word = words[dialect].get(how)
    if word is None:
        return None
    answer = with_two_calls(dialect)
    if dialect == "openai":
        answer["choices"][0]["message"].pop("tool_calls")
        answer["choices"][0]["finish_reason"] = word
    elif dialect == "responses":
        answer |= {"output": answer["output"][:2], "status": "incomplete", "incomplete_details": {"reason": word}}
    elif dialect == "anthropic":
        answer |= {"content": answer["content"][:2], "stop_reason": word}
    elif dialect == "gemini":
        candidate = answer["candidates"][0]
        candidate["content"]["parts"], candidate["finishReason"] = candidate["content"]["parts"][:2], word
    elif dialect == "bedrock":
        answer["output"]["message"]["content"], answer["stopReason"] = answer["output"]["message"]["content"][:1], word
    else:
        answer["message"].pop("tool_calls")
        answer["finish_reason"] = word
    return answer


def translation_of(client, provider, stream=False, body=None):
    in_path = client in {"gemini", "bedrock"}
    sent = {**(body or REQUESTS[client]), **({} if in_path else {"model": "m", "stream": stream})}
    if client == "openai" and stream:
        sent["stream_options"] = {"include_usage": True}
    if client == "anthropic":
        sent["max_tokens"] = 100
    request = parse(json.dumps(sent).encode(), client, "chat", "m" if in_path else None, stream if in_path else None)
    return open_translation(request, client, provider, MODELS[provider], Quirks(), created=1, answer_id="sg1")


def wanted_of(client, provider, answer):
    """What the provider says, in as far as a client's dialect has words for it."""
    wanted = said.READERS[provider](answer)
    if client == "cohere":
        finish = "stop" if wanted.finish == "filter" else wanted.finish
        wanted = wanted._replace(finish=finish, tokens=wanted.tokens._replace(cached=0))
    return wanted


def answers_of(provider):
    return [one for one in (with_two_calls(provider), ended(provider, "length"), ended(provider, "filter")) if one]


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_plain_answer_says_the_same_to_every_client(client, provider):
    for answer in answers_of(provider):
        translation = translation_of(client, provider)
        body = json.dumps(answer).encode()
        found = said.READERS[client](sdks.read(client, translation.answer(body), False))
        assert found == wanted_of(client, provider, answer)
        booked, tokens = translation.read(body, []).usage, said.READERS[provider](answer).tokens
        assert (booked.input_total, booked.output_total, booked.cached_total) == tokens


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_stream_says_the_same_to_every_client_however_it_is_cut(client, provider):
    for answer, size in itertools.product(answers_of(provider), (7, 100_000)):
        translation = translation_of(client, provider, stream=True)
        data = b"".join(streaming.WRITERS[provider](answer, streaming.PLAIN, True))
        tap = translation.tap()
        out = b"".join(tap.feed(data[at : at + size]) for at in range(0, len(data), size)) + tap.finish()
        found = said.READERS[client](sdks.read(client, out, True))
        assert found == wanted_of(client, provider, answer)
        usage, tokens = tap.metadata.usage, said.READERS[provider](answer).tokens
        assert (usage.input_total, usage.output_total, usage.cached_total) == tokens and tap.is_clean


@pytest.mark.parametrize("client", [name for name in MODELS if name != "openai"])
@pytest.mark.parametrize(
    "odd",
    [
        Odd(alternating=True),
        Odd(index_zero=True),
        Odd(no_done=True, no_arguments=True),
        Odd(half_surrogates=True, number_id=True),
        Odd(usage_in_last=True),
    ],
    ids=("alternating", "index 0", "no [DONE]", "halves", "usage last"),
)
def test_an_odd_stream_of_a_compatible_server_says_the_same(client, odd):
    answer = with_two_calls("openai")
    translation = translation_of(client, "openai", stream=True)
    tap = translation.tap()
    out = tap.feed(b"".join(streaming.openai(answer, odd))) + tap.finish()
    assert said.READERS[client](sdks.read(client, out, True)) == wanted_of(client, "openai", answer)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", ["openai", "responses", "cohere"])
@pytest.mark.parametrize("provider", MODELS)
def test_arguments_are_never_an_empty_text(client, provider, stream):
    if client == provider:
        pytest.skip("the same dialect passes as it is")
    translation = translation_of(client, provider, stream)
    if stream:
        tap, odd = translation.tap(), Odd(no_arguments=True)
        data = tap.feed(b"".join(streaming.WRITERS[provider](with_two_calls(provider), odd, True))) + tap.finish()
    else:
        data = translation.answer(json.dumps(with_two_calls(provider)).encode())
    whole = sdks.read(client, data, stream)
    if client == "responses":
        texts = [item["arguments"] for item in whole["output"] if item["type"] == "function_call"]
    else:
        message = whole["message"] if client == "cohere" else whole["choices"][0]["message"]
        texts = [call["function"]["arguments"] for call in message["tool_calls"]]
    assert [json.loads(text) for text in texts] == [{"a": 1}, {}]


@pytest.mark.parametrize("stream", [False, True])
def test_who_calls_a_tool_and_says_stop_has_called_a_tool(stream):
    answer = with_two_calls("openai")
    answer["choices"][0]["finish_reason"] = "stop"
    translation = translation_of("anthropic", "openai", stream)
    if stream:
        tap = translation.tap()
        data = tap.feed(b"".join(streaming.openai(answer))) + tap.finish()
    else:
        data = translation.answer(json.dumps(answer).encode())
    assert sdks.read("anthropic", data, stream)["stop_reason"] == "tool_use"


def test_calls_without_ids_get_some_that_differ():
    translation = translation_of("anthropic", "openai", stream=True)
    tap = translation.tap()
    out = tap.feed(b"".join(streaming.openai(with_two_calls("openai"), Odd(no_call_ids=True)))) + tap.finish()
    ids = [call.id for call in said.anthropic(sdks.read("anthropic", out, True)).calls]
    assert len(ids) == len(set(ids)) == 2 and all(ids)


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_request_asks_the_same_of_every_provider_and_is_taken(client, provider):
    body = translation_of(client, provider).body
    assert judge(provider, MODELS[provider], body) is None
    theirs, ours = asked.READERS[provider](json.loads(body)), asked.READERS[client](REQUESTS[client])
    assert theirs._replace(texts=()) == ours._replace(texts=())
    assert set(ours.texts) <= set("\n".join(theirs.texts).split("\n"))


FAILED = {
    "anthropic": {"type": "tool_result", "tool_use_id": "c1", "content": "no such file", "is_error": True},
    "bedrock": {"toolUseId": "c1", "content": [{"text": "no such file"}], "status": "error"},
}


@pytest.mark.parametrize(("client", "provider"), [("anthropic", "bedrock"), ("bedrock", "anthropic")])
def test_a_tool_that_failed_has_failed_there_too(client, provider):
    body = copy.deepcopy(REQUESTS[client])
    block = FAILED[client] if client == "anthropic" else {"toolResult": FAILED[client]}
    body["messages"][2]["content"] = [block]
    sent = json.loads(translation_of(client, provider, body=body).body)
    found = sent["messages"][2]["content"][0]
    assert found["is_error"] is True if provider == "anthropic" else found["toolResult"]["status"] == "error"


def test_this_answer_is_what_its_readers_say():
    for dialect in MODELS:
        cached = 0 if dialect == "cohere" else 4
        wanted = Said(
            "so it is 😀 and 你好", (Call("c1", "f", {"a": 1}), Call("c2", "g", {})), "tools", Tokens(10, 5, cached)
        )
        assert said.READERS[dialect](with_two_calls(dialect)) == wanted
