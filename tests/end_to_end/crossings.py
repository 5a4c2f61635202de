"""Recorded exchanges through a real gateway, from every client's dialect to every provider's twin and back.

    python -m tests.end_to_end.crossings            all of them (minutes), a table, exit 1 when one is wrong
    python -m tests.end_to_end.crossings --every 40 each fortieth

A crossing is a recorded request (the client's), a recorded answer (the provider's) and a mode: as it was recorded; stream and plain
exchanged; a second turn with the answer and the results of its calls in the history. The twin refuses what its provider refuses. What
is expected is read from the provider's JSON by `switchgear.testing.twins.said`, what came by the client's official SDK; what the
twin was asked is compared with what the client asked (`asked`), and the ledger with the provider's usage.
"""

import argparse
import base64
import collections
import http.client
import json
import re
import sys
import tempfile
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from switchgear.dialects.model_facts import facts_of
from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing import recordings
from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S
from switchgear.testing.twins import asked, said, sdks, streaming
from switchgear.testing.twins.providers import TWINS
from switchgear.testing.twins.server import Reply, TwinServer, in_stream, plain

MODES = ("recorded", "flipped", "second turn")
DIALECTS = ("openai", "responses", "anthropic", "gemini", "bedrock", "cohere")
ENVIRON = {"TWIN_KEY": "sk-twin-credential", "TWIN_AWS": "AKIDEXAMPLEEXAMPLE:wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"}
RESPONSES_ONLY = "gpt-5.1-codex"
"""A model that is served on responses alone: what leads a chat client there."""
CHAT_MODEL = "gpt-4.1"
"""A model that is served on chat: some take tools on responses alone, and nobody would ask them on a server of chat."""


class Recorded(NamedTuple):
    """One recorded exchange."""

    id: str
    provider: str
    dialect: str
    model: str
    request: dict
    plain: dict
    stream: bytes | None
    """Its bytes where the answer was recorded as a stream."""
    said: said.Said


def load():
    """Return the recorded exchanges whose answer is whole."""
    rows = []
    for one in recordings.exchanges():
        dialect = recordings.dialect_of(one.path.partition("?")[0])
        if dialect is None or one.status != 200:
            continue
        in_path = re.search(r"/models?/([^/:]+|[^/]+(?=/converse))(?::|/converse|$)", one.path.partition("?")[0])
        model = one.request.get("model") or urllib.parse.unquote(in_path.group(1))
        try:
            answer = sdks.read(dialect, one.body, True, strict=False) if one.is_stream else json.loads(one.body)
        except sdks.BrokenStreamError:
            continue  # an error was recorded
        found = said.READERS[dialect](answer)
        raw = one.body if one.is_stream else None
        rows.append(Recorded(one.id, one.provider, dialect, model, one.request, answer, raw, found))
    return rows


class Crossing(NamedTuple):
    """What is asked of whom, and what it is answered."""

    mode: str
    question: Recorded
    answer: Recorded
    provider: str
    """As the configuration names it."""
    model: str
    is_same: bool

    @property
    def name(self):
        client, dialect = self.question.dialect, self.answer.dialect
        return f"{self.mode}: {client} {self.question.id} → {dialect} {self.answer.id} ({self.provider}/{self.model})"


def target(client, answer):
    """Return (configured provider, model) that leads a client's dialect to the answer's: the provider itself, or, where it speaks
    the client's dialect too, the same as a server of the answer's dialect alone."""
    name, model = answer.provider, answer.model
    speaks = PROVIDERS[name].dialects
    if answer.dialect not in speaks:
        return f"{name}-{answer.dialect}", model
    if client == answer.dialect or client not in speaks:
        is_first = client == answer.dialect or answer.dialect == speaks[0]
        return (name if is_first else f"{name}-{answer.dialect}"), model
    if (
        answer.dialect == "responses"
    ):  # chat passes as it is to whoever speaks it, but for models that are served elsewhere
        return name, RESPONSES_ONLY
    return f"{name}-{answer.dialect}", CHAT_MODEL if facts_of(model).best_on else model


def crossings(rows):
    """Yield every crossing: of each pair of dialects all questions and all answers, in each mode."""
    by_dialect = {dialect: [row for row in rows if row.dialect == dialect] for dialect in DIALECTS}
    for row in rows:
        for mode in MODES:
            yield Crossing(mode, row, row, *target(row.dialect, row), True)
    for client in DIALECTS:
        for dialect in DIALECTS:
            if client == dialect:
                continue
            questions, answers = by_dialect[client], by_dialect[dialect]
            for number in range(max(len(questions), len(answers)) if questions and answers else 0):
                question, answer = questions[number % len(questions)], answers[number % len(answers)]
                for mode in MODES:
                    yield Crossing(mode, question, answer, *target(client, answer), False)


