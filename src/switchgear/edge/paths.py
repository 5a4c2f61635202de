"""The table of paths: what each one does. Level 4.

People paste base URLs with and without `/v1`: both are served, `//` and `/v1/v1` are folded (CONTRACT.md §4).
"""

import re
from urllib.parse import unquote_to_bytes

import msgspec

from switchgear.dialects.openai import Operation


class Endpoint(msgspec.Struct, frozen=True):
    """One served path. `upstream` is the path below the provider's prefix."""

    name: str
    method: bytes
    operation: Operation | None = None
    upstream: str = ""
    needs_key: bool = True


_TABLE: dict[bytes, Endpoint] = {
    b"/chat/completions": Endpoint("chat", b"POST", "chat", "/chat/completions"),
    b"/completions": Endpoint("completions", b"POST", "completions", "/completions"),
    b"/embeddings": Endpoint("embeddings", b"POST", "embeddings", "/embeddings"),
    b"/models": Endpoint("models", b"GET"),
    b"/key": Endpoint("key", b"GET"),
    b"/healthz": Endpoint("healthz", b"GET", needs_key=False),
    b"/health": Endpoint("healthz", b"GET", needs_key=False),
    b"/readyz": Endpoint("readyz", b"GET", needs_key=False),
    b"/ready": Endpoint("readyz", b"GET", needs_key=False),
    b"/": Endpoint("root", b"GET", needs_key=False),
}
_MODEL = Endpoint("model", b"GET")
_SLASHES = re.compile(rb"//+")


def find(target: bytes) -> tuple[Endpoint | None, bytes]:
    """Return (the endpoint or None, the rest of the path after it: a model's id) for a request target."""
    path = target.partition(b"?")[0]
    if b"//" in path:
        path = _SLASHES.sub(b"/", path)
    while path.startswith(b"/v1/"):
        path = path[3:]
    if path == b"/v1":
        path = b"/"
    if len(path) > 1 and path.endswith(b"/"):
        path = path[:-1]
    found = _TABLE.get(path)
    if found is not None:
        return found, b""
    if path.startswith(b"/models/"):
        return _MODEL, unquote_to_bytes(path[8:])
    return None, b""
