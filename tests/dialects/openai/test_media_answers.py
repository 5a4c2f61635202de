"""OpenAI: pictures, sounds and rankings."""

import json

import pytest

from switchgear.dialects.openai.media_answers import read_media_answer


def read(**body):
    return read_media_answer(json.dumps(body).encode())


def test_pictures_are_counted_and_their_tokens_are_tokens_of_pictures():
    found = read(
        data=[{}, {}], usage={"input_tokens": 9, "output_tokens": 40, "input_tokens_details": {"image_tokens": 4}}
    )
    assert found.units == {"images": 2} and found.is_fit
    assert (found.usage.input, found.usage.image_in, found.usage.image, found.usage.output) == (5, 4, 40, 0)


@pytest.mark.parametrize(
    ("body", "seconds"), [({"duration": "2.1"}, 3), ({"usage": {"seconds": 3.0}}, 3), ({"duration": "x"}, None)]
)
def test_begun_seconds_of_a_sound_count(body, seconds):
    assert (read(text="hi", **body).units or {}).get("seconds") == seconds


def test_a_ranking_tells_its_searches():
    found = read(results=[{"index": 0}], meta={"billed_units": {"search_units": 2}})
    assert found.units == {"searches": 2} and found.is_fit


@pytest.mark.parametrize("body", [b"\x00sound", b"[]", b"{", b'{"usage":5}'])
def test_what_is_no_json_object_says_nothing(body):
    found = read_media_answer(body)
    assert found.usage is None and found.units is None and not found.is_fit


def test_absurd_figures_are_not_believed():
    assert read(usage={"seconds": 1e9}, meta={"billed_units": {"search_units": -1}}).units is None
