"""What the vault lets out and in: paths, headers, ceilings. Level 3 (docs/invariants.md C2, C7, C9). Pure.

The request head is built here from the sealed endpoint and allow-lists; nothing of the frame is trusted to be harmless.
"""

import re

import msgspec

from switchgear import __version__
from switchgear.core.errors import RefusedError
from switchgear.policies import passthrough
from switchgear.routing import allowance
from switchgear.vault.box import OpenCredential
from switchgear.vault.verbs import CredentialCeilings
from switchgear.wire.frames import UpstreamRoute
from switchgear.wire.http_responses import ResponseHead
from switchgear.wire.http_syntax import is_safe_header

# Inference only: an inference credential must not reach a provider's management endpoints.
_MODEL = r"(?:[A-Za-z0-9._~@-]|%[0-9A-F]{2}){1,512}"
_STORED = r"resp_[A-Za-z0-9_-]{1,250}"
PATHS = {
    "POST": re.compile(
        r"/chat/completions|/completions|/embeddings|/moderations|/rerank|/images/(?:generations|edits|variations)|/audio/(?:speech|transcriptions|translations)"
        r"|/responses(?:/compact|/input_tokens)?|/messages(?:/count_tokens)?|/chat|/embed"
        rf"|/deployments/{_MODEL}/(?:chat/completions|completions|embeddings|images/generations|audio/speech)"
        rf"|/models/{_MODEL}:(?:generateContent|streamGenerateContent\?alt=sse|countTokens|embedContent|batchEmbedContents"
        r"|rawPredict|streamRawPredict)"
        rf"|/model/{_MODEL}/(?:converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)"
        rf"|/responses/{_STORED}/cancel"
    ),
    "GET": re.compile(rf"/models|/responses/{_STORED}(?:/input_items)?"),
    "DELETE": re.compile(rf"/responses/{_STORED}"),
}
_DOTS = re.compile(r"(?:/|%2F|%5C)(?:\.|%2E){1,2}(?:[/:?]|%2F|%5C|$)")
"""Segments that mean another place, also where a provider decodes before it looks."""
REQUEST_HEADERS = re.compile(
    rb"content-type|accept|traceparent|openai-beta|idempotency-key|anthropic-[a-z-]+|x-goog-(?!api-key)[a-z-]+"
)
RESPONSE_HEADERS = frozenset(
    {
        b"content-type",
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"openai-processing-ms",
        b"x-request-id",
        b"request-id",
        b"x-amzn-requestid",
        b"x-amzn-errortype",
        b"x-amzn-bedrock-input-token-count",
        b"x-amzn-bedrock-output-token-count",
        b"x-amzn-bedrock-cache-read-input-token-count",
        b"x-amzn-bedrock-cache-write-input-token-count",
        *allowance.NAMES,  # for the edge, which passes them to no client
    }
)
ATTEMPT_ID = re.compile(r"[0-9a-z]{1,40}-[0-9]{1,3}")
HEADERS_MAX = 24
HEADER_BYTES_MAX = 4_096
USER_AGENT = f"user-agent: switchgear/{__version__}\r\n".encode()


def build_head(route: UpstreamRoute, credential: OpenCredential) -> bytes:
    """Build the request head for the provider, but for what differs per attempt (see `finish_head`).

    Raises RefusedError for a path, method or header outside the lists.
    """
    allowed = PATHS.get(route.method)
    is_inference = allowed is not None and allowed.fullmatch(route.path) and not _DOTS.search(route.path)
    if not is_inference and not _is_sealed(route, credential):
        raise RefusedError(f"{route.method} {route.path[:64]!r} is not an inference path")
    if len(route.headers) > HEADERS_MAX:
        raise RefusedError("too many headers")
    endpoint = credential.item.context.endpoint
    lines = [
        b"%b %b HTTP/1.1\r\nhost: " % (route.method.encode("ascii"), target_of(route, credential)),
        endpoint.host_header,
        b"\r\n",
        credential.auth_line,
        USER_AGENT,
        b"accept-encoding: identity\r\n",
    ]
    fixed = {name.encode("ascii"): value.encode("ascii") for name, value in endpoint.headers}
    lines += [b"%b: %b\r\n" % field for field in fixed.items()]
    for name, value in route.headers:
        if not REQUEST_HEADERS.fullmatch(name) or len(value) > HEADER_BYTES_MAX or not is_safe_header(name, value):
            raise RefusedError(f"the header {name[:64]!r} may not be sent")
        if name not in fixed:
            lines += (name, b": ", value, b"\r\n")
    return b"".join(lines)


