"""What errors mean that clients act on. The texts are the providers' own, from public reports."""

import json

import pytest

from switchgear.dialects import errors, meanings
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.quirks import Quirks

TOO_LONG = {
    "openai": {
        "message": "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "code": "context_length_exceeded",
    },
    "anthropic": {"type": "invalid_request_error", "message": "prompt is too long: 130000 tokens > 128000 maximum"},
    "gemini": {
        "code": 400,
        "message": "The input token count (130000) exceeds the maximum number of tokens allowed (128000).",
        "status": "INVALID_ARGUMENT",
    },
    "mistral": {"message": "Prompt contains 130000 tokens, too large for model with 128000 maximum context length"},
    "xai": {"message": "This model's maximum prompt length is 128000 but the request contains 130000 tokens."},
    "vllm": {
        "message": "This model's maximum context length is 128000 tokens. However, you requested 130000 tokens "
        "(130000 in the messages, 0 in the completion). Please reduce the length of the messages or completion."
    },
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_conversation_that_is_too_long_is_said_in_every_clients_words(name):
    body = json.dumps({"error": TOO_LONG[name]}).encode()
    for dialect, expected in (
        ("anthropic", "prompt is too long"),  # what Claude Code and Cline look for
        ("gemini", "input token count"),
        ("bedrock", "Input is too long"),
        ("openai", "maximum context length"),
    ):
        fault = errors.of_upstream(400, body, "r", BY_NAME[dialect].errors.too_long)
        assert expected in fault.message and fault.status == 400
        assert "130000" in fault.message and "128000" in fault.message
    assert (
        errors.of_upstream(400, body, "r", BY_NAME["responses"].errors.too_long).openai_code
        == "context_length_exceeded"
    )  # Codex


@pytest.mark.parametrize(
    "message",
    ["Input is too long for requested model.", "the request exceeds the available context size", "too many tokens"],
)
def test_a_text_without_figures_keeps_its_words(message):
    fault = errors.of_upstream(
        400, json.dumps({"message": message}).encode(), "r", BY_NAME["anthropic"].errors.too_long
    )
    assert fault.message.startswith("prompt is too long") and message in fault.message


# Servers that speak OpenAI's dialects in words of their own (public error reports of OpenRouter, vLLM and xAI, read 2026-11-28).
OF_OTHERS = {
    "xai": {
        "code": "Client specified an invalid argument",
        "error": "This model's maximum prompt length is 131072 but the request contains 137197 tokens.",
    },
    "vllm": {
        "error": {
            "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that "
            "`max_model_len` is no smaller than the number of text tokens.",
            "type": "BadRequestError",
            "code": 400,
        }
    },
    "openrouter": {
        "error": {
            "message": "This endpoint's maximum context length is 65536 tokens. However, you requested about 70000 tokens "
            "(70000 of text input). Please reduce the length of either one.",
            "code": 400,
        }
    },
}


def _same_dialect(dialect):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 9}
    request = parse(json.dumps(body).encode(), dialect, "chat")
    return open_translation(request, dialect, dialect, "m", Quirks(), created=1)


@pytest.mark.parametrize("name", OF_OTHERS)
def test_a_server_of_the_clients_dialect_says_it_in_the_words_of_the_dialects_maker(name):
    """Codex compacts when it reads `context_length_exceeded`."""
    status, _, body = _same_dialect("responses").error(400, json.dumps(OF_OTHERS[name]).encode(), "r")
    assert status == 400 and json.loads(body)["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        ("openai", 400, {"error": TOO_LONG["openai"]}),
        ("openai", 400, OF_OTHERS["openrouter"]),
        ("responses", 400, {"error": TOO_LONG["openai"]}),
        ("anthropic", 400, {"type": "error", "error": TOO_LONG["anthropic"]}),
        ("responses", 429, {"error": {"message": "Rate limit reached: too many tokens per minute"}}),
        ("responses", 500, OF_OTHERS["xai"]),
        ("openai", 400, {"error": {"message": "Invalid value: 'x'", "code": "invalid_value"}}),
    ],
)
def test_what_its_clients_understand_and_other_errors_are_told_as_they_came(dialect, status, body):
    raw = json.dumps(body).encode()
    assert _same_dialect(dialect).error(status, raw, "r") == (status, b"", raw)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": {"message": "Rate limit reached: too many tokens per minute"}}),
        (500, {"error": {"message": "maximum context length", "code": "context_length_exceeded"}}),
        (400, {"error": {"message": "max_tokens must be at least 1"}}),
    ],
)
def test_an_error_of_another_kind_is_not_taken_for_a_prompt_that_is_too_long(status, body):
    fault = errors.of_upstream(status, json.dumps(body).encode(), "r", BY_NAME["anthropic"].errors.too_long)
    assert "prompt is too long" not in fault.message and fault.status == status


