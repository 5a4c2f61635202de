"""Where stored things are named; where answers make them known. The shapes are those of the providers' API references."""

import json
import time

import pytest

from switchgear.dialects import request_reader
from switchgear.dialects.json_node import InvalidBodyError


def named(body, dialect="responses", operation="chat", model=None):
    found = request_reader.parse(json.dumps({"model": "m", **body}).encode(), dialect, operation, model).references
    return {(reference.kind, reference.id) for reference in found}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"previous_response_id": "resp_1"}, {("response", "resp_1")}),
        ({"conversation": "conv_1"}, {("conversation", "conv_1")}),
        ({"conversation": {"id": "conv_1"}}, {("conversation", "conv_1")}),
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, {("prompt", "pmpt_1")}),
        (
            {"prompt": {"id": "p", "variables": {"doc": {"type": "input_file", "file_id": "file-1"}}}},
            {("prompt", "p"), ("file", "file-1")},
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, {("item", "msg_1")}),
        ({"input": [{"id": "msg_1"}]}, {("item", "msg_1")}),
        ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, {("item", "ig_1")}),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, {("item", "rs_1")}),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
            {("file", "file-1")},
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-2"}]}]},
            {("file", "file-2")},
        ),
        (
            {"input": [{"type": "computer_call_output", "call_id": "c", "output": {"file_id": "file-3"}}]},
            {("file", "file-3")},
        ),
        ({"input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1"}]}, {("item", "mcpr_1")}),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]}, {("vector_store", "vs_1"), ("vector_store", "vs_2")}),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, {("container", "cntr_1")}),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-4"]}}]},
            {("file", "file-4")},
        ),
        (
            {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_2"}}]},
            {("container", "cntr_2")},
        ),
        ({"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-5"}}]}, {("file", "file-5")}),
    ],
)  # fmt: skip
def test_responses_name_stored_things(body, wanted):
    assert named({"input": "x", **body}) == wanted


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
        {"id": "msg_1", "role": "user", "content": "x"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "id": "fo_1", "call_id": "c", "output": "{}"},
        {"type": "local_shell_call", "id": "ls_1", "call_id": "c", "action": {"type": "exec"}, "status": "completed"},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}, "status": "completed"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"file_id": "mine"}'},
    ],
)
def test_an_item_with_its_content_is_no_reference(item):
    assert named({"input": [item]}) == set()


def test_a_body_of_responses_on_the_path_of_chat_is_judged_as_one():
    assert named({"input": "x", "previous_response_id": "resp_1"}, "openai") == {("response", "resp_1")}
    assert named({"input": [{"type": "item_reference", "id": "i"}]}, "openai") == {("item", "i")}


USER = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
            {("file", "file-1")},
        ),
        ({"messages": [USER, {"role": "assistant", "audio": {"id": "audio_1"}}]}, {("audio", "audio_1")}),
        ({"messages": [USER], "audio": {"voice": {"id": "voice_1"}, "format": "wav"}}, {("voice", "voice_1")}),
        ({"messages": [USER], "audio": {"voice": "alloy", "format": "wav"}}, set()),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"arguments": "{}"}}]}]},
            set(),
        ),
    ],
)
def test_chat_names_stored_things(body, wanted):
    assert named(body, "openai") == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"container": "container_1"}, {("container", "container_1")}),
        ({"container": {"id": "container_1"}}, {("container", "container_1")}),
        (
            {
                "container": {
                    "skills": [{"type": "anthropic", "skill_id": "pptx"}, {"type": "custom", "skill_id": "s1"}]
                }
            },
            {("skill", "s1")},
        ),
        ({"content": [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]}, {("file", "file_1")}),
        ({"content": [{"type": "container_upload", "file_id": "file_2"}]}, {("file", "file_2")}),
        (
            {
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [{"type": "image", "source": {"type": "file", "file_id": "file_3"}}],
                    }
                ]
            },
            {("file", "file_3")},
        ),
        ({"content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"file_id": "mine"}}]}, set()),
        ({"diagnostics": {"previous_message_id": "msg_1"}}, {("message", "msg_1")}),
        ({"diagnostics": {"previous_message_id": None}}, set()),
    ],
)
def test_messages_name_stored_things(body, wanted):
    content = body.pop("content", "x")
    assert named({"max_tokens": 1, "messages": [{"role": "user", "content": content}], **body}, "anthropic") == wanted


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("https://generativelanguage.googleapis.com/v1beta/files/abc", {("named", "files/abc")}),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc?alt=media", {("named", "files/abc")}),
        ("files/abc", {("named", "files/abc")}),
        ("https://www.youtube.com/watch?v=9hE5-98ZeCg", set()),
        ("gs://bucket/object", set()),
    ],
)
@pytest.mark.parametrize("spelt", [("fileData", "fileUri"), ("file_data", "file_uri")])
def test_gemini_names_files_by_address(uri, wanted, spelt):
    part = {spelt[0]: {spelt[1]: uri}}
    assert named({"contents": [{"parts": [part]}]}, "gemini", model="g") == wanted
    inner = {"generateContentRequest": {"contents": [{"parts": [part]}]}}
    assert named(inner, "gemini", "count_tokens", "g") == wanted


