"""What every route of the admin API has: a permission, a handler, the types of answer and body; and what handlers get. Level 5.

A route without a permission does not exist: the type demands one of those that roles have. Handlers get a
Call and return plain values; errors are exceptions of core.errors.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, get_args

import msgspec

from switchgear.control.services import Services
from switchgear.core.errors import UserError
from switchgear.core.iso_time import parse_time

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
P = "/api/v1"
SPAN = ("since_ms", "until_ms")

Permission = Literal[
    "public",
    "status:read",
    "keys:read",
    "keys:write",
    "organisation:read",
    "organisation:write",
    "providers:read",
    "providers:write",
    "credentials:read",
    "credentials:write",
    "models:read",
    "models:write",
    "usage:read",
    "log:read",
    "log:export",
    "budgets:read",
    "budgets:write",
    "prices:read",
    "prices:write",
    "config:read",
    "config:write",
    "freeze:write",
    "metrics:read",
    "tokens:read",
    "findings:read",
    "findings:write",
    "admin:write",
]
"""What a route needs. `public` is for what must work before anybody has signed in."""

PERMISSIONS: dict[str, frozenset[str]] = {
    "owner": frozenset(get_args(Permission)) - {"public"},
    "admin": frozenset(
        {
            "status:read",
            "keys:read",
            "keys:write",
            "organisation:read",
            "organisation:write",
            "providers:read",
            "providers:write",
            "credentials:read",
            "credentials:write",
            "models:read",
            "models:write",
            "usage:read",
            "log:read",
            "log:export",
            "budgets:read",
            "budgets:write",
            "prices:read",
            "prices:write",
            "config:read",
            "config:write",
            "freeze:write",
            "metrics:read",
            "tokens:read",
            "findings:read",
            "findings:write",
        }
    ),
    "billing-reader": frozenset({"status:read", "usage:read", "budgets:read", "prices:read"}),
    "auditor": frozenset(
        {
            "status:read",
            "keys:read",
            "organisation:read",
            "providers:read",
            "credentials:read",
            "models:read",
            "log:read",
            "usage:read",
            "budgets:read",
            "config:read",
            "tokens:read",
            "findings:read",
        }
    ),
    "exporter": frozenset({"log:read", "log:export"}),
    "viewer": frozenset({"status:read", "models:read", "usage:read", "metrics:read"}),
}
"""What each role may. `admin:write` is an owner's alone: further ways in (tokens, links), and rows that control did not write."""


Span = Annotated[int, msgspec.Meta(ge=0, le=3650 * DAY_MS)]
"""Milliseconds, at most ten years."""


class Call:
    """One call of the API."""

    def __init__(self, app: "Api", actor: str, path: dict[str, str], query: dict[str, str], body: Any) -> None:
        self.app = app
        self.services = app.services
        self.control = app.services.control
        self.actor = actor
        self.path = path
        self.query = query
        self.body = body
        self.permissions: frozenset[str] = frozenset()
        """What the caller may do besides."""
        self.seen_version: int | None = None
        """The version that the caller saw: If-Match."""

    def may(self, permission: Permission) -> bool:
        """Tell whether the caller may do this as well."""
        return permission in self.permissions

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number of the query. Raises UserError."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 20) or not low <= int(text) <= high:
            raise UserError(f"{name}={text!r} must be a number between {low} and {high}", "", 2)
        return int(text)

    def zone_hours(self) -> int:
        """Return `zone_min`, the caller's minutes east of UTC, as whole hours: sums are of hours, so that days of a zone with
        a half hour begin half an hour off. Raises UserError."""
        text = self.query.get("zone_min", "0")
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 5) or int(digits) > 18 * 60:
            raise UserError(f"zone_min={text[:16]!r} must be minutes between -1080 and 1080", "", 2)
        return int(text) // 60


class Api:
    """What handlers reach beside the services."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.vault_key = b""
        """The vault's public key, for who seals at the other end of this API."""
        self.openapi: dict[str, Any] = {}
        """The document that describes this API; filled by whoever serves it."""


Handler = Callable[[Call], Awaitable[Any]]


class Route(msgspec.Struct, frozen=True):
    """One row of the table."""

    method: str
    path: str
    permission: Permission
    handler: Handler
    answer: Any
    """The type of the answer's JSON; bytes where it is not JSON."""
    body: Any = None
    query: tuple[str, ...] = ()
    """What the handler reads of the query, for the documentation."""
    content_type: str = "application/json"
    """Of the answer. A handler whose answer is not JSON returns bytes."""


def time_of(text: str | None) -> int | None:
    """Read an ISO 8601 date or time as milliseconds. Raises UserError."""
    if text is None:
        return None
    found = parse_time(text)
    if found is None:
        raise UserError(f"{text!r} is not an ISO 8601 date or time", "e.g. 2027-01-31 or 2027-01-31T12:00:00Z", 2)
    return found
