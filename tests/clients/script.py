"""What the model does in each scenario: decided from the request alone, so that a client that loses its history is found out.

A task begins with a marker, `[[loop]]`; what stands behind the last marker is the turn. A request without one is a client's own
(titles, summaries, checks) and gets a plain answer.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.clients.answers import Call, Turn
from tests.clients.conversation import Item, Said

MARKER = re.compile(r"\[\[([a-z0-9]+)(?::([^\]]*))?\]\]")
WORDS = ("alpha-71", "beta-72", "gamma-73")
SECOND = "delta-74"
_SUMMARY = "A short summary."
REFUSAL = "the twin refuses teapot-4711"
LIMIT = "Rate limit reached: try again in 1 s"
EDITED = "edited by the model"
AFTER_LIMIT = "after the limit it went on"


class BrokenError(Exception):
    """The client, or the gateway, lost something: the sentence says what."""


class Answered(NamedTuple):
    """What the provider does: a turn, or an error."""

    turn: Turn
    status: int = 200
    error: str = ""


_SHELLS = re.compile(
    r"(.*__)?(bash|shell|exec_command|shell_command|run_shell_command|run_commands|execute_command|run_terminal_command|run_shell)",
    re.IGNORECASE,
)
_READERS = re.compile(r"(read|read_file|view|view_image|read_files)", re.IGNORECASE)


def shell(said: Said, command: str) -> Call:
    """Call the client's shell with a command, arguments after its own schema."""
    name = _tool(said, _SHELLS)
    return Call(name, _arguments(said.tools[name], {"command": command, "cmd": command, "commands": command}))


def _tool(said: Said, pattern: "re.Pattern[str]") -> str:
    for name in said.tools:
        if pattern.fullmatch(name):
            return name
    raise BrokenError(f"no tool like {pattern.pattern} among {list(said.tools)}")


