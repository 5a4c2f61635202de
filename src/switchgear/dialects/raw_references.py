"""What a raw path and its body name that a provider keeps: by collections in the path, and by keys at any depth. Level 1."""

import re
from collections.abc import Iterator
from typing import Any

from switchgear.dialects.json_guard import fold
from switchgear.dialects.references import ID_BYTES_MAX, Reference, gather, gemini_name, items_of
from switchgear.dialects.registry import DIALECTS

COLLECTIONS: dict[str, str] = {
    "responses": "response",
    "conversations": "conversation",
    "items": "item",
    "prompts": "prompt",
    "files": "file",
    "vector_stores": "vector_store",
    "containers": "container",
    "batches": "batch",
    "skills": "skill",
    "messages": "message",
    "completions": "thing",
    "uploads": "thing",
    "assistants": "thing",
    "threads": "thing",
    "runs": "thing",
    "steps": "thing",
    "jobs": "thing",
    "checkpoints": "thing",
    "file_batches": "thing",
    "evals": "thing",
    "output_items": "thing",
    "videos": "thing",
    "sessions": "thing",
    "calls": "thing",
    "voices": "voice",
    "agents": "thing",
    "environments": "thing",
    "cachedContents": "named",
    "fileSearchStores": "named",
    "documents": "thing",
    "corpora": "thing",
    "tunedModels": "thing",
    "interactions": "thing",
    "operations": "thing",
    # Cohere, Mistral, xAI
    "datasets": "thing",
    "connectors": "thing",
    "embed-jobs": "thing",
    "finetuned-models": "thing",
    "libraries": "thing",
    "collections": "thing",
    "deferred-completion": "thing",
}
_COLLECTIONS = {fold(name): name for name in COLLECTIONS}
"""Some servers do not mind the letters of a path (Azure's are of that kind)."""
_ACTIONS = frozenset(
    {
        "batches",
        "completions",
        "compact",
        "input_tokens",
        "count_tokens",
        "search",
        "cancel",
        "content",
        "delete",
        "export",
    }
)
"""What stands behind a collection's name and is no id."""
_KEYS: dict[str, str] = {key: kind for row in DIALECTS for key, kind in row.references.kinds.items()} | {
    "training_file": "file",
    "validation_file": "file",
    "input_file_id": "file",
    "output_file_id": "file",
    "file_ids": "file",
    "image_file_ids": "file",
    "vector_store_id": "vector_store",
    "container_id": "container",
    "conversation_id": "conversation",
    "response_id": "response",
    "assistant_id": "thing",
    "thread_id": "thing",
    "run_id": "thing",
    "batch_id": "batch",
    "upload_id": "thing",
    "eval_id": "thing",
    "skill_id": "skill",
    "previous_interaction_id": "thing",
    "completion_id": "thing",
    "video_id": "thing",
    "library_id": "thing",
    "dataset_id": "thing",
    "collection_id": "thing",
    "collection_ids": "thing",
}
KEY_BYTES_MAX = 64


def _folded_key(key: str) -> str:
    return fold(key).replace("_", "").replace("-", "")


_FOLDED_KEYS = {_folded_key(key): kind for key, kind in _KEYS.items()}
"""Keys in other letters, and in camel case."""
_NO_IDS = frozenset({"", "auto", "none"})
_OBJECTS = frozenset({"conversation", "container", "prompt", "voice", "audio"})
"""Keys whose value may be an object with an id."""


def find_in_path(path: str, names_things: bool) -> list[Reference]:
    """Return the ids that stand in a raw path, decoded. `names_things`: an id includes its collection
    (`Dialect.paths_name_things`)."""
    found = []
    segments = [segment for segment in path.split("/") if segment]
    for number, segment in enumerate(segments[1:], 1):
        before = _COLLECTIONS.get(fold(segments[number - 1]))
        is_name = fold(segment) in _COLLECTIONS and number + 1 < len(segments)
        if before is None or segment in _ACTIONS or is_name:
            continue
        kind = COLLECTIONS[before]
        is_named = kind == "named" or names_things
        name = f"{before}/{segment}" if is_named else segment
        found.append(Reference("named" if is_named else kind, name[:ID_BYTES_MAX], "path"))
    return found


def find_anywhere(value: Any) -> list[Reference]:
    """Return what a body of an unknown shape names: by its keys, at any depth."""
    found: dict[tuple[str, str], Reference] = {}
    gather(_search(value, ""), found)
    return list(found.values())


def plain_key(name: str) -> str:
    """Return the key that a field of a form or query is about: `file_ids[]` and `image[file_id]` are ways to write one."""
    if "[" not in name:
        return name
    parts = [part for part in re.split(r"[\[\]]+", name) if part and not part.isdigit()]
    return parts[-1] if parts else name


def _kind_of(key: str) -> str | None:
    if key in _KEYS or (key.islower() and key.isascii()):
        return _KEYS.get(key)
    return _FOLDED_KEYS.get(_folded_key(key)) if len(key) <= KEY_BYTES_MAX else None


def _search(value: Any, key: str) -> Iterator[Reference]:
    if isinstance(value, dict):
        if key in {"input", "items"} or value.get("type") == "item_reference":
            yield from items_of(value)
        if key in _OBJECTS and isinstance(value.get("id"), str):
            yield Reference(_KEYS.get(key, "thing"), value["id"][:ID_BYTES_MAX], key)
        is_shared = value.get("type") == "anthropic"  # a skill of Anthropic's own: everybody's
        for name, below in value.items():
            if not (is_shared and name == "skill_id"):
                yield from _search(below, name)
    elif isinstance(value, list):
        for element in value:
            yield from _search(element, key)
    elif isinstance(value, str) and value not in _NO_IDS and (kind := _kind_of(key)) is not None:
        identity = gemini_name(value) if kind == "named" else value
        if identity is not None and len(identity) <= ID_BYTES_MAX:
            yield Reference(kind, identity, key)
