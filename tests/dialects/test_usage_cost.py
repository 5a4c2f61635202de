"""`x-switchgear-include: cost`: the final usage gains the cost, and nothing else changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import usage_cost
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.usage_cost import cost_injector as injector_of

CHAT = (
    b'data: {"id":"1","choices":[{"delta":{"content":"the usage"}}]}\n\n'
    b": ping\n\n"
    b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
    b"data: [DONE]\n\n"
)
MESSAGES = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3}}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"usage"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":4}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
RESPONSES = (
    b'event: response.created\ndata: {"type":"response.created","response":{"usage":null}}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":3}}}\n\n'
)
GEMINI = (
    b'data: {"candidates":[1],"usageMetadata":{"promptTokenCount":3}}\r\n\r\n'
    b'data: {"candidates":[2],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":9}}\r\n\r\n'
)
COHERE = (
    b'event: message-end\ndata: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"tokens":{}}}}\n\n'
)
STREAMS = {"openai": CHAT, "anthropic": MESSAGES, "responses": RESPONSES, "gemini": GEMINI, "cohere": COHERE}


@pytest.mark.parametrize("dialect", BY_NAME)
def test_a_plain_answer_gains_its_cost_and_nothing_else_changes(dialect):
    [name] = BY_NAME[dialect].usage_at
    body = json.dumps({"id": "x", name: {"a": 1}, "z": [1.50]}).encode()
    found = json.loads(usage_cost.add(body, BY_NAME[dialect].usage_at, 1_500_000), parse_float=str)
    assert found == {"id": "x", name: {"a": 1, "cost": "0.0015"}, "z": ["1.5"]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"usage":null}', b'{"usage":[]}', b"<html>", b'{"other":{}}'])
def test_an_answer_without_usage_stays_as_it_is(body):
    assert usage_cost.add(body, ("usage",), 5) == body


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("cost", [0, 1, 1_234_567_890, None])
def test_a_stream_gains_it_wherever_it_is_cut(dialect, cost):
    stream = STREAMS[dialect]
    for cut in range(len(stream) + 1):
        cost_injector = injector_of(BY_NAME[dialect], False)
        out = cost_injector.feed(stream[:cut]) + cost_injector.feed(stream[cut:]) + cost_injector.finish(cost)
        if cost is None:
            assert out == stream
        else:
            assert out.count(b'"cost":') == 1
            without = out.replace(b"\r\n", b"\n").replace(b',"cost":' + usage_cost._decimal(cost), b"")
            without = without.replace(b'{"cost":' + usage_cost._decimal(cost) + b"}", b"{}")
            assert without == stream.replace(b"\r\n", b"\n")


def test_what_comes_before_the_last_usage_does_not_wait():
    cost_injector = injector_of(BY_NAME["anthropic"], False)
    head = MESSAGES[: MESSAGES.index(b"event: message_delta")]
    assert cost_injector.feed(head) == head
    first, second, _ = GEMINI.split(b"\r\n\r\n")
    cost_injector = injector_of(BY_NAME["gemini"], False)
    assert cost_injector.feed(first + b"\r\n\r\n") == b""
    assert cost_injector.feed(second + b"\r\n\r\n") == first + b"\r\n\r\n"


@given(st.binary(max_size=400))
def test_any_bytes_pass_unchanged_without_a_cost(data):
    cost_injector = injector_of(BY_NAME["openai"], False)
    assert cost_injector.feed(data) + cost_injector.finish(None) == data


def test_binary_streams_and_arrays_are_left_alone():
    assert usage_cost.cost_injector(BY_NAME["bedrock"], False) is None
    assert usage_cost.cost_injector(BY_NAME["gemini"], True) is None
    assert usage_cost.cost_injector(BY_NAME["gemini"], False) is not None


def test_a_provider_that_goes_on_for_ever_after_its_usage_is_not_held_back_for_ever():
    cost_injector = injector_of(BY_NAME["openai"], False)
    usage = b'data: {"usage":{"prompt_tokens":1}}\n\n'
    more = b"data: %b\n\n" % (b"x" * 1_000)
    out = cost_injector.feed(usage) + b"".join(cost_injector.feed(more) for _ in range(200))
    assert out.startswith(usage) and len(out) > 100_000
    assert out + cost_injector.finish(5) == usage + more * 200
