"""Translated requests beside twins that refuse what the real providers refuse."""

import base64
import itertools
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.dialects import canonical
from switchgear.dialects.fitting import CONTINUED, fit
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.model_facts import UNKNOWN
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks
from switchgear.testing import recordings
from switchgear.testing.twins import judge, judge_at

MODELS = {
    "openai": ("gpt-4o", "gpt-5"),
    "anthropic": ("claude-sonnet-4-5", "claude-opus-4-8"),
    "gemini": ("gemini-2.5-flash", "gemini-3-pro"),
    "bedrock": ("anthropic.claude-sonnet-4-5-v1:0",),
    "cohere": ("command-a",),
    "responses": ("gpt-5.6",),
}
TARGETS = [(dialect, model) for dialect, models in MODELS.items() for model in models]
PLAIN = Quirks()
OPENAI = PROVIDERS["openai"].quirks
LONG = "mcp__" + "x" * 140
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def crossed(body, dialect, target, model):
    """A client's body in a provider's dialect: (translation, body)."""
    in_path = dialect in {"gemini", "bedrock"}
    request = parse(json.dumps(body).encode(), dialect, "chat", "m" if in_path else None, False if in_path else None)
    translation = open_translation(request, dialect, target, model, Quirks(), created=1)
    body = translation.body
    return translation, body if isinstance(body, bytes) else b"".join(body)


def chat(*messages, **more):
    return {"model": "m", "messages": [{"role": role, "content": content} for role, content in messages], **more}


def called(name, result="x", **more):
    call = {"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": result},
    ]
    return {"model": "m", "messages": messages, **more}


def tool(name="f", **schema):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


ODD = {
    "empty system": chat(("system", ""), ("user", "x")),
    "blank system": chat(("system", "  "), ("user", "x")),
    "blank user": chat(("user", "x"), ("assistant", "y"), ("user", " \n")),
    "system alone": chat(("system", "s")),
    "assistant first": chat(("assistant", "a"), ("user", "x")),
    "blank assistant": chat(("user", "x"), ("assistant", ""), ("user", "y")),
    "prefill with white space": chat(("user", "x"), ("assistant", "y ")),
    "history of tools, none declared": called("look"),
    "empty result": called("look", "", tools=[TOOL]),
    "long name": called(LONG, tools=[tool(LONG, type="object", properties={})]),
    "name with a dot": called("a.b", tools=[tool("a.b", type="object", properties={})]),
    "schema without a type": chat(("user", "x"), tools=[tool()]),
    "schema without properties": chat(("user", "x"), tools=[tool(type="object")]),
    "combinator at the top": chat(
        ("user", "x"),
        tools=[tool(type="object", properties={"a": {"type": "string"}}, anyOf=[{"required": ["a"]}])],
    ),
    "sampling": chat(("user", "x"), temperature=0.7, top_p=0.9, stop=["END"]),
    "effort": chat(("user", "x"), reasoning_effort="high", tools=[TOOL]),
    "output with bounds": chat(
        ("user", "x"),
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "s",
                "schema": {
                    "type": "object",
                    "properties": {
                        "minimum": {"type": "integer", "minimum": 1},
                        "o": {"type": "object", "additionalProperties": True},
                    },
                },
            },
        },
    ),
    "jpg": chat(
        ("user", [{"type": "image_url", "image_url": {"url": "data:image/jpg;base64,/9j/4AAQ"}}]),
    ),
}


@pytest.mark.parametrize(("target", "model"), TARGETS, ids=[model for _, model in TARGETS])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_of_a_chat_client_is_taken_by_every_provider(name, target, model):
    if target == "openai":
        pytest.skip("the same dialect passes as it is")
    if name == "jpg" and target == "cohere":
        pytest.skip("cohere's command-a takes pictures by URL; not judged")
    _, body = crossed(ODD[name], "openai", target, model)
    assert judge(target, model, body) is None


