"""The search of the web that a provider runs: the one tool of providers' own that means the same at two of them. Level 1, pure.

Anthropic, "Web search tool" (`web_search_20250305`); OpenAI API reference, responses, `tools` (`web_search`) and `max_tool_calls`,
which counts the calls of tools that OpenAI runs; docs.x.ai, "Web search" (read 2026-11-28). Who may search where, and what
that costs, is the provider's. Sources that an answer names as citations become links behind what they are of: both makers want
them shown to people, and OpenAI's models write them so themselves.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from switchgear.dialects.canonical import Request, WebSearch
from switchgear.dialects.json_node import InvalidBodyError, Node

NAME = "web_search"
_PLACE = ("city", "region", "country", "timezone")
_WORDS = (b'"web_search"', b'"web_search_2', b'"web_search_preview')


def is_asked(fields: Mapping[str, Raw]) -> bool:
    """Tell whether a body may ask for it: cheap, and right wherever it does."""
    tools = fields.get("tools")
    return tools is not None and any(word in bytes(tools) for word in _WORDS)


def is_search(tool: Node) -> bool:
    """Tell whether a tool of Anthropic's or of responses is a search of the web."""
    kind = tool.text("type") or ""
    return kind == NAME or kind.startswith(("web_search_2", "web_search_preview"))


def read(tool: Node, uses_max: int | None) -> WebSearch:
    """Read a client's tool, in either dialect. `uses_max` is what the body says of it elsewhere. Raises InvalidBodyError."""
    filters = tool.object("filters") if tool.has("filters") else tool
    place = tool.object("user_location")
    return WebSearch(
        f"{tool.path} ({tool.text('type')})"[:96],
        tool.integer("max_uses") or uses_max,
        [str(one.value) for one in filters.items("allowed_domains")],
        [str(one.value) for one in filters.items("blocked_domains")],
        {name: text for name in _PLACE if (text := place.text(name))},
    )


def write(search: WebSearch, kind: str) -> dict[str, Any]:
    """Write what both dialects say of it alike."""
    out: dict[str, Any] = {"type": kind}
    if search.location:
        out["user_location"] = {"type": "approximate", **search.location}
    return out


def leave_out(request: Request) -> None:
    """Leave the search out of a request to a provider that has none. Raises InvalidBodyError where it is all that is asked for."""
    search, request.search = request.search, None
    assert search is not None
    if not request.tools:
        raise InvalidBodyError(
            f"the tool {search.place} is run by another provider and cannot be carried to this model's", "tools"
        )
    request.dropped.append(search.place)


def links(citations: list[Any]) -> str:
    """Return the sources of a text as links to be put behind it, each once; "" for none."""
    found: dict[str, str] = {}
    for one in citations:
        if isinstance(one, dict) and isinstance(one.get("url"), str) and one["url"].startswith(("http://", "https://")):
            title = str(one.get("title") or "").replace("[", "(").replace("]", ")")
            found.setdefault(one["url"], " ".join(title.split()) or one["url"])
    return "".join(f" ([{title[:200]}]({url}))" for url, title in found.items())
