"""OpenAI: usage."""

import json

import msgspec
import pytest

from switchgear.dialects.openai import usage


def tokens(**fields):
    return usage.usage_of_raw(msgspec.Raw(json.dumps(fields).encode()))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 7}, (5, 7, None, None)),
        # a total that is larger: thinking that stands beside (Gemini's compatible answers, xAI)
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 15}, (5, 7, None, 3)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (5, 7, None, 3),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 3}},
            (5, 4, None, 3),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}, (5, 1, 4, None)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, (5, 1, 4, None)),  # DeepSeek
        ({"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 4}, (5, 1, 4, None)),  # Mistral
        ({"total_tokens": 8}, (8, 0, None, None)),  # embeddings of some servers
    ],
)
def test_totals_are_split_into_buckets_that_do_not_overlap(fields, expected):
    found = tokens(**fields)
    assert (found.input, found.output or 0, found.cache_read, found.reasoning) == expected


@pytest.mark.parametrize(
    "raw", [b"null", b"[]", b'{"prompt_tokens":"x"}', b'{"prompt_tokens":-1,"completion_tokens":2}', b"{}"]
)
def test_what_makes_no_sense_is_no_usage(raw):
    assert usage.usage_of_raw(msgspec.Raw(raw)) is None


def test_more_written_to_the_cache_than_there_was_is_cut():
    found = usage.usage_of(prompt=10, completion=0, cached=8, cache_write=8, audio_in=5)
    assert (found.input, found.cache_read, found.cache_write_5m, found.audio_in) == (0, 8, 2, 0)


def test_what_stands_beside_the_tokens_is_read():
    beside = usage.beside_of_raw(msgspec.Raw(b'{"prompt_tokens":1,"num_search_queries":3,"cost":0.5}'), "sonar")
    assert (beside.units, beside.cost, beside.model) == ({"web_searches": 3}, b'{"cost":0.5}', "sonar")
    beside = usage.beside_of_raw(msgspec.Raw(b'{"server_tool_use":{"web_search_requests":2}}'), None)
    assert beside.units == {"web_searches": 2}
    assert usage.beside_of_raw(msgspec.Raw(b"null"), "gpt-4o-search-preview").units == {"web_searches": 1}
    assert usage.beside_of_raw(msgspec.Raw(b"[]"), "m").model == "m"


def test_ids_and_tiers_are_said_in_openais_words():
    assert (usage.id_of("a"), usage.id_of(5), usage.id_of(None)) == ("a", "5", None)
    assert (usage.tier_name("standard"), usage.tier_name("flex"), usage.tier_name("us")) == ("default", "flex", None)