@pytest.mark.parametrize("model", MODELS["openai"])
@pytest.mark.parametrize("name", [name for name in ODD if name != "history of tools, none declared"])
def test_an_odd_request_of_an_anthropic_client_is_taken_by_openai(name, model):
    asked = BY_NAME["openai"].translator.decode_request(Node(ODD[name]), "m", False)
    body = json.loads(msgspec.json.encode(BY_NAME["anthropic"].translator.encode_request(asked, "m", Quirks())))
    _, sent = crossed(body, "anthropic", "openai", model)
    assert judge("openai", model, sent) is None


@pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")
def test_recorded_requests_crossed_into_every_dialect_are_taken():
    """What cannot be carried is refused by name (InvalidBodyError); all else must be taken. Videos by URL are for
    compatible servers that read them, never OpenAI."""
    refused, count = {}, 0
    for one in recordings.exchanges():
        dialect = recordings.dialect_of(one.path.partition("?")[0])
        if dialect is None or one.status >= 400:
            continue
        for target, model in TARGETS:
            if target == dialect:
                continue
            try:
                _, body = crossed(one.request, dialect, target, model)
            except InvalidBodyError:
                continue
            count += 1
            verdict = judge(target, model, body)
            if verdict is not None and b"video_url" not in body:
                refused[one.id, target, model] = verdict
    assert count > 4_000
    assert refused == {}


def test_names_are_mapped_back_in_answers_and_streams():
    translation, body = crossed(ODD["long name"], "openai", "bedrock", "m")
    short = json.loads(body)["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(short) <= 64 and json.loads(body)["messages"][1]["content"][0]["toolUse"]["name"] == short
    answer = canonical.Answer(id="1", parts=[canonical.ToolCall("b", short, "{}")], finish="tool_calls")
    plain = translation.answer(msgspec.json.encode(BY_NAME["bedrock"].translator.encode_answer(answer, "m", 1)))
    assert json.loads(plain)["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == LONG
    encoder = BY_NAME["bedrock"].translator.encoder("m", 1, True)
    tap = translation.tap()
    out = tap.feed(b"".join(encoder.encode(event) for event in canonical.events_of(answer)))
    assert LONG.encode() in out and short.encode() + b'"' not in out.replace(LONG.encode(), b"")


def test_a_name_is_shortened_the_same_way_in_every_request_and_two_never_meet():
    def names(*originals):
        request = canonical.Request(
            model="m",
            messages=[canonical.Message("user", [canonical.Text("x")])],
            tools=[canonical.Tool(n) for n in originals],
        )
        fit(request, BY_NAME["openai"].fit, UNKNOWN)
        return [each.name for each in request.tools]

    first = names(LONG)[0]
    assert names("other", LONG)[1] == first
    for one, two in itertools.permutations(["a.b", "a_b", "a b"], 2):
        assert len(set(names(one, two))) == 2


def test_what_is_left_out_is_named():
    translation, _ = crossed(ODD["combinator at the top"], "openai", "anthropic", "claude-sonnet-4-5")
    assert "tools.f.anyOf" in translation.dropped
    translation, _ = crossed(ODD["sampling"], "openai", "anthropic", "claude-opus-4-8")
    assert {"temperature", "top_p"} <= set(translation.dropped)


def test_instructions_alone_are_what_is_asked():
    _, body = crossed(ODD["system alone"], "openai", "anthropic", "claude-sonnet-4-5")
    assert json.loads(body)["messages"][0]["content"][0]["text"] == "s"


def test_a_conversation_that_begins_with_the_assistant_gets_a_turn_of_the_user_first():
    _, body = crossed(ODD["assistant first"], "openai", "bedrock", "m")
    assert json.loads(body)["messages"][0] == {"role": "user", "content": [{"text": CONTINUED}]}


def test_a_history_cut_to_a_call_and_its_result_gets_a_turn_of_the_user_at_chat_servers():
    """GLM: "The messages parameter is illegal" (litellm#42432)."""
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
    ]
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    _, body = crossed({"model": "m", "max_tokens": 9, "tools": tools, "messages": messages}, "anthropic", "openai", "m")
    assert judge_at("zai", "openai", "m", body) is None
    assert [one["role"] for one in json.loads(body)["messages"]] == ["user", "assistant", "tool"]


def test_a_picture_of_an_unread_type_is_refused_with_what_is_read():
    body = chat(("user", [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}]))
    with pytest.raises(InvalidBodyError, match="image/jpeg"):
        crossed(body, "openai", "anthropic", "claude-sonnet-4-5")


