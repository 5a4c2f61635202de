"""A model that stands in the path and again in the body: both must be the same one. Level 1.

"must match the model in the path" (Gemini API, "batchEmbedContents").
"""

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects import json_guard
from switchgear.dialects.json_node import InvalidBodyError, encode

_MODEL_KEY = frozenset({"model"})
_MODEL_PREFIX = "models/"
_decode_nested = msgspec.json.Decoder(list[dict[str, Raw]] | dict[str, Raw] | None).decode
_decode_str = msgspec.json.Decoder(str).decode


def _nested_of(raw: Raw, holder: str) -> list[dict[str, Raw]]:
    try:
        found = _decode_nested(raw)
    except UNREADABLE as exc:
        raise InvalidBodyError(f"invalid value for {holder!r}: {exc}", holder) from None
    return found if isinstance(found, list) else [found] if found is not None else []


def check_nested(raw: Raw, holder: str, model: str) -> None:
    """Refuse a model in the body that is not the path's, which is the one that is judged."""
    for part in _nested_of(raw, holder):
        try:
            json_guard.check_names(part, _MODEL_KEY)
        except json_guard.JsonRefusedError as exc:
            raise InvalidBodyError(str(exc), f"{holder}.model") from None
        if "model" not in part:
            continue
        try:
            name = _decode_str(part["model"])
        except UNREADABLE as exc:
            raise InvalidBodyError(f"invalid value for {f'{holder}.model'!r}: {exc}", f"{holder}.model") from None
        if name.removeprefix(_MODEL_PREFIX) != model.removeprefix(_MODEL_PREFIX):
            raise InvalidBodyError("the body names another model than the path", f"{holder}.model")


def with_nested(raw: Raw, holder: str, upstream_model: str) -> Raw:
    """Name the deployment's model where the body names the path's."""
    parts = _nested_of(raw, holder)
    for part in parts:
        if "model" in part:
            prefix = _MODEL_PREFIX if _decode_str(part["model"]).startswith(_MODEL_PREFIX) else ""
            part["model"] = Raw(encode(prefix + upstream_model.removeprefix(_MODEL_PREFIX)))
    return Raw(encode(parts if memoryview(raw)[0] == ord("[") or not parts else parts[0]))
