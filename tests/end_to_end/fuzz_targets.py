"""Coverage-guided fuzzing of everything that reads foreign bytes: `make fuzz`, or one target:

    python -m tests.end_to_end.fuzz_targets http1 -max_total_time=60

A target gets bytes and must not raise, hang, or find a difference that depends on how the bytes were cut. `make test` runs each one on
its seeds and on mutations of them, without atheris; libFuzzer (through atheris) is for the long runs.
"""

import contextlib
import sys
from types import FunctionType, SimpleNamespace

from tests.wire.hostile_requests import CASES

from switchgear.config.reader import Reader
from switchgear.core import virtual_key
from switchgear.core.errors import FrameError, ProtocolError, RecordError, RefusedError
from switchgear.providers import endpoint
from switchgear.vault import egress
from switchgear.wire import eventstream, frames, http_requests, http_responses, records, sse
from switchgear.wire.http_requests import RejectedError, RequestParser
from switchgear.wire.http_responses import ResponseParser

LIMITS = http_requests.Limits(head_bytes_max=2_048, headers_max=16, url_bytes_max=512, body_bytes_max=4_096)
SEED = records.seed_of("0" * 32)


class _Sink:
    def __init__(self):
        self.events = []

    def on_head(self, head):
        self.events.append((head.method, head.target, head.body_length, tuple(head.headers.items())))

    def on_body(self, data):
        self.events.append(data)

    def on_end(self):
        self.events.append("end")

    def joined(self):
        found = []
        for event in self.events:
            if isinstance(event, bytes) and found and isinstance(found[-1], bytes):
                found[-1] += event
            elif event != b"":
                found.append(event)
        return found


def _requests(pieces):
    sink = _Sink()
    parser = RequestParser(sink, LIMITS)
    try:
        for piece in pieces:
            parser.feed(piece)
    except RejectedError:
        return sink.joined(), True
    return sink.joined(), False


def _halves(data):
    at = data[0] % (len(data) or 1) if data else 0
    return [data[:at], data[at:]]


def fuzz_http1(data):
    """Requests: however they are cut, the same finished ones, and nothing but a refusal is raised."""
    whole, refused = _requests([data])
    cut, cut_refused = _requests(_halves(data))
    if not refused and not cut_refused:
        assert whole == cut, (whole, cut)


def fuzz_responses(data):
    """Responses: nothing but ProtocolError."""
    parser = ResponseParser()
    with contextlib.suppress(ProtocolError):
        parser.begin()
        for piece in _halves(data):
            parser.feed(piece)
            parser.take_body()
        parser.eof()


def fuzz_sse(data):
    """Events: the same however they are cut."""

    def events(pieces):
        splitter, found = sse.Splitter(8_192), []
        try:
            for piece in pieces:
                found += splitter.feed(piece)
        except ProtocolError:
            return None
        return [sse.event_data(event) for event in found], b"".join(found) + splitter.tail

    whole, cut = events([data]), events(_halves(data))
    assert whole == cut or whole is None or cut is None


def fuzz_frames(data):
    """Frames on the link: nothing but FrameError; the same however they are cut."""

    def read(pieces):
        decoder, found = frames.Decoder(), []
        try:
            for piece in pieces:
                found += decoder.feed(piece)
        except FrameError:
            return None
        return found

    assert read([data]) == read(_halves(data)) or read([data]) is None
    for _, _, _, payload in read([data]) or []:
        with contextlib.suppress(FrameError):
            frames.split_head(payload)


def fuzz_records(data):
    """Spool records: a torn or forged one is none; payloads decode or are refused."""
    at = 0
    while (found := records.parse(SEED, 0, data, at)) is not None:
        kind, _, payload, at = found
        with contextlib.suppress(RecordError):
            records.decode_payload(kind, payload)
    with contextlib.suppress(RecordError):
        records.decode_payload(data[0] % 16 if data else 0, data[1:])


def fuzz_eventstream(data):
    """AWS event streams: nothing but ProtocolError."""
    decoder = eventstream.Decoder()
    with contextlib.suppress(ProtocolError):
        for piece in _halves(data):
            decoder.feed(piece)