def test_thinking_of_earlier_turns_is_returned_to_makers_that_require_it():
    body = {
        "model": "m",
        "max_tokens": 50,
        "messages": [
            {"role": "user", "content": "x"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hmm", "signature": ""},
                    {"type": "tool_use", "id": "t", "name": "look", "input": {}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
        ],
    }
    for model, expected in (("deepseek-v4", "hmm"), ("kimi-k3", "hmm"), ("gpt-4o", None)):
        _, sent = crossed(body, "anthropic", "openai", model)
        assert json.loads(sent)["messages"][1].get("reasoning_content") == expected


MIDDLE = {
    "model": "m",
    "max_tokens": 9,
    "system": "A",
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "system", "content": "reminder"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ],
}


def test_an_instruction_in_the_middle_keeps_its_place():
    """Moved to the front it would end the provider's prefix cache (litellm#37351)."""
    _, body = crossed(MIDDLE, "anthropic", "openai", "gpt-4o")
    roles = [(message["role"], message["content"]) for message in json.loads(body)["messages"]]
    assert roles == [("system", "A"), ("user", "x"), ("system", "reminder"), ("assistant", "b"), ("user", "c")]
    for target, model in TARGETS:
        if target != "anthropic":
            _, body = crossed(MIDDLE, "anthropic", target, model)
            text = body.decode()
            assert text.index('"x"') < text.index("reminder") < text.index('"b"')
            assert judge(target, model, body) is None


def test_an_instruction_behind_calls_does_not_part_them_from_their_results():
    body = called("look", tools=[TOOL])
    body["messages"].insert(2, {"role": "system", "content": "reminder"})
    for target, model in TARGETS:
        if target != "openai":
            _, sent = crossed(body, "openai", target, model)
            assert judge(target, model, sent) is None and b"reminder" in sent


@pytest.mark.parametrize(
    ("asked", "budget"), [({"reasoning_effort": "none"}, 128), ({"reasoning_effort": "low"}, 2_048), ({}, None)]
)
def test_a_model_that_cannot_be_told_not_to_think_thinks_as_little_as_it_can(asked, budget):
    _, body = crossed(chat(("user", "x"), **asked), "openai", "gemini", "gemini-2.5-pro")
    assert judge("gemini", "gemini-2.5-pro", body) is None
    config = json.loads(body).get("generationConfig", {})
    assert config.get("thinkingConfig", {}).get("thinkingBudget") == budget


def failed_call(text):
    """What Claude Code sends of a command that failed."""
    return {
        "model": "m",
        "max_tokens": 9,
        "tools": [{"name": "Bash", "input_schema": {"type": "object", "properties": {}}}],
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": text}],
            },
        ],
    }


@pytest.mark.parametrize("target", ["openai", "responses", "cohere"])
def test_a_failed_tools_result_says_so_where_the_dialect_has_no_field_for_it(target):
    _, body = crossed(failed_call("exit code 2"), "anthropic", target, "m")
    assert b'"Error: exit code 2"' in body
    for text in ("Error: it broke", "error 7", "<error>x</error>"):
        assert f'"{text}"'.encode() in crossed(failed_call(text), "anthropic", target, "m")[1]


@pytest.mark.parametrize(("target", "field"), [("bedrock", b'"status":"error"'), ("gemini", b'"error":"exit code 2"')])
def test_a_failed_tools_result_is_an_error_where_the_dialect_has_a_field_for_it(target, field):
    _, body = crossed(failed_call("exit code 2"), "anthropic", target, "m")
    assert field in body and b"Error: " not in body


