"""What OpenAI's reasoning models are sure to refuse in a body that would pass as it is. Level 1, pure.

Clients that know servers of this dialect in general send the same to all of them: `max_tokens`, which has another name there, and
a temperature, which is left out while the model reasons (OpenAI API reference, chat, `max_tokens`: "not compatible with o-series
models"; "Using GPT-5.2", parameter compatibility; community.openai.com/t/1371738, read 2026-11-27). What would change the answer's
form (`stop`, `logprobs`) stays and is refused by OpenAI.
"""

import msgspec

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.model_facts import Facts
from switchgear.dialects.request import Request
from switchgear.providers.quirks import Quirks

_LIMIT = "max_tokens"
_DEFAULTS = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
_decode_number = msgspec.json.Decoder(float | None).decode
_NONE = b'"none"'


def fitted(request: Request, facts: Facts, quirks: Quirks) -> tuple[Request, list[str]]:
    """Return a chat completion as the model takes it, and what was left out. `quirks` are its provider's: only OpenAI's own
    name the limit as `facts` do. The same request where nothing had to change."""
    name = facts.max_tokens_name
    if name is None or name != quirks.max_tokens:
        return request, []
    left_out = _left_out(request, facts)
    if not left_out and _LIMIT not in request.fields:
        return request, []
    fields = {key: value for key, value in request.fields.items() if key != _LIMIT and key not in left_out}
    if _LIMIT in request.fields:
        fields.setdefault(name, request.fields[_LIMIT])
    return msgspec.structs.replace(request, fields=fields), left_out


def _left_out(request: Request, facts: Facts) -> list[str]:
    if not any(name in request.fields for name in _DEFAULTS) or not _reasons(request, facts):
        return []
    return [name for name in _DEFAULTS if name in facts.refused and _is_set(request, name)]


def _reasons(request: Request, facts: Facts) -> bool:
    effort = bytes(request.fields.get("reasoning_effort", b"null"))
    if "none" not in (facts.efforts or ()):
        return True
    return facts.reasons_unasked if effort == b"null" else effort != _NONE


def _is_set(request: Request, name: str) -> bool:
    if name not in request.fields:
        return False
    try:
        return _decode_number(request.fields[name]) not in {None, _DEFAULTS[name]}
    except UNREADABLE:
        return False  # its provider says what is wrong with it