def config(port):
    """A configuration with every twin that is needed, also as a server of one dialect."""
    lines = ["providers:"]
    secret = "credentials: [{name: main, secret: {env: TWIN_KEY}}]"
    for name, twin in TWINS.items():
        place = f'base_url: "{twin.base_url(port)}", allow_private: true'
        more = f", {secret}"
        if name == "bedrock":
            more = ", region: us-east-1, auth: sigv4, credentials: [{name: main, secret: {env: TWIN_AWS}}]"
        elif name == "other":
            more += ", dialect: openai"
        elif name.startswith("vertex"):
            more += ", auth: bearer"
        lines.append(f"  {name}: {{{place}{more}}}")
        for dialect in ("openai", "responses"):
            if dialect in twin.paths:
                auth = ", auth: api-key" if name == "azure" else ", auth: bearer"
                is_makers = name in {"openai", "azure"} and dialect == "openai"
                kind = "max_tokens: max_completion_tokens, " if is_makers else ""
                lines.append(f"  {name}-{dialect}: {{{kind}dialect: {dialect}, {place}, {secret}{auth}}}")
    return "\n".join(lines) + "\n"


class Outcome(NamedTuple):
    """How a crossing went: ok, named (the gateway refuses it and says what), refused (by the twin), wrong."""

    kind: str
    text: str = ""
    request_id: str = ""
    tokens: said.Tokens | None = None


class Rig:
    """A gateway, the twins behind it and a client."""

    def __init__(self, folder, rows=()):
        self.replies = collections.deque()
        self.served = None
        self.client = ""
        self.by_kind = collections.defaultdict(list)
        for row in rows:
            self.by_kind[row.provider, row.dialect].append(row)
        self.twins = TwinServer(self.reply)
        self.gateway = GatewayProcess(config(self.twins.port), folder=folder, environ=ENVIRON, workers=1)
        self.key = self.gateway.key("crossings")
        self.connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=PATIENCE_S)
        self.answers = {}

    def stop(self):
        self.connection.close()
        code = self.gateway.stop(keep=True)
        self.twins.stop()
        assert not self.twins.faults, list(self.twins.faults)[:5]
        return code

    def reply(self, seen):
        """Say what the crossing's answer says, as its provider would."""
        answer, number = self.replies.popleft()
        if seen.dialect != answer.dialect:  # the model is served there
            others = self.by_kind[answer.provider, seen.dialect]
            answer = others[number % len(others)]
        self.served = answer
        if not seen.stream:
            return plain(answer.plain)
        kind = streaming.TYPES.get(seen.dialect, "text/event-stream")
        if answer.stream is not None:
            cut = 1 + number * 7919 % max(1, len(answer.stream) - 1)
            return Reply([answer.stream[:cut], answer.stream[cut:]], kind)
        odd = TWINS[seen.provider].odd if seen.dialect != self.client else (streaming.PLAIN,)
        return in_stream(seen.dialect, answer.plain, odd[number % len(odd)], show_usage=True)

    def post(self, path, body):
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        self.connection.request("POST", path, json.dumps(body, default=_in_base64), headers)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def ask(self, crossing, body, answer, stream, number):
        """Send one request and compare all there is. Returns (outcome, the plain answer that the SDK made, or None)."""
        client = self.client = crossing.question.dialect
        self.replies.clear()
        self.served = None
        self.replies.append((answer, number))
        self.twins.seen.clear()
        path, sent = addressed(client, f"{crossing.provider}/{crossing.model}", body, stream)
        status, headers, data = self.post(path, sent)
        request_id = headers.get("x-request-id", "")
        seen = list(self.twins.seen)
        if seen and seen[-1].refusal is not None:
            refusal = seen[-1].refusal
            text = f"{refusal.rule}: {json.dumps(refusal.body)[:300]}"
            return Outcome("refused", text, request_id), None
        if status != 200:
            if headers.get("x-switchgear-error-source") in {"client", "gateway"} and not seen and status in {400, 404}:
                return Outcome("named", data.decode()[:300], request_id), None
            return Outcome("wrong", f"{status} {data[:300]}", request_id), None
        answer, dialect = self.served or answer, seen[-1].dialect
        wrong = [] if client == dialect else list(differences_of_requests(client, sent, seen[-1]))
        try:
            whole = sdks.read(client, data, stream, strict=client != dialect)
            found = said.READERS[client](whole)
        except Exception as exc:  # noqa: BLE001  # whatever the SDK raises is the finding
            return Outcome("wrong", f"the SDK: {type(exc).__name__}: {str(exc)[:300]}", request_id), None
        wrong += differences_of_answers(answer.said, found, client)
        tokens = answer.said.tokens
        return Outcome("wrong" if wrong else "ok", "; ".join(wrong)[:400], request_id, tokens), whole

    def run(self, crossing, number, others):
        """Run a crossing; `others` are answers of its provider for a second turn."""
        question, answer = crossing.question, crossing.answer
        stream = question.stream is not None
        if crossing.mode == "flipped":
            stream = not stream
        outcome, whole = self.ask(crossing, question.request, answer, stream, number)
        if outcome.kind != "ok" or crossing.mode != "second turn":
            return [outcome]
        body = second_turn(question.dialect, question.request, whole, self.served.said)
        if body is None:
            return [outcome]
        again, _ = self.ask(crossing, body, others[number % len(others)], stream, number + 1)
        return [outcome, again]


