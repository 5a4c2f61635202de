"""What the scripted providers write is what the official SDKs read; what they read is what was said."""

import io
import json

import pytest
from tests.clients.answers import WRITERS, Call, Turn
from tests.clients.conversation import READERS
from tests.clients.script import BrokenError, decide

TURN = Turn(
    "I look.", (Call("run_shell", {"command": "echo a"}), Call("run_shell", {"command": "echo b"})), "Hm.", "c2ln"
)


def of_chat(plain, stream):
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    message = ChatCompletion.model_validate_json(plain).choices[0].message
    calls: dict[int, str] = {}
    text = ""
    for event in events(stream):
        chunk = ChatCompletionChunk.model_validate(event)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                calls[call.index] = calls.get(call.index, "") + call.function.arguments
    yield message.content, [json.loads(call.function.arguments) for call in message.tool_calls]
    yield text, [json.loads(call) for call in calls.values()]


def of_responses(plain, stream):
    from openai.types.responses import Response, ResponseStreamEvent
    from pydantic import TypeAdapter

    whole = Response.model_validate_json(plain)
    read = [TypeAdapter(ResponseStreamEvent).validate_python(event) for event in events(stream)]
    for answer in (whole, read[-1].response):
        yield answer.output_text, [json.loads(one.arguments) for one in answer.output if one.type == "function_call"]


def of_anthropic(plain, stream):
    from anthropic import NOT_GIVEN
    from anthropic.lib.streaming._messages import accumulate_event
    from anthropic.types import Message, RawMessageStreamEvent
    from pydantic import TypeAdapter

    message, buffers = None, {}
    for event in events(stream):
        read = TypeAdapter(RawMessageStreamEvent).validate_python(event)
        message = accumulate_event(event=read, current_snapshot=message, output_format=NOT_GIVEN, json_bufs=buffers)
    for answer in (Message.model_validate_json(plain), message):
        text = "".join(block.text for block in answer.content if block.type == "text")
        yield text, [block.input for block in answer.content if block.type == "tool_use"]


def of_gemini(plain, stream):
    from google.genai.types import GenerateContentResponse

    for answers in ([json.loads(plain)], events(stream)):
        read = [GenerateContentResponse.model_validate(answer) for answer in answers]
        parts = [part for answer in read for part in answer.candidates[0].content.parts]
        yield (
            "".join(part.text or "" for part in parts),
            [part.function_call.args for part in parts if part.function_call],
        )


def of_bedrock(plain, stream):
    from botocore.eventstream import EventStreamBuffer

    content = json.loads(plain)["output"]["message"]["content"]
    yield (
        "".join(one.get("text", "") for one in content),
        [one["toolUse"]["input"] for one in content if "toolUse" in one],
    )
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    calls: dict[int, str] = {}
    text = ""
    for message in buffer:
        value = json.load(io.BytesIO(message.payload))
        delta = value.get("delta") or {}
        text += delta.get("text", "")
        if "toolUse" in delta:
            at = value["contentBlockIndex"]
            calls[at] = calls.get(at, "") + delta["toolUse"]["input"]
    yield text, [json.loads(call) for call in calls.values()]


def events(stream):
    lines = [line[6:] for line in stream.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


SDKS = {
    "openai": of_chat,
    "responses": of_responses,
    "anthropic": of_anthropic,
    "gemini": of_gemini,
    "bedrock": of_bedrock,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dialect", WRITERS)
def test_an_answer_plain_and_streamed_is_read_by_its_sdk(dialect):
    plain, _ = WRITERS[dialect](TURN, "m", False, {})
    stream, kind = WRITERS[dialect](TURN, "m", True, {})
    assert kind
    for text, calls in SDKS[dialect](plain, stream):
        assert text == "I look." and calls == [{"command": "echo a"}, {"command": "echo b"}]


def chat_of(*messages):
    tools = [{"type": "function", "function": {"name": "run_shell", "parameters": {"properties": {"command": {}}}}}]
    return READERS["openai"]("m", {"messages": list(messages), "tools": tools}, False)


def call(made, word):
    return {
        "id": made,
        "type": "function",
        "function": {"name": "run_shell", "arguments": f'{{"command": "echo {word}"}}'},
    }


ASKED = {"role": "user", "content": "[[loop]] go"}


def test_a_loop_calls_once_then_twice_at_once_then_ends():
    history = [ASKED]
    lengths = []
    for count in range(3):
        turn = decide(chat_of(*history)).turn
        lengths.append(len(turn.calls))
        words = [one.arguments["command"].removeprefix("echo ") for one in turn.calls]
        calls = [call(f"c{count}{word}", word) for word in words]
        history.append({"role": "assistant", "content": turn.text, "tool_calls": calls})
        history += [{"role": "tool", "tool_call_id": f"c{count}{word}", "content": f"said {word}"} for word in words]
    assert lengths == [1, 2, 0] and "finished" in history[-1]["content"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "tool_calls": [call("a", "alpha-71")]}],
        [
            {"role": "assistant", "tool_calls": [call("a", "alpha-71")]},
            {"role": "tool", "tool_call_id": "b", "content": "alpha-71"},
        ],
        [
            {"role": "assistant", "tool_calls": [call("a", "alpha-71")]},
            {"role": "tool", "tool_call_id": "a", "content": ""},
        ],
        [
            {"role": "assistant", "tool_calls": [call("a", "alpha-71"), call("a", "beta-72")]},
            {"role": "tool", "tool_call_id": "a", "content": "alpha-71"},
            {"role": "tool", "tool_call_id": "a", "content": "beta-72"},
        ],
    ],
    ids=["no result", "a result of another call", "an empty result", "one id for two calls"],
)
def test_a_history_that_lost_something_is_refused(messages):
    with pytest.raises(BrokenError):
        decide(chat_of(ASKED, *messages))
