"""The cost of every shape grows with its size, and no faster: doubled input takes at most 2.3 times the CPU.

Measured in CPU time of this process, not in time that passes. A shape is screened over three doublings at once; one that looks
steep is measured over four sizes, several times each, and the slope of the logarithms decides. It fails when three such
measurements in a row say so.
"""

import contextlib
import gc
import itertools
import math
import re
import time
from collections.abc import Callable

import msgspec
import pytest
import yaml

from switchgear.config import reader
from switchgear.core.errors import ProtocolError
from switchgear.core.text import clean, header_value
from switchgear.detect import log_lines
from switchgear.detect.domains import urls_in
from switchgear.detect.keys import KeyDetector
from switchgear.detect.rules import Library
from switchgear.dialects import errors, forms, json_guard, request_reader, usage_cost
from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request import Request
from switchgear.dialects.schemas import with_safe_names
from switchgear.dialects.translation import Translation, open_translation
from switchgear.discover.detector_set import shipped_files
from switchgear.edge import paths
from switchgear.policies import access
from switchgear.providers.quirks import Quirks
from switchgear.testing import shapes
from switchgear.testing.shapes import Shape
from switchgear.wire import eventstream, frames, http_requests, sse

GROWTH_MAX = 2.3
SMALL, DOUBLINGS = 8_192, 4
LARGE = 131_072
TOO_LONG_S = 1.0
STEEP = 3.0
CHEAP_S = 150e-9
"""Per byte of the largest size: below, growth of up to STEEP is the memory's, not the program's."""
REFUSALS = (InvalidBodyError, ProtocolError, json_guard.JsonRefusedError, ValueError)

Work = Callable[[bytes], object]


def cost_s(work: Work, data: bytes, runs: int) -> float:
    best = math.inf
    for _ in range(runs):
        began = time.process_time()
        with contextlib.suppress(*REFUSALS):
            work(data)
        best = min(best, time.process_time() - began)
    return max(best, 1e-6)


def growth(shape: Shape, work: Work) -> float:
    """Return the factor per doubling: the slope of the logarithms of four sizes, above the sizes from which bodies are treated as
    large ones."""
    points: list[tuple[float, float]] = []
    for doubling in range(4):
        size = LARGE << doubling
        cost = cost_s(work, shape.make(size), 1 if points and points[-1][1] > -1 else 4)
        points.append((math.log2(size), math.log2(cost)))
        if cost > TOO_LONG_S and len(points) > 1:
            break
    x = sum(point[0] for point in points) / len(points)
    y = sum(point[1] for point in points) / len(points)
    slope = sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
    if slope < math.log2(STEEP) and 2 ** points[-1][1] / 2 ** points[-1][0] < CHEAP_S:
        return GROWTH_MAX  # a cache that is too small for the larger input
    return float(2**slope)


@pytest.fixture(autouse=True)
def _no_collector():
    """The collector looks at all that lives in the process, which is not the input's size."""
    gc.disable()
    yield
    gc.enable()


def check(shape: Shape, work: Work) -> None:
    small = cost_s(work, shape.make(SMALL), 2)
    large = cost_s(work, shape.make(SMALL << DOUBLINGS), 1)
    if large < 0.002 or large / small <= GROWTH_MAX**DOUBLINGS:
        return
    found = [growth(shape, work)]
    while found[-1] > GROWTH_MAX and len(found) < 6:
        found.append(growth(shape, work))
    assert found[-1] <= GROWTH_MAX, f"{shape.name}: {found} per doubling, {large:.3f} s for {SMALL << DOUBLINGS} bytes"


def named(table):
    return [pytest.param(dialect, shape, id=f"{dialect}: {shape.name}") for dialect, shape in shapes.of(table)]


