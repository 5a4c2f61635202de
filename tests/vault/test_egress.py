"""What the vault lets out: paths, headers, ceilings."""

import msgspec
import pytest

from switchgear.core.errors import RefusedError
from switchgear.core.secret import Secret
from switchgear.dialects.registry import DIALECTS
from switchgear.providers import endpoint
from switchgear.testing.faults import LoudGuard
from switchgear.vault import egress, seal
from switchgear.vault.box import Box
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import SealContext
from switchgear.vault.verbs import CredentialCeilings, Put
from switchgear.wire.frames import UpstreamRoute
from switchgear.wire.http_responses import ResponseHead

KEYS = KeyPair(Secret(bytes(range(32))))


@pytest.fixture
def opened(tmp_path):
    place = endpoint.parse("https://api.example.com:8443/v1")
    context = SealContext(provider="p", credential="c", version=1, endpoint=place)
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(Put(context, seal.seal(Secret(b"sk-secret-value-1"), context, KEYS.public)), 1)
    return box.find("p/c")


def route(method="POST", path="/chat/completions", headers=()):
    return UpstreamRoute("p/c", method, path, list(headers), 1, 1, 1, 1)


def test_C7_the_head_is_built_from_the_sealed_endpoint(opened):
    head = egress.finish_head(egress.build_head(route(headers=[(b"accept", b"*/*")]), opened), "0af-1", 12)
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/chat/completions HTTP/1.1"
    assert lines[1] == b"host: api.example.com:8443"
    assert b"authorization: Bearer sk-secret-value-1" in lines
    assert b"accept-encoding: identity" in lines
    assert b"content-length: 12" in lines
    assert head.endswith(b"x-client-request-id: 0af-1\r\n\r\n")


def test_C7_header_fields_that_were_sealed_stand_in_every_head_once(tmp_path):
    place = endpoint.parse("https://api.example.com/v1")
    place = msgspec.structs.replace(place, headers=(("anthropic-beta", "fixed"), ("x-team", "ml")))
    context = SealContext(provider="p", credential="c", version=1, endpoint=place)
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(Put(context, seal.seal(Secret(b"sk-secret-value-1"), context, KEYS.public)), 1)
    head = egress.build_head(route(headers=[(b"anthropic-beta", b"client's"), (b"accept", b"*/*")]), box.find("p/c"))
    lines = head.split(b"\r\n")
    assert [line for line in lines if line.startswith(b"anthropic-beta")] == [b"anthropic-beta: fixed"]
    assert b"x-team: ml" in lines and b"accept: */*" in lines


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/messages"),
        ("POST", "/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ("POST", "/models/claude%40x:rawPredict"),
        ("POST", "/model/us.amazon.nova-lite-v1%3A0/converse-stream"),
        ("POST", "/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ax%2Fy/converse"),
        ("POST", "/deployments/gpt-4o/chat/completions"),
        ("DELETE", "/responses/resp_1"),
        ("GET", "/responses/resp_1/input_items"),
    ],
)
def test_C2_inference_paths_of_every_dialect_pass(opened, method, path):
    assert egress.build_head(route(method, path), opened).startswith(f"{method} /v1{path} HTTP/1.1".encode())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/organization/projects"),
        ("DELETE", "/chat/completions"),
        ("CONNECT", "x:1"),
        ("TRACE", "/chat/completions"),
        ("POST", "/chat/completions?x=1"),
        ("POST", "/../admin"),
        ("POST", "https://evil.com/chat/completions"),
        ("POST", ""),
        ("POST", "/chat/completions HTTP/1.1\r\nx: y"),
        ("DELETE", "/responses"),
        ("DELETE", "/responses/resp_1/cancel"),
        ("GET", "/responses/file_1"),
        ("GET", "/files"),
        ("POST", "/models/../secrets:generateContent"),
        ("POST", "/models/%2E%2E:generateContent"),
        ("POST", "/models/..%2F..%2Fadmin:generateContent"),
        ("POST", "/models/x%5C..%5Cadmin:generateContent"),
        ("POST", "/models/a/b:generateContent"),
        ("POST", "/models/a:setIamPolicy"),
        ("POST", "/models/a:streamGenerateContent?alt=sse&x=1"),
        ("POST", "/model/./converse"),
        ("POST", "/model/a%2fb/converse"),
        ("POST", "/deployments/a/delete"),
    ],
)
def test_C2_other_paths_and_methods_are_refused(opened, method, path):
    with pytest.raises(RefusedError):
        egress.build_head(route(method, path), opened)


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer x"),
        (b"host", b"evil.com"),
        (b"cookie", b"a"),
        (b"x-goog-api-key", b"a"),
        (b"accept", b"a\r\nb: c"),
        (b"Accept", b"a"),
        (b"accept", b"a" * 5000),
        (b"transfer-encoding", b"chunked"),
        (b"openai-organization", b"x"),
        (b"a b", b"c"),
    ],
)
def test_C9_other_headers_are_refused(opened, header):
    with pytest.raises(RefusedError):
        egress.build_head(route(headers=[header]), opened)


@pytest.mark.parametrize("attempt", ["", "x\r\ny-1", "A-1", "a", "a-1-2", "a" * 60 + "-1"])
def test_a_malformed_attempt_id_is_refused(attempt):
    with pytest.raises(RefusedError):
        egress.finish_head(b"", attempt, 1)


def test_C9_response_headers_are_filtered_and_redacted(opened):
    head = ResponseHead(
        200,
        [
            (b"content-type", b"a"),
            (b"set-cookie", b"x"),
            (b"x-ratelimit-limit", b"1"),
            (b"x-request-id", b"sk-secret-value-1"),
        ],
        True,
    )
    assert egress.filter_head(head, opened) == [(b"content-type", b"a"), (b"x-request-id", b"[redacted]")]


def test_C7_ceilings_bound_a_compromised_edge():
    counter = egress.CeilingCounter(CredentialCeilings(requests_per_s=2, concurrency=3, bytes_per_hour=10))
    assert counter.begin(0.0) is None
    assert counter.begin(0.5) is None
    assert "per second" in counter.begin(0.9)
    assert counter.begin(1.0) is None
    assert "at once" in counter.begin(2.0)
    for _ in range(3):
        counter.end(4)
    assert "per hour" in counter.begin(3.0)
    assert counter.begin(3700.0) is None


def test_H2_answers_that_nobody_can_use_are_told_apart():
    def strange(status, *headers):
        return egress.strange_answer(ResponseHead(status=status, headers=list(headers), keep_alive=True))

    assert strange(200) is None and strange(404) is None
    assert strange(200, (b"content-encoding", b"Identity")) is None
    assert "redirect" in strange(302, (b"location", b"https://evil/")) and "redirect" in strange(307)
    for name in (b"gzip", b"br", b"zstd", b"gzip, identity"):
        assert "compressed" in strange(200, (b"content-encoding", name))


def test_the_wall_lets_every_path_through_that_a_dialect_asks_its_providers_for():
    known = [
        (row.name, path) for row in DIALECTS for op in row.operations.values() for path in (op.path, op.stream_path)
    ]
    for name, path in known:
        asked = path.replace("{model}", "a-model").replace("{id}", "resp_1")
        assert not path or any(pattern.fullmatch(asked) for pattern in egress.PATHS.values()), (name, path)