def test_gemini_names_cached_contents():
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    assert named(body | {"cachedContent": "cachedContents/c1"}, "gemini", model="g") == {("named", "cachedContents/c1")}
    assert named(body | {"cached_content": "cachedContents/c1"}, "gemini", model="g") == {
        ("named", "cachedContents/c1")
    }


def test_a_key_spelt_with_escapes_is_the_same_key():
    body = b'{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file\\u005fid":"file-1"}]}]}'
    assert [r.id for r in request_reader.parse(body, "responses", "chat").references] == ["file-1"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","input":[{"role":"user","content":[{"file_id":"mine","file_id":"theirs"}]}]}',
        b'{"model":"m","input":[{"content":[],"content":[{"file_id":"theirs"}]}]}',
        b'{"model":"m","input":"x","prompt":{"id":"a","id":"b"}}',
        b'{"model":"m","input":"x","previous_response_id":7}',
        b'{"model":"m","input":"x","previous_response_id":""}',
        b'{"model":"m","input":"x","Previous_Response_Id":"resp_1"}',
        b'{"model":"m","input":"x","Model":"n"}',
        b'{"model":"m","input":"x","\xc5\xbftream":true}',
        b'{"model":"m","input":"x","METADATA":{}}',
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(body):
    with pytest.raises(InvalidBodyError):
        request_reader.parse(body, "responses", "chat")


# answers


def test_what_only_diagnoses_a_cache_matters_to_its_own_dialect_alone():
    body = b'{"model":"m","max_tokens":1,"messages":[],"diagnostics":{"previous_message_id":"msg_1"}}'
    (found,) = request_reader.parse(body, "anthropic", "chat").references
    assert found.is_soft


@pytest.mark.parametrize(
    "item",
    [
        {"type": "reasoning", "id": "i", "encrypted_content": ""},
        {"type": "reasoning", "id": "i", "encrypted_content": False, "summary": []},
        {"type": "image_generation_call", "id": "i", "result": ""},
        {"type": "compaction", "id": "i", "encrypted_content": ""},
        {"type": "computer_call", "id": "i", "action": None},
        {"type": "ITEM_REFERENCE", "id": "i", "x": 1},
        {"type": " item_reference", "id": "i", "x": 1},
        {"type": ["item_reference"], "id": "i", "x": 1},
        {"id": "i", "x": 1},
        {"id": "i", "role": "user", "content": None},
        {"id": "i", "type": None, "role": "user", "content": None},
    ],
)
def test_an_item_whose_content_is_nothing_is_a_reference(item):
    assert named({"input": [item]}) == {("item", "i")}
    assert named({"input": [item, {"role": "user", "content": "x" * 200_000}]}) == {("item", "i")}


@pytest.mark.parametrize(
    "uri",
    [
        " https://generativelanguage.googleapis.com/v1beta/files/v",
        "https://generativelanguage.googleapis.com./v1beta/files/v",
        "https://eu-generativelanguage.googleapis.com/v1beta/files/v",
        "https://generativelanguage.mtls.googleapis.com/v1beta/files/v",
        "https://x@generativelanguage.googleapis.com:443/v1beta/files/v",
    ],
)
def test_gemini_knows_its_files_by_every_name_of_its_hosts(uri):
    assert named({"contents": [{"parts": [{"fileData": {"fileUri": uri}}]}]}, "gemini") == {("named", "files/v")}


@pytest.mark.parametrize("outer", ["fileSearch", "file_search"])
@pytest.mark.parametrize("inner", ["fileSearchStoreNames", "file_search_store_names"])
@pytest.mark.parametrize("holder", [None, "generateContentRequest", "generate_content_request"])
def test_gemini_reads_each_key_in_both_spellings(outer, inner, holder):
    # ProtoJSON: parsers accept both the lowerCamelCase name and the original one, for each field.
    body = {"contents": [], "tools": [{outer: {inner: ["fileSearchStores/v"]}}]}
    wanted = {("named", "fileSearchStores/v")}
    if holder is None:
        assert named(body, "gemini") == wanted
    else:
        raw = json.dumps({holder: body}).encode()
        asked = request_reader.parse(raw, "gemini", "count_tokens", "m", False)
        assert {(found.kind, found.id) for found in asked.references} == wanted


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai", {"messages": [USER], "tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}),
        ("openai", {"messages": [USER], "vector_store_ids": ["v"]}),
        ("openai", {"messages": [USER], "tool_resources": {"file_search": {"vector_store_ids": ["v"]}}}),
        ("responses", {"input": "x", "tools": [{"type": "namespace", "tools": [{"vector_store_ids": ["v"]}]}]}),
        ("responses", {"input": [{"type": "tool_search_output", "tools": [{"vector_store_ids": ["v"]}]}]}),
    ],
)
def test_vector_stores_are_found_wherever_tools_stand(dialect, body):
    assert named(body, dialect) == {("vector_store", "v")}


def test_a_name_of_any_length_is_read_at_once():
    body = {"contents": [], "cachedContent": "a/" * 4_000_000}
    began = time.process_time()
    named(body, "gemini")
    assert time.process_time() - began < 0.5  # 1.7 s when a pattern goes through all of it
