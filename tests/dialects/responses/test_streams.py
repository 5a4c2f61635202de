"""Responses: streams."""

import json

from openai.types.responses import ResponseOutputItem, ResponseStreamEvent
from pydantic import TypeAdapter

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


# what Codex sends where it keeps tools back: core/src/tools of openai/codex and openai-python's types (read 2026-11-27)
SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "Find tools.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}
SEARCHED = [
    {"role": "user", "content": "x"},
    {
        "type": "tool_search_call",
        "call_id": "a",
        "execution": "client",
        "status": "completed",
        "arguments": {"query": "docs", "limit": 5},
    },
    {
        "type": "tool_search_output",
        "call_id": "a",
        "execution": "client",
        "status": "completed",
        "tools": [NAMESPACE],
    },
]


def test_a_search_for_tools_is_a_function_and_its_call_goes_back_as_a_search():
    body = Node({"input": "x", "tools": [SEARCH]})
    asked = requests.decode_request(body, "m", False)
    assert [(tool.name, json.loads(bytes(tool.schema))) for tool in asked.tools] == [
        ("tool_search", SEARCH["parameters"])
    ]
    tools = requests.client_tools(body)
    call = canonical.ToolCall("c", "tool_search", '{"query":"docs"}')
    answer = canonical.Answer(id="1", parts=[call], finish="tool_calls")
    whole = answers.encode_answer(answer, "m", 1, tools)
    encoder = streams.StreamEncoder("m", 1, True, tools)
    out = b"".join(encoder.encode(event) for event in canonical.events_of(answer)).decode()
    sent = [json.loads(line[6:]) for line in out.splitlines() if line.startswith("data: ")]
    done = next(event["item"] for event in sent if event["type"] == "response.output_item.done")
    assert not any("function_call_arguments" in event["type"] for event in sent)
    for event in sent:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    for item in (whole["output"][0], done, sent[-1]["response"]["output"][0]):
        read = TypeAdapter(ResponseOutputItem).validate_python(item)
        assert (read.type, read.call_id, read.execution) == ("tool_search_call", "c", "client")
        assert read.arguments == {"query": "docs"}


def test_tools_that_a_search_found_are_listed_and_their_calls_name_the_namespace():
    body = Node({"input": SEARCHED, "tools": [SEARCH]})
    asked = requests.decode_request(body, "m", False)
    assert [tool.name for tool in asked.tools] == ["tool_search", "mcp__docs__search"] and not asked.dropped
    call, result = asked.messages[1].parts[0], asked.messages[2].parts[0]
    assert (call.id, call.name, json.loads(call.arguments)) == ("a", "tool_search", {"query": "docs", "limit": 5})
    assert result.call_id == "a" and "mcp__docs__search" in result.content[0].text
    assert requests.client_tools(body).spaces == {"mcp__docs__search": ("mcp__docs", "search")}


def test_a_search_that_openai_runs_itself_is_dropped():
    tools = [{"type": "tool_search"}, {"type": "function", "name": "f", "parameters": {}}]
    asked = requests.decode_request(Node({"input": "x", "tools": tools}), "m", False)
    assert [tool.name for tool in asked.tools] == ["f"] and asked.dropped == ["tools[0] (tool_search)"]


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