# What a client sends


def addressed(client, model, body, stream):
    """Return (path, body) of a request to a model, streamed or not."""
    quoted = urllib.parse.quote(model, safe="")
    if client == "gemini":
        return f"/v1beta/models/{quoted}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}", body
    if client == "bedrock":
        return f"/model/{quoted}/{'converse-stream' if stream else 'converse'}", body
    body = {**body, "model": model, "stream": stream}
    if client == "openai" and stream:
        body["stream_options"] = {"include_usage": True}
    elif client == "openai":
        body.pop("stream_options", None)
    paths = {"openai": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}
    return paths.get(client, "/v2/chat"), body


def _in_base64(value):
    return base64.b64encode(value).decode()


def _clean(value):
    """What an SDK leaves out when it sends a value of its own back: nulls."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None}
    return [_clean(item) for item in value] if isinstance(value, list) else value


RESULT = "it is 21 degrees"
FOLLOW_UP = "And what follows from that?"


def second_turn(client, body, whole, answer):
    """Return the request of the next turn, as a client of the dialect builds it; None where the answer is empty."""
    calls = said.READERS[client](whole).calls
    if not answer.calls and not answer.text.strip():
        return None
    if client == "openai":
        kept = {"role", "content", "tool_calls", "refusal", "reasoning_content", "reasoning_details"}
        message = {k: v for k, v in _clean(whole["choices"][0]["message"]).items() if k in kept}
        for call in message.get("tool_calls", ()):
            call.pop("index", None)  # the accumulator leaves it there
        message["role"] = "assistant"
        message.setdefault("content", None)
        results = [{"role": "tool", "tool_call_id": call.id, "content": RESULT} for call in calls]
        return {
            **body,
            "messages": [*body["messages"], message, *(results or [{"role": "user", "content": FOLLOW_UP}])],
        }
    if client == "responses":
        given = body["input"]
        given = [{"role": "user", "content": given}] if isinstance(given, str) else given
        kinds = {item["call_id"]: item["type"] for item in whole["output"] if "call_id" in item}
        results = [
            {"type": kinds[call.id].replace("_call", "_call_output"), "call_id": call.id, "output": RESULT}
            for call in calls
        ]
        output = [_clean(item) for item in whole["output"]]
        return {**body, "input": [*given, *output, *(results or [{"role": "user", "content": FOLLOW_UP}])]}
    if client == "anthropic":
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": RESULT} for call in calls]
        content = _clean(whole["content"])
        turns = [{"role": "assistant", "content": content}, {"role": "user", "content": results or FOLLOW_UP}]
        return {**body, "messages": [*body["messages"], *turns]}
    if client == "gemini":
        content = whole["candidates"][0]["content"]
        results = [
            {"functionResponse": {**({"id": c.id} if c.id else {}), "name": c.name, "response": {"result": RESULT}}}
            for c in calls
        ]
        turns = [
            {"role": "model", "parts": content["parts"]},
            {"role": "user", "parts": results or [{"text": FOLLOW_UP}]},
        ]
        return {**body, "contents": [*body["contents"], *turns]}
    if client == "bedrock":
        results = [{"toolResult": {"toolUseId": call.id, "content": [{"text": RESULT}]}} for call in calls]
        served = {"server_tool_use", "nova_code_interpreter_result"}
        content = [
            b
            for b in whole["output"]["message"]["content"]
            if not served & {v.get("type") for v in b.values() if isinstance(v, dict)}
            and b.get("text") != ""  # Bedrock streams it and does not take it back
        ]
        answer_turn = {"role": "assistant", "content": content}
        turns = [answer_turn, {"role": "user", "content": results or [{"text": FOLLOW_UP}]}]
        return {**body, "messages": [*body["messages"], *turns]}
    message = _clean(whole["message"])
    if not message.get("content"):
        message.pop("content", None)
    results = [{"role": "tool", "tool_call_id": call.id, "content": RESULT} for call in calls]
    return {**body, "messages": [*body["messages"], message, *(results or [{"role": "user", "content": FOLLOW_UP}])]}


# What must be equal


def _flat(text):
    return "".join(text.split())


ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
"""Ids of calls that every provider takes; others are written anew."""


OWN_IDS = frozenset({"mistral"})
"""Providers that take ids of their own shape alone."""


def differences_of_requests(client, sent, seen):
    """Yield what the client asked and the provider was not asked."""
    ours, theirs = asked.READERS[client](sent), asked.READERS[seen.dialect](seen.body)
    everything = _flat("".join([*theirs.texts, *(text for _, text in theirs.results)]))
    for text in ours.texts:
        if _flat(text) not in everything:
            yield f"a text is missing: {text[:80]!r}"
    if [call.arguments for call in ours.calls] != [call.arguments for call in theirs.calls]:
        yield f"calls: {ours.calls} became {theirs.calls}"[:200]
    elif (
        seen.provider not in OWN_IDS
        and len({call.id for call in ours.calls}) == len(ours.calls)
        and any(ID.fullmatch(a.id) and b.id and a.id != b.id for a, b in zip(ours.calls, theirs.calls, strict=True))
    ):
        yield f"ids of calls: {ours.calls} became {theirs.calls}"[:200]
    known = {call.id or call.name for call in theirs.calls}
    if seen.dialect != "gemini" and ours.calls and not {call for call, _ in theirs.results} <= known:
        yield f"results of no call: {theirs.results}"[:200]
    if len(ours.results) != len(theirs.results):
        yield f"{len(ours.results)} results became {len(theirs.results)}"
    else:
        everywhere = "".join(_flat(text) for _, text in theirs.results)
        for _, text in ours.results:
            if _flat(text) not in everywhere:
                yield f"a result is missing: {text[:80]!r}"
    choice = sent.get(
        "tool_choice", sent.get("toolConfig")
    )  # one tool, or some: offered alone where a dialect knows no choice
    is_narrowed = isinstance(choice, dict)
    if ours.tools and len(ours.tools) != len(theirs.tools) and not is_narrowed:
        yield f"tools {ours.tools} became {theirs.tools}"
    if ours.media != theirs.media:
        yield f"{ours.media} media became {theirs.media}"


NO_FILTER = frozenset({"cohere"})
"""Dialects whose answers cannot say that a filter cut them."""


SOURCE = re.compile(r" \(\[[^\]\n]*\]\(https?://[^)\s]+\)\)")
"""A source of a search, as a link behind the text that it is the source of (decision 071)."""


def differences_of_answers(wanted, found, client):
    """Return what the client's SDK made of an answer, other than the provider said."""
    wrong = []
    if wanted.text not in {found.text, SOURCE.sub("", found.text)}:
        wrong.append(f"text {wanted.text[-80:]!r} became {found.text[-80:]!r}")
    ours = [(call.name, call.arguments) for call in wanted.calls]
    if ours != [(call.name, call.arguments) for call in found.calls]:
        wrong.append(f"calls {ours} became {found.calls}"[:300])
    else:
        for before, after in zip(wanted.calls, found.calls, strict=True):
            if before.id and before.id != after.id:
                wrong.append(f"a call's id {before.id} became {after.id}")
        ids = [call.id for call in found.calls if call.id or client != "gemini"]  # its calls need none
        if len(set(ids)) != len(ids) or not all(ids):
            wrong.append(f"ids of calls are not unique: {ids}")
    if wanted.finish != found.finish and not (client in NO_FILTER and wanted.finish == "filter"):
        wrong.append(f"finish {wanted.finish} became {found.finish}")
    if wanted.tokens is not None and client == "cohere" and found.tokens is not None:
        found = found._replace(tokens=found.tokens._replace(cached=wanted.tokens.cached))  # it has no place for it
    if wanted.tokens is not None and wanted.tokens != found.tokens:
        wrong.append(f"{wanted.tokens} became {found.tokens}")
    return wrong


