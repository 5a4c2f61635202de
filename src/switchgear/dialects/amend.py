"""What a model's configuration changes in a request: members that are left out, an output limit where the client set none.
Level 1.

Both are said in the client's own dialect, before anything is translated; the body stays as it came otherwise.
"""

import msgspec
from msgspec import Raw, structs

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.dialect import BodyRules
from switchgear.dialects.json_node import encode
from switchgear.dialects.request import Request

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def amend(
    request: Request, rules: BodyRules | None, drop: tuple[str, ...], max_tokens: int | None, limit_name: str
) -> tuple[Request, list[str]]:
    """Return the request as it shall be sent, and which members were left out. `rules` are those of its body; `limit_name` is
    what chat completions call the limit at the provider."""
    fields, dropped = request.fields, [name for name in drop if _has(request.fields, name)]
    for name in dropped:
        fields = _without(fields, name)
    if max_tokens is not None and rules is not None and rules.limit and _is_unlimited(request, dropped):
        where = limit_name if rules.limit_differs else rules.limit
        fields = _with(fields, where, Raw(encode(max_tokens)))
    return (request if fields is request.fields else structs.replace(request, fields=fields)), dropped


def _is_unlimited(request: Request, dropped: list[str]) -> bool:
    return request.output_tokens_max is None or any("max" in name.lower() for name in dropped)


def _inner(fields: dict[str, Raw], name: str) -> dict[str, Raw]:
    try:
        return _decode_object(fields[name])
    except (KeyError, *UNREADABLE):
        return {}


def _has(fields: dict[str, Raw], name: str) -> bool:
    outer, dot, inner = name.partition(".")
    return outer in fields and (not dot or inner in _inner(fields, outer))


def _without(fields: dict[str, Raw], name: str) -> dict[str, Raw]:
    outer, dot, inner = name.partition(".")
    if not dot:
        return {key: value for key, value in fields.items() if key != outer}
    left = {key: value for key, value in _inner(fields, outer).items() if key != inner}
    return {**fields, outer: Raw(encode(left))}


def _with(fields: dict[str, Raw], where: str, value: Raw) -> dict[str, Raw]:
    outer, dot, inner = where.partition(".")
    if not dot:
        return {**fields, outer: value}
    return {**fields, outer: Raw(encode({**_inner(fields, outer), inner: value}))}
