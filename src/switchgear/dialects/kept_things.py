"""Reads from an answer which things its provider keeps now: responses, files, conversations. Level 1."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Raw

KEPT_MAX = 64
"""Things that one answer can make known."""


def kept_by_response(response: Any) -> list[str]:
    """Return the ids that a response of the Responses API makes known: its own, its conversation's, its items' and
    containers'."""
    if not isinstance(response, dict):
        return []
    found = [response.get("id"), _id_of(response.get("conversation"))]
    output = response.get("output")
    for item in output if isinstance(output, list) else []:
        if isinstance(item, dict):
            found += [item.get("id"), item.get("container_id"), *_cited(item)]
    return _plain(found)


def _cited(item: dict[str, Any]) -> Iterator[Any]:
    """Yield files that a tool wrote, and the containers where they are."""
    content = item.get("content")
    for part in content if isinstance(content, list) else []:
        notes = part.get("annotations") if isinstance(part, dict) else None
        for note in notes if isinstance(notes, list) else []:
            if isinstance(note, dict) and note.get("type") == "container_file_citation":
                yield note.get("file_id")
                yield note.get("container_id")


def kept_by_message(message: Any) -> list[str]:
    """Return the ids that an Anthropic message, or an event of its stream, makes known: container and files."""
    found: list[Any] = []
    _keep_within(message, 0, found)
    return _plain(found) if found else found


_HOLDERS = ("content", "content_block", "delta", "message")
_TELLING = frozenset({"file_id", "container", *_HOLDERS})


def _keep_within(value: Any, depth: int, found: list[Any]) -> None:
    if isinstance(value, list):
        for element in value:
            _keep_within(element, depth + 1, found)
    elif isinstance(value, dict) and depth < 16 and not _TELLING.isdisjoint(value):
        found += [name for name in (value.get("file_id"), _id_of(value.get("container"))) if name is not None]
        for key in _HOLDERS:
            if key in value:
                _keep_within(value[key], depth + 1, found)


_MADE_BY = ("output_file_id", "error_file_id", "result_files", "thread_id", "vector_store_id")
"""Keys of a thing that name others which came of it."""


def kept_by_raw_answer(value: Any, is_new: bool) -> list[str]:
    """Return the ids that the answer on a raw path makes known. `is_new`: the request made the thing, by OpenAI's, Anthropic's or
    Gemini's names; else only what came of a thing that was asked for."""
    if not isinstance(value, dict):
        return []
    found: list[Any] = []
    if is_new or value.get("object") == "response":
        found += kept_by_response(value)
    if is_new:
        found.append(_id_of(value.get("container")))
        for holder in (value, value.get("file"), value.get("response")):
            if isinstance(holder, dict):
                found += [holder.get("id"), holder.get("name")]
    for key in _MADE_BY:
        named = value.get(key)
        found += named if isinstance(named, list) else [named]
    return _plain(found)


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}")


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of something kept."""
    return _ID.fullmatch(text) is not None


def _plain(found: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(text for text in found if isinstance(text, str) and is_id(text)))[:KEPT_MAX]


def is_stored_answer(dialect: str, answer_id: str) -> bool:
    """Tell whether a provider may keep what it answered under this id, to a client of `dialect`."""
    return dialect == "responses" and answer_id.startswith(_ANSWER)


_ANSWER = "resp_"
_OBJECT = re.compile(rb'"object"\s*:\s*"response"')


def may_be_response(body: bytes) -> bool:
    """Tell whether what came on a raw path may be an answer of responses: it calls itself so."""
    return _OBJECT.search(body) is not None


def is_response_id(answer_id: str | None) -> bool:
    """Tell whether an id is that of an answer of responses."""
    return answer_id is not None and answer_id.startswith(_ANSWER)


_STATEFUL = ("background", "previous_response_id", "conversation", "container")
_NOT_SAID = (b"", b"null", b"false")


def is_stateful(dialect: str, fields: Mapping[str, Raw]) -> bool:
    """Tell whether an answer may depend on, or become, something that its provider keeps. Responses are stored unless their client
    says otherwise (OpenAI API reference, "Responses", `store`, read 2026-11-28)."""
    store = bytes(fields.get("store", b""))
    is_stored = store != b"false" if dialect == "responses" else store not in _NOT_SAID
    return is_stored or any(bytes(fields.get(name, b"")) not in _NOT_SAID for name in _STATEFUL)


WHOLE = frozenset(
    {
        "stop", "tool_calls", "function_call",  # OpenAI chat, and ours of a translated stream
        "completed",  # Responses
        "end_turn", "stop_sequence", "tool_use",  # Anthropic, Bedrock
        "STOP",  # Gemini
        "COMPLETE", "STOP_SEQUENCE", "TOOL_CALL",  # Cohere
    }
)  # fmt: skip
"""How answers end that no output limit cut, as their providers say it (their API references, as of 2026-11)."""
UNFINISHED = frozenset({"queued", "in_progress"})
"""States of an answer that its provider still makes: what it costs is told when it is asked for later (OpenAI API reference,
"Background mode", as of 2026-11)."""
