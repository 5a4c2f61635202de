"""Why a request is refused: the table of docs/contract.md §5, one row a case. Level 0.

A dialect renders a row in its client's own shape; the row's `code` is also the `x-switchgear-error` header.
"""

from typing import Literal

import msgspec

Source = Literal["gateway", "upstream"]


class Case(msgspec.Struct, frozen=True):
    """One kind of refusal and its names in each error vocabulary."""

    code: str
    status: int
    openai_type: str
    anthropic_type: str
    source: Source = "gateway"
    should_retry: bool | None = None


class Problem(msgspec.Struct, frozen=True):
    """A refusal of one request: the case, a sentence for the client, what it concerns."""

    case: Case
    message: str
    param: str | None = None
    retry_after_s: int | None = None
    rule: str | None = None
    """Of a limit or a budget: what it limits, as refusals are counted by (one of a few)."""
    resets_ms: int | None = None
    """Of a budget that is spent: when its next period begins; None: never."""
    resets_in_s: int | None = None
    """The same from now on."""


INVALID_KEY = Case("invalid_api_key", 401, "authentication_error", "authentication_error")
FORBIDDEN = Case("permission_denied", 403, "permission_error", "permission_error")
FROZEN = Case("frozen", 403, "permission_error", "permission_error", should_retry=False)
MODEL_NOT_FOUND = Case("model_not_found", 404, "invalid_request_error", "not_found_error")
UNKNOWN_PATH = Case("unknown_path", 404, "invalid_request_error", "not_found_error")
METHOD_NOT_ALLOWED = Case("method_not_allowed", 405, "invalid_request_error", "invalid_request_error")
UNSUPPORTED_MEDIA = Case("unsupported_media_type", 415, "invalid_request_error", "invalid_request_error")
UPGRADE_REFUSED = Case("upgrade_required", 426, "invalid_request_error", "invalid_request_error")
BAD_HTTP = Case("bad_http", 400, "invalid_request_error", "invalid_request_error")
EXPECTATION_FAILED = Case("expectation_failed", 417, "invalid_request_error", "invalid_request_error")
INVALID_BODY = Case("invalid_body", 400, "invalid_request_error", "invalid_request_error")
STORED_NOT_FOUND = Case("stored_not_found", 404, "invalid_request_error", "not_found_error")
UNSUPPORTED = Case("unsupported_operation", 400, "invalid_request_error", "invalid_request_error")
BODY_TOO_LARGE = Case("body_too_large", 413, "invalid_request_error", "request_too_large")
HEADERS_TOO_LARGE = Case("headers_too_large", 431, "invalid_request_error", "request_too_large")
URL_TOO_LONG = Case("url_too_long", 414, "invalid_request_error", "request_too_large")
REQUEST_TIMEOUT = Case("request_timeout", 408, "invalid_request_error", "invalid_request_error")
MODEL_UNPRICED = Case("model_unpriced", 402, "invalid_request_error", "billing_error")
RATE_LIMITED = Case("rate_limit_exceeded", 429, "rate_limit_error", "rate_limit_error")
OVER_LIMIT = Case("request_over_limit", 429, "rate_limit_error", "rate_limit_error", should_retry=False)
BUDGET_SPENT = Case("insufficient_quota", 429, "insufficient_quota", "billing_error", should_retry=False)
UPSTREAM_AUTH = Case("upstream_auth_error", 502, "upstream_error", "api_error", "upstream", False)
UPSTREAM_UNREACHABLE = Case("upstream_unreachable", 502, "upstream_error", "api_error", "upstream")
UPSTREAM_BROKEN = Case("upstream_broken", 502, "upstream_error", "api_error", "upstream")
UPSTREAM_TIMEOUT = Case("upstream_timeout", 504, "upstream_error", "timeout_error", "upstream")
OVERLOADED = Case("overloaded", 503, "server_error", "overloaded_error")
LEDGER_UNAVAILABLE = Case("ledger_unavailable", 503, "server_error", "overloaded_error")
INTERRUPTED = Case("interrupted", 503, "server_error", "api_error")
INTERNAL = Case("internal_error", 500, "server_error", "api_error")

OVERLOADED_STATUS = 529
"""What Anthropic's clients take for "try again later"; others get 503."""

CASES: tuple[Case, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Case))
