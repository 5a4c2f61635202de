"""Responses: streams."""

import json

from switchgear.dialects import canonical
from switchgear.dialects.json_node import Node
from switchgear.dialects.responses import answers, requests, streams

NAMESPACE = {
    "type": "namespace",
    "name": "mcp__docs",
    "description": "d",
    "tools": [{"type": "function", "name": "search", "parameters": {"type": "object", "properties": {}}}],
}


def events(answer):
    encoder = streams.StreamEncoder("m", 1, True)
    out = b"".join(encoder.encode(event) for event in canonical.events_of(answer))
    return [json.loads(line[6:]) for line in out.decode().splitlines() if line.startswith("data: ")]


def test_codexs_freeform_tools_go_and_come_back():
    body = Node({"input": "x", "tools": [{"type": "custom", "name": "apply_patch", "description": "patch"}]})
    assert requests.client_tools(body).customs == {"apply_patch"}
    answer = canonical.Answer(
        id="1", parts=[canonical.ToolCall("c", "apply_patch", '{"input":"*** Begin"}')], finish="tool_calls"
    )
    item = answers.encode_answer(answer, "m", 1, requests.client_tools(body))["output"][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin")
    encoder = streams.StreamEncoder("m", 1, True, requests.client_tools(body))
    out = b"".join(encoder.encode(event) for event in canonical.events_of(answer))
    assert b"response.custom_tool_call_input.done" in out and b"function_call_arguments" not in out


def test_tools_of_a_namespace_are_flattened_and_their_calls_name_the_namespace():
    """openai-python, NamespaceToolParam and ResponseFunctionToolCallParam.namespace (read 2026-11-26)."""
    body = Node(
        {
            "input": [
                {"role": "user", "content": "x"},
                {
                    "type": "function_call",
                    "call_id": "a",
                    "name": "search",
                    "namespace": "mcp__docs",
                    "arguments": "{}",
                },
                {"type": "function_call_output", "call_id": "a", "output": "y"},
            ],
            "tools": [NAMESPACE],
        }
    )
    asked = requests.decode_request(body, "m", False)
    assert [tool.name for tool in asked.tools] == ["mcp__docs__search"] == [asked.messages[1].parts[0].name]
    tools = requests.client_tools(body)
    answer = canonical.Answer(id="1", parts=[canonical.ToolCall("c", "mcp__docs__search", "{}")], finish="tool_calls")
    item = answers.encode_answer(answer, "m", 1, tools)["output"][0]
    assert (item["name"], item["namespace"]) == ("search", "mcp__docs")
    encoder = streams.StreamEncoder("m", 1, True, tools)
    out = b"".join(encoder.encode(event) for event in canonical.events_of(answer)).decode()
    done = next(
        json.loads(line[6:]) for line in out.splitlines() if "output_item.done" in line and line.startswith("data")
    )
    assert (done["item"]["name"], done["item"]["namespace"]) == ("search", "mcp__docs")
    assert "mcp__docs__search" not in out


def test_a_streams_events_are_numbered_and_bracketed():
    found = events(
        canonical.Answer(
            id="1",
            parts=[canonical.Thinking("hm", "sig", maker="anthropic"), canonical.Text("x"), canonical.Refusal("no")],
        )
    )
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    kinds = [event["type"] for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == 3
    done = [event["item"]["id"] for event in found if event["type"] == "response.output_item.done"]
    added = [event["item"]["id"] for event in found if event["type"] == "response.output_item.added"]
    assert added == done and len(set(done)) == 3
    assert [item["id"] for item in found[-1]["response"]["output"]] == done


def test_an_answer_that_was_cut_off_is_incomplete():
    found = events(canonical.Answer(id="1", parts=[canonical.Text("x")], finish="length"))
    assert found[-1]["type"] == "response.incomplete"
    assert found[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def told(*events):
    decoder, collector = streams.StreamDecoder(), canonical.Collector()
    created = {"type": "response.created", "response": {"id": "r", "model": "m"}}
    ended = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (created, *events, ended))
    for event in decoder.feed(data) + decoder.finish():
        collector.add(event)
    return collector.answer


def item(place, kind="function_call", **more):
    return {"output_index": place, "item": {"type": kind, "id": f"i{place}", **more}}


def call(place, call_id, name, arguments=""):
    return item(place, call_id=call_id, name=name, arguments=arguments)


def test_items_that_only_their_last_event_tells_are_told():
    """Servers without deltas: openclaude#1259, langchain#37625."""
    added, done = "response.output_item.added", "response.output_item.done"
    found = told(
        {"type": done, **item(0, "reasoning", summary=[{"type": "summary_text", "text": "hm"}])},
        {"type": done, **item(1, "message", content=[{"type": "output_text", "text": "a"}])},
        {"type": added, **call(2, "c", "f")},
        {"type": done, **call(2, "c", "f", '{"x":1}')},
        {"type": done, **call(3, "d", "g", "{}")},
    )
    assert found.parts == [
        canonical.Thinking("hm"),
        canonical.Text("a"),
        canonical.ToolCall("c", "f", '{"x":1}'),
        canonical.ToolCall("d", "g", "{}"),
    ]
    assert found.finish == "tool_calls"


def test_items_that_were_told_in_pieces_are_not_told_twice():
    done = "response.output_item.done"
    found = told(
        {"type": "response.output_text.delta", "output_index": 0, "delta": "a"},
        {"type": done, **item(0, "message", content=[{"type": "output_text", "text": "a"}])},
    )
    assert found.parts == [canonical.Text("a")]


def test_calls_whose_pieces_alternate_stay_two():
    added, done, more = (
        "response.output_item.added",
        "response.output_item.done",
        "response.function_call_arguments.delta",
    )
    found = told(
        {"type": added, **call(0, "c", "f")},
        {"type": added, **call(1, "d", "g")},
        {"type": more, "output_index": 0, "delta": '{"x"'},
        {"type": more, "output_index": 1, "delta": '{"y"'},
        {"type": more, "output_index": 0, "delta": ":1}"},
        {"type": more, "output_index": 1, "delta": ":2}"},
        {"type": done, **call(1, "d", "g", '{"y":2}')},
        {"type": done, **call(0, "c", "f", '{"x":1}')},
    )
    assert found.parts == [canonical.ToolCall("c", "f", '{"x":1}'), canonical.ToolCall("d", "g", '{"y":2}')]
