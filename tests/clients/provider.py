"""Providers in one process, each below its own path: strict as the twins are, and scripted. Needs the tests' packages.

`http://127.0.0.1:PORT/UPSTREAM/…` is one upstream. A request is judged (`switchgear.testing.twins`), read, and answered as the
script says; what was refused, or lost, is kept for the table.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tests.clients.answers import WRITERS, refusal
from tests.clients.conversation import READERS, Said
from tests.clients.script import REFUSAL, Answered, BrokenError, decide

from switchgear.testing.twins import Refusal, judge_at
from switchgear.testing.twins.providers import TWINS
from switchgear.testing.twins.server import refused_at_the_door

REQUESTS_MAX = 40
"""More requests than that in one run are a client that goes round in circles."""


class Seen(NamedTuple):
    """One request of a run."""

    upstream: str
    dialect: str
    said: Said
    problem: str
    """Empty where it was taken."""


_PATHS: tuple[tuple[str, str, bool | None], ...] = (
    (r"/chat/completions", "openai", None),
    (r"/responses", "responses", None),
    (r"/messages", "anthropic", None),
    (r"/models/(?P<model>[^/:]+):generateContent", "gemini", False),
    (r"/models/(?P<model>[^/:]+):streamGenerateContent", "gemini", True),
    (r"/model/(?P<model>[^/]+)/converse", "bedrock", False),
    (r"/model/(?P<model>[^/]+)/converse-stream", "bedrock", True),
)
_COUNTS = (
    (r"/messages/count_tokens", {"input_tokens": 1_200}),
    (r"/models/[^/:]+:countTokens", {"totalTokens": 1_200}),
    (r"/model/[^/]+/count-tokens", {"inputTokens": 1_200}),
    (r"/responses/input_tokens", {"object": "response.input_tokens", "input_tokens": 1_200}),
)


class Provider:
    """All upstreams, on a port of loopback."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.refused_body = b""
        """The last body that was refused, or lacked something."""
        self._lock = threading.Lock()
        self._limited = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                if "chunked" in (self.headers.get("transfer-encoding") or ""):
                    body = self._chunks()
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, kind, answer = outer.answer(self.path, headers, body)
                self.send_response(status)
                self.send_header("content-type", kind or "application/json")
                if status == 429:
                    self.send_header("retry-after", "1")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def _chunks(self) -> bytes:
                found = b""
                while size := int(self.rfile.readline().partition(b";")[0], 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def begin(self) -> None:
        """Forget what a run before has sent."""
        with self._lock:
            self.seen.clear()
            self._limited = False

    def _was_limited(self) -> bool:
        with self._lock:
            was, self._limited = self._limited, True
        return was

    def problems(self) -> list[str]:
        """What was refused or lost in this run, each once."""
        with self._lock:
            return list(dict.fromkeys(one.problem for one in self.seen if one.problem))

    def dialects(self) -> list[str]:
        """The dialects in which the run's tasks were asked."""
        with self._lock:
            return list(dict.fromkeys(one.dialect for one in self.seen))

    def answer(self, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Return status, content type ("" is JSON) and body."""
        path = urlsplit(target).path
        upstream, _, rest = path.lstrip("/").partition("/")
        for pattern, counted in _COUNTS:
            if re.search(f"{pattern}$", path):
                return 200, "", json.dumps(counted).encode()
        for pattern, dialect, in_stream in _PATHS:
            found = re.search(f"{pattern}$", f"/{rest}")
            if found is not None:
                value = json.loads(body)
                model = unquote(found.groupdict().get("model") or "") or str(value.get("model"))
                return self._chat(upstream, dialect, model, headers, body, value, bool(in_stream))
        return 404, "", json.dumps({"error": {"message": f"no such path: {path}"}}).encode()

    def _chat(
        self,
        upstream: str,
        dialect: str,
        model: str,
        headers: dict[str, str],
        body: bytes,
        value: dict[str, Any],
        in_stream: bool,
    ) -> tuple[int, str, bytes]:
        said = READERS[dialect](model, value, in_stream)
        refused = _judged(upstream, dialect, model, headers, _as_openai_says(value, body))
        if refused is not None:
            self._keep(upstream, said, f"{refused.status} {refused.rule}: {json.dumps(refused.body)[:300]}")
            return refused.status, "", json.dumps(refused.body).encode()
        strict = _returned_thinking(upstream, said)
        if strict:
            self._keep(upstream, said, f"400 {strict}")
            return 400, "", refusal(dialect, 400, strict)
        with self._lock:
            count = len(self.seen)
        try:
            answered = decide(said) if count < REQUESTS_MAX else Answered(_END, 400, "the client goes round in circles")
        except BrokenError as exc:
            self._keep(upstream, said, f"lost: {exc}")
            return 400, "", refusal(dialect, 400, str(exc))
        if answered.status == 429 and self._was_limited():
            answered = answered._replace(status=200)
        if answered.status == 429:
            self._keep(upstream, said, "")
            return 429, "", refusal(dialect, 429, answered.error)
        if answered.status != 200:
            self._keep(upstream, said, "" if answered.error == REFUSAL else answered.error)
            return answered.status, "", refusal(dialect, answered.status, answered.error)
        self._keep(upstream, said, "")
        turn = answered.turn
        if dialect == "openai" and upstream not in _SHOWS_THINKING:
            turn = turn._replace(thinking="")  # OpenAI shows none in chat completions
        answer, kind = WRITERS[dialect](turn, model, said.stream, value)
        return 200, kind, answer

    def _keep(self, upstream: str, said: Said, problem: str) -> None:
        with self._lock:
            if problem:
                self.refused_body = json.dumps(said.body).encode()
            self.seen.append(Seen(upstream, said.dialect, said, problem))


_END: Any = None
_SHOWS_THINKING = frozenset({"deepseek", "qwen"})
"""Upstreams that show thinking in chat completions."""


def _judged(upstream: str, dialect: str, model: str, headers: dict[str, str], body: bytes) -> Refusal | None:
    """What the twin of that name says: its door (key, version, content type), then its SDK's types and its rules."""
    twin = TWINS.get(upstream)
    at_door = None
    if twin is not None and upstream != "bedrock":  # here it is asked with a bearer key, that twin wants a signature
        at_door = refused_at_the_door(twin, dialect, headers)
    return at_door or judge_at(upstream, dialect, model, body)


def _as_openai_says(value: dict[str, Any], body: bytes) -> bytes:
    """The request without what its provider takes although OpenAI's SDK has no type for it: OpenAI's own Codex sends
    `client_metadata`, ids of users' messages, and more of `web_search` (openai/codex, core/src/client.rs, seen 2026-11-27)."""
    if "input" in value:
        items = [
            {name: part for name, part in item.items() if name != "id"} if item.get("role") in _INPUT_ROLES else item
            for item in (value["input"] if isinstance(value["input"], list) else [])
        ]
        kept = {name: part for name, part in value.items() if name != "client_metadata"}
        if "tools" in kept:
            kept["tools"] = [
                {name: part for name, part in tool.items() if name not in _WEB_SEARCH} for tool in kept["tools"]
            ]
        return json.dumps(kept | ({"input": items} if items else {})).encode()
    return body


_WEB_SEARCH = frozenset({"external_web_access", "search_content_types"})
_INPUT_ROLES = frozenset({"user", "developer", "system"})


def _returned_thinking(upstream: str, said: Said) -> str:
    """DeepSeek wants the thinking of calls back while their turn lasts (api-docs.deepseek.com/guides/thinking_mode)."""
    if upstream != "deepseek":
        return ""
    current = max((at for at, item in enumerate(said.items) if item.kind == "user"), default=-1)
    messages = said.body.get("messages") or []
    for message in messages[max((at for at, one in enumerate(messages) if one["role"] == "user"), default=0) :]:
        if message["role"] == "assistant" and message.get("tool_calls") and not message.get("reasoning_content"):
            return (
                f"Missing `reasoning_content` field in the assistant message at message index {messages.index(message)}"
            )
    return "" if current >= 0 else "no user turn"
