"""Gemini: answers."""

import json

import msgspec
import pytest

from switchgear.dialects.gemini import answers
from switchgear.dialects.json_node import InvalidBodyError, Node


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 3},
            (6, 4, 5, 3, None, None),
        ),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 7}, (17, None, 0, None, None, None)),
        (
            {
                "promptTokenCount": 10,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}],
                "candidatesTokenCount": 2,
            },
            (2, None, 2, None, 8, None),
        ),
        (
            {
                "promptTokenCount": 1,
                "candidatesTokenCount": 9,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 9}],
            },
            (1, None, 0, None, None, 9),
        ),
    ],
)
def test_usage_goes_into_disjoint_buckets(usage, expected):
    found = answers.usage_of_raw(msgspec.Raw(json.dumps(usage).encode()))
    assert (found.input, found.cache_read, found.output, found.reasoning, found.audio_in, found.image) == expected


def test_a_blocked_prompt_is_an_answer_without_content():
    answer = answers.decode_answer(
        Node({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    )
    assert answer.finish == "content_filter" and answer.parts == [] and answer.usage.input == 3


def test_log_probabilities_keep_their_values():
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    answer = answers.decode_answer(
        Node({"candidates": [{"content": {"parts": [{"text": "a"}]}, "logprobsResult": result}]})
    )
    assert msgspec.json.decode(answer.logprobs)[0]["top_logprobs"][0]["logprob"] == -1.5
    assert (
        answers.encode_answer(answer, "m", 1)["candidates"][0]["logprobsResult"]["chosenCandidates"][0][
            "logProbability"
        ]
        == -0.5
    )


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"])
def test_a_call_that_the_model_got_wrong_is_no_answer(reason):
    """litellm#16651, hermes-agent#83886: told as a stop, the agent ends without a word."""
    candidate = {"content": {"role": "model"}, "finishReason": reason, "finishMessage": "print(x)"}
    with pytest.raises(InvalidBodyError, match=f"{reason}.*print"):
        answers.decode_answer(Node({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 1}}))