def test_thinking_that_goes_back_without_a_text_stands_beside_an_empty_one():
    """DeepSeek refuses null there (can1357/oh-my-pi#788, read 2026-11-27)."""
    body = failed_call("x")
    body["messages"][1]["content"].insert(0, {"type": "thinking", "thinking": "Hm.", "signature": ""})
    _, sent = crossed(body, "anthropic", "openai", "deepseek-reasoner")
    assistant = json.loads(sent)["messages"][1]
    assert (assistant["content"], assistant["reasoning_content"]) == ("", "Hm.")


JPEG = base64.b64encode(b"\xff\xd8\xff\xe0\x00\x10JFIF").decode()
PDF = base64.b64encode(b"%PDF-1.4\n").decode()


def anthropic(*turns, **more):
    return {
        "model": "m",
        "max_tokens": 50,
        "messages": [{"role": role, "content": said} for role, said in turns],
        **more,
    }


def fitted(body, client, target, model, quirks=PLAIN):
    request = parse(json.dumps(body).encode(), client, "chat")
    translation = open_translation(request, client, target, model, quirks, created=1)
    sent = translation.body if isinstance(translation.body, bytes) else b"".join(translation.body)
    assert judge(target, model, sent) is None
    return json.loads(sent), translation.dropped


def picture(mime):
    return {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{JPEG}"}}


def test_a_picture_is_told_by_its_bytes():
    """ "The image was specified using the image/png media type, but the image appears to be a image/jpeg image" (litellm#24900)."""
    body, _ = fitted(chat(("user", [picture("image/png")])), "openai", "anthropic", "claude-sonnet-4-5")
    assert body["messages"][0]["content"][0]["source"]["media_type"] == "image/jpeg"


@pytest.mark.parametrize("mime", ["application/octet-stream", "application/pdf"])
def test_a_pdf_is_told_by_its_bytes(mime):
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:{mime};base64,{PDF}"}}
    body, _ = fitted(chat(("user", [part])), "openai", "anthropic", "claude-sonnet-4-5")
    assert body["messages"][0]["content"][0]["source"]["media_type"] == "application/pdf"


@pytest.mark.parametrize("target", ["anthropic", "bedrock"])
def test_claude_since_4_6_and_a_claude_that_thinks_get_a_turn_behind_a_prefill(target):
    """ "This model does not support assistant message prefill" (vercel/ai#12296, opencode#29760)."""
    prefilled = chat(("user", "x"), ("assistant", "{"))
    for model, more, last in (
        ("claude-opus-4-6", {}, "user"),
        ("claude-sonnet-4-5", {}, "assistant"),
        ("claude-sonnet-4-5", {"reasoning_effort": "low"}, "user"),
    ):
        body, _ = fitted(prefilled | more, "openai", target, model)
        assert body["messages"][-1]["role"] == last


def test_limits_efforts_and_stop_words_fit_the_model():
    asked = anthropic(("user", "x"), stop_sequences=list("abcdef"), thinking={"type": "adaptive"}, max_tokens=32_000)
    body, dropped = fitted(asked, "anthropic", "openai", "gpt-4o", OPENAI)
    assert body["max_completion_tokens"] == 16_384 and len(body["stop"]) == 4 and "stop" in dropped
    body, _ = fitted(asked | {"output_config": {"effort": "xhigh"}}, "anthropic", "openai", "some-model")
    assert body["reasoning_effort"] == "high"
    body, dropped = fitted(asked | {"thinking": {"type": "disabled"}}, "anthropic", "openai", "some-model")
    assert "reasoning_effort" not in body and "reasoning" in dropped
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    body, _ = fitted(anthropic(("user", "x"), tools=tools, tool_choice=choice), "anthropic", "openai", "o3", OPENAI)
    assert "parallel_tool_calls" not in body


def test_what_thinking_needs_stays_within_what_the_model_writes():
    body, _ = fitted(
        chat(("user", "x"), max_tokens=30_000, reasoning_effort="xhigh"), "openai", "anthropic", "claude-opus-4-1"
    )
    assert body["max_tokens"] <= 32_000 and body["thinking"]["budget_tokens"] < body["max_tokens"]
    body, _ = fitted(chat(("user", "x")), "openai", "anthropic", "claude-3-haiku-20240307")
    assert body["max_tokens"] == 4_096


def test_sampling_fits_claude():
    asked = chat(("user", "x"), temperature=1.5, stop=["\n\n", "END"])
    for target, model in (
        ("anthropic", "claude-3-5-sonnet-20241022"),
        ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ):
        body, _ = fitted(asked, "openai", target, model)
        config = body.get("inferenceConfig", body)
        assert config["temperature"] == 1 and config.get("stop_sequences", config.get("stopSequences")) == ["END"]
    thinking = chat(("user", "x"), reasoning_effort="low", top_p=0.5)
    body, dropped = fitted(thinking, "openai", "anthropic", "claude-3-7-sonnet-20250219")
    assert "top_p" not in body and "top_p" in dropped


@pytest.mark.parametrize(
    ("target", "model", "quirks", "both"),
    [
        ("gemini", "gemini-2.5-flash", {}, False),
        ("gemini", "gemini-3-pro", {}, True),
        ("openai", "llama", {"format_or_tools": True}, False),
    ],
)
def test_a_format_is_left_out_beside_tools_where_both_are_refused(target, model, quirks, both):
    """ "Function calling with a response mime type: 'application/json' is unsupported" (python-genai#867)."""
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    asked = anthropic(("user", "x"), output_config={"format": {"type": "json_schema", "schema": schema}})
    asked["tools"] = [{"name": "f", "input_schema": {"type": "object"}}]
    body, dropped = fitted(asked, "anthropic", target, model, Quirks(**quirks))
    assert ("response_format" in dropped) is not both
    assert ("responseMimeType" in body.get("generationConfig", {}) or "response_format" in body) is both


def test_what_is_not_strict_is_not_called_so():
    """ "'additionalProperties' is required to be supplied and to be false" (OpenAI); vercel/ai#20681 (Anthropic)."""
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}, "strict": True}]
    body, dropped = fitted(anthropic(("user", "x"), tools=tools), "anthropic", "openai", "gpt-4o", OPENAI)
    assert "strict" not in body["tools"][0]["function"] and "tools.f.strict" in dropped
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False}
    asked = anthropic(("user", "x"), output_config={"format": {"type": "json_schema", "schema": schema}})
    body, _ = fitted(asked, "anthropic", "openai", "gpt-4o", OPENAI)
    assert "strict" not in body["response_format"]["json_schema"]
    closed = tool(type="object", properties={"a": {"type": "string"}}, required=["a"], additionalProperties=False)
    closed["function"]["strict"] = True
    body, _ = fitted(chat(("user", "x"), tools=[closed]), "openai", "anthropic", "claude-sonnet-4-5")
    assert body["tools"][0]["strict"] is True


