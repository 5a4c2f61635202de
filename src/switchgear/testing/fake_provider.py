"""A provider that behaves as its model's name says. Level 5.

Model names, each with its numbers: `echo` (repeats the last message), `slow-MS` (answers after MS), `stream-N-R` (N events,
R a second; 0 is at once), `status-CODE` (an error of that status), `flaky-N` (fails N times per attempt's request id
prefix, then answers), `cut-N` (closes after N events, or in the middle of a plain answer), `drop` (closes without a
byte), `silent` (never answers), `no-usage`, `garbage`, `big-KIB`. Answers are deterministic; prompt tokens are the words of the
messages, completion tokens those of the answer. Every chat dialect is answered at its own path;
`demo_model` says what, and `slow`, `stream`, `cut` and `status` behave there too. With `remember`, GET /_seen tells what
arrived, by attempt id.
"""

import asyncio
import base64
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, errors
from switchgear.dialects.dialect import PLAIN_TOOLS, StreamEncoder
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.kept_things import is_stored_answer
from switchgear.dialects.registry import BY_NAME, DEFAULT, DIALECTS
from switchgear.net.exchange import Exchange
from switchgear.net.server import HttpServer
from switchgear.testing import demo_model
from switchgear.testing.faults import LoudGuard
from switchgear.wire import eventstream

_JSON = b"content-type: application/json\r\n"
_SSE = b"content-type: text/event-stream\r\n"
SEEN_MAX = 1_000_000
_CREATED = 1_790_000_000
_ELABORATE = (b'"tools"', b'"response_format"', b'"reasoning_effort"', b'"image_url"', b'"max_completion_tokens"')
"""What a chat body holds that the quick answer below does not look at."""


def _path_pattern(path: str) -> re.Pattern[bytes]:
    pieces = path.partition("?")[0].split("{model}")
    return re.compile("([^/]+)".join(map(re.escape, pieces)).encode() + b"$")


_DIALECT_PATHS = [
    (_path_pattern(path), row.name, in_stream)
    for row in DIALECTS
    if row is not DEFAULT
    for path, in_stream in ((row.operations["chat"].path, False), (row.operations["chat"].stream_path, True))
    if path
]
"""The paths of chat in all dialects but the one that is answered at once, below."""
_OTHER_ANSWERS = {
    b":batchEmbedContents": b'{"embeddings":[{"values":[0.25,-0.5]},{"values":[0.5,0.125]}]}',
    b":embedContent": b'{"embedding":{"values":[0.25,-0.5]}}',
    b"/embed": b'{"id":"e1","embeddings":{"float":[[0.25,-0.5],[0.5,0.125]]},"meta":{"billed_units":{"input_tokens":4}}}',
    b"/images/generations": b'{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"input_tokens":5,"output_tokens":7}}',
    b"/images/edits": b'{"created":1,"data":[{"b64_json":"AAAA"},{"b64_json":"AAAA"}]}',
    b"/audio/transcriptions": b'{"text":"hello","usage":{"type":"duration","seconds":3.2}}',
    b"/audio/translations": b'{"text":"hello","duration":"2.0"}',
    b"/moderations": b'{"id":"m1","results":[{"flagged":false}]}',
    b"/rerank": b'{"results":[{"index":0,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}',
}
_INVOKED = (
    b'{"type":"content_block_delta"}',
    b'{"amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":5}}',
)
_KEPT_PATH = re.compile(rb"/responses/(resp_[A-Za-z0-9_-]+)(?:/(cancel|input_items))?$")
_COUNT_PATHS = re.compile(
    rb"/messages/count_tokens$|/responses/input_tokens$|/models/[^/]+:countTokens$|/model/[^/]+/count-tokens$"
)


def _unfinished(whole: bytes, state: str) -> bytes:
    """What is told of a response that is made in the background, before it is finished (OpenAI, "Background mode")."""
    told: dict[str, Any] = msgspec.json.decode(whole)
    return _encode(told | {"status": state, "output": [], "usage": None, "background": True})


