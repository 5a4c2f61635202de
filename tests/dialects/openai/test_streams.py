"""Openai: streams."""

import json

import pytest

from switchgear.core.errors import ProtocolError
from switchgear.dialects import canonical
from switchgear.dialects.openai import streams
from switchgear.testing.twins import sdks


def collect(*chunks, done=True):
    decoder, collector = streams.StreamDecoder(), canonical.Collector()
    data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + (
        b"data: [DONE]\n\n" if done else b""
    )
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    return collector


def delta(finish=None, **fields):
    return {"id": "1", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def test_thinking_comes_in_many_spellings():
    for fields in (
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    ):
        found = collect(delta(**fields), delta(content="yes"), delta("stop"))
        assert [type(part).__name__ for part in found.answer.parts] == ["Thinking", "Text"]
        assert found.answer.parts[0].text == "hm"


def test_tool_calls_in_pieces_whole_and_without_an_index():
    pieces = [
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x":'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]),
        delta("tool_calls"),
    ]
    assert [(p.id, p.arguments) for p in collect(*pieces).answer.parts] == [("a", '{"x":1}'), ("b", "{}")]
    whole = delta(
        tool_calls=[
            {"id": "a", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "function": {"name": "g", "arguments": "{}"}},
        ]
    )
    assert [p.name for p in collect(whole, delta("tool_calls")).answer.parts] == ["f", "g"]


def test_pieces_of_two_calls_that_alternate_become_two_whole_calls():
    """praxis-proxy/ai#266, Qwen-Agent#943: nothing says that the pieces of one call come together."""
    found = collect(
        delta(
            tool_calls=[
                {"index": 0, "id": "a", "function": {"name": "f"}},
                {"index": 1, "id": "b", "function": {"name": "g"}},
            ]
        ),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": '{"y"'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
        delta(tool_calls=[{"index": 1, "function": {"arguments": ":2}"}}]),
        delta("tool_calls"),
    )
    assert [(p.id, p.name, p.arguments) for p in found.answer.parts] == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_two_calls_of_index_0_with_their_own_ids_are_two_calls():
    """vercel/ai#14277, litellm#33678: Ollama and others say index 0 for every call."""
    found = collect(
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
        delta(tool_calls=[{"index": 0, "id": "b", "function": {"name": "g", "arguments": '{"y":2}'}}]),
        delta("tool_calls"),
    )
    assert [(p.id, p.name, p.arguments) for p in found.answer.parts] == [("a", "f", "{}"), ("b", "g", '{"y":2}')]


def test_a_call_whose_name_comes_behind_its_id_and_arguments_is_told_with_its_name():
    """vercel/ai#14722, with the pieces; bitrouter#577: DeepSeek and Kimi behind some hosts."""
    found = collect(
        delta(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"arguments": '{"command":'}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": None, "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"name": "bash", "arguments": ' "ls'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": ' -la"}'}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "look", "arguments": "{}"}}]),
        delta("tool_calls"),
    )
    assert [(p.id, p.name, p.arguments) for p in found.answer.parts] == [
        ("a", "bash", '{"command": "ls -la"}'),
        ("b", "look", "{}"),
    ]


def test_a_streamed_call_without_arguments_has_an_empty_object():
    found = collect(
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]), delta("tool_calls")
    )
    assert [p.arguments for p in found.answer.parts] == ["{}"]


def test_a_piece_after_the_end_of_its_call_is_a_protocol_error():
    with pytest.raises(ProtocolError, match="complete"):
        collect(
            delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
            delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]),
        )


def test_an_error_event_ends_the_decoded_stream():
    found = collect({"error": {"message": "too much", "type": "rate_limit"}}, delta(content="never"))
    assert found.failed.message == "too much" and not found.is_ended


def test_a_missing_done_is_forgiven_after_a_finish_reason_only():
    assert collect(delta(content="x"), delta("stop"), done=False).is_ended
    assert not collect(delta(content="x"), done=False).is_ended


