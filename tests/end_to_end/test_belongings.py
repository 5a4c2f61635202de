"""What belongs to whom: ids of things that providers keep, in every place where they can be named (docs/contract.md §4)."""

import json

import pytest
from tests.end_to_end.calls import call
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess

RULES = ["GET /responses/*", "POST /responses*", "POST /files*", "GET /files*", "POST /x/*"]
GRANTED = "file-granted"


@pytest.fixture(scope="module")
def gateway(provider):
    text = config(provider.port).replace(
        "  native: {dialect: responses,", f"  native: {{passthrough: {json.dumps(RULES)}, dialect: responses,", 1
    )
    running = GatewayProcess(text, environ=ENVIRON, workers=1)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ours(gateway):
    rules = [f"native {rule}" for rule in RULES] + [f"native GET /files/{GRANTED}"]
    return gateway.key("ours", "--team", "us", *(part for rule in rules for part in ("--passthrough", rule)))


@pytest.fixture(scope="module")
def theirs(gateway):
    rules = [f"native {rule}" for rule in RULES]
    return gateway.key("theirs", "--team", "them", *(part for rule in rules for part in ("--passthrough", rule)))


@pytest.fixture(scope="module")
def made(gateway, ours):
    """A response of ours, with its items."""
    status, _, data = call(gateway, ours, json.dumps({"model": "native/echo", "input": "hello"}), "/v1/responses")
    assert status == 200, data
    return json.loads(data)


def ask(gateway, token, body, path="/v1/responses", method="POST"):
    status, headers, _ = call(gateway, token, json.dumps(body) if body is not None else None, path, method)
    return status, headers.get("x-switchgear-error")


CHAT = "/v1/chat/completions"
UNKNOWN = (404, "stored_not_found")


@pytest.mark.parametrize("path", ["/v1/responses", CHAT])
def test_a_response_is_continued_by_its_team_only(gateway, ours, theirs, made, path):
    body = {"model": "native/echo", "input": "on", "previous_response_id": made["id"]}
    assert ask(gateway, ours, body, path)[0] == 200
    assert ask(gateway, theirs, body, path) == UNKNOWN


@pytest.mark.parametrize("path", ["/v1/responses", CHAT])
def test_items_of_a_response_are_named_by_its_team_only(gateway, ours, theirs, made, path):
    item = made["output"][0]["id"]
    for named in ({"type": "item_reference", "id": item}, {"id": item}):
        body = {"model": "native/echo", "input": [named, {"role": "user", "content": "x"}]}
        assert ask(gateway, theirs, body, path) == UNKNOWN
        assert ask(gateway, ours, body, path)[0] != 404


BODIES = {
    "conversation": {"input": "x", "conversation": "conv_1"},
    "conversation object": {"input": "x", "conversation": {"id": "conv_1"}},
    "prompt": {"input": "x", "prompt": {"id": "pmpt_1"}},
    "file": {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    "vector store": {"input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "container": {"input": "x", "tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/v1/responses", CHAT])
def test_a_thing_that_was_not_made_here_is_unknown(gateway, ours, name, path):
    assert ask(gateway, ours, {"model": "native/echo", **BODIES[name]}, path) == UNKNOWN


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"model": "fake/echo", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
        (CHAT, {"model": "fake/echo", "messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
        ("/v1/messages", {"model": "claude/echo", "max_tokens": 9, "messages": [], "container": "c1"}),
        (
            "/v1/messages",
            {"model": "claude/echo", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]},
        ),
        ("/v1beta/models/google%2Fecho:generateContent", {"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/c"}),
        ("/v1beta/models/google%2Fecho:generateContent", {"contents": [{"parts": [{"fileData": {"fileUri": "files/f"}}]}]}),
    ],
)  # fmt: skip
def test_a_thing_that_the_team_did_not_make_is_unknown_in_every_dialect(gateway, ours, path, body):
    assert ask(gateway, ours, body, path) == UNKNOWN


def test_a_keys_grant_that_names_a_thing_allows_the_thing(gateway, ours, theirs):
    body = {
        "model": "native/echo",
        "input": [{"role": "user", "content": [{"type": "input_file", "file_id": GRANTED}]}],
    }
    assert ask(gateway, ours, body)[1] != "stored_not_found"
    assert ask(gateway, theirs, body) == UNKNOWN, "a rule with a star gives nothing"


def test_a_thing_of_another_team_is_unknown_in_raw_paths_and_bodies(gateway, ours, theirs, made):
    raw = "/passthrough/native/responses"
    assert ask(gateway, ours, None, f"{raw}/{made['id']}", "GET")[0] == 200
    assert ask(gateway, theirs, None, f"{raw}/{made['id']}", "GET") == UNKNOWN
    assert ask(gateway, theirs, None, f"{raw}/{made['id'].replace('_', '%5F')}", "GET") == UNKNOWN
    body = {"model": "echo", "input": "on", "previous_response_id": made["id"]}
    assert ask(gateway, theirs, body, raw) == UNKNOWN
    assert ask(gateway, ours, body, raw)[0] == 200
    assert ask(gateway, theirs, {"x": [{"file_id": "file-1"}]}, "/passthrough/native/x/y") == UNKNOWN


def test_a_thing_made_by_a_raw_request_belongs_to_its_team(gateway, ours, theirs):
    status, _, data = call(gateway, ours, json.dumps({"model": "echo", "input": "x"}), "/passthrough/native/responses")
    assert status == 200
    made = json.loads(data)["id"]
    assert ask(gateway, ours, None, f"/v1/responses/{made}", "GET")[0] == 200
    assert ask(gateway, theirs, None, f"/v1/responses/{made}", "GET") == UNKNOWN


def test_whose_things_are_is_known_after_a_restart(gateway, ours, theirs, made):
    gateway.records(count=1)
    gateway.stop(keep=True)
    gateway.start()
    item = {"model": "native/echo", "input": [{"type": "item_reference", "id": made["output"][0]["id"]}]}
    assert ask(gateway, ours, item)[0] != 404
    assert ask(gateway, theirs, item) == UNKNOWN


def test_codex_goes_on_without_anything_stored(gateway, theirs):
    items = [
        {"type": "message", "id": "msg_0", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "reasoning", "id": "rs_0", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "function_call", "id": "fc_0", "call_id": "c", "name": "shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "ok"},
    ]
    body = {"model": "native/echo", "store": False, "include": ["reasoning.encrypted_content"], "input": items}
    assert ask(gateway, theirs, body)[0] == 200
