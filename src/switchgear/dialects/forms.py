"""Multipart forms (RFC 7578): the one field that policy reads, and the rest as it came. Level 1.

Audio and pictures are uploaded this way. The form is not taken apart: only `model` is found, and replaced in its place.
"""

import re

import msgspec

from switchgear.dialects.shape import InvalidBodyError

PARTS_MAX = 64
_BOUNDARY = re.compile(
    rb'multipart/form-data\s*;.*?\bboundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE | re.DOTALL
)
# One header, its parameters in plain quotes: what can be read in two ways could name a model here and another one there.
_DISPOSITION = re.compile(
    rb'content-disposition:[ \t]*form-data((?:[ \t]*;[ \t]*[a-z]+=(?:"[^"\\\r\n]*"|[^\s";\\]+))*)[ \t]*', re.IGNORECASE
)
_PARAMETER = re.compile(rb'([a-z]+)=(?:"([^"]*)"|([^\s";]+))', re.IGNORECASE)


class Form(msgspec.Struct, frozen=True):
    """A form's bytes, what its small text fields say, and where the model's name stands."""

    content_type: bytes
    body: bytes
    texts: dict[str, str]
    model_at: tuple[int, int]

    def with_model(self, model: str) -> bytes:
        """Return the form with another model's name."""
        start, end = self.model_at
        return b"".join((self.body[:start], model.encode(), self.body[end:]))


def is_form(content_type: bytes | None) -> bool:
    """Tell whether a content type is a multipart form's."""
    return content_type is not None and content_type.lower().startswith(b"multipart/form-data")


def parse(content_type: bytes, body: bytes) -> Form:
    """Find the model in a form. Raises InvalidBodyError for what is no form, or names two models or none."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise InvalidBodyError("the content type names no boundary")
    delimiter = b"--" + (found.group(1) or found.group(2))
    if not body.startswith(delimiter):
        raise InvalidBodyError("the form does not begin with its boundary")
    texts: dict[str, str] = {}
    places: list[tuple[int, int]] = []
    at = len(delimiter)
    for _ in range(PARTS_MAX):
        if body[at : at + 2] == b"--":
            break
        head_end = body.find(b"\r\n\r\n", at, at + 4_096)
        end = body.find(b"\r\n" + delimiter, at)
        if head_end < 0 or end < head_end:
            raise InvalidBodyError("the form is cut short")
        parameters = _parameters(body[at:head_end])
        start = head_end + 4
        field = parameters["name"]
        if "filename" not in parameters and end - start <= 4_096:
            texts[field] = body[start:end].decode("utf-8", "replace")
        if field == "model":
            places.append((start, end))
        at = end + 2 + len(delimiter)
    else:
        raise InvalidBodyError(f"the form has more than {PARTS_MAX} parts")
    if len(places) != 1:
        raise InvalidBodyError("you must provide one model parameter", "model")
    return Form(content_type, body, texts, places[0])


def _parameters(head: bytes) -> dict[str, str]:
    """Read a part's disposition. Raises InvalidBodyError for one that is missing, double or ambiguous."""
    lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition")]
    found = _DISPOSITION.fullmatch(lines[0]) if len(lines) == 1 else None
    if found is None:
        raise InvalidBodyError("a part of the form has no plain content-disposition")
    pairs = [
        (m.group(1).lower(), m.group(2) if m.group(2) is not None else m.group(3))
        for m in _PARAMETER.finditer(found.group(1))
    ]
    parameters = {key.decode(): value.decode("utf-8", "replace") for key, value in pairs}
    if len(parameters) != len(pairs) or "name" not in parameters:
        raise InvalidBodyError("a part of the form has no name, or two")
    return parameters
