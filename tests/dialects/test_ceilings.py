"""Ceilings in every dialect: bodies as the official SDKs type them go in, and what comes out is of those types, too."""

import json
from typing import Any

import anthropic.types
import botocore.loaders
import botocore.model
import botocore.validate
import openai.types.chat
import openai.types.responses
import pytest
from google.genai import types as gemini_types
from pydantic import TypeAdapter

from switchgear.core.ceilings import Ceilings
from switchgear.dialects import ceilings, request_reader
from switchgear.dialects.ceilings import Over

USER = [{"role": "user", "content": "hello"}]
TURN = [{"role": "user", "parts": [{"text": "hello"}]}]
BEDROCK_TURN = [{"role": "user", "content": [{"text": "hello"}]}]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
ALL = Ceilings(output_tokens=2_000, effort="low", thinking_tokens=1_500, service_tiers=("default",), provider_tools=())


def parse(dialect, body):
    path_model = "m" if dialect in {"gemini", "bedrock"} else None
    return request_reader.parse(json.dumps(body).encode(), dialect, "chat", path_model, None)


def bounded(dialect, body, held=ALL):
    """Return (the body as it may be sent, what was over)."""
    found = ceilings.bound(parse(dialect, body), held)
    return {name: json.loads(bytes(raw)) for name, raw in found.request.fields.items()}, found.over


def of_chat(body):
    TypeAdapter(openai.types.chat.completion_create_params.CompletionCreateParamsNonStreaming).validate_python(body)


def of_responses(body):
    TypeAdapter(openai.types.responses.response_create_params.ResponseCreateParamsNonStreaming).validate_python(body)


def of_messages(body):
    TypeAdapter(anthropic.types.message_create_params.MessageCreateParamsNonStreaming).validate_python(body)


def of_gemini(body):
    gemini_types.GenerateContentConfig.model_validate(body.get("generationConfig", {}))
    for tool in body.get("tools", []):
        gemini_types.Tool.model_validate(tool)


def of_bedrock(body):
    described = botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2")
    shape = botocore.model.ServiceModel(described).operation_model("Converse").input_shape
    report = botocore.validate.ParamValidator().validate({"modelId": "m", **body}, shape)
    assert not report.has_errors(), report.generate_report()


def of_cohere(body):
    assert isinstance(body["messages"], list)  # its SDK is not among the tests' packages


OVER: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
    (
        "openai",
        of_chat,
        {
            "model": "m",
            "messages": USER,
            "max_completion_tokens": 9_000,
            "reasoning_effort": "high",
            "service_tier": "priority",
            "tools": [FUNCTION],
            "web_search_options": {},
        },
        {"max_completion_tokens": 2_000, "reasoning_effort": "low", "tools": [FUNCTION]},
    ),
    (
        "responses",
        of_responses,
        {
            "model": "m",
            "input": "hello",
            "max_output_tokens": 9_000,
            "reasoning": {"effort": "xhigh", "summary": "auto"},
            "service_tier": "priority",
            "tools": [{"type": "web_search"}, {"type": "function", "name": "f", "parameters": {}, "strict": False}],
        },
        {
            "max_output_tokens": 2_000,
            "reasoning": {"effort": "low", "summary": "auto"},
            "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}],
        },
    ),
    (
        "anthropic",
        of_messages,
        {
            "model": "m",
            "messages": USER,
            "max_tokens": 9_000,
            "thinking": {"type": "enabled", "budget_tokens": 4_000},
            "output_config": {"effort": "max"},
            "service_tier": "auto",
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "any"},
        },
        {
            "max_tokens": 2_000,
            "thinking": {"type": "enabled", "budget_tokens": 1_500},
            "output_config": {"effort": "low"},
        },
    ),
    (
        "gemini",
        of_gemini,
        {
            "contents": TURN,
            "generationConfig": {
                "maxOutputTokens": 9_000,
                "thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True},
            },
            "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
        },
        {
            "generationConfig": {
                "maxOutputTokens": 2_000,
                "thinkingConfig": {"thinkingBudget": 1_500, "includeThoughts": True},
            },
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
        },
    ),
    (
        "gemini",
        of_gemini,
        {
            "contents": TURN,
            "generation_config": {"thinking_config": {"thinking_level": "HIGH"}, "max_output_tokens": 9_000},
        },
        {"generation_config": {"thinking_config": {"thinking_level": "LOW"}, "max_output_tokens": 2_000}},
    ),
    (
        "bedrock",
        of_bedrock,
        {
            "messages": BEDROCK_TURN,
            "inferenceConfig": {"maxTokens": 9_000},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 4_000}},
            "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]},
        },
        {
            "inferenceConfig": {"maxTokens": 2_000},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1_500}},
        },
    ),
    (
        "cohere",
        of_cohere,
        {"model": "m", "messages": USER, "max_tokens": 9_000, "thinking": {"type": "enabled", "token_budget": 4_000}},
        {"max_tokens": 2_000, "thinking": {"type": "enabled", "token_budget": 1_500}},
    ),
]


