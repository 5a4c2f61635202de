"""The line of Claude Code's instructions that is meant for Anthropic alone."""

import json

import pytest

from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks

# As captured in claude-code#68900 and #24168; the last five digits differ in each request.
LINE = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=sdk-cli; cch={};"
IDENTITY = {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}}
SYSTEMS = {
    "blocks": lambda cch: [{"type": "text", "text": LINE.format(cch)}, IDENTITY],
    "text": lambda cch: LINE.format(cch) + "\nYou are Claude Code.",
    "alone": LINE.format,
}


def sent(system, target, model):
    body = {"model": model, "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": "x"}]}
    request = parse(json.dumps(body).encode(), "anthropic", "chat")
    translation = open_translation(request, "anthropic", target, model, Quirks(), created=1)
    assert translation.dropped == []
    return b"".join([translation.body] if isinstance(translation.body, bytes) else translation.body)


@pytest.mark.parametrize("form", SYSTEMS)
@pytest.mark.parametrize(
    ("target", "model"),
    [
        ("openai", "gpt-5"),
        ("responses", "gpt-5.5"),
        ("gemini", "gemini-3-pro"),
        ("bedrock", "us.anthropic.claude-opus-4-5"),
        ("anthropic", "deepseek-v4"),
    ],
)
def test_two_requests_of_one_session_begin_alike_for_other_makers(form, target, model):
    bodies = [sent(SYSTEMS[form](cch), target, model) for cch in ("36ee5", "0aaa9")]
    assert bodies[0] == bodies[1] and b"billing" not in bodies[0]
    assert (b"You are Claude Code." in bodies[0]) == (form != "alone")


def test_claude_gets_it_as_it_came():
    system = SYSTEMS["blocks"]("36ee5")
    assert json.loads(sent(system, "anthropic", "claude-opus-4-7"))["system"] == system


def test_a_text_that_only_speaks_of_it_stays():
    system = "Explain x-anthropic-billing-header: to me."
    assert json.loads(sent(system, "anthropic", "deepseek-v4"))["system"] == system


@pytest.mark.parametrize("system", [7, [LINE.format("1")], [{"type": "text", "text": 7, "x": LINE.format("1")}]])
def test_what_is_no_instruction_is_left_to_its_provider(system):
    assert json.loads(sent(system, "anthropic", "deepseek-v4"))["system"] == system
