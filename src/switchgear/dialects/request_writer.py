"""Writes a request's body for a provider of the same dialect. Level 1."""

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.dialect import Dialect
from switchgear.dialects.json_node import encode
from switchgear.dialects.nested_model import with_nested
from switchgear.dialects.request import CONSUMED, Request

PART_BYTES_MIN = 65_536
JOINED_BYTES = 262_144
_USAGE_OPTION = Raw(b'{"include_usage":true}')

Body = bytes | list[memoryview]
"""A body for a provider: bytes, or, where it is large, the parts that it is made of, which are not copied."""


def upstream_body(
    request: Request,
    row: Dialect,
    upstream_model: str,
    ask_usage: bool,
    changes: dict[str, str | int | bool | None] | None = None,
) -> Body:
    """Encode the body for a provider of the same dialect: the deployment's model name, usage asked for in streams, our
    own keys removed, everything else as it came. `row` is the dialect of the body. `changes` are keys that its provider
    always wants set, or (None) removed."""
    if request.form is not None:
        return request.form.with_model(upstream_model)
    fields = dict(request.fields)
    if not request.has_model:
        fields.pop("model", None)  # the path names it; another one in the body is not what was judged
    if request.has_model and upstream_model != request.model:
        fields["model"] = Raw(encode(upstream_model))
    if not CONSUMED.isdisjoint(fields):
        for key in CONSUMED & fields.keys():
            del fields[key]
    rules = row.operations[request.operation].rules
    if rules is not None:
        for holder in rules.nested:
            if holder in fields:
                fields[holder] = with_nested(fields[holder], holder, upstream_model)
        for key in rules.left_out:
            fields.pop(key, None)
    if request.has_metadata_tags:
        _strip_tags(fields)
    if request.stream and ask_usage and not request.asked_usage and row.usage_is_asked_for:
        options = fields.get("stream_options")
        fields["stream_options"] = _with_usage(options) if options is not None else _USAGE_OPTION
    for key, value in (changes or {}).items():
        if value is None:
            fields.pop(key, None)
        else:
            fields[key] = Raw(encode(value))
    return _join(fields)


def _join(fields: dict[str, Raw]) -> Body:
    """Encode an object, without a copy of its large values."""
    sizes = [len(memoryview(value)) for value in fields.values()]
    if sum(sizes) < JOINED_BYTES:
        return encode(fields)
    parts: list[memoryview] = []
    between: list[bytes | Raw] = []  # small values travel together: a part of its own costs a frame
    mark = b"{"
    for (key, value), size in zip(fields.items(), sizes, strict=True):
        between.append(mark + encode(key) + b":")
        mark = b","
        if size < PART_BYTES_MIN:
            between.append(value)
            continue
        parts += (memoryview(b"".join(between)), memoryview(value))
        between.clear()
    return [*parts, memoryview(b"".join([*between, b"}"]))]


def _with_usage(options: Raw) -> Raw:
    try:
        decoded = msgspec.json.decode(options, type=dict[str, Raw] | None) or {}
    except UNREADABLE:
        return options
    decoded["include_usage"] = Raw(b"true")
    return Raw(encode(decoded))


def _strip_tags(fields: dict[str, Raw]) -> None:
    metadata = msgspec.json.decode(fields["metadata"], type=dict[str, Raw])
    del metadata["tags"]
    if metadata:
        fields["metadata"] = Raw(encode(metadata))
    else:
        del fields["metadata"]
