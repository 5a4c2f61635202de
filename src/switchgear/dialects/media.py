"""Data URLs, media types and sound formats: what dialects spell differently. Level 1."""

import base64
import re

from switchgear.dialects.canonical import Media, Text
from switchgear.dialects.json_node import InvalidBodyError, Node

_DATA_URL = re.compile(r"data:([a-zA-Z0-9.+/-]*)(?:;[a-zA-Z0-9=.+-]*)*?;base64,", re.ASCII)
DATA_URL_HEAD_MAX = 2_048
"""Characters before the data: a media type and its parameters."""
_BY_SUFFIX = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp4": "video/mp4",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
}
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/aiff": "aiff",
}
_AUDIO_MIMES = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "ogg": "audio/ogg", "aac": "audio/aac"}


def from_url(
    kind: str, url: str, name: str | None = None, detail: str | None = None, cache: str | None = None
) -> Media:
    """Make a Media of a URL; a `data:` URL is taken apart (RFC 2397)."""
    match = _DATA_URL.match(url, 0, DATA_URL_HEAD_MAX)
    if match is None and "://" not in url[:16] and (mime := mime_of_data(url, kind)) is not None:
        return Media(kind, mime, url, None, name, detail, cache)  # type: ignore[arg-type]
    if match is None:
        return Media(kind, mime_of_name(url), None, url, name, detail, cache)  # type: ignore[arg-type]
    mime = match.group(1) or "application/octet-stream"
    return Media(kind, mime, url[match.end() :], None, name, detail, cache)  # type: ignore[arg-type]


def file_of(data: str, name: str | None = None, cache: str | None = None) -> Media:
    """Make a Media of a file's data: a `data:` URL, or bare base64, as some clients send it."""
    found = from_url("file", data, name, cache=cache)
    if found.data is not None or "://" in data[:16]:
        return found
    return Media("file", mime_of_name(name or "") or "application/pdf", data, None, name, None, cache)


def from_source(block: Node, kind: str, cache: str | None) -> Text | Media:
    """Read an image or a document as Anthropic says it. Raises InvalidBodyError for one that a provider stores."""
    source = block.object("source")
    name = block.text("title")
    form = source.need("type")
    if form == "base64":
        return Media(kind, source.need("media_type"), source.need("data"), None, name, None, cache)  # type: ignore[arg-type]
    if form == "url":
        return from_url(kind, source.need("url"), name, cache=cache)
    if form == "text":
        return Text(source.need("data"), cache)
    if form == "content":
        value = source.get("content")
        if isinstance(value, str):
            return Text(value, cache)
        return Text("".join(item.text("text") or "" for item in source.items("content")), cache)
    raise source.fail(f"a source of type {form[:32]!r} cannot be carried to this model's provider", "type")


def to_url(media: Media) -> str:
    """Return a Media as one URL, `data:` where it holds the bytes."""
    if media.url is not None:
        return media.url
    return f"data:{media.mime or 'application/octet-stream'};base64,{media.data or ''}"


def mime_of_name(name: str) -> str | None:
    """Guess the media type from a name's suffix; None when it is unknown."""
    suffix = name.partition("?")[0].rpartition(".")[2].lower()
    return _BY_SUFFIX.get(suffix)


_BY_BEGIN = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
)
"""How the base64 of a file of a type begins; RIFF is WebP's here only where it is called an image."""


def mime_of_data(data: str, kind: str = "") -> str | None:
    """Return the media type that base64 shows by its first bytes; None where it shows none of those that are known."""
    return next(
        (mime for begin, mime in _BY_BEGIN if data.startswith(begin) and (begin != "UklGR" or kind == "image")), None
    )


def kind_of_mime(mime: str | None) -> str:
    """Say what a media type is: image, audio, video, else file."""
    family = (mime or "").partition("/")[0]
    return family if family in {"image", "audio", "video"} else "file"


def audio_format(mime: str | None) -> str:
    """Return OpenAI's name of a sound format."""
    return _AUDIO_FORMATS.get(mime or "", "wav")


def audio_mime(name: str) -> str:
    """Return the media type of OpenAI's name of a sound format."""
    return _AUDIO_MIMES.get(name, f"audio/{name}")


def refusal(media: Media) -> InvalidBodyError:
    """Return the error for a medium that a dialect has no place for."""
    how = " given by its address" if media.url is not None else ""
    hint = "; send its data" if media.url is not None and media.kind in {"image", "file"} else ""
    return InvalidBodyError(f"{media.kind} input{how} cannot be carried to this model's provider{hint}", "messages")


def text_of_base64(data: str) -> str:
    """Decode a text file. Raises InvalidBodyError when it is none."""
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except ValueError:
        raise InvalidBodyError("a text file must be UTF-8 in base64", "messages") from None
