"""A provider's stream in the client's dialect."""

import json

import msgspec
import pytest
from tests.dialects.samples import ANSWER, NAMES, PAIRS, ask, collect, gist, provider_stream

from switchgear.core.errors import ProtocolError
from switchgear.dialects import canonical, errors
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_stream_crosses_and_every_cut_gives_the_same(client, provider):
    stream = provider_stream(provider)
    whole = None
    for step in (len(stream), 1, 7, 64):
        translation = open_translation(ask(client, True), client, provider, "up", Quirks(), created=1)
        tap = translation.tap()
        out = b"".join(tap.feed(stream[at : at + step]) for at in range(0, len(stream), step)) + tap.finish()
        assert tap.is_clean and tap.metadata.usage.output_total == 5
        whole = whole or out
        assert out == whole
    collector = collect(client, whole)
    assert collector.is_ended
    assert gist(collector.answer.parts) == gist(ANSWER.parts)


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_H6_a_stream_that_is_cut_is_no_clean_end(client, provider):
    stream = provider_stream(provider)
    translation = open_translation(ask(client, True), client, provider, "up", Quirks(), created=1)
    tap = translation.tap()
    tap.feed(stream[: len(stream) // 2])
    tap.finish()
    assert not tap.is_clean
    fault = errors.Fault(502, "broke off", "upstream_error", None, "api_error", request_id="r1")
    assert translation.broken(fault, tap)


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize(
    "garbage", [b"data: {\n\n", b'data: {"type": 5, "choices": 7, "candidates": {}}\n\n', b"\x00" * 64, b"<html>"]
)
def test_garbage_in_a_stream_is_a_typed_error_or_no_clean_end(provider, garbage):
    client = "openai" if provider != "openai" else "anthropic"
    tap = open_translation(ask(client, True), client, provider, "up", Quirks(), created=1).tap()
    try:
        tap.feed(garbage)
        tap.finish()
    except ProtocolError:
        return
    assert not tap.is_clean


def test_a_messages_stream_begins_with_an_estimate_of_its_input():
    """Clients show what `message_start` says (vercel/ai#17326); a chat provider tells at the end only."""
    translation = open_translation(ask("anthropic", True), "anthropic", "openai", "up", Quirks(), created=1)
    tap = translation.tap()
    out = tap.feed(provider_stream("openai")) + tap.finish()
    begin = json.loads(out.split(b"data: ")[1].split(b"\n")[0])
    assert begin["message"]["usage"]["input_tokens"] > 0
    assert tap.metadata.usage.input_total == ANSWER.usage.input_total  # what is booked is what the provider says


def test_calls_without_ids_get_ones_that_no_other_answer_has():
    """Anthropic refuses a history in which two calls bear one id."""
    call = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [call, call]}, "finish_reason": "tool_calls"}
    ids = []
    for name in ("r1", "r2"):
        translation = open_translation(
            ask("anthropic"), "anthropic", "openai", "up", Quirks(), created=1, answer_id=name
        )
        said = json.loads(translation.answer(json.dumps({"choices": [choice]}).encode()))
        ids += [block["id"] for block in said["content"]]
        chunk = {
            "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}, "finish_reason": "tool_calls"}]
        }
        streamed = translation.tap().feed(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
        assert f'"id":"call_{name}_0"'.encode() in streamed
    assert len(set(ids)) == 4


def test_properties_that_a_provider_knows_by_other_names_come_back():
    """In plain answers, in streams cut anywhere, and in histories."""
    schema = {"type": "object", "properties": {"$top": {"type": "integer"}}}
    function = {"type": "function", "function": {"name": "list", "parameters": schema}}
    call = {"id": "a", "type": "function", "function": {"name": "list", "arguments": '{"$top":1}'}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    body = json.dumps({"model": "m", "messages": messages, "tools": [function]}).encode()
    translation = open_translation(parse(body, "openai", "chat"), "openai", "anthropic", "claude", Quirks(), created=1)
    sent = json.loads(translation.body)
    (safe,) = sent["tools"][0]["input_schema"]["properties"]
    assert sent["messages"][1]["content"][0]["input"] == {safe: 1} and safe != "$top"
    answer = canonical.Answer(id="1", parts=[canonical.ToolCall("b", "list", f'{{"{safe}":5}}')], finish="tool_calls")
    plain = translation.answer(msgspec.json.encode(BY_NAME["anthropic"].translator.encode_answer(answer, "m", 1)))
    assert json.loads(json.loads(plain)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {
        "$top": 5
    }
    stream = provider_stream("anthropic", answer)
    for cut in range(0, len(stream), 7):
        tap = translation.tap()
        out = tap.feed(stream[:cut]) + tap.feed(stream[cut:]) + tap.finish()
        assert b'"$top\\":5' in out.replace(b'\\"', b'"', 1) or b"$top" in out
        assert safe.encode() not in out.replace(b"$top", b"") and tap.is_clean