@pytest.mark.parametrize(("dialect", "is_valid", "asked", "expected"), OVER)
def test_what_is_over_is_brought_down_and_the_rest_stays(dialect, is_valid, asked, expected):
    is_valid(asked)
    sent, over = bounded(dialect, asked)
    is_valid(sent)
    kept = {name: value for name, value in sent.items() if name not in {"model", "messages", "input", "contents"}}
    assert kept == expected
    assert over
    again, still = bounded(dialect, sent)
    assert (again, still) == (sent, ())


@pytest.mark.parametrize(("dialect", "is_valid", "asked", "expected"), OVER)
def test_the_bound_is_known_to_whoever_reserves_tokens(dialect, is_valid, asked, expected):
    assert ceilings.bound(parse(dialect, asked), ALL).request.output_tokens_max == 2_000


@pytest.mark.parametrize(("dialect", "is_valid", "asked", "expected"), OVER)
def test_a_request_within_its_ceilings_is_the_same_object(dialect, is_valid, asked, expected):
    request = parse(dialect, asked)
    roomy = Ceilings(output_tokens=10_000, effort="max", thinking_tokens=10_000, service_tiers=("priority", "auto"))
    if (
        "-1" not in json.dumps(asked) and "generation_config" not in asked
    ):  # "no bound", and a limit in its other spelling
        assert ceilings.bound(request, roomy).request is request


def test_thinking_below_what_claude_takes_is_left_out():
    sent, over = bounded(
        "anthropic",
        {"model": "m", "messages": USER, "max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 4_000}},
        Ceilings(thinking_tokens=500),
    )
    assert "thinking" not in sent
    assert over == (Over("thinking", "4000", "500"),)


@pytest.mark.parametrize(("output", "thinking"), [(3_000, {"type": "enabled", "budget_tokens": 2_999}), (1_000, None)])
def test_claude_thinks_less_than_it_writes(output, thinking):
    sent, _ = bounded(
        "anthropic",
        {"model": "m", "messages": USER, "max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 4_000}},
        Ceilings(output_tokens=output),
    )
    assert sent.get("thinking") == thinking


def test_a_ceiling_of_effort_holds_for_tokens_of_thinking_too():
    sent, _ = bounded(
        "anthropic",
        {
            "model": "m",
            "messages": USER,
            "max_tokens": 60_000,
            "thinking": {"type": "enabled", "budget_tokens": 50_000},
        },
        Ceilings(effort="medium"),
    )
    assert sent["thinking"]["budget_tokens"] == 8_192


def test_tools_that_are_allowed_by_the_beginning_of_their_name_stay():
    tools = [{"type": "web_search_preview"}, {"type": "code_interpreter", "container": {"type": "auto"}}]
    sent, over = bounded("responses", {"model": "m", "input": "x", "tools": tools}, Ceilings(provider_tools=("web_",)))
    assert sent["tools"] == tools[:1]
    assert over == (Over("tools", "code_interpreter", "web_"),)


def test_what_a_request_does_not_ask_is_not_put_into_it():
    request = parse("openai", {"model": "m", "messages": USER})
    assert ceilings.bound(request, ALL).request is request


@pytest.mark.parametrize("value", ["9000", None, True, [9_000], {"a": 1}])
def test_what_is_no_number_is_left_to_its_provider(value):
    try:
        request = parse("openai", {"model": "m", "messages": USER, "max_tokens": value})
    except ValueError:
        return
    assert ceilings.bound(request, ALL).request.fields["max_tokens"] == request.fields["max_tokens"]


def test_a_refusal_names_the_member_and_the_most():
    _, over = bounded("openai", {"model": "m", "messages": USER, "max_tokens": 9_000})
    text, member = ceilings.refusal(over)
    assert member == "max_tokens"
    assert "9000" in text
    assert "2000" in text


def test_every_dialect_has_a_row():
    from switchgear.dialects.registry import DIALECTS

    assert set(ceilings.TABLE) == {row.name for row in DIALECTS}