def test_a_steep_shape_is_found():
    """The instrument itself: a work that is quadratic in its input is told from one that is not."""
    with pytest.raises(AssertionError, match="per doubling"):
        check(Shape("x", "", "ab", "", ","), lambda data: [data.count(b"zz") for _ in range(len(data) // 1_024)])
    check(Shape("x", "", "ab", "", ","), lambda data: data.split(b","))


@pytest.mark.parametrize(("dialect", "shape"), named(shapes.REQUESTS))
def test_judging_and_translating_a_request_costs_what_its_size_says(dialect, shape):
    named = "m" if dialect in {"gemini", "bedrock"} else None
    check(shape, lambda body: request_reader.parse(body, dialect, "chat", named))
    for provider in BY_NAME:

        def cross(body: bytes, provider: str = provider) -> object:
            asked = request_reader.parse(body, dialect, "chat", named)
            return open_translation(asked, dialect, provider, "claude-opus-4-5", Quirks(), created=0)

        check(shape, cross)


def passage_of(client: str, provider: str, stream: bool = False) -> Translation:
    asked = Request({}, client, "chat", "m", stream)
    return Translation(asked, client, provider, 0, False, None)


@pytest.mark.parametrize(("dialect", "shape"), named(shapes.ANSWERS))
def test_reading_and_translating_an_answer_costs_what_its_size_says(dialect, shape):
    check(shape, lambda body: passage_of(dialect, dialect).read(body, []))
    for client in BY_NAME.keys() - {dialect}:
        check(shape, lambda body, client=client: passage_of(client, dialect).answer(body))
        check(shape, lambda body, client=client: passage_of(client, dialect, True).as_stream(body))
    check(shape, lambda body: usage_cost.add(body, ("usage",), 1))
    check(shape, errors.message_of)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(("dialect", "shape"), named(shapes.STREAMS))
def test_a_stream_costs_what_its_size_says_however_it_is_cut(dialect, shape):
    for client in BY_NAME:
        for size in (61, 4_096) if client in {dialect, "gemini"} else (4_096,):

            def feed(data: bytes, client: str = client, size: int = size) -> None:
                tap = passage_of(client, dialect, True).tap()
                for piece in pieces(data, size):
                    tap.feed(piece)
                tap.finish()

            check(shape, feed)


@pytest.mark.parametrize("size", [1, 100, 4_096])
def test_frames_and_events_cost_what_their_size_says_however_they_are_cut(size):
    def events(data: bytes) -> None:
        decoder = eventstream.Decoder()
        for piece in pieces(eventstream.event("contentBlockDelta", data), size):
            decoder.feed(piece)

    def splits(data: bytes) -> None:
        splitter = sse.Splitter()
        for piece in pieces(data, size):
            splitter.feed(piece)

    def link(data: bytes) -> None:
        decoder = frames.Decoder()
        whole = b"".join(frames.encode(frames.FrameType.DATA, 1, piece) for piece in pieces(data, 512))
        for piece in pieces(whole, size):
            decoder.feed(piece)

    many = Shape("small events", "", "x", "", "")
    for work in (events, splits, link):
        check(many, work)
    check(Shape("returns", "", "\r", "", ""), splits)
    check(Shape("line feeds", "data: x", "\n", "", ""), splits)


def test_properties_that_all_get_one_name_cost_what_their_size_says():
    def rename(data: bytes) -> None:
        letters = "àáâãäåæçèéêëìíîïðñòóôõö"
        names = ["".join(four) for four in itertools.islice(itertools.product(letters, repeat=4), len(data) // 32)]
        raw = msgspec.Raw(msgspec.json.encode({"properties": {name: {} for name in names}}))
        schema, renamed = with_safe_names(raw, "a-zA-Z0-9_.-", 64)
        assert len(renamed) == len(names) or schema is raw

    check(Shape("odd names", "", "x", "", ""), rename)


FORM = "--b\r\n" + 'content-disposition: form-data; name="model"\r\n\r\nm'
FORMS = (
    Shape(
        "one file",
        FORM + '\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n',
        "x",
        "\r\n--b--",
        "",
    ),
    Shape("parts", FORM + "\r\n", '--b\r\ncontent-disposition: form-data; name="p%d"\r\n\r\nx', "\r\n--b--", "\r\n"),
    Shape(
        "half boundaries",
        FORM + '\r\n--b\r\ncontent-disposition: form-data; name="file"\r\n\r\n',
        "\r\n--",
        "\r\n--b--",
        "",
    ),
    Shape("a head", "--b\r\n", "x-a: b", "\r\n\r\n", "\r\n"),
    Shape("parameters", "--b\r\ncontent-disposition: form-data", '; a%d="b"', "\r\n\r\nx\r\n--b--", ""),
    Shape("spaces", "--b\r\ncontent-disposition: form-data", " ", ";\r\n\r\nx\r\n--b--", ""),
    Shape("boundaries", "", "--b", "", ""),
)


@pytest.mark.parametrize("shape", FORMS, ids=lambda shape: shape.name)
def test_a_form_costs_what_its_size_says(shape):
    for kind in (b"multipart/form-data; boundary=b", b"multipart/form-data; boundary=" + b"-" * 70):
        check(shape, lambda body, kind=kind: forms.parse(kind, body))
    check(shape, lambda head: forms.parse(b"multipart/form-data; " + head, b"--b"))


class Sink:
    def on_head(self, head): ...
    def on_body(self, data): ...
    def on_end(self): ...


def http(data: bytes, size: int) -> None:
    limits = http_requests.Limits(head_bytes_max=1 << 30, headers_max=1 << 30, url_bytes_max=1 << 30)
    parser = http_requests.RequestParser(Sink(), limits)
    for piece in pieces(data, size):
        parser.feed(piece)


HEADS = (
    Shape("headers", "POST / HTTP/1.1\r\nhost: a\r\n", "a%d: b", "\r\n\r\n", "\r\n"),
    Shape("one value", "POST / HTTP/1.1\r\nhost: a\r\nb: ", "c", "\r\n\r\n", ""),
    Shape("a repeated header", "POST / HTTP/1.1\r\nhost: a\r\n", "accept: b", "\r\n\r\n", "\r\n"),
    Shape("a path", "GET /", "v1/", " HTTP/1.1\r\nhost: a\r\n\r\n", ""),
    Shape(
        "chunks", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", "0\r\n\r\n", ""
    ),
    Shape("requests", "", "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "", ""),
)


@pytest.mark.parametrize("shape", HEADS, ids=lambda shape: shape.name)
def test_a_head_costs_what_its_size_says(shape):
    check(shape, lambda data: http(data, 1 << 20))
    if "value" not in shape.name and shape.name not in {"headers", "a repeated header", "a path"}:
        check(shape, lambda data: http(data, 97))  # an unfinished head is bounded by 16 KiB, and looked at again


@pytest.mark.parametrize("shape", shapes.LINES, ids=lambda shape: shape.name)
def test_a_long_line_costs_what_its_size_says(shape):
    detector = KeyDetector(Library.read(shipped_files()).keys)
    works: dict[str, Work] = {
        "clean": lambda data: clean(data.decode(), 1 << 30),
        "header": lambda data: header_value(data.decode(), 1 << 30),
        "hosts": lambda data: list(urls_in(data)),
        "keys": lambda data: detector.find(data, 0, len(data), frozenset()),
        "target": lambda data: paths.find(b"/" + data),
        "gemini's target": lambda data: paths.find(b"/v1beta/models/" + data),
        "query": lambda data: paths.query(b"/?" + data, b"key"),
        "model": lambda data: access.model_not_found(data.decode(), [data.decode()]),
        "pattern": lambda data: access.may_call(data.decode(), ["a*b*c*d", "*x"]),
        "yaml": lambda data: reader.Reader(lambda kind, name: None).compose("a: " + data.decode(), "f"),
        "logs": lambda data: log_lines.detect([data.decode()], 2026),
    }
    for kind in (*log_lines.formats(2026), log_lines.GENERIC):
        works[kind.name] = lambda data, kind=kind: kind.read(data.decode())
    for work in works.values():
        check(shape, work)


YAML = (
    Shape("models", "models:\n", "  m%d: openai/x", "\n", "\n"),
    Shape("unknown keys", "", "k%d: 1", "\n", "\n"),
    Shape("aliases", "a: &a [1]\nmodels:\n", "  m%d: *a", "\n", "\n"),
    Shape("keys of one name", "models:\n", "  a: b", "\n", "\n"),
    Shape("a list", "keys: [", "a", "]", ","),
    Shape("references", "models:\n", "  m%d: '{env:A%d}'", "\n", "\n"),
)


@pytest.mark.parametrize("shape", YAML, ids=lambda shape: shape.name)
def test_a_configuration_costs_what_its_size_says(shape):
    def read(data: bytes) -> None:
        found = reader.Reader(lambda kind, name: None)
        with contextlib.suppress(yaml.YAMLError):
            node = found.compose(data.decode(), "f")
            if node is not None:
                found.read(node)

    check(shape, read)


def test_every_shape_has_the_size_that_is_asked():
    for table in (shapes.REQUESTS, shapes.ANSWERS, shapes.STREAMS):
        for _, shape in shapes.of(table):
            assert 0.8 * 20_000 < len(shape.make(20_000)) < 1.05 * 20_000, shape.name
    assert re.fullmatch(rb"(a\d{7},)+a\d{7}", Shape("x", "", "a%d", "").make(100))


def test_shapes_of_one_table_have_names_of_their_own():
    for table in (shapes.REQUESTS, shapes.ANSWERS, shapes.STREAMS):
        for left, right in itertools.combinations(shapes.of(table), 2):
            assert (left[0], left[1].name) != (right[0], right[1].name)
