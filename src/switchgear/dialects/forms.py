"""Multipart forms (RFC 7578): the one field that policy reads, and the rest as it came. Level 1.

Audio and pictures are uploaded this way. The form is not taken apart: only `model` is found, and replaced in its place.
"""

import re

import msgspec

from switchgear.dialects import json_guard
from switchgear.dialects.json_node import InvalidBodyError

PARTS_MAX = 64
HEAD_BYTES_MAX = 4_096
POLICY = frozenset({"model", "stream", "user"})
"""Fields that are read here: none of them twice, none as a file, none in other letters."""
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# The whole header, so that nobody finds another boundary in it (RFC 2046 §5.1.1, RFC 2045 §5.1): the boundary once, without
# RFC 2231's forms and without escapes; besides it at most a charset.
_CONTENT_TYPE = re.compile(
    rb"multipart/form-data(?:[ \t]*;[ \t]*charset=[A-Za-z0-9_-]+)?"
    rb"""[ \t]*;[ \t]*boundary=(?:"([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])"|([0-9A-Za-z'+_.^`|~*#$%&!-]{1,70}))"""
    rb"(?:[ \t]*;[ \t]*charset=[A-Za-z0-9_-]+)?[ \t]*;?[ \t]*",
    re.IGNORECASE,
)
# One header, its parameters in plain quotes: what can be read in two ways could name a model here and another one there.
_DISPOSITION = re.compile(
    rb'content-disposition:[ \t]*form-data((?:[ \t]*;[ \t]*[a-z]+=(?:"[^"\\\r\n]*"|[^\s";\\]+))*)[ \t]*', re.IGNORECASE
)
_PARAMETER = re.compile(rb'([a-z]+)=(?:"([^"]*)"|([^\s";]+))', re.IGNORECASE)
_LINE = re.compile(_TOKEN + rb":[^\r\n\x00]*")
_PLAIN_TRANSFER = re.compile(rb"content-transfer-encoding:[ \t]*(?:7bit|8bit|binary)[ \t]*", re.IGNORECASE)
_PLAIN_TEXT = re.compile(
    rb'content-type:[ \t]*text/plain(?:[ \t]*;[ \t]*charset="?(?:utf-?8|us-ascii)"?)?[ \t]*', re.IGNORECASE
)


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


def parse(content_type: bytes, body: bytes, needs_model: bool = True) -> Form:
    """Find the model in a form. Raises InvalidBodyError for what is no form, names two models or (where one is needed) none, and
    for what another server could read otherwise: line ends, boundaries, headers and fields have one form only."""
    found = _CONTENT_TYPE.fullmatch(content_type.strip())
    if found is None:
        raise InvalidBodyError("the content type must name one boundary, and no parameter but a charset besides")
    delimiter = b"--" + (found.group(1) or found.group(2))
    if not body.startswith(delimiter):
        raise InvalidBodyError("the form does not begin with its boundary")
    if body.count(b"\n" + delimiter) != body.count(b"\r\n" + delimiter) or b"\r" + delimiter in body:
        raise InvalidBodyError("lines of a form end with CRLF")
    texts: dict[str, str] = {}
    places: list[tuple[int, int]] = []
    at = len(delimiter)
    for _ in range(PARTS_MAX):
        if body[at : at + 2] == b"--":
            break
        head_end = body.find(b"\r\n\r\n", at, at + HEAD_BYTES_MAX)
        end = body.find(b"\r\n" + delimiter, at)
        if head_end < 0 or end < head_end:
            raise InvalidBodyError("the form is cut short")
        head = body[at:head_end]
        parameters = _parameters(head)
        start = head_end + 4
        field = parameters["name"]
        is_read = _check_field(field, "filename" in parameters, head)
        if is_read and field in texts:
            raise InvalidBodyError(f"the field {field!r} stands twice", field)
        if "filename" not in parameters and end - start <= 4_096:
            texts[field] = body[start:end].decode("utf-8", "replace")
        if field == "model":
            places.append((start, end))
        at = end + 2 + len(delimiter)
    else:
        raise InvalidBodyError(f"the form has more than {PARTS_MAX} parts")
    if body[at + 2 :].strip(b"\r\n"):
        raise InvalidBodyError("something stands behind the form's end")
    if needs_model and len(places) != 1:
        raise InvalidBodyError("you must provide one model parameter", "model")
    return Form(content_type, body, texts, places[0] if places else (0, 0))


def _check_field(field: str, is_file: bool, head: bytes) -> bool:
    """Tell whether a field is one that is read here. Raises InvalidBodyError for one that other servers might take for it."""
    base = json_guard.fold(field.partition("[")[0])
    if field == "_charset_" or (base in POLICY and field != base):
        raise InvalidBodyError(f"the field {field[:64]!r} can be read in two ways")
    if field not in POLICY:
        return False
    kinds = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type:")]
    if is_file or any(_PLAIN_TEXT.fullmatch(line) is None for line in kinds):
        raise InvalidBodyError(f"the field {field!r} must be plain text", field)
    return True


def _parameters(head: bytes) -> dict[str, str]:
    """Read a part's disposition. Raises InvalidBodyError for one that is missing, double or ambiguous."""
    first, *lines = head.split(b"\r\n")
    if first or any(_LINE.fullmatch(line) is None for line in lines):
        raise InvalidBodyError("a part of the form has lines that are no headers")
    if any(
        line.lower().startswith(b"content-transfer-encoding") and not _PLAIN_TRANSFER.fullmatch(line) for line in lines
    ):
        raise InvalidBodyError("a part of the form is encoded; send it as it is")
    lines = [line for line in lines if line.lower().startswith(b"content-disposition")]
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