JSON_MODE = {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize(("target", "model"), [("openai", "gpt-4o"), ("responses", "gpt-4.1")])
def test_json_that_is_asked_for_by_a_setting_alone_is_asked_for_in_words(target, model):
    body = {"contents": [{"role": "user", "parts": [{"text": "a capital"}]}]}
    body["generationConfig"] = {"responseMimeType": "application/json"}
    assert judge(target, model, crossed(body, "gemini", target, model)[1]) is None


def test_json_that_the_instructions_name_is_said_again_on_responses_only():
    body = chat(("system", "answer in JSON"), ("user", "a capital"), **JSON_MODE)
    again = json.loads(crossed(body, "openai", "responses", "gpt-4.1")[1])
    assert "json" in json.dumps(again["input"]).lower()
    body["messages"] = [{"role": "user", "content": "a capital as json"}]
    once = json.loads(crossed(body, "openai", "responses", "gpt-4.1")[1])
    assert json.dumps(once).lower().count('json"') - json.dumps(once).count('"json_object"') <= 1


def test_sampling_stays_within_coheres_bounds():
    body = chat(("user", "x"), top_p=1, presence_penalty=-1, frequency_penalty=2)
    sent = json.loads(crossed(body, "openai", "cohere", "command-a")[1])
    assert (sent["p"], sent["presence_penalty"], sent["frequency_penalty"]) == (0.99, 0, 1)


def test_a_conversation_that_begins_with_calls_begins_with_a_user_at_gemini():
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    body = {"model": "m", "input": [call, {"type": "function_call_output", "call_id": "a", "output": "x"}]}
    assert judge("gemini", "gemini-2.5-flash", crossed(body, "responses", "gemini", "gemini-2.5-flash")[1]) is None


@pytest.mark.parametrize(
    ("part", "is_read"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}, True),
        ({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}, False),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}, False),
    ],
)
def test_ollama_is_sent_what_it_reads_and_the_rest_is_refused_by_name(part, is_read):
    body = chat(("user", [{"type": "text", "text": "see"}, part]))
    request = BY_NAME["openai"].translator.decode_request(Node(body), "m", False)
    quirks = PROVIDERS["ollama"].quirks
    if is_read:
        fit(request, BY_NAME["openai"].fit, UNKNOWN, quirks)
    else:
        with pytest.raises(InvalidBodyError, match="cannot be carried"):
            fit(request, BY_NAME["openai"].fit, UNKNOWN, quirks)


