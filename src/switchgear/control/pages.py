"""The beginning of the console: sign in with a one-time link, see the state. Level 5. Static; no template, no CDN."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_STATIC = Path(__file__).parent / "static"
PATHS: dict[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/setup": ("index.html", "text/html; charset=utf-8"),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
}

_BODIES = {name: (_STATIC / name).read_bytes() for name, _ in PATHS.values()}


def serve(path: str, headers: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of one static page."""
    name, kind = PATHS[path]
    body = _BODIES[name]

    async def handle(request: Request) -> Response:
        return Response(body, 200, {**headers, "content-type": kind})

    return handle
