"""What errors mean that clients act on. The texts are the providers' own, from public reports."""

import json

import pytest

from switchgear.dialects import errors, meanings
from switchgear.dialects.registry import BY_NAME

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