def test_a_status_413_for_the_context_is_400():
    body = json.dumps({"error": TOO_LONG["openai"]}).encode()
    assert errors.of_upstream(413, body, "r", BY_NAME["anthropic"].errors.too_long).status == 400


def test_codes_of_openai_are_kept_across_dialects():
    quota = b'{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}'
    assert errors.of_upstream(429, quota, "r", BY_NAME["responses"].errors.too_long).openai_code == "insufficient_quota"
    assert (
        errors.of_upstream(404, b'{"message":"x"}', "r", BY_NAME["openai"].errors.too_long).openai_code
        == "model_not_found"
    )
    assert errors.of_upstream(400, b'{"message":"x"}', "r", BY_NAME["openai"].errors.too_long).openai_code is None


@pytest.mark.parametrize(("delay", "seconds"), [("17.5s", 18), ("30s", 30), ("0.2s", 1), ("x", None), (5, None)])
def test_googles_retry_delay_becomes_whole_seconds(delay, seconds):
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    body = json.dumps({"error": {"code": 429, "details": [{"@type": kind, "retryDelay": delay}]}}).encode()
    assert meanings.retry_delay_s(body) == seconds


def test_an_error_body_of_garbage_has_no_meaning():
    for body in (b"", b"<html>", b"[]", b"null", b'{"error": 5}', b'{"error": {"details": 7, "retryDelay": 1}}'):
        assert meanings.find(400, body, errors.message_of(body)) is None
        assert meanings.retry_delay_s(body) is None


SMALLER = {
    "Anthropic and Bedrock (claude-code#476)": "The model returned the following errors: input length and `max_tokens` exceed "
    "context limit: 15000 + 32000 > 40960, decrease input length or `max_tokens` and try again",
    "vLLM": "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 40960 tokens and "
    "your request has 15000 input tokens (32000 > 40960 - 15000).",
    "OpenAI, DeepSeek": "This model's maximum context length is 40960 tokens. However, you requested 47000 tokens (15000 in the "
    "messages, 32000 in the completion). Please reduce the length of the messages or completion.",
    "OpenRouter": "This endpoint's maximum context length is 40960 tokens. However, you requested about 47000 tokens (15000 of text "
    "input, 32000 in the output).",
    "TGI": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 40960. Given: 15000 `inputs` tokens and 32000 "
    "`max_new_tokens`",
}


@pytest.mark.parametrize("name", SMALLER)
def test_a_prompt_that_fits_with_a_smaller_limit_is_said_as_claude_code_reads_it(name):
    """Claude Code asks again with a smaller `max_tokens` instead of compacting the conversation."""
    body = json.dumps({"error": {"message": SMALLER[name]}}).encode()
    fault = errors.of_upstream(400, body, "r", BY_NAME["anthropic"].errors.too_long)
    assert "input length and `max_tokens` exceed context limit: 15000 + 32000 > 40960" in fault.message
    assert errors.of_upstream(400, body, "r", BY_NAME["openai"].errors.too_long).message == SMALLER[name]


@pytest.mark.parametrize(
    "message",
    [
        "Invalid request: Your request exceeded model token limit: 262144",  # Kimi
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",  # DashScope
        "The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum length.",  # Nova
        "Prompt too long: 32799 tokens exceeds max context window of 32768 tokens",  # omlx#26
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "Please reduce the length of the messages or completion. Current length is 41000 while limit is 32000",  # Cerebras
    ],
)
def test_further_ways_to_say_that_a_prompt_is_too_long(message):
    fault = errors.of_upstream(
        400, json.dumps({"message": message}).encode(), "r", BY_NAME["anthropic"].errors.too_long
    )
    assert "prompt is too long" in fault.message and fault.openai_code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Your credit balance is too low to access the Anthropic API."),
        (402, "Insufficient Balance"),
        (402, "Insufficient credits. Add more"),
    ],
)
def test_no_money_is_a_quota(status, message):
    body = json.dumps({"error": {"message": message}}).encode()
    assert errors.of_upstream(status, body, "r", None).openai_code == "insufficient_quota"