class _Message(msgspec.Struct):
    content: Any = ""


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message] = []
    prompt: Any = ""
    input: Any = ""
    stream: bool = False
    stream_options: _StreamOptions | None = None
    tools: list[Any] | None = None


class Seen(msgspec.Struct):
    """What arrived under one attempt id."""

    count: int
    prompt_tokens: int
    completion_tokens: int
    answered: bool


# Model → the numbers it has when none are given.
_BEHAVIOURS: dict[str, list[str]] = {
    "echo": [],
    "slow": ["2000"],
    "stream": ["20", "20"],
    "status": ["500"],
    "flaky": ["1"],
    "cut": ["1"],
    "drop": [],
    "silent": [],
    "no": [],
    "garbage": [],
    "big": ["64"],
}
_decode = msgspec.json.Decoder(_Body, strict=False).decode
_encode = msgspec.json.Encoder().encode


def _no_model(name: str) -> errors.Fault:
    """The model is not there, in OpenAI's words (platform.openai.com/docs/guides/error-codes, read 2026-11-27)."""
    return errors.Fault(
        404, f"The model `{name[:128]}` does not exist", "invalid_request_error", None, "model_not_found"
    )


class Refused(Protocol):
    """What is answered to a request that is refused."""

    @property
    def status(self) -> int:
        """The status."""

    @property
    def body(self) -> dict[str, Any]:
        """The maker's own words."""


Judge = Callable[[str, str, bytes], Refused | None]
"""(dialect, model, body) → why it is refused."""