def _arguments(schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    found = {name: _typed(properties[name], value) for name, value in given.items() if name in properties}
    for name in schema.get("required") or []:
        if name not in found:
            found[name] = fill(properties.get(name) or {})
    return found


def _typed(schema: dict[str, Any], value: Any) -> Any:
    kinds = [schema, *(schema.get("anyOf") or []), *(schema.get("oneOf") or [])]
    if any("array" in str(one.get("type")).lower() for one in kinds) and not any(
        str(one.get("type")).lower() == "string" for one in kinds
    ):
        items = next((one.get("items") for one in kinds if one.get("items")), {}) or {}
        if "object" in str(items.get("type")).lower():
            return [_arguments(items, {"command": value, "path": value})]
        return [value] if "commands" in str(schema.get("description", "")).lower() else [*value.split(" ")]
    return value


def fill(schema: dict[str, Any]) -> Any:
    """Return a value of a schema: the capital is Paris, a choice is its first."""
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return fill(schema[word][0])
    if schema.get("enum"):
        return "user" if "user" in schema["enum"] else schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = str(schema.get("type", "string")).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        wanted = schema.get("required") or list(properties)
        return {name: "Paris" if name == "capital" else fill(properties.get(name) or {}) for name in wanted}
    if kind == "array":
        return [fill(schema.get("items") or {})]
    return {"boolean": False, "integer": 1, "number": 1}.get(kind, "step")


def decide(said: Said) -> Answered:
    """Return what the model does. Raises BrokenError where the request lacks what it must have."""
    last = next((at for at in reversed(range(len(said.items))) if _marked(said.items[at])), None)
    if last is None and "weather" in said.tools and any("Use the tool" in item.text for item in said.items):
        return Answered(Turn("", (Call("weather", {"city": "Paris"}),)))
    if last is None and said.tools and any(_SUMMARY in item.text for item in said.items):
        return Answered(Turn("compaction done"))  # Codex keeps the summary alone
    if last is None or not _is_a_task(said):
        return Answered(Turn(fill_text(said)))
    marker = _marked(said.items[last])
    assert marker is not None
    name, argument = marker.group(1), marker.group(2) or ""
    after = said.items[last + 1 :]
    _check_results(said.items)
    return SCENARIOS[name](said, after, argument)


_NAMES = re.compile(
    r"title (generator|for)|generate a .{0,60}title|summari[sz]e (this|the) conversation", re.IGNORECASE
)
"""How clients ask for a session's name."""
_COMPACTS = re.compile(r"checkpoint compaction|create a \w+ summary|state_snapshot", re.IGNORECASE)
"""How Codex, Claude Code and Gemini CLI ask for a summary of their history."""


def _is_a_task(said: Said) -> bool:
    """A request for a title or a summary repeats the task, and has no tools."""
    if any(_SUMMARY in item.text for item in said.items if item.kind != "assistant"):
        return True  # it goes on after the history was compacted
    last = said.items[-1]
    if last.kind == "user" and not MARKER.search(last.text) and _COMPACTS.search(last.text):
        return False
    if said.tools:
        return True
    text = " ".join(item.text for item in said.items if item.kind in {"system", "user"})
    return not _NAMES.search(text) and not _COMPACTS.search(text)


def fill_text(said: Said) -> str:
    """A plain answer: JSON where it is asked for."""
    import json

    return json.dumps(fill(said.schema)) if said.schema is not None else _SUMMARY


def _marked(item: Item) -> "re.Match[str] | None":
    found = list(MARKER.finditer(item.text)) if item.kind == "user" else []
    return found[-1] if found else None


def _check_results(items: list[Item]) -> None:
    """Each call is answered once, under its own id."""
    calls = [item.id for item in items if item.kind == "call"]
    results = [item.id for item in items if item.kind == "result"]
    if len(set(calls)) != len(calls):
        raise BrokenError(f"two calls have one id: {calls}")
    if sorted(calls) != sorted(results):
        raise BrokenError(f"calls {calls} were answered by results {results}")


def _result_of(after: list[Item], word: str) -> Item:
    for item in after:
        if item.kind == "call" and word in str(item.arguments):
            return next(one for one in after if one.kind == "result" and one.id == item.id)
    raise BrokenError(f"the call with {word} is not in the history")


def _expect(after: list[Item], words: tuple[str, ...]) -> None:
    for word in words:
        text = _result_of(after, word).text
        if word not in text:
            raise BrokenError(f"the result of the call with {word} is {text[:80]!r}")


def _thought(said: Said, number: int) -> dict[str, str]:
    return {"thinking": f"Thought number {number}.", "signature": f"c2lnbmF0dXJlLW51bWJlci0{number}"}


def _loop(said: Said, after: list[Item], argument: str) -> Answered:
    calls = sum(item.kind == "call" for item in after)
    if calls == 0:
        return Answered(Turn("I look first.", (shell(said, f"echo {WORDS[0]}"),), **_thought(said, 1)))
    _expect(after, WORDS[:1])
    if calls == 1:
        return Answered(Turn("", tuple(shell(said, f"echo {word}") for word in WORDS[1:]), **_thought(said, 2)))
    _expect(after, WORDS)
    return Answered(Turn(f"finished: {' '.join(WORDS)}"))


def _second(said: Said, after: list[Item], argument: str) -> Answered:
    _expect(said.items, WORDS)
    if not any(item.kind == "assistant" and "finished:" in item.text for item in said.items):
        raise BrokenError("the first turn's answer is not in the history")
    if not any(item.kind == "call" for item in after):
        return Answered(Turn("", (shell(said, f"echo {SECOND}"),), **_thought(said, 3)))
    _expect(after, (SECOND,))
    return Answered(Turn(f"second done: {SECOND}"))


def _schema(said: Said, after: list[Item], argument: str) -> Answered:
    import json

    if any(item.kind == "call" for item in after):
        return Answered(Turn("Paris it is."))
    if said.schema is not None:
        return Answered(Turn(json.dumps({"capital": "Paris"})))
    for name, parameters in said.tools.items():
        if "capital" in (parameters.get("properties") or {}):
            return Answered(Turn("", (Call(name, {"capital": "Paris"}),), **_thought(said, 0)))
    raise BrokenError("the request asks for no schema")


def _image(said: Said, after: list[Item], argument: str) -> Answered:
    count = sum(item.kind == "image" for item in said.items)
    if count:
        return Answered(Turn("the picture arrived"))
    if argument and not any(item.kind == "call" for item in after):
        name = _tool(said, _READERS)
        given = dict.fromkeys(("path", "file_path", "filePath", "absolute_path", "filepath", "files"), argument)
        return Answered(Turn("", (Call(name, _arguments(said.tools[name], given)),), **_thought(said, 0)))
    raise BrokenError("no picture arrived")


def _refused(said: Said, after: list[Item], argument: str) -> Answered:
    return Answered(Turn(), 400, REFUSAL)


def _rate(said: Said, after: list[Item], argument: str) -> Answered:
    """The first request of a run is one too many; `provider` counts."""
    return Answered(Turn(AFTER_LIMIT), 429, LIMIT)


def _mcp(said: Said, after: list[Item], argument: str) -> Answered:
    if not any(WORDS[0] in str(item.arguments) for item in after if item.kind == "call"):
        name = next((name for name in said.tools if "lookup" in name), None)
        if name is None and "ToolSearch" in said.tools and not any(item.kind == "call" for item in after):
            wanted = {"query": "select:mcp__tests__lookup", "max_results": 1}
            return Answered(Turn("", (Call("ToolSearch", wanted),), **_thought(said, 0)))
        if name is None and "tool_search" in said.tools and not any(item.kind == "call" for item in after):
            wanted = _arguments(said.tools["tool_search"], {"query": "look a word up", "limit": 5})
            return Answered(Turn("", (Call("tool_search", wanted),), **_thought(said, 0)))
        if name is None:
            raise BrokenError(f"the MCP server's tool is not among {list(said.tools)}")
        return Answered(Turn("", (Call(name, {"word": WORDS[0]}),), **_thought(said, 1)))
    text = _result_of(after, WORDS[0]).text
    if f"found {WORDS[0]}" not in text:
        raise BrokenError(f"the MCP server's result is {text[:80]!r}")
    return Answered(Turn("mcp done"))


def _compact(said: Said, after: list[Item], argument: str) -> Answered:
    """Large counts make the client compact its history; then it is asked on, with the summary."""
    if any(_SUMMARY in item.text for item in said.items):
        return Answered(Turn("compaction done"))
    calls = sum(item.kind == "call" for item in after)
    if calls > 6:
        raise BrokenError("the client never compacted")
    return Answered(Turn("", (shell(said, f"echo {WORDS[calls % 3]}"),), input_tokens=60_000, **_thought(said, 1)))


def _edit(said: Said, after: list[Item], argument: str) -> Answered:
    """aider has no tools: it edits by what the text says. A question after the edit gets a plain answer."""
    if any(EDITED in item.text for item in said.items if item.kind == "assistant"):
        return Answered(Turn("nothing more to do"))
    form = "whole" if any("entire content" in item.text for item in said.items if item.kind == "system") else "diff"
    if form == "whole":
        return Answered(Turn(f"README.md\n```\n{EDITED}\n```\n"))
    block = f"<<<<<<< SEARCH\nA project.\n=======\n{EDITED}\n>>>>>>> REPLACE"
    return Answered(Turn(f"README.md\n```\n{block}\n```\n"))


SCENARIOS: dict[str, Callable[[Said, list[Item], str], Answered]] = {
    "loop": _loop,
    "second": _second,
    "schema": _schema,
    "image": _image,
    "refused": _refused,
    "rate": _rate,
    "edit": _edit,
    "mcp": _mcp,
    "compact": _compact,
}
