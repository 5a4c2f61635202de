"""Which requests may be asked twice at once. Level 4; pure.

None that a provider would keep, that goes on in the background, builds on what a provider keeps, or lets a provider's own tools
work: there, twice asked is twice done. What is not understood is none, either.
"""

from collections.abc import Mapping

from msgspec import Raw

from switchgear.dialects.json_node import decode
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request import Request

_KEEPS = frozenset(
    {
        *("background", "previous_response_id", "conversation", "container", "prompt"),
        *("mcp_servers", "web_search_options"),
        *("plugins", "search_parameters", "search_settings", "compound_custom", "cachedContent"),
    }
)
"""Members with which a request is more than a question: it is kept, builds on what is kept, or sets tools of the provider to work
(OpenAI, Anthropic, OpenRouter, xAI, Groq, Gemini: their API references, read 2026-11-27)."""
_NOTHING = frozenset({b"null", b"false", b"[]", b"{}"})
_FUNCTIONS = frozenset({None, "function", "custom"})


def may_repeat(request: Request) -> bool:
    """Tell whether a request may be asked twice at once."""
    if request.operation != "chat" or request.is_large or request.references or request.refers_to is not None:
        return False
    fields = request.fields
    if any(name in fields and bytes(fields[name]) not in _NOTHING for name in _KEEPS):
        return False
    store = bytes(fields["store"]) if "store" in fields else None
    if store not in ({b"false"} if BY_NAME[request.dialect].keeps_answers else {None, b"false", b"null"}):
        return False
    return not _has_foreign_tools(fields)


def _has_foreign_tools(fields: Mapping[str, Raw]) -> bool:
    """Tell whether a tool is one that the client does not run itself; what is not understood is."""
    config = decode(fields["toolConfig"]) if "toolConfig" in fields else None
    tools = decode(fields["tools"]) if "tools" in fields else None
    listed = [*(tools or [])] if isinstance(tools, list) else [] if tools is None else [tools]
    if isinstance(config, dict):
        listed += config.get("tools") or []
    for tool in listed:
        if not isinstance(tool, dict):
            return True
        if "functionDeclarations" in tool or "function_declarations" in tool:
            if len(tool) > 1:
                return True
        elif "toolSpec" in tool or "cachePoint" in tool:
            continue
        elif tool.get("type") not in _FUNCTIONS or not ({"name", "function"} & tool.keys()):
            return True
    return False
