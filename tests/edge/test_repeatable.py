"""Which requests may be asked twice at once."""

import json

import msgspec
import pytest

from switchgear.dialects.request import Request
from switchgear.edge.repeatable import may_repeat

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}


def request(dialect="openai", operation="chat", **fields):
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    return Request(fields=raw, dialect=dialect, operation=operation, model="m", stream=False)


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(tools=[FUNCTION], store=False),
        request(tools=[{"type": "custom", "custom": {"name": "f"}, "name": "f"}]),
        request("anthropic", tools=[{"name": "f", "input_schema": {}}]),
        request("responses", store=False, tools=[{"type": "function", "name": "f"}], previous_response_id=None),
        request("gemini", tools=[{"functionDeclarations": [{"name": "f"}]}]),
        request("bedrock", toolConfig={"tools": [{"toolSpec": {"name": "f"}}, {"cachePoint": {"type": "default"}}]}),
    ],
)
def test_a_question_may_be_asked_twice(asked):
    assert may_repeat(asked)


@pytest.mark.parametrize(
    "asked",
    [
        request(operation="embeddings"),
        request(store=True),
        request("responses"),  # it is kept unless it says otherwise
        request("responses", store=False, background=True),
        request("responses", store=False, previous_response_id="resp_1"),
        request("responses", store=False, conversation={"id": "c"}),
        request("responses", store=False, tools=[{"type": "web_search"}]),
        request("responses", store=False, tools=[{"type": "mcp", "server_url": "https://x"}]),
        request("anthropic", tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        request("anthropic", mcp_servers=[{"type": "url", "url": "https://x"}]),
        request("anthropic", container="c"),
        request(web_search_options={"search_context_size": "low"}),
        request("gemini", tools=[{"googleSearch": {}}]),
        request("gemini", tools=[{"functionDeclarations": [{"name": "f"}], "codeExecution": {}}]),
        request("gemini", cachedContent="cachedContents/x"),
        request("bedrock", toolConfig={"tools": [{"systemTool": {"name": "nova_grounding"}}]}),
        request(tools="odd"),
    ],
)
def test_what_is_more_than_a_question_may_not(asked):
    assert not may_repeat(asked)
