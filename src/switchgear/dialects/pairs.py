"""Calls of tools and their results, brought together as every provider but the laxest demands. Level 1, pure.

Histories of agents break the rule in the wild: a turn was stopped, a result was cut away with an old turn, calls of a server
that gives no ids (or the same id in each turn) came from elsewhere. Providers refuse the whole conversation then, and go on
refusing it: "tool_use ids were found without tool_result blocks" (Anthropic), "must be followed by tool messages" (OpenAI),
"number of function response parts" (Gemini). Reports: claude-code#8210, trae-agent#245, vscode#299295, gemini-cli#21830,
CLIProxyAPI#5362 (read 2026-11-27).
"""

import hashlib
import re
from collections import deque

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects.canonical import Media, Message, Part, Text, ToolCall, ToolResult
from switchgear.dialects.json_node import object_of

NO_RESULT = "(no result: the call was interrupted)"
"""The result of a call that has none."""
ORPHAN = "(the result of an earlier tool call)"
"""What stands before a result whose call is gone."""
_DIGEST_CHARS = 9
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider takes as a call's id."""

    chars: str = ""
    """The inside of a character class; empty for any characters."""
    chars_max: int = 64
    is_exact: bool = False
    """True where an id has exactly so many characters."""


class _Result(msgspec.Struct):
    """A result, and the turn in which it stood."""

    turn: int
    result: ToolResult
    is_taken: bool = False


@Stepwise
def pair(messages: list[Message], ids: Ids, as_text: bool) -> Steps[list[Message]]:
    """Return the turns with each call answered in the turn behind it, in the order of the calls, under ids that the provider
    takes and no two calls share. Calls without a result get one, results without a call become text. `as_text`: arguments
    travel as a text there, which must be a JSON object all the same."""
    waiting: dict[str, deque[_Result]] = {}
    found: dict[int, list[_Result]] = {}
    for turn, message in enumerate(messages):
        for part in message.parts:
            yield
            if isinstance(part, ToolResult):
                one = _Result(turn, part)
                found.setdefault(turn, []).append(one)
                waiting.setdefault(part.call_id, deque()).append(one)
    answers: dict[int, list[ToolResult]] = {}
    names = _Names(ids)
    for turn, message in enumerate(messages):
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if not calls or message.role != "assistant":
            continue
        answers[turn] = yield from _answer(turn, calls, waiting, names)
        for call in calls:
            yield
            if as_text:
                call.arguments = _object_text(call.arguments)
    turns: list[Message] = []
    before: list[ToolResult] = []
    for turn, message in enumerate(messages):
        yield
        if before and message.role != "user":
            turns.append(Message("user", [*before]))
            before = []
        orphans = [one.result for one in found.get(turn, ()) if not one.is_taken]
        if before or turn in found:
            rest = [part for part in message.parts if not isinstance(part, ToolResult)]
            message.parts = [*before, *(part for one in orphans for part in _told(one)), *rest]
        before = answers.get(turn, [])
        if message.parts:
            _append(turns, message)
    if before:
        turns.append(Message("user", [*before]))
    return turns


def _append(turns: list[Message], message: Message) -> None:
    """Add a turn; where the one between was results alone that went elsewhere, two of one role meet."""
    if turns and turns[-1].role == message.role:
        turns[-1].parts.extend(message.parts)
    else:
        turns.append(message)


def _answer(
    turn: int, calls: list[ToolCall], waiting: dict[str, deque[_Result]], names: "_Names"
) -> Steps[list[ToolResult]]:
    """Take the results of one turn's calls, and give calls and results their ids."""
    taken: dict[str, _Result] = {}
    results: list[tuple[ToolCall, ToolResult]] = []
    for call in calls:
        yield
        line = waiting.get(call.id, deque())
        while line and line[0].turn <= turn:
            line.popleft()  # it stands before its call
        if line:
            one = taken[call.id] = line.popleft()
            one.is_taken = True
            results.append((call, one.result))
        else:
            results.append((call, ToolResult(call.id, [Text(NO_RESULT)], call.name, is_error=True)))
    for call_id, one in taken.items():
        line = waiting[call_id]
        content = [*one.result.content]
        while line and line[0].turn == one.turn:  # told twice
            yield
            more = line.popleft()
            more.is_taken = True
            if more.result.content != content:  # Gemini CLI 0.61 says each twice when it resumes a session
                content.extend(more.result.content)
        one.result.content = content
    for call, result in results:
        call.id = result.call_id = names.give(call.id)
        result.name = result.name or call.name
    return [result for _, result in results]


def _told(result: ToolResult) -> list[Part]:
    """Return a result whose call is gone as what the user says."""
    text = "".join(item.text for item in result.content if isinstance(item, Text))
    return [Text(f"{ORPHAN}\n{text}", result.cache), *(item for item in result.content if isinstance(item, Media))]


class _Names:
    """Gives ids, the same ones for the same conversation however long it grows: what stays equal stays cached."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._bad = re.compile(f"[^{ids.chars}]") if ids.chars else None
        self._given: set[str] = set()
        self._count = 0

    def give(self, call_id: str) -> str:
        """Return the id for the next call that bears this one."""
        self._count += 1
        wanted = call_id or f"call_{self._count}"
        name = self._fitted(wanted)
        if name in self._given:
            name = self._fitted(f"{wanted} {self._count}", is_new=True)
        self._given.add(name)
        return name

    def _fitted(self, wanted: str, is_new: bool = False) -> str:
        ids = self._ids
        plain = self._bad.sub("_", wanted) if self._bad is not None else wanted
        fits = len(plain) == ids.chars_max if ids.is_exact else len(plain) <= ids.chars_max
        if fits and not is_new and (plain == wanted or not ids.is_exact):
            return plain
        digest = hashlib.sha256(wanted.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
        return digest if ids.is_exact else f"{plain[: ids.chars_max - _DIGEST_CHARS - 1]}_{digest}"


def _object_text(arguments: str) -> str:
    """Return a call's arguments as the text of a JSON object: a limit may have cut them off, and servers whose templates
    read them refuse anything else."""
    try:
        _decode_object(arguments)
    except (*UNREADABLE, UnicodeEncodeError):
        return bytes(object_of(arguments)).decode()
    return arguments
