"""Tools that a provider runs, as official SDKs write them."""

import anthropic.types as anthropic_types
import msgspec
import openai.types.responses as openai_types
import pytest
from google.genai import types as gemini_types

from switchgear.dialects import provider_tools
from switchgear.dialects.registry import DIALECTS


def fields(body):
    return msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])


OURS = [
    (
        "openai",
        {"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "c"}}]},
    ),
    ("responses", {"tools": [{"type": "function", "name": "f"}, {"type": "local_shell"}]}),
    ("anthropic", {"tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]}),
    ("anthropic", {"tools": [{"type": "custom", "name": "f"}, {"type": "text_editor_20250728", "name": "t"}]}),
    ("gemini", {"tools": [{"functionDeclarations": [{"name": "f"}]}, {"function_declarations": []}]}),
    ("bedrock", {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}, {"cachePoint": {"type": "default"}}]}}),
    ("cohere", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
]
THEIRS = [
    ("openai", {"web_search_options": {"search_context_size": "low"}}, ["web_search_options"]),
    ("responses", {"tools": [openai_types.WebSearchToolParam(type="web_search")]}, ["web_search"]),
    (
        "responses",
        {"tools": [openai_types.FileSearchToolParam(type="file_search", vector_store_ids=["v"]), {"type": "mcp"}]},
        ["file_search", "mcp"],
    ),
    (
        "anthropic",
        {"tools": [anthropic_types.WebSearchTool20250305Param(type="web_search_20250305", name="web_search")]},
        ["web_search_20250305"],
    ),
    ("anthropic", {"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, ["mcp_servers"]),
    (
        "gemini",
        {
            "tools": [
                gemini_types.Tool(google_search=gemini_types.GoogleSearch()).model_dump(
                    by_alias=True, exclude_none=True, mode="json"
                )
            ]
        },
        ["googleSearch"],
    ),
    ("gemini", {"tools": [{"functionDeclarations": []}, {"codeExecution": {}}]}, ["codeExecution"]),
    ("bedrock", {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}, ["systemTool"]),
    ("cohere", {"connectors": [{"id": "web-search"}]}, ["connectors"]),
]


@pytest.mark.parametrize(("dialect", "body"), OURS)
def test_a_tool_that_the_client_runs_is_none_of_the_providers(dialect, body):
    assert provider_tools.asked_for(dialect, fields(body)) == []


@pytest.mark.parametrize(("dialect", "body", "names"), THEIRS)
def test_a_tool_of_the_providers_is_named(dialect, body, names):
    assert provider_tools.asked_for(dialect, fields(body)) == names


@pytest.mark.parametrize("tools", [3, "x", [3], [{"type": 3}], {"a": 1}])
def test_what_is_no_list_of_tools_counts_as_one_of_the_providers(tools):
    assert provider_tools.asked_for("responses", fields({"tools": tools}))


@pytest.mark.parametrize("tools", [None, []])
def test_none_at_all_is_none(tools):
    assert provider_tools.asked_for("anthropic", fields({"tools": tools, "mcp_servers": tools})) == []


def test_every_dialect_has_a_row():
    assert set(provider_tools.RULES) == {row.name for row in DIALECTS}