def fuzz_keys(data):
    """Virtual keys: whatever is sent, an id or none."""
    text = data.decode("latin-1")
    found = virtual_key.parse_id(text)
    assert found is None or (text.startswith("sk-sg-") and len(text) == 68)


def fuzz_config(data):
    """Configuration: problems with their places, never an exception."""
    reader = Reader(lambda kind, name: None)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    node = reader.compose(text, "f")
    if node is not None:
        reader.read(node)


_ENDPOINT = endpoint.parse("https://api.example.com/v1")
_OPENED = SimpleNamespace(
    item=SimpleNamespace(context=SimpleNamespace(endpoint=_ENDPOINT)),
    query="",
    auth_line=b"authorization: Bearer x\r\n",
)


def fuzz_routes(data):
    """What a compromised edge may ask for: whatever it names, the head is one request, below the prefix, to the sealed host."""
    method, _, rest = data.partition(b"\n")
    path, _, header = rest.partition(b"\n")
    name, _, value = header.partition(b"\n")
    try:
        route = frames.UpstreamRoute(
            "d", method.decode(), path.decode(), [(name, value)] if name else [], 1.0, 1.0, 1.0, 1.0
        )
        head = egress.build_head(route, _OPENED)
    except (RefusedError, UnicodeError):
        return
    lines = head.split(b"\r\n")
    assert lines[0].startswith((b"POST /v1/", b"GET /v1/", b"DELETE /v1/")) and lines[0].endswith(b" HTTP/1.1"), lines[
        0
    ]
    assert (
        lines[0].count(b" ") == 2
        and b"\n" not in head.replace(b"\r\n", b"")
        and b"\r" not in head.replace(b"\r\n", b"")
    )
    assert lines[1] == b"host: api.example.com" and sum(line.lower().startswith(b"host:") for line in lines) == 1
    target = lines[0].split(b" ")[1].upper().replace(b"%2F", b"/").replace(b"%2E", b".").replace(b"%5C", b"/")
    assert b"/../" not in target and not target.endswith(b"/.."), target


def _config_seeds():
    return [
        b"providers:\n  openai: {credentials: [{name: prod, secret: {env: X}}]}\nmodels: {a: openai/b}\n",
        b"listen: {data: '127.0.0.1:1'}\nlimits: {body_bytes_max: 1}\nx-a: &a [1]\nkeys: {k: {sha256: 00}}\n",
    ]


SEEDS = {
    "http1": [case.data for case in CASES if len(case.data) < 4_096],
    "responses": [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
    "sse": [b'data: {"a":1}\n\n: c\r\n\r\nevent: x\rdata: y\r\r', b"data: [DONE]\n\n"],
    "frames": [frames.encode(4, 1, b""), frames.encode_with_head(2, 1, b"\x93", b"body", 1), frames.encode_window(1, 5)],
    "records": [records.frame(SEED, 0, 1, 1, b"\x94\xa1a\x01\xa1b\x01"), bytes(64)],
    "eventstream": [eventstream.event("chunk", b"{}"), eventstream.exception("x", b"{}")],
    "keys": [virtual_key.mint(bytes)[1].encode(), b"sk-sg-"],
    "config": _config_seeds(),
    "routes": [b"POST\n/chat/completions\naccept\nx", b"POST\n/models/a%2Fb:generateContent\n", b"GET\n/models\n", b"DELETE\n/responses/resp_1\n"],
}  # fmt: skip
TARGETS = {
    name.removeprefix("fuzz_"): function for name, function in list(globals().items()) if name.startswith("fuzz_")
}


def _functions():
    """The functions of the modules under test, to be instrumented in place: their code objects carry the coverage."""
    for module in (
        http_requests,
        http_responses,
        sse,
        frames,
        records,
        eventstream,
        virtual_key,
        egress,
        sys.modules[Reader.__module__],
    ):
        for owner in (module, *(value for value in vars(module).values() if isinstance(value, type))):
            if getattr(owner, "__module__", module.__name__) == module.__name__:
                yield from (value for value in vars(owner).values() if isinstance(value, FunctionType))


def main():
    import atheris

    name = sys.argv[1]
    for function in _functions():
        atheris.instrument_func(function)
    arguments = [sys.argv[0], *sys.argv[2:]]
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        atheris.Setup([*arguments, folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