def _is_sealed(route: UpstreamRoute, credential: OpenCredential) -> bool:
    """Tell whether the credential was sealed with leave for this raw path."""
    path, _, query = route.path.partition("?")
    rules = credential.item.context.endpoint.passthrough
    return passthrough.is_plain(path, query) and passthrough.is_allowed(rules, route.method, path)


def target_of(route: UpstreamRoute, credential: OpenCredential) -> bytes:
    """Return the request target: the sealed prefix, the path, the sealed query."""
    endpoint = credential.item.context.endpoint
    queries = [text for text in (endpoint.query, credential.query) if text]
    mark = "&" if "?" in route.path else "?"
    return (endpoint.path_prefix + route.path + (mark + "&".join(queries) if queries else "")).encode("ascii")


def finish_head(head: bytes, attempt_id: str, body_length: int) -> bytes:
    """Add the body's length and the attempt's id. Raises RefusedError for an id that is not one."""
    if not ATTEMPT_ID.fullmatch(attempt_id):
        raise RefusedError("the attempt's id is malformed")
    return b"%bcontent-length: %d\r\nx-client-request-id: %b\r\n\r\n" % (head, body_length, attempt_id.encode("ascii"))


def authorize_head(head: bytes, route: UpstreamRoute, credential: OpenCredential, body: bytes, now_s: float) -> bytes:
    """Put the lines that authorize this very request into a finished head."""
    assert credential.auth is not None
    host = credential.item.context.endpoint.host_header.decode("ascii")
    kind = next((value.decode("latin-1") for name, value in route.headers if name == b"content-type"), "")
    target = target_of(route, credential).decode("ascii")
    return head[:-2] + credential.auth.lines(route.method, host, target, kind, body, now_s) + b"\r\n"


def strange_answer(head: ResponseHead) -> str | None:
    """Return what is wrong with an answer that nobody can use: a redirect (the key must not follow it), a compressed body
    although `identity` was asked for (C9). None for others."""
    if (
        not 200 <= head.status < 600
    ):  # RFC 9110 §15: "values outside the range 100..599 are invalid"; 1xx never come here
        return f"the provider answered with the status {head.status}, which is none"
    if 300 <= head.status < 400:
        return f"the provider answered {head.status}: redirects are not followed"
    encoding = head.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        return "the provider compressed its answer although that was not asked for"
    return None


def filter_head(head: ResponseHead, credential: OpenCredential) -> list[tuple[bytes, bytes]]:
    """Return the response headers that may pass, with the credential's bytes removed."""
    clean = credential.redactor.clean
    return [(name, clean(value)) for name, value in head.headers if name in RESPONSE_HEADERS and len(value) <= 4_096]


class CeilingCounter(msgspec.Struct):
    """Use of one credential, against its ceilings. Times in seconds of one clock."""

    ceilings: CredentialCeilings
    active: int = 0
    second: int = 0
    in_second: int = 0
    hour: int = 0
    bytes_in_hour: int = 0

    def begin(self, now_s: float) -> str | None:
        """Count a request; returns why it is over a ceiling, or None."""
        second = int(now_s)
        if second != self.second:
            self.second, self.in_second = second, 0
        if second // 3600 != self.hour:
            self.hour, self.bytes_in_hour = second // 3600, 0
        if self.active >= self.ceilings.concurrency:
            return f"over {self.ceilings.concurrency} requests at once on this credential"
        if self.in_second >= self.ceilings.requests_per_s:
            return f"over {self.ceilings.requests_per_s} requests per second on this credential"
        if self.bytes_in_hour >= self.ceilings.bytes_per_hour:
            return f"over {self.ceilings.bytes_per_hour} bytes per hour on this credential"
        self.active += 1
        self.in_second += 1
        return None

    def end(self, size: int) -> None:
        """A request ended after that many bytes, both ways."""
        self.active -= 1
        self.bytes_in_hour += size
