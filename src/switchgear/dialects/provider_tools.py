"""Tools that a provider runs by itself while it answers: what a request asks for of them. Level 1, pure.

Their use costs beside tokens, and their results differ from one time to the next. The table says per dialect what runs elsewhere
(functions, and tools that the client's own machine runs); whatever else stands among the tools is the provider's, also what is
invented tomorrow.

Sources (read 2026-11-28): OpenAI API reference, "Create a model response" and "Create chat completion" (`tools`,
`web_search_options`); Anthropic, "Tool use", "Bash tool", "Text editor tool", "Computer use", "Memory tool", "MCP connector";
Gemini API, `Tool`; Amazon Bedrock, `Converse`, `Tool`; Cohere, "Chat" v2; OpenRouter, "Web search" (`plugins`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.dialects.request import Request

_OFF = (b"null", b"[]", b"false")
_NOTHING = (*_OFF, b"{}")


class ToolRules(msgspec.Struct, frozen=True):
    """Where a dialect names tools, and which of them the provider does not run."""

    holder: str = "tools"
    """The member of the body; `a.b` stands in an object."""
    types: frozenset[str] = frozenset()
    """Types that the client runs; a tool without a type is one."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of such types: Anthropic's bear a date."""
    members: frozenset[str] = frozenset()
    """Instead of types: the members of a tool that the client runs."""
    also: tuple[str, ...] = ()
    """Members of the body that switch a tool of the provider's on."""


_CLAUDE = ToolRules(
    types=frozenset({"custom"}), prefixes=("bash_", "text_editor_", "computer_", "memory_"), also=("mcp_servers",)
)
RULES: dict[str, tuple[ToolRules, ...]] = {
    "openai": (ToolRules(types=frozenset({"function", "custom"}), also=("web_search_options", "plugins")),),
    "responses": (
        ToolRules(
            types=frozenset(
                {"function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview"}
            )
        ),
    ),
    "anthropic": (_CLAUDE,),
    "gemini": (
        ToolRules(members=frozenset({"functionDeclarations", "function_declarations", "computerUse", "computer_use"})),
    ),
    "bedrock": (
        ToolRules(holder="toolConfig.tools", members=frozenset({"toolSpec", "cachePoint"})),
        _CLAUDE,  # bodies of `invoke` are the model's own
        msgspec.structs.replace(_CLAUDE, holder="additionalModelRequestFields.tools", also=()),
    ),
    "cohere": (ToolRules(types=frozenset({"function"}), also=("connectors",)),),
}
TOOLS_BYTES_MAX = 1024 * 1024
"""More are not decoded: they count as a tool of the provider's."""

USES = 4
"""How often a tool may be used of which a request says no cap, where a budget holds for it."""
_CAPPED = ("web_search_", "web_fetch_")
"""Types of Anthropic's tools that have `max_uses`."""

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[Any]).decode


class Found(msgspec.Struct, frozen=True):
    """Tools of the provider's at one place of a body."""

    path: str
    names: list[str]
    """As it calls them."""
    caps: list[int | None]
    """How often each may be used at most; None: the body says nothing."""
    left: list[Any] | None
    """The tools there without them; None where the member as a whole is one, or cannot be read."""


class AskedTool(msgspec.Struct, frozen=True):
    """One of the provider's tools, as a body asks for it."""

    name: str
    max_uses: int | None = None
    """How often it may be used at most; None: the body says nothing."""


def asked_for(dialect: str, fields: Mapping[str, Raw]) -> list[str]:
    """Return the names of the provider's tools that a body asks for."""
    return [name for one in find(dialect, fields) for name in one.names]


def tools_of(dialect: str, fields: Mapping[str, Raw]) -> list[AskedTool]:
    """Return the provider's tools that a body asks for, with their caps."""
    return [
        AskedTool(name, most) for one in find(dialect, fields) for name, most in zip(one.names, one.caps, strict=True)
    ]


def find(dialect: str, fields: Mapping[str, Raw], allowed: tuple[str, ...] = ()) -> Iterator[Found]:
    """Yield where a body asks for tools of the provider's whose names do not begin as one of `allowed`."""
    for rules in RULES.get(dialect, ()):
        for name in rules.also:
            if name in fields and bytes(fields[name]) not in _OFF and not name.startswith(allowed or ("\0",)):
                yield Found(name, [name], [None], None)
        raw = member(fields, rules.holder)
        if raw is None or (len(memoryview(raw)) < 8 and bytes(raw) in _NOTHING):
            continue
        try:
            tools = _decode_list(raw) if len(memoryview(raw)) <= TOOLS_BYTES_MAX else None
        except UNREADABLE:
            tools = None
        if tools is None:
            yield Found(rules.holder, [rules.holder], [None], None)
            continue
        names, caps, left = [], [], []
        for tool in tools:
            theirs = [name for name in _of(rules, tool) if not name.startswith(allowed or ("\0",))]
            names += theirs
            caps += [_max_uses(tool)] * len(theirs)
            if not theirs:
                left.append(tool)
        if names:
            yield Found(rules.holder, names, caps, left)


def _max_uses(tool: Any) -> int | None:
    said = tool.get("max_uses") if isinstance(tool, dict) else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None


def capped(request: Request, most: int) -> Request:
    """Return a request whose provider's tools are used at most so often, where it says nothing of that itself: `max_tool_calls`
    (OpenAI, "Create a model response"), `max_uses` (Anthropic, "Web search tool"; both read 2026-11-28). Other dialects have no
    such member."""
    fields = request.fields
    if request.dialect == "responses" and "max_tool_calls" not in fields and asked_for("responses", fields):
        return msgspec.structs.replace(request, fields={**fields, "max_tool_calls": Raw(b"%d" % most)})
    if request.dialect != "anthropic" or "tools" not in fields:
        return request
    try:
        tools = _decode_list(fields["tools"])
    except UNREADABLE:
        return request
    bare = [tool for tool in tools if isinstance(tool, dict) and _is_bare(tool)]
    if not bare:
        return request
    for tool in bare:
        tool["max_uses"] = most
    return msgspec.structs.replace(request, fields={**fields, "tools": Raw(msgspec.json.encode(tools))})


def _is_bare(tool: dict[str, Any]) -> bool:
    kind = tool.get("type")
    return isinstance(kind, str) and kind.startswith(_CAPPED) and tool.get("max_uses") is None


def member(fields: Mapping[str, Raw], path: str) -> Raw | None:
    """Return what stands at a path of members, None where nothing does."""
    outer, _, inner = path.partition(".")
    raw = fields.get(outer)
    if raw is None or not inner:
        return raw
    try:
        return member(_decode_object(raw), inner)
    except UNREADABLE:
        return None


def _of(rules: ToolRules, tool: Any) -> Iterator[str]:
    if not isinstance(tool, dict):
        yield rules.holder
    elif rules.members:
        yield from (name for name, value in tool.items() if name not in rules.members and value is not None)
    else:
        kind = tool.get("type")
        if kind is not None and not (
            isinstance(kind, str) and (kind in rules.types or kind.startswith(rules.prefixes or ("\0",)))
        ):
            yield str(kind)[:64]