class FakeProvider:
    """The handler of a provider's HTTP server."""

    def __init__(
        self, clock: Clock, remember: bool = False, is_strict: bool = False, judge: Judge | None = None
    ) -> None:
        """`is_strict`: a model that it does not have is refused, as providers do; else any name is an echo. `judge` says why the
        maker of a dialect would refuse a request (`twins.judge`)."""
        self._is_strict = is_strict
        self._judge = judge
        self.server = HttpServer(self, clock, LoudGuard())
        self._remember = remember
        self.seen: dict[str, Seen] = {}
        self.headers: deque[dict[str, str]] = deque(maxlen=100)
        """The heads of the last requests, for tests of what is forwarded (only with `remember`)."""
        self._flaky: dict[str, int] = {}
        self._kept: dict[str, bytes] = {}
        self._ready_s: dict[str, float] = {}
        """When an answer that is made in the background is finished."""
        self._answers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def on_head(self, exchange: Exchange) -> None:
        """Handler: nothing is refused at the head."""

    def on_gone(self, exchange: Exchange) -> None:
        """Handler: the gateway hung up."""
        if isinstance(exchange.context, asyncio.Task):
            exchange.context.cancel()

    def on_writable(self, exchange: Exchange) -> None:
        """Handler: the gateway reads again."""

    def on_fault(self, exchange: Exchange, exc: Exception) -> None:
        """Handler: show it: a fake must not hide its own faults."""
        self.server.guard.caught(exc)
        exchange.connection.break_off(reset=True)

    def render(self, problem: Problem, target: bytes) -> tuple[bytes, bytes]:
        """Handler: a refusal of the server."""
        return _JSON, _encode({"error": {"message": problem.message, "type": "invalid_request_error"}})

    def on_request(self, exchange: Exchange) -> None:
        """Handler: a request is whole."""
        path = exchange.head.target.partition(b"?")[0]
        if path == b"/_seen":
            exchange.body()
            exchange.send(200, _JSON, _encode({"seen": self.seen, "headers": list(self.headers)}))
            return
        if path.endswith(b"/models"):
            exchange.body()
            exchange.send(200, _JSON, _encode({"object": "list", "data": [{"id": "echo", "object": "model"}]}))
            return
        if self._other_dialect(exchange, path):
            return
        raw = exchange.body()
        if path.endswith(b"/chat/completions") and self._is_refused(exchange, DEFAULT.name, None, raw):
            return
        if path.endswith(b"/chat/completions") and any(key in raw for key in _ELABORATE):
            self._speak(exchange, DEFAULT.name, raw, None, False)
            return
        try:
            body = _decode(raw)
        except msgspec.DecodeError as exc:
            exchange.send(400, _JSON, _error(f"bad body: {exc}", "invalid_request_error"))
            return
        self._answer(exchange, path, body)

    def _other_dialect(self, exchange: Exchange, path: bytes) -> bool:
        kept = _KEPT_PATH.search(path)
        if kept is not None:
            self._answer_kept(exchange, kept.group(1).decode(), kept.group(2))
            return True
        for pattern, dialect, stream in _DIALECT_PATHS:
            found = pattern.search(path)
            if found is not None:
                model = unquote(found.group(1).decode()) if pattern.groups else None
                raw = exchange.body()
                if not self._is_refused(exchange, dialect, model, raw):
                    self._speak(exchange, dialect, raw, model, stream)
                return True
        if path.endswith(b"/invoke"):
            exchange.body()
            counts = b"x-amzn-bedrock-input-token-count: 3\r\nx-amzn-bedrock-output-token-count: 5\r\n"
            exchange.send(200, _JSON + counts, b'{"type":"message","content":[{"type":"text","text":"hello"}]}')
            return True
        if path.endswith(b"/invoke-with-response-stream"):
            exchange.body()
            exchange.start(200, b"content-type: application/vnd.amazon.eventstream\r\n")
            for chunk in _INVOKED:
                exchange.write(eventstream.event("chunk", _encode({"bytes": base64.b64encode(chunk).decode()})))
            exchange.end()
            return True
        for end, answer in _OTHER_ANSWERS.items():
            if path.endswith(end):
                self._seen_media(exchange)
                exchange.send(200, _JSON, answer)
                return True
        if path.endswith(b"/audio/speech"):
            self._seen_media(exchange)
            exchange.send(200, b"content-type: audio/mpeg\r\n", b"\xff\xf3" * 64)
            return True
        found = _COUNT_PATHS.search(path)
        if found is None:
            return False
        tokens = len(exchange.body()) // 4
        exchange.send(200, _JSON, _encode({"input_tokens": tokens, "totalTokens": tokens, "inputTokens": tokens}))
        return True

    def _answer_kept(self, exchange: Exchange, response_id: str, what: bytes | None) -> None:
        """Answer for a response that was given before."""
        exchange.body()
        found = self._kept.get(response_id)
        if found is None:
            exchange.send(404, _JSON, _error(f"no response {response_id}", "invalid_request_error"))
        elif exchange.head.method == b"DELETE":
            del self._kept[response_id]
            exchange.send(200, _JSON, _encode({"id": response_id, "object": "response", "deleted": True}))
        elif asyncio.get_running_loop().time() < self._ready_s.get(response_id, 0.0):
            exchange.send(200, _JSON, _unfinished(found, "in_progress"))
        elif what == b"input_items":
            exchange.send(200, _JSON, b'{"object":"list","data":[]}')
        else:
            exchange.send(200, _JSON, found)

    def _is_refused(self, exchange: Exchange, dialect: str, model: str | None, raw: bytes) -> bool:
        """Refuse what the maker of the dialect does; a body that is no JSON is left to the fake's own reading."""
        if self._judge is None:
            return False
        try:
            name = model or str(msgspec.json.decode(raw).get("model"))
        except (msgspec.DecodeError, AttributeError):
            return False
        refusal = self._judge(dialect, name, raw)
        if refusal is not None:
            exchange.send(refusal.status, _JSON, _encode(refusal.body))
        return refusal is not None

    def _is_unknown(self, name: str) -> bool:
        return self._is_strict and name.rpartition("/")[2].partition("-")[0] not in _BEHAVIOURS

    def _seen_media(self, exchange: Exchange) -> None:
        """Remember an upload by its size and its kind."""
        size = len(exchange.body())
        attempt = exchange.head.headers.get(b"x-client-request-id", b"").decode("latin-1")
        if self._remember:
            self._note(exchange, attempt, {"prompt_tokens": size, "completion_tokens": 0})

    def _speak(self, exchange: Exchange, dialect: str, raw: bytes, model: str | None, in_stream: bool) -> None:
        """Answer in a dialect, through the canonical values."""
        translator = BY_NAME[dialect].translator
        try:
            body = Node(msgspec.json.decode(raw))
            previous = body.value.pop("previous_response_id", None) if isinstance(body.value, dict) else None
            is_later = bool(body.value.pop("background", False)) if isinstance(body.value, dict) else False
            if previous is not None and previous not in self._kept:
                exchange.send(404, _JSON, _error(f"no response {previous}", "invalid_request_error"))
                return
            name = model or body.need("model")
            stream = in_stream or (model is None and bool(body.flag("stream")))
            request = translator.decode_request(body, name, stream)
        except (msgspec.DecodeError, InvalidBodyError) as exc:
            fault = errors.Fault(400, str(exc), "invalid_request_error", None, "invalid_request_error")
            more, shown = BY_NAME[dialect].error(fault)
            exchange.send(400, _JSON + more, shown)
            return
        if self._is_unknown(name):
            more, shown = BY_NAME[dialect].error(_no_model(name))
            exchange.send(404, _JSON + more, shown)
            return
        attempt = exchange.head.headers.get(b"x-client-request-id", b"").decode("latin-1")
        kind, _, number = name.rpartition("/")[2].partition("-")
        if kind == "status":
            fault = errors.of_upstream(
                int(number), b'{"message":"status %b as asked"}' % number.encode(), attempt, None
            )
            more, shown = BY_NAME[dialect].error(fault)
            exchange.send(int(number), _JSON + more, shown)
            return
        self._answers += 1
        answer = demo_model.answer(request, dialect, str(self._answers))
        if is_stored_answer(dialect, kept := f"resp_{answer.id}"):
            whole = self._kept[kept] = _encode(translator.encode_answer(answer, request.model, _CREATED, PLAIN_TOOLS))
            if is_later:
                delay_s = int(number or 2000) / 1000 if kind == "slow" else 0.0
                self._ready_s[kept] = asyncio.get_running_loop().time() + delay_s
                if not request.stream:
                    exchange.send(200, _JSON, _unfinished(whole, "queued"))
                    return
        if self._remember:
            usage = answer.usage or TokenUsage()
            self._note(exchange, attempt, {"prompt_tokens": usage.input_total, "completion_tokens": usage.output_total})
        task = asyncio.get_running_loop().create_task(self._say(exchange, dialect, request, answer, kind, number))
        exchange.context = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(
        self,
        exchange: Exchange,
        dialect: str,
        request: canonical.Request,
        answer: canonical.Answer,
        kind: str,
        number: str,
    ) -> None:
        translator = BY_NAME[dialect].translator
        if kind == "slow":
            await asyncio.sleep(int(number or 2000) / 1000)
        if not request.stream:
            exchange.send(200, _JSON, _encode(translator.encode_answer(answer, request.model, _CREATED, PLAIN_TOOLS)))
            return
        encoder = translator.encoder(request.model, _CREATED, True, PLAIN_TOOLS)
        content_type = BY_NAME[dialect].stream_type.partition(b";")[0]
        exchange.start(200, b"content-type: %b\r\n" % content_type)
        events = _in_words(canonical.events_of(answer))
        if kind == "stream":
            total, _, rate = number.partition("-")
            await self._paced(exchange, encoder, events, int(total or 20), float(rate or 0))
            return
        for count, event in enumerate(events):
            if kind == "cut" and count > int(number or 1) + 1:
                exchange.abort()
                return
            if exchange.is_ended:
                return
            data = encoder.encode(event)
            if data:
                exchange.write(data)
            await asyncio.sleep(0)
        exchange.end()

    async def _paced(
        self, exchange: Exchange, encoder: StreamEncoder, events: list[canonical.Event], count: int, rate: float
    ) -> None:
        """Say `count` words, `rate` a second, instead of the first text."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        at = next(n for n, event in enumerate(events) if isinstance(event, canonical.Delta))
        for event in events[:at]:
            exchange.write(encoder.encode(event))
        for number in range(1, count + 1):
            if rate:
                await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
            if exchange.is_ended:
                return
            exchange.write(encoder.encode(canonical.Delta(0, f"w{number} ")))
        for event in events[at:]:
            if not isinstance(event, canonical.Delta):
                exchange.write(encoder.encode(event))
        exchange.end()

    def _answer(self, exchange: Exchange, path: bytes, body: _Body) -> None:
        name, *given = body.model.split("-")
        if (
            not all(number.replace(".", "", 1).isdigit() and len(number) < 9 for number in given)
            or name not in _BEHAVIOURS
        ) and body.model not in {"no-usage"}:
            exchange.send(404, _JSON, _error(f"there is no demo model {body.model[:64]!r}", "invalid_request_error"))
            return
        numbers = given if name == "no" else given + _BEHAVIOURS[name][len(given) :]
        attempt = exchange.head.headers.get(b"x-client-request-id", b"").decode("latin-1")
        prompt, reply = _texts(body)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(reply.split())}
        if name == "stream":
            usage["completion_tokens"] = int(numbers[0])
        if self._remember:
            self._note(exchange, attempt, usage)
        if name in {"echo", "big", "no"} and not body.stream:
            if name == "big":
                reply = "x" * (int(numbers[0]) * 1024)
            shown = None if name == "no" else {**usage, "total_tokens": sum(usage.values())}
            exchange.send(200, _JSON + b"x-request-id: req_demo\r\n", _plain(path, body, reply, shown))
            self._answered(attempt)
            return
        task = asyncio.get_running_loop().create_task(
            self._act(exchange, path, body, name, numbers, reply, usage, attempt)
        )
        exchange.context = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(
        self,
        exchange: Exchange,
        path: bytes,
        body: _Body,
        name: str,
        numbers: list[str],
        reply: str,
        usage: dict[str, int],
        attempt: str,
    ) -> None:
        if name == "slow":
            await asyncio.sleep(int(numbers[0]) / 1000 if numbers else 2.0)
        elif name == "silent":
            await asyncio.sleep(3600)
        elif name == "drop":
            exchange.abort()
            return
        elif name == "status":
            retry = b"retry-after: 0\r\n" if numbers[0] in {"429", "503"} else b""
            exchange.send(int(numbers[0]), _JSON + retry, _error(f"status {numbers[0]} as asked", "server_error"))
            return
        elif name == "flaky":
            request = attempt.rsplit("-", 1)[0]
            self._flaky[request] = self._flaky.get(request, 0) + 1
            if self._flaky[request] <= int(numbers[0]):
                exchange.send(503, _JSON, _error("try again", "server_error"))
                return
        elif name == "garbage":
            exchange.send(200, _JSON, b'{"id": "x", "choices": [')
            return
        if not body.stream:
            answer = _plain(path, body, reply, {**usage, "total_tokens": sum(usage.values())})
            if name == "cut":
                exchange.start(200, _JSON)
                exchange.write(answer[:20])
                await asyncio.sleep(0.02)
                exchange.abort()
                return
            exchange.send(200, _JSON + b"x-request-id: req_demo\r\n", answer)
            self._answered(attempt)
            return
        await self._stream(exchange, body, name, numbers, reply, usage)
        if exchange.is_ended and name != "cut":
            self._answered(attempt)

    async def _stream(
        self, exchange: Exchange, body: _Body, name: str, numbers: list[str], reply: str, usage: dict[str, int]
    ) -> None:
        loop = asyncio.get_running_loop()
        words = [word + " " for word in reply.split()] or ["(nothing) "]
        rate = 0.0
        if name == "stream":
            words = [f"w{number} " for number in range(int(numbers[0]))]
            rate = float(numbers[1]) if len(numbers) > 1 else 0.0
        exchange.start(200, _SSE + b"x-request-id: req_demo\r\n")
        head = _encode(_Chunk("chatcmpl-demo", body.model, [_Choice({"role": "assistant", "content": ""})]))
        exchange.write(b"data: " + head + b"\n\n")
        prefix, suffix = _encode(_Chunk("chatcmpl-demo", body.model, [_Choice({"content": "\0"})])).split(b'"\\u0000"')
        started = loop.time()
        for number, word in enumerate(words, 1):
            if name == "cut" and number > int(numbers[0]):
                exchange.abort()
                return
            if rate:
                await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
            if exchange.is_ended:
                return
            exchange.write(b'data: %b"%b"%b\n\n' % (prefix, word.encode(), suffix))
        last = _encode(_Chunk("chatcmpl-demo", body.model, [_Choice({}, "stop")]))
        exchange.write(b"data: " + last + b"\n\n")
        if name != "no" and body.stream_options is not None and body.stream_options.include_usage:
            total = {**usage, "total_tokens": sum(usage.values())}
            exchange.write(b"data: " + _encode(_Chunk("chatcmpl-demo", body.model, [], total)) + b"\n\n")
        exchange.write(b"data: [DONE]\n\n")
        exchange.end()

    def _note(self, exchange: Exchange, attempt: str, usage: dict[str, int]) -> None:
        found = self.seen.get(attempt)
        if found is not None:
            found.count += 1
        elif len(self.seen) < SEEN_MAX:
            self.seen[attempt] = Seen(1, usage["prompt_tokens"], usage["completion_tokens"], False)
        items = exchange.head.headers.items()
        self.headers.append({name.decode("latin-1"): value.decode("latin-1") for name, value in items})

    def _answered(self, attempt: str) -> None:
        if attempt in self.seen:
            self.seen[attempt].answered = True


def _in_words(events: list[canonical.Event]) -> list[canonical.Event]:
    """Cut the texts of a stream into words, as models send them."""
    out: list[canonical.Event] = []
    for event in events:
        if isinstance(event, canonical.Delta):
            out += [canonical.Delta(event.index, piece) for piece in re.findall(r"\S+\s*|\s+", event.text)]
        else:
            out.append(event)
    return out


class _Choice(msgspec.Struct):
    delta: dict[str, str]
    finish_reason: str | None = None
    index: int = 0


class _Chunk(msgspec.Struct):
    id: str
    model: str
    choices: list[_Choice]
    usage: dict[str, int] | None = None
    object: str = "chat.completion.chunk"
    created: int = 1_790_000_000


def _texts(body: _Body) -> tuple[str, str]:
    texts = [_text(message.content) for message in body.messages] or [_text(body.prompt or body.input)]
    return " ".join(texts), texts[-1]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content)
    return str(content or "")


def _plain(path: bytes, body: _Body, reply: str, usage: dict[str, int] | None) -> bytes:
    common: dict[str, Any] = {"id": "chatcmpl-demo", "created": 1_790_000_000, "model": body.model}
    if usage is not None:
        common["usage"] = usage
    if path.endswith(b"/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}]
        return _encode({**common, "object": "list", "data": data})
    if path.endswith(b"/chat/completions"):
        message: dict[str, Any] = {"role": "assistant", "content": reply}
        finish = "stop"
        if body.tools:
            function = {"name": body.tools[0]["function"]["name"], "arguments": '{"city":"Paris"}'}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            }
            finish = "tool_calls"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return _encode({**common, "object": "chat.completion", "choices": [choice]})
    choice = {"index": 0, "text": reply, "finish_reason": "stop"}
    return _encode({**common, "object": "text_completion", "choices": [choice]})


def _error(message: str, kind: str) -> bytes:
    return _encode({"error": {"message": message, "type": kind, "param": None, "code": None}})
