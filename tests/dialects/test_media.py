"""Data URLs and media types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import media
from switchgear.dialects.hub import Media


@given(st.sampled_from(["image/png", "application/pdf"]), st.from_regex(r"[A-Za-z0-9+/]{0,40}={0,2}", fullmatch=True))
def test_a_data_url_comes_apart_and_together(mime, data):
    url = f"data:{mime};base64,{data}"
    found = media.from_url("image", url)
    assert (found.mime, found.data, found.url) == (mime, data, None)
    assert media.to_url(found) == url


def test_other_urls_stay():
    found = media.from_url("image", "https://example.com/a.jpg?x=1")
    assert (
        found.url == "https://example.com/a.jpg?x=1" and found.mime == "image/jpeg" and media.to_url(found) == found.url
    )


@pytest.mark.parametrize(
    ("mime", "kind"), [("image/png", "image"), ("audio/wav", "audio"), ("application/pdf", "file"), (None, "file")]
)
def test_kinds(mime, kind):
    assert media.kind_of_mime(mime) == kind


def test_sound_formats_have_two_names():
    assert media.audio_format(media.audio_mime("mp3")) == "mp3"


def test_a_refusal_says_what_and_how_to_go_on():
    assert "send its data" in str(media.refusal(Media("image", url="https://x/y.png")))
    assert "audio input cannot" in str(media.refusal(Media("audio", data="")))
