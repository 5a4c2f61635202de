"""Input tokens of a body, when nobody says them."""

import base64
import json
import random

import pytest

from switchgear.dialects import input_estimate

WORDS = [
    "the",
    "model",
    "shall",
    "look",
    "at",
    "this",
    "picture",
    "and",
    "say",
    "what",
    "it",
    "is",
    "about",
    "in",
    "one",
    "short",
    "sentence",
]


def prose(size, seed=1):
    pick = random.Random(seed)
    return " ".join(pick.choice(WORDS) for _ in range(size // 5))[:size]


def picture(size):
    return base64.b64encode(random.Random(2).randbytes(size * 3 // 4)).decode()


def estimate(body):
    return input_estimate.tokens(len(body), input_estimate.media_of(body))


def chat(text, *pictures):
    parts = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}} for data in pictures]
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()


def test_money_45_a_picture_of_two_million_characters_is_about_a_thousand_tokens():
    assert 200 <= estimate(chat("What is this?", picture(2_000_000))) <= 6_000


@pytest.mark.parametrize("size", [100, 5_000, 50_000, 1_000_000])
def test_text_is_a_quarter_of_its_bytes(size):
    body = chat(prose(size))
    assert estimate(body) == len(body) // 4 + 1


def test_text_beside_pictures_still_counts():
    body = chat(prose(100_000), picture(200_000), picture(100_000))
    assert 15_000 <= estimate(body) <= 40_000


def test_code_with_long_names_is_no_picture():
    names = "".join(
        f"def a_function_with_quite_a_long_name_{n}(argument_number_{n}):\n    return {n}\n" for n in range(2_000)
    )
    body = chat(names)
    assert estimate(body) > len(body) // 5


@pytest.mark.parametrize("words", ["word_word-", "Word1Word2_", "aB3-" * 3, "The9Quick8Brown7Fox6"])
def test_a_text_that_looks_like_base64_is_counted_as_the_text_that_it_is(words):
    body = chat(words * (1_000_000 // len(words)))
    assert estimate(body) >= len(body) // 5
