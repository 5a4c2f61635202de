"""Data URLs and media types."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import media
from switchgear.dialects.canonical import Media


@given(st.sampled_from(["image/png", "application/pdf"]), st.from_regex(r"[A-Za-z0-9+/]{0,40}={0,2}", fullmatch=True))
def test_a_data_url_comes_apart_and_together(mime, data):
    url = f"data:{mime};base64,{data}"
    found = media.from_url("image", url)
    assert (found.mime, found.data, found.url) == (mime, data, None)
    assert media.to_url(found) == url


def test_a_url_of_the_web_stays_a_url():
    found = media.from_url("image", "https://example.com/a.jpg?x=1")
    assert (
        found.url == "https://example.com/a.jpg?x=1" and found.mime == "image/jpeg" and media.to_url(found) == found.url
    )


@pytest.mark.parametrize(
    ("mime", "kind"), [("image/png", "image"), ("audio/wav", "audio"), ("application/pdf", "file"), (None, "file")]
)
def test_a_mime_type_has_its_kind_of_media(mime, kind):
    assert media.kind_of_mime(mime) == kind


def test_sound_formats_have_two_names():
    assert media.audio_format(media.audio_mime("mp3")) == "mp3"


def test_a_refusal_says_what_and_how_to_go_on():
    assert "send its data" in str(media.refusal(Media("image", url="https://x/y.png")))
    assert "audio input cannot" in str(media.refusal(Media("audio", data="")))


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
        (b"plain", None),
    ],
)
def test_first_bytes_tell_the_type(data, mime):
    """File signatures: ITU T.81, PNG (ISO 15948), GIF89a, ISO 32000, WebP container."""
    assert media.mime_of_data(base64.b64encode(data).decode(), "image") == mime


def test_a_sound_is_no_picture_although_both_are_riff():
    assert media.mime_of_data(base64.b64encode(b"RIFF\x00\x00\x00\x00WAVE").decode(), "audio") is None


def test_a_files_data_may_be_bare_base64():
    assert media.file_of("JVBERi0=", "a.pdf").data == "JVBERi0="
    assert media.file_of("data:text/plain;base64,eA==").mime == "text/plain"
    assert media.file_of("https://x/a.pdf").url == "https://x/a.pdf"


def test_a_picture_as_bare_base64_is_data():
    found = media.from_url("image", "iVBORw0KGgoAAAANSUhEUg")
    assert (found.mime, found.data, found.url) == ("image/png", "iVBORw0KGgoAAAANSUhEUg", None)