@pytest.mark.parametrize(("target", "model"), [("openai", "gpt-5.4"), ("cohere", "command-a-03-2025")])
def test_a_text_file_is_written_into_the_turn_where_files_are_pdfs_or_nothing(target, model):
    source = {"type": "base64", "media_type": "text/csv", "data": "YSxi"}
    document = {"type": "document", "title": "t.csv", "source": source}
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [document, {"type": "text", "text": "sum"}]}],
    }
    said = crossed(body, "anthropic", target, model)[1].decode()
    assert "a,b" in said
    assert "YSxi" not in said


def test_of_tools_with_one_name_the_first_is_kept():
    body, dropped = fitted(chat(("user", "x"), tools=[TOOL, TOOL]), "openai", "anthropic", "claude-sonnet-4-5")
    assert len(body["tools"]) == 1 and "tools.look" in dropped


def test_marks_of_the_cache_come_from_every_place_and_fit():
    mark = {"cache_control": {"type": "ephemeral"}}
    asked = chat(("system", "s"), ("user", "x"))
    for message in asked["messages"]:
        message.update(mark)
    body, _ = fitted(asked, "openai", "anthropic", "claude-sonnet-4-5")
    assert "cache_control" in body["system"][0] and "cache_control" in body["messages"][0]["content"][0]
    body, _ = fitted(chat(("user", "x")) | mark, "openai", "anthropic", "claude-sonnet-4-5")
    assert body["cache_control"] == {"type": "ephemeral"}
    body, _ = fitted(anthropic(("user", "x")) | mark, "anthropic", "bedrock", "anthropic.claude-sonnet-4-5-v1:0")
    assert body["messages"][0]["content"][-1] == {"cachePoint": {"type": "default"}}
    _, dropped = fitted(anthropic(("user", "x")) | mark, "anthropic", "openai", "gpt-4o", OPENAI)
    assert "cache_control" in dropped


def test_a_user_whose_name_is_too_long_is_not_told():
    body, dropped = fitted(chat(("user", "x"), user="u" * 300), "openai", "anthropic", "claude-sonnet-4-5")
    assert "metadata" not in body and "user" in dropped
    body, _ = fitted(chat(("user", "x"), user="u" * 64), "openai", "responses", "gpt-5-pro")
    assert body["user"] == "u" * 64


