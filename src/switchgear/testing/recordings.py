"""Recorded exchanges with real providers, where a folder of them exists. Level 5: it only reads files.

The folder is `SWITCHGEAR_RECORDINGS`, or `../shared/recordings` beside the checkout: one JSON object a line.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec


class Recording(msgspec.Struct, frozen=True):
    """One exchange. `body` is the response's bytes; a JSON response is encoded compactly."""

    id: str
    provider: str
    method: str
    path: str
    request: dict[str, Any]
    status: int
    content_type: str
    body: bytes

    @property
    def is_stream(self) -> bool:
        """True for an answer in events."""
        return "event-stream" in self.content_type or "eventstream" in self.content_type


def folder() -> Path | None:
    """Return the folder of recordings, or None where there is none."""
    named = os.environ.get("SWITCHGEAR_RECORDINGS")
    path = Path(named) if named else Path(__file__).parents[4] / "shared" / "recordings"
    return path if path.is_dir() else None


# The end of a path → the dialect that it speaks.
FAMILIES = (
    ("/chat/completions", "openai"),
    ("/responses", "responses"),
    ("/v1/messages", "anthropic"),
    (":generateContent", "gemini"),
    (":streamGenerateContent", "gemini"),
    ("/converse", "bedrock"),
    ("/converse-stream", "bedrock"),
    ("/v2/chat", "cohere"),
)


def dialect_of(path: str) -> str | None:
    """Return the chat dialect of a path, or None."""
    return next((dialect for end, dialect in FAMILIES if path.endswith(end)), None)


def exchanges() -> Iterator[Recording]:
    """Yield the recorded exchanges with a JSON request. Nothing where there is no folder."""
    where = folder()
    for file in sorted(where.glob("*.jsonl")) if where is not None else ():
        with file.open() as lines:
            for line in lines:
                row = json.loads(line)
                request = (row.get("request") or {}).get("json")
                response = row.get("response") or {}
                if not isinstance(request, dict):
                    continue
                if "base64" in response:
                    body, kind = base64.b64decode(response["base64"]), "application/vnd.amazon.eventstream"
                elif "text" in response:
                    body, kind = response["text"].encode(), "text/event-stream"
                else:
                    body, kind = msgspec.json.encode(response.get("json")), "application/json"
                yield Recording(
                    row["id"], row["provider"], row["method"], row["path"], request, row["status"], kind, body
                )
