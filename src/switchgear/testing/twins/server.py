"""All twins as one HTTP server: they refuse as the real ones do, and say what they are told to say. Level 5.

It is the standard library's server, so that no mistake of the product's own HTTP can hide in it. `answer` is asked for what to say
to each request that is taken; it runs in the thread of the connection.
"""

import contextlib
import json
import threading
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from switchgear.testing.twins import streaming
from switchgear.testing.twins.providers import TWINS, Twin
from switchgear.testing.twins.verdict import Refusal, error_body, judge_at

SEEN_MAX = 10_000


class Seen(NamedTuple):
    """A request that arrived."""

    provider: str
    dialect: str
    model: str
    stream: bool
    body: dict[str, Any]
    headers: dict[str, str]
    """Names in lower case."""
    refusal: Refusal | None
    """Why it was refused; None for one that was taken."""


class Reply(NamedTuple):
    """What is said: whole, or in pieces as they are written."""

    pieces: Iterable[bytes]
    content_type: str = "application/json"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def plain(body: dict[str, Any]) -> Reply:
    """Return a plain answer."""
    return Reply([json.dumps(body).encode()])


def in_stream(
    dialect: str, body: dict[str, Any], odd: streaming.Odd = streaming.PLAIN, show_usage: bool = True
) -> Reply:
    """Return the same answer as the provider's stream."""
    pieces = streaming.WRITERS[dialect](body, odd, show_usage)
    return Reply(pieces, streaming.TYPES.get(dialect, "text/event-stream"))


class TwinServer:
    """Serve from now on, on `port`, until `stop`."""

    def __init__(self, answer: Callable[[Seen], Reply], port: int = 0) -> None:
        self.seen: deque[Seen] = deque(maxlen=SEEN_MAX)
        """What arrived, refused or not, in the order of arrival."""
        self.faults: deque[str] = deque(maxlen=100)
        """What went wrong in the twin itself: a test that uses it looks here."""
        self._server = _Server(("127.0.0.1", port), _handler(self, answer))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _handler(twins: TwinServer, answer: Callable[[Seen], Reply]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # the base class names it
            """Nothing is logged: `seen` and `faults` tell."""

        def do_GET(self) -> None:
            self._send(Reply([json.dumps({"object": "list", "data": []}).encode()]))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                found = take(self.path, headers, raw)
                twins.seen.append(found)
                reply = _refused(found.refusal) if found.refusal is not None else answer(found)
            except Exception as exc:  # noqa: BLE001  # whatever it is, a test looks at `faults`
                twins.faults.append(f"{self.path}: {type(exc).__name__}: {exc}")
                reply = Reply([json.dumps({"error": {"message": f"the twin failed: {exc}"}}).encode()], status=500)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("content-type", reply.content_type)
            for name, value in reply.headers:
                self.send_header(name, value)
            pieces = list(reply.pieces)
            if len(pieces) == 1:
                self.send_header("content-length", str(len(pieces[0])))
                self.end_headers()
                self.wfile.write(pieces[0])
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

    return Handler


def _refused(refusal: Refusal) -> Reply:
    return Reply([json.dumps(refusal.body).encode()], status=refusal.status, headers=refusal.headers)


def take(target: str, headers: dict[str, str], raw: bytes) -> Seen:
    """Read a request as the provider named in its path would, and judge it."""
    path, _, query = target.partition("?")
    _, name, rest = (path + "/").split("/", 2)
    twin = TWINS.get(name)
    place = twin.find(f"/{rest.removesuffix('/')}") if twin is not None else None
    if twin is None or place is None:
        dialect = next(iter(twin.paths)) if twin is not None else "openai"
        body = error_body(dialect, 404, f"Unknown request URL: POST {path}. Please check the URL for typos.")
        return Seen(name, dialect, "", False, {}, headers, Refusal(404, body, "path"))
    dialect, in_path, model = place
    given: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        found = json.loads(raw)
        given = found if isinstance(found, dict) else {}
    stream = bool(given.get("stream")) if in_path is None else in_path
    asked = urllib.parse.unquote(model) if model is not None else str(given.get("model", ""))
    refusal = refused_at_the_door(twin, dialect, headers) or judge_at(twin.name, dialect, asked, raw)
    if refusal is None and dialect == "gemini" and stream and "alt=sse" not in query:
        refusal = Refusal(400, error_body(dialect, 400, "this twin streams with alt=sse alone"), "alt")
    return Seen(name, dialect, asked, stream, given, headers, refusal)


def refused_at_the_door(twin: Twin, dialect: str, headers: dict[str, str]) -> Refusal | None:
    """Return why a request is refused by its headers alone, whose names are in lower case; None where they will do."""
    name, _, start = twin.auth.partition(": ")
    shown = headers.get(name, "")
    if name and not (shown.startswith(start) and shown.removeprefix(start).strip()):
        return Refusal(401, error_body(dialect, 401, "You didn't provide an API key."), "auth")
    for wanted in twin.headers:
        if wanted not in headers:
            return Refusal(400, error_body(dialect, 400, f"{wanted}: header is required"), "header")
    if "json" not in headers.get("content-type", ""):
        return Refusal(415, error_body(dialect, 415, "Unsupported Media Type"), "content-type")
    return None
