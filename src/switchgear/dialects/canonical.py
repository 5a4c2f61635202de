"""Where dialects meet: one request, one answer and one stream of events that every dialect is translated to and from.
Level 1.

N decoders and N encoders instead of N × N translators (docs/design.md §2). What a dialect says and these
values cannot hold is either named in `dropped` (the record lists it) or refused by the decoder with the field's name; nothing
is lost silently. `docs/dialects.md` lists both.
"""

import contextlib
from typing import Literal

import msgspec
from msgspec import Raw

from switchgear.core.usage import Beside, TokenUsage

Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "refusal", "pause"]
ChoiceMode = Literal["auto", "none", "required", "named"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


NO_LOGPROBS = Raw(b"null")


class Text(msgspec.Struct):
    """Plain text. `cache` marks the end of a prefix that the client wants cached ("5m" or "1h")."""

    text: str
    cache: str | None = None
    is_instruction: bool = False
    """True for an instruction in the middle of the conversation, which keeps its place in a turn of the user."""


class Media(msgspec.Struct):
    """An image, a file or a sound: either `data` (base64) with its `mime` type, or a `url`."""

    kind: Literal["image", "file", "audio", "video"]
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: str | None = None


class ToolCall(msgspec.Struct):
    """The model calls a tool. `arguments` is a JSON text, as the model wrote it. `signature` is opaque data that its
    provider wants back with the call (Gemini's thought signatures)."""

    id: str
    name: str
    arguments: str
    signature: str | None = None
    cache: str | None = None


class ToolResult(msgspec.Struct):
    """What a tool answered."""

    call_id: str
    content: "list[Text | Media]"
    name: str | None = None
    is_error: bool = False
    cache: str | None = None


class Thinking(msgspec.Struct):
    """Reasoning that the model shows. `signature` proves it to the provider that made it; `redacted` is reasoning that
    only that provider can read. `maker` is the dialect whose providers understand them."""

    text: str
    signature: str | None = None
    redacted: str | None = None
    maker: str | None = None
    id: str | None = None


class Refusal(msgspec.Struct):
    """The model declines, in words."""

    text: str


Part = Text | Media | ToolCall | ToolResult | Thinking | Refusal


class Message(msgspec.Struct):
    """One turn. Tool results stand in turns of the user."""

    role: Literal["user", "assistant"]
    parts: list[Part]


class Tool(msgspec.Struct):
    """A function that the model may call; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str | None = None
    schema: Raw = Raw(b'{"type":"object","properties":{}}')
    strict: bool | None = None
    cache: str | None = None


class ToolChoice(msgspec.Struct):
    """Whether tools are called; `names` where some are asked for. `parallel` is None when the client did not say."""

    mode: ChoiceMode = "auto"
    names: list[str] = []
    parallel: bool | None = None


class JsonFormat(msgspec.Struct):
    """The answer must be JSON; with a `schema` (a Raw of `null` means any), JSON of that shape."""

    schema: Raw = Raw(b"null")
    name: str = "answer"
    strict: bool | None = None
    description: str | None = None

    @property
    def has_schema(self) -> bool:
        """False for "some JSON object"."""
        return bytes(self.schema) != b"null"


class Reasoning(msgspec.Struct):
    """How much the model should think: an effort, or tokens, or neither (the provider decides). `budget` 0 is off."""

    effort: Effort | None = None
    budget: int | None = None
    shown: bool | None = None
    """Whether the client wants to see the reasoning, or a summary of it."""


class WebSearch(msgspec.Struct):
    """A search of the web that the provider runs (`web_search`)."""

    place: str
    """Where the client asks for it, and what it calls it."""
    uses_max: int | None = None
    """How often at most."""
    allowed: list[str] = []
    """The domains that it keeps to."""
    blocked: list[str] = []
    location: dict[str, str] = {}


class Request(msgspec.Struct, kw_only=True):
    """What a client asks, in any dialect. None means that it did not say."""

    model: str
    stream: bool = False
    system: list[Text] = []
    messages: list[Message] = []
    tools: list[Tool] = []
    search: WebSearch | None = None
    choice: ToolChoice | None = None
    format: JsonFormat | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = []
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: int | None = None
    """How many alternatives per token; 0 for the chosen token alone."""
    user: str | None = None
    shared: dict[str, Raw] = {}
    """What OpenAI's two dialects say alike and no other knows: the service tier, keys of its cache."""
    cache: str | None = None
    """That the prompt is to be cached as far as it goes ("5m" or "1h"), wherever its provider marks the end."""
    output_max: int | None = None
    """The most tokens that the model writes, as far as it is known; what thinking needs beside the limit must fit in."""
    betas: tuple[str, ...] = ()
    """What a client of Anthropic's asks for beside the body (`anthropic-beta`)."""
    dropped: list[str] = []
    """Fields of the client that these values, or the provider's dialect, cannot carry."""


class Answer(msgspec.Struct, kw_only=True):
    """A complete answer."""

    id: str | None = None
    model: str | None = None
    parts: list[Part] = []
    finish: Finish = "stop"
    stop_sequence: str | None = None
    usage: TokenUsage | None = None
    service_tier: str | None = None
    logprobs: Raw = Raw(b"null")
    """In OpenAI chat's shape: a list of {token, logprob, bytes, top_logprobs}."""
    dropped: list[str] = []


# Events of a stream. Parts are numbered from 0 in the order in which they begin, and never overlap: the next begins
# when the one before has ended.


class Begin(msgspec.Struct):
    """The answer begins. `usage` holds what is known of the input by then."""

    id: str | None
    model: str | None
    usage: TokenUsage | None = None


class PartBegin(msgspec.Struct):
    """A part begins: text, thinking, refusal, or a tool call with its id and name."""

    index: int
    kind: Literal["text", "thinking", "refusal", "tool"]
    id: str | None = None
    name: str | None = None
    signature: str | None = None


class Delta(msgspec.Struct):
    """More of the part that is open: text, or a piece of a tool call's JSON."""

    index: int
    text: str
    logprobs: Raw = Raw(b"null")
    """Of text, where they were asked for: as in Answer."""


class Signature(msgspec.Struct):
    """The open thinking part's signature, or (`redacted`) its unreadable content."""

    index: int
    signature: str | None = None
    redacted: str | None = None
    maker: str | None = None


class PartEnd(msgspec.Struct):
    """The open part is complete."""

    index: int


class Picture(msgspec.Struct):
    """A whole image within a stream."""

    index: int
    media: Media


class End(msgspec.Struct):
    """The answer is complete."""

    finish: Finish
    usage: TokenUsage | None
    stop_sequence: str | None = None
    service_tier: str | None = None
    beside: Beside | None = None


class Failed(msgspec.Struct):
    """The provider broke the stream off with an error of its own."""

    message: str
    kind: str = "upstream_error"


Event = Begin | PartBegin | Delta | Signature | PartEnd | Picture | End | Failed


class _Probed(msgspec.Struct):
    """One token with its log probability, in OpenAI chat's shape."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list["_Probed"] | None = None


_decode_logprobs = msgspec.json.Decoder(list[_Probed] | None).decode


class Sequence:
    """Turns the pieces of a stream into events whose parts never overlap. Each stream decoder has one."""

    __slots__ = ("_is_empty", "_kind", "events", "index", "is_open")

    def __init__(self) -> None:
        self.index = -1
        self.is_open = False
        self._kind = ""
        self._is_empty = True
        self.events: list[Event] = []

    def begin(
        self,
        kind: Literal["text", "thinking", "refusal", "tool"],
        part_id: str | None = None,
        name: str | None = None,
        signature: str | None = None,
    ) -> None:
        """Begin a part; the open one ends."""
        self.close()
        self.index += 1
        self.is_open, self._kind, self._is_empty = True, kind, True
        self.events.append(PartBegin(self.index, kind, part_id, name, signature))

    def text(self, kind: Literal["text", "thinking", "refusal"], text: str) -> None:
        """Add to the open part of that kind, or begin one."""
        if not self.is_open or self._kind != kind:
            self.begin(kind)
        if text:
            self.events.append(Delta(self.index, text))

    def more(self, text: str) -> None:
        """Add to the open part, whatever it is."""
        if text:
            self._is_empty = False
            self.events.append(Delta(self.index, text))

    def probe(self, logprobs: Raw) -> None:
        """Give the text that was just added its log probabilities; what is not of their shape is left out."""
        last = self.events[-1] if self.events else None
        if self._kind != "text" or not isinstance(last, Delta):
            return
        with contextlib.suppress(msgspec.DecodeError):
            if _decode_logprobs(logprobs):
                self.events[-1] = Delta(last.index, last.text, logprobs)

    def sign(self, signature: str | None, redacted: str | None, maker: str) -> None:
        """Sign the open thinking part, or begin one that has nothing else."""
        if not self.is_open or self._kind != "thinking":
            self.begin("thinking")
        self.events.append(Signature(self.index, signature, redacted, maker))

    def picture(self, media: Media) -> None:
        """Add a whole image."""
        self.close()
        self.index += 1
        self.events.append(Picture(self.index, media))

    def close(self) -> None:
        """End the open part."""
        if self.is_open:
            if self._kind == "tool" and self._is_empty:  # clients parse the arguments: nothing is no JSON
                self.events.append(Delta(self.index, "{}"))
            self.events.append(PartEnd(self.index))
            self.is_open = False

    def take(self) -> list[Event]:
        """Return the events so far and forget them."""
        taken, self.events = self.events, []
        return taken


class Collector:
    """Adds a stream's events up to an answer: for a provider that streams to a client that does not, and for tests."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.is_ended = False
        self.failed: Failed | None = None
        self._open: Part | None = None
        self._pieces: list[str] = []

    def add(self, event: Event) -> None:
        """Take one event."""
        answer = self.answer
        if isinstance(event, Begin):
            answer.id, answer.model = event.id, event.model
            answer.usage = event.usage
        elif isinstance(event, PartBegin):
            makers: dict[str, Part] = {
                "text": Text(""),
                "thinking": Thinking(""),
                "refusal": Refusal(""),
                "tool": ToolCall(event.id or "", event.name or "", "", event.signature),
            }
            self._open = makers[event.kind]
            answer.parts.append(self._open)
        elif isinstance(event, Delta):
            self._pieces.append(event.text)
        elif isinstance(event, Signature):
            if isinstance(self._open, Thinking):
                self._open.signature = event.signature or self._open.signature
                self._open.redacted = event.redacted or self._open.redacted
                self._open.maker = event.maker
        elif isinstance(event, PartEnd):
            text = "".join(self._pieces)
            self._pieces.clear()
            if isinstance(self._open, ToolCall):
                self._open.arguments = text
            elif isinstance(self._open, Text | Thinking | Refusal):
                self._open.text = text
            self._open = None
        elif isinstance(event, Picture):
            answer.parts.append(event.media)
        elif isinstance(event, End):
            answer.finish, answer.stop_sequence = event.finish, event.stop_sequence
            answer.usage = event.usage if event.usage is not None else answer.usage
            answer.service_tier = event.service_tier
            self.is_ended = True
        else:
            self.failed = event


def events_of(answer: Answer) -> list[Event]:
    """Return an answer as the events of a stream: for a provider that did not stream although it was asked to."""
    sequence = Sequence()
    for part in answer.parts:
        if isinstance(part, Text):
            sequence.begin("text")
            sequence.more(part.text)
            if len(answer.parts) == 1:
                sequence.probe(answer.logprobs)
        elif isinstance(part, Refusal):
            sequence.begin("refusal")
            sequence.more(part.text)
        elif isinstance(part, Thinking):
            sequence.begin("thinking")
            sequence.more(part.text)
            if part.signature or part.redacted:
                sequence.sign(part.signature, part.redacted, part.maker or "")
        elif isinstance(part, ToolCall):
            sequence.begin("tool", part.id, part.name, part.signature)
            sequence.more(part.arguments)
        elif isinstance(part, Media):
            sequence.picture(part)
    sequence.close()
    return [
        Begin(answer.id, answer.model, None),
        *sequence.take(),
        End(answer.finish, answer.usage, answer.stop_sequence, answer.service_tier),
    ]


def instruct(request: Request, texts: list[Text]) -> None:
    """Add instructions: before the first turn they are the system's, later they keep their place, because a changed
    beginning ends the provider's prefix cache, and a reminder means what stands before it."""
    if not request.messages:
        request.system.extend(texts)
        return
    for text in texts:
        text.is_instruction = True
    if request.messages[-1].role == "user":
        request.messages[-1].parts.extend(texts)
    elif texts:
        request.messages.append(Message("user", [*texts]))


def attach_signatures(parts: list[Part]) -> list[Part]:
    """Undo `detach_signatures`: an empty thought that is signed by Gemini belongs to the tool call after it."""
    out: list[Part] = []
    for part in parts:
        before = out[-1] if out else None
        if isinstance(part, ToolCall) and isinstance(before, Thinking) and before.maker == "gemini" and not before.text:
            out[-1] = ToolCall(part.id, part.name, part.arguments, before.signature, part.cache)
        else:
            out.append(part)
    return out


def detach_signatures(parts: list[Part]) -> list[Part]:
    """Move the signature of a tool call into an empty thought before it, for dialects whose calls have no place for it."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCall) and part.signature is not None:
            out.append(Thinking("", part.signature, maker="gemini"))
        out.append(part)
    return out


def pack_signature(signature: str | None, maker: str | None, native: str) -> str:
    """Return a signature for a dialect's wire: another maker's is marked, so that it is told apart when it comes back."""
    if signature is None or maker == native:
        return signature or ""
    return f"sg.{maker or 'unknown'}.{signature}"


def unpack_signature(text: str | None, native: str) -> tuple[str | None, str | None]:
    """Undo `pack_signature`: (signature, maker); (None, None) for none."""
    if not text:
        return None, None
    if text.startswith("sg."):
        _, maker, signature = text.split(".", 2) if text.count(".") >= 2 else ("", "unknown", text)
        return signature, maker
    return text, native


def text_of(parts: "list[Part] | list[Text | Media] | list[Text]") -> str:
    """Join the text among parts."""
    return "".join(part.text for part in parts if isinstance(part, Text))