def test_fields_that_openais_dialects_share_are_carried_between_them_only():
    asked = chat(("user", "x"), service_tier="flex", verbosity="low", prompt_cache_key="k", safety_identifier="s")
    body, dropped = fitted(asked, "openai", "responses", "gpt-5-pro", OPENAI)
    assert body["service_tier"] == "flex" and body["text"] == {"verbosity": "low"} and body["prompt_cache_key"] == "k"
    assert not dropped
    _, dropped = fitted(asked, "openai", "responses", "some-model")
    assert set(dropped) == {"service_tier", "verbosity", "prompt_cache_key", "safety_identifier"}
    _, dropped = fitted(asked, "openai", "anthropic", "claude-sonnet-4-5", OPENAI)
    assert "service_tier" in dropped


def test_a_tool_is_not_forced_where_the_model_thinks_and_cannot_be_told_not_to():
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    forced = anthropic(("user", "x"), tools=tools, tool_choice={"type": "any"})
    body, dropped = fitted(forced, "anthropic", "openai", "deepseek-v4-flash")
    assert body.get("tool_choice", "auto") == "auto" and "tool_choice" in dropped
    body, _ = fitted(forced, "anthropic", "openai", "gpt-4o", OPENAI)
    assert body["tool_choice"] == "required"


def test_qwen_gets_a_reminder_within_a_turn_of_the_user():
    """ "System message must be at the beginning" (ollama#17774, litellm#37351)."""
    body, _ = fitted(MIDDLE, "anthropic", "openai", "qwen3-32b")
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert "reminder" in body["messages"][1]["content"]


def test_gemini_2_5_pro_thinks_at_least_a_little():
    for effort in ("none", "minimal", "low"):
        body, _ = fitted(chat(("user", "x"), reasoning_effort=effort), "openai", "gemini", "gemini-2.5-pro")
        assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] >= 128


def test_line_ends_within_base64_are_left_out():
    url = f"data:image/jpeg;base64,{JPEG[:8]}\n{JPEG[8:]}"
    body, _ = fitted(
        chat(("user", [{"type": "image_url", "image_url": {"url": url}}])), "openai", "anthropic", "claude-sonnet-4-5"
    )
    assert body["messages"][0]["content"][0]["source"]["data"] == JPEG


TEXTS = st.sampled_from(["hi", "", " ", "\n", "ü\U0001f600"])
IDS = st.sampled_from(["a", "b", "call_0", "x.y/z", "t" * 70, ""])
SCHEMAS = st.sampled_from(
    [
        {},
        {"type": "object", "properties": {"$a": {"type": "array"}}, "required": ["$a"]},
        {"anyOf": [{"type": "object", "properties": {"q": {}}}]},
        {"type": "object", "properties": {"a": {"type": "number", "exclusiveMinimum": True, "minimum": 0}}},
    ]
)
CALLS = st.builds(
    lambda call_id, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": LONG, "arguments": arguments},
    },
    IDS,
    st.sampled_from(["{}", '{"$a":[]}', "", "[", '"x"']),
)
TURNS = st.one_of(
    st.builds(
        lambda role, said: {"role": role, "content": said}, st.sampled_from(["system", "user", "assistant"]), TEXTS
    ),
    st.builds(
        lambda made: {"role": "assistant", "content": None, "tool_calls": made}, st.lists(CALLS, min_size=1, max_size=3)
    ),
    st.builds(lambda call_id, said: {"role": "tool", "tool_call_id": call_id, "content": said}, IDS, TEXTS),
)


@settings(max_examples=60)
@given(turns=st.lists(TURNS, max_size=7), schema=SCHEMAS, effort=st.sampled_from([None, "none", "xhigh"]))
def test_any_history_of_a_chat_client_is_taken_by_every_provider(turns, schema, effort):
    body = {"model": "m", "messages": turns, "tools": [tool(LONG, **schema)], "reasoning_effort": effort}
    for target, model in TARGETS:
        if target != "openai":
            _, sent = crossed(body, "openai", target, model)
            assert judge(target, model, sent) is None