def test_usage_may_come_in_groqs_place():
    found = collect(
        delta(content="x"), delta("stop") | {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}}
    )
    assert found.answer.usage.input == 3


def test_usage_may_come_in_moonshots_place():
    used = {"prompt_tokens": 3, "completion_tokens": 4}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": used}]}
    assert collect(delta(content="x"), last).answer.usage.input == 3


def test_two_signed_thoughts_in_a_stream_are_added_up_by_the_sdk():
    encoder = streams.StreamEncoder("m", 1, True)
    sequence = canonical.Sequence()
    for signature in ("one", "two"):
        sequence.text("thinking", "hm")
        sequence.sign(signature, None, "anthropic")
        sequence.close()
    sequence.text("text", "hi")
    sequence.close()
    events = [canonical.Begin("a", "m"), *sequence.take(), canonical.End("stop", None)]
    data = b"".join(encoder.encode(event) for event in events)
    message = sdks.read("openai", data, True)["choices"][0]["message"]
    assert [detail["signature"] for detail in message["reasoning_details"]] == ["one", "two"]
    assert message["content"] == "hi"


def piece(index, call_id=None, name=None, arguments=None):
    function = {"name": name, "arguments": arguments}
    return {
        "index": index,
        "id": call_id,
        "function": {key: value for key, value in function.items() if value is not None},
    }


def test_a_piece_with_another_id_but_no_name_belongs_to_its_index():
    """vLLM's servers were seen to give each piece an id of its own."""
    found = collect(
        delta(tool_calls=[piece(0, "a", "f", '{"x"')]),
        delta(tool_calls=[piece(0, "b", None, ":1}")]),
        delta("tool_calls"),
    )
    assert found.answer.parts == [canonical.ToolCall("a", "f", '{"x":1}')]


def test_arguments_may_be_the_object_itself_and_a_call_an_old_function_call():
    found = collect(delta(tool_calls=[piece(0, "a", "f", {"x": 1})]), delta("tool_calls"))
    assert json.loads(found.answer.parts[0].arguments) == {"x": 1}
    found = collect(
        delta(function_call={"name": "f", "arguments": '{"x"'}),
        delta(function_call={"arguments": ":1}"}),
        delta("function_call"),
    )
    assert found.answer.parts == [canonical.ToolCall("", "f", '{"x":1}')] and found.answer.finish == "tool_calls"


def test_an_empty_finish_reason_is_none():
    assert collect(delta("", content="a"), delta("length", content="b")).answer.finish == "length"
    assert not collect(delta("", content="a"), done=False).is_ended


@pytest.mark.parametrize("reason", ["error", "network_error", "insufficient_system_resource"])
def test_an_answer_that_broke_off_is_no_success(reason):
    """OpenRouter, "Errors": mid-stream; DeepSeek and Zhipu, `finish_reason`."""
    found = collect(delta(content="a"), delta(reason))
    assert found.failed is not None and reason in found.failed.message and not found.is_ended
    chunk = delta("error")
    chunk["choices"][0]["error"] = {"code": 502, "message": "upstream died"}
    assert collect(chunk).failed.message == "upstream died"


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_tokens", "length"), ("sensitive", "content_filter"), ("new", "stop")]
)
def test_other_words_for_an_end(reason, finish):
    assert collect(delta(content="a"), delta(reason)).answer.finish == finish


def test_a_character_that_is_cut_between_chunks_is_whole():
    decoder, collector = streams.StreamDecoder(), canonical.Collector()
    first = b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n'
    second = b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00b"}}]}\n\ndata: [DONE]\n\n'
    for event in decoder.feed(first) + decoder.feed(second) + decoder.finish():
        collector.add(event)
    assert collector.answer.parts == [canonical.Text("a\U0001f600b")]


def test_further_choices_are_not_mixed_in():
    second = {"choices": [{"index": 1, "delta": {"content": "Z"}}]}
    both = {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "Z"}}]}
    assert collect(both, second, delta("stop")).answer.parts == [canonical.Text("a")]
