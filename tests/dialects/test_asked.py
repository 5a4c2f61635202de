"""What a body asks for that costs, in every spelling that a server takes."""

import json

import msgspec
import pytest

from switchgear.dialects import asked


def read(body, dialect="openai", operation="chat", texts=None, raw=None):
    raw = json.dumps(body).encode() if raw is None else raw
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return asked.read(dialect, operation, fields, texts or {}, [raw])


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 700},
        {"max_completion_tokens": 10, "max_tokens": 700},
        {"max_output_tokens": "700"},
        {"max_tokens": 700.0},
        {"generationConfig": {"maxOutputTokens": 10, "max_output_tokens": 700}},
        {"generation_config": {"max_output_tokens": 700}},
        {"inferenceConfig": {"maxTokens": 700}},
        {"inferenceConfig": {"maxTokens": 5}, "additionalModelRequestFields": {"max_tokens": 700}},
        {"textGenerationConfig": {"maxTokenCount": 700}},
    ],
)
def test_the_largest_limit_of_output_counts_whatever_its_spelling(body):
    assert read(body).output == 700


@pytest.mark.parametrize(
    "body", [{}, {"max_tokens": None}, {"max_tokens": True}, {"max_tokens": "many"}, {"max_tokens": -1}]
)
def test_what_is_no_number_is_no_limit(body):
    assert read(body).output is None


@pytest.mark.parametrize(
    "body",
    [
        {"n": 4},
        {"n": "4"},
        {"n": 4.0},
        {"best_of": 4, "n": 1},
        {"generationConfig": {"candidateCount": 4, "responseSchema": {"description": "x" * 8_000}}},
        {"generation_config": {"candidate_count": 4}},
    ],
)
def test_answers_are_counted_whatever_the_spelling(body):
    assert read(body).choices == 4


def test_the_fields_of_a_form_are_read():
    assert read({}, operation="image_edits", texts={"n": "10"}).choices == 10


@pytest.mark.parametrize(
    ("prompt", "choices"), [("a", 2), (["a", "b", "c"], 6), ([[1, 2], [3]], 4), ([1, 2, 3], 2), ([], 2)]
)
def test_each_text_that_is_to_be_completed_has_its_answers(prompt, choices):
    assert read({"prompt": prompt, "n": 2}, operation="completions").choices == choices


@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages":[{"image_url":{"url":"https://example.com/a.png"}}]}',
        b'{"messages":[{"image_url":{"\\u0075rl":"https://example.com/a.png"}}]}',
        b'{"messages":[{"source":{"media_type":"application\\/pdf","data":"AAAA"}}]}',
        b'{"contents":[{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}]}]}',
        b'{"messages":[{"content":[{"document":{"format":"docx","name":"a","source":{"bytes":"AAAA"}}}]}]}',
        b'{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/flac","data":"AAAA"}}]}]}',
    ],
)
def test_what_stands_for_more_than_its_bytes_is_found_also_behind_escapes(raw):
    assert read(None, raw=raw).has_references


@pytest.mark.parametrize(
    "text", ["data:image/png;base64,AAAA", "see https://example.com", "caf\\u00e9 \\u003cb\\u003e \\u0027x\\u0027 \\n"]
)
def test_texts_and_inline_pictures_are_what_they_are(text):
    raw = b'{"messages":[{"content":"%b"}]}' % text.encode()
    assert not read(None, raw=raw).has_references


def test_a_longer_body_is_not_searched():
    assert read({"messages": ["x" * asked.SCANNED_BYTES_MAX]}).has_references


@pytest.mark.parametrize(
    ("dialect", "body", "tier", "is_open", "modes"),
    [
        ("openai", {}, None, True, {"us"}),
        ("openai", {"service_tier": "auto"}, "auto", True, {"us"}),
        ("openai", {"service_tier": "default"}, "default", False, {"us"}),
        ("anthropic", {}, None, False, {"us"}),
        ("anthropic", {"speed": "fast", "inference_geo": "global"}, None, False, {"fast"}),
    ],
)
def test_the_service_tier_is_the_one_named_or_open(dialect, body, tier, is_open, modes):
    found = read(body, dialect)
    assert (found.tier, found.is_tier_open, found.modes) == (tier, is_open, modes)


def test_tools_of_the_provider_are_found_by_their_decoded_names_each_with_its_own_cap():
    raw = b'{"tools":[{"type":"web\\u005fsearch_20250305","name":"web_search"},{"type":"custom","name":"f","max_uses":1}]}'
    found = read(None, "anthropic", raw=raw)
    assert [(tool.name, tool.max_uses) for tool in found.tools] == [("web_search_20250305", None)]