def booked(gateway):
    """Return request id → record, of all there are."""
    found, cursor = {}, None
    while True:
        page = gateway.json("log", "list", "--limit", "1000", *(["--cursor", cursor] if cursor else []))
        for record in page["records"]:
            found[record["id"]] = record
        cursor = page.get("next")
        if not cursor:
            return found


def main():
    """Run them, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--log", type=Path, help="where each that is not equal is written as soon as it is known")
    chosen = parser.parse_args()
    rows = load()
    result = run(rows, list(crossings(rows))[chosen.seed % chosen.every :: chosen.every], chosen.only, chosen.log)
    print(result.table(chosen.show))
    sys.exit(0 if result.is_good else 1)


class Result:
    """All outcomes."""

    def __init__(self):
        self.outcomes = []
        self.bookings = []

    @property
    def is_good(self):
        return not self.bookings and all(outcome.kind in {"ok", "named"} for _, outcome in self.outcomes)

    def bad(self):
        return [(c.name, o.kind, o.text) for c, o in self.outcomes if o.kind not in {"ok", "named"}]

    def table(self, show):
        counts = collections.Counter((c.mode, o.kind) for c, o in self.outcomes)
        lines = ["| mode | equal | named 400 | refused by the twin | wrong |", "|---|---|---|---|---|"]
        for mode in MODES:
            lines.append(
                f"| {mode} | " + " | ".join(str(counts[mode, k]) for k in ("ok", "named", "refused", "wrong")) + " |"
            )
        kinds = collections.Counter(
            re.sub(r"[0-9a-f]{6,}|\d+", "#", o.text)[:110] for _, o in self.outcomes if o.kind not in {"ok", "named"}
        )
        lines += [f"{count:5} {text}" for text, count in kinds.most_common(show)]
        lines += [f"{name}: {kind}: {text}" for name, kind, text in self.bad()[:show]]
        named = collections.Counter(
            re.sub(r"request id: \w+", "", o.text)[:150] for _, o in self.outcomes if o.kind == "named"
        )
        lines += [f"named {count:5} {text}" for text, count in named.most_common(show)]
        lines += [f"booked: {text}" for text in self.bookings[:show]]
        return "\n".join(lines)


def run(rows, chosen, only="", log=None):
    """Run crossings through a gateway of their own; those that are not equal are told to `log` at once."""
    result = Result()
    with tempfile.TemporaryDirectory(prefix="crossings-") as folder:
        rig = Rig(Path(folder), rows)
        try:
            for number, crossing in enumerate(chosen):
                if only in crossing.name:
                    others = rig.by_kind[crossing.answer.provider, crossing.answer.dialect]
                    outcomes = rig.run(crossing, number, others)
                    result.outcomes += [(crossing, one) for one in outcomes]
                    if log is not None:
                        tell(log, number, crossing, outcomes)
            result.bookings = differences_of_bookings(result.outcomes, rig)
        finally:
            rig.stop()
    return result


def tell(log, number, crossing, outcomes):
    """Write down what is not equal."""
    with log.open("a") as lines:
        for one in outcomes:
            if one.kind != "ok":
                lines.write(json.dumps([number, crossing.name, one.kind, one.text]) + "\n")


def differences_of_bookings(outcomes, rig):
    """Return what the ledger has other than the providers said."""
    wanted = {outcome.request_id: (crossing, outcome) for crossing, outcome in outcomes if outcome.kind == "ok"}
    rig.gateway.records(count=len(wanted))
    records = booked(rig.gateway)
    wrong = []
    for request_id, (crossing, outcome) in wanted.items():
        record = records.get(request_id)
        if record is None or record["outcome"] != "ok":
            wrong.append(f"{crossing.name}: {record and record['outcome']}")
        elif outcome.tokens is not None:
            tokens = record["tokens"] or {}
            found = tuple(sum(tokens.get(name) or 0 for name in names) for names in (INPUT, OUTPUT))
            if found != outcome.tokens[:2]:
                wrong.append(f"{crossing.name}: {outcome.tokens} is booked as {tokens}")
    return wrong


INPUT = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "image_in",
    "video_in",
    "audio_cached",
    "image_cached",
)
OUTPUT = ("output", "reasoning", "audio_out", "image", "video_out", "citation")

if __name__ == "__main__":
    main()
