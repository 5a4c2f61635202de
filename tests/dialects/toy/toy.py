"""A dialect in one module: `{"model": …, "say": …}` is answered with `{"heard": …, "tokens": [in, out]}`."""

from typing import Any

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import canonical, references
from switchgear.dialects.answer_metadata import AnswerMetadata, plain_reader
from switchgear.dialects.canonical import Answer, Message, Request, Text
from switchgear.dialects.dialect import (
    PLAIN_TOOLS,
    BodyRules,
    ClientPath,
    ClientTools,
    Dialect,
    ErrorShape,
    Example,
    Examples,
    ModelList,
    Operation,
    Translator,
)
from switchgear.dialects.fitting import Rules
from switchgear.dialects.json_node import Node, encode
from switchgear.dialects.streams import SseDecoder
from switchgear.dialects.taps import SseTap, TapRules, TapState
from switchgear.dialects.text_count import needles
from switchgear.providers.quirks import Quirks


@Stepwise
def decode_request(body: Node, model: str, stream: bool) -> Steps[Request]:
    yield
    return Request(model=model, stream=stream, messages=[Message("user", [Text(body.need("say"))])])


@Stepwise
def encode_request(request: Request, model: str, quirks: Quirks) -> Steps[dict[str, Any]]:
    yield
    text = "".join(part.text for part in request.messages[-1].parts if isinstance(part, Text))
    return {"model": model, "say": text} | ({"stream": True} if request.stream else {})


def usage_of(body: Node) -> TokenUsage | None:
    counts = body.get("tokens")
    return TokenUsage(input=counts[0], output=counts[1]) if isinstance(counts, list) else None


@Stepwise
def decode_answer(body: Node) -> Steps[Answer]:
    yield
    return Answer(parts=[Text(body.need("heard"))], usage=usage_of(body))


@Stepwise
def encode_answer(answer: Answer, model: str, created: int, tools: ClientTools = PLAIN_TOOLS) -> Steps[dict[str, Any]]:
    yield
    usage = answer.usage or TokenUsage()
    return {"heard": canonical.text_of(answer.parts), "tokens": [usage.input_total, usage.output_total]}


class StreamDecoder(SseDecoder):
    def take(self, event: Node) -> None:
        if not self.is_begun:
            self.is_begun = True
            self.sequence.events.append(canonical.Begin(None, None))
        if event.has("heard"):
            self.sequence.text("text", event.need("heard"))
        if event.has("tokens"):
            self.sequence.close()
            self.is_ended = True
            self.sequence.events.append(canonical.End("stop", usage_of(event)))


class StreamEncoder:
    def __init__(self, model: str, created: int, show_usage: bool, tools: ClientTools = PLAIN_TOOLS) -> None:
        pass

    def encode(self, event: canonical.Event) -> bytes:
        if isinstance(event, canonical.Delta):
            return b"data: %b\n\n" % encode({"heard": event.text})
        if isinstance(event, canonical.End):
            usage = event.usage or TokenUsage()
            return b"data: %b\n\n" % encode({"tokens": [usage.input_total, usage.output_total]})
        return b""


def read_answer(body: Node) -> AnswerMetadata:
    return AnswerMetadata(usage_of(body), "stop" if body.has("tokens") else None)


def read_event(event: Node, state: TapState) -> None:
    state.metadata, state.is_done = read_answer(event), True


TAP_RULES = TapRules((b'"tokens"',), read_event, needles("heard"))
ROW = Dialect(
    name="toy",
    errors=ErrorShape(
        lambda fault: {"sorry": fault.message},
        lambda fault, body, number: b"data: %b\n\n" % body,
    ),
    client_paths=(
        ClientPath(path="/toy", operation="chat", name="toy"),
        ClientPath(path="/toys/{model}/talk", operation="chat", name="toy"),
    ),
    models=ModelList(lambda card: {"toy": card.name}, lambda items: {"toys": items}),
    examples=Examples(plain=Example("/toy", {"model": "{model}", "say": "hello"}, '"heard"')),
    operations={"chat": Operation("/toy", BodyRules(("say",)), members=("heard",))},
    references=references.watched({}),
    read_answer=plain_reader(read_answer),
    open_tap=lambda request: SseTap(TAP_RULES),
    translator=Translator(decode_request, encode_request, decode_answer, encode_answer, StreamDecoder, StreamEncoder),
    fit=Rules(),
)
