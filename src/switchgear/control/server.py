"""Serves the route table: over the Unix socket for the CLI, over TCP for the console and automation. Level 5.

Who may: on the Unix socket the CLI's token file (only the folder's owner reads it); on TCP an admin token. Host, Origin and
Sec-Fetch-Site are checked on TCP, so that no web page and no rebound name reaches the API.
"""

import hmac
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import lmdb
import msgspec
from sqlalchemy.exc import DatabaseError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from switchgear.control import openapi, pages
from switchgear.control.api import PERMISSIONS, Api, Call, Route
from switchgear.control.routes import ROUTES
from switchgear.core.errors import (
    UNREADABLE,
    ConflictError,
    DeniedError,
    RefusedError,
    StaleError,
    SwitchgearError,
    UserError,
)
from switchgear.core.guard import place_of
from switchgear.store.database import StoreGoneError

BODY_BYTES_MAX = 4 * 1024 * 1024
WRONG_USE = 2
"""Exit code of a UserError that says so."""
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def build(
    api: Api,
    cli_token: str | None,
    hosts: frozenset[str],
    report: Callable[[str], None],
    fault: Callable[[str], None],
) -> ASGIApp:
    """Make the application. With `cli_token` it is the Unix socket's; without, TCP's, which answers `hosts` only. What nobody
    expected is told with `fault`."""
    api.openapi = openapi.document(ROUTES)

    def endpoint(route: Route) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            try:
                return await _handle(api, route, request, cli_token)
            except _DeniedError as exc:
                return _error(exc.status, str(exc), exc.hint)
            except StaleError as exc:
                return _error(412, str(exc), exc.hint)
            except DeniedError as exc:
                return _error(403, str(exc), exc.hint)
            except ConflictError as exc:
                return _error(409, str(exc), exc.hint)
            except UserError as exc:
                return _error(400, str(exc), exc.hint, exc.exit_code == WRONG_USE)
            except RefusedError as exc:
                return _error(400, str(exc), "", wrong_use=True)
            except OverflowError:
                return _error(400, "a number in the body is out of range", "numbers have at most 64 bits")
            except (StoreGoneError, DatabaseError) as exc:
                return _error(503, f"the store is not available: {exc}", "see `switchgear status`")
            except (OSError, lmdb.Error) as exc:
                report(f"{route.method} {route.path} failed: {exc}")
                return _error(503, f"the data folder cannot be written: {exc}", "make room on the disk, then repeat it")
            except Exception as exc:  # noqa: BLE001  the top of the process: nothing may show a trace to a client
                fault(f"{route.method} {route.path} failed: {type(exc).__name__} in {place_of(exc)}")
                return _error(500, "internal error", "the log of the gateway has the details")

        return handle

    routes = [StarletteRoute(r.path, endpoint(r), methods=[r.method]) for r in ROUTES]
    if cli_token is None:
        routes += [StarletteRoute(path, pages.serve(path, SECURITY_HEADERS), methods=["GET"]) for path in pages.PATHS]
    app = Starlette(routes=routes, exception_handlers={404: _nowhere, 405: _nowhere})
    app.router.redirect_slashes = False
    return _Door(app, hosts if cli_token is None else None)


class _Door:
    """What every request passes first, whatever path it names: one framing, and on TCP a host and an origin that are ours."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            try:
                request = Request(scope)
                # RFC 9112, section 6.3: both may be an attempt at smuggling; h11 takes the first of them.
                if "transfer-encoding" in request.headers and "content-length" in request.headers:
                    raise _DeniedError(400, "a request has one length: not both transfer-encoding and content-length")
                if self._hosts is not None:
                    _check_browser(request, self._hosts)
            except _DeniedError as exc:
                answer = _error(exc.status, str(exc), exc.hint)
                answer.headers["connection"] = "close"
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _nowhere(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 404
    what = (
        f"there is nothing at {request.url.path[:128]!r}" if status == 404 else f"{request.method} is not for this path"
    )
    answer = _error(status, what, "the routes are in /api/openapi.json")
    if status == 405:
        answer.headers["allow"] = _methods_at(request)
    return answer


def _methods_at(request: Request) -> str:
    """Return what a 405 has to name: the methods of the path (RFC 9110, section 15.5.6)."""
    found = {m for r in request.app.routes if r.matches(request.scope)[0] is not Match.NONE for m in r.methods}
    return ", ".join(sorted(found))


class _DeniedError(SwitchgearError):
    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.hint = hint


async def _handle(api: Api, route: Route, request: Request, cli_token: str | None) -> Response:
    actor, permissions = await _authorize(api, route, request, cli_token)
    body = None
    if route.body is not None:
        raw = b""
        async for piece in request.stream():
            raw += piece
            if len(raw) > BODY_BYTES_MAX:
                raise _DeniedError(413, f"the body is over {BODY_BYTES_MAX} bytes")
        try:
            body = msgspec.json.decode(raw, type=route.body)
        except UNREADABLE as exc:
            raise _DeniedError(400, f"the body is not valid: {exc}") from None
    call = Call(api, actor, {k: str(v) for k, v in request.path_params.items()}, dict(request.query_params), body)
    call.permissions = permissions
    call.seen_version = _seen_version(request.headers.get("if-match"))
    answer = await route.handler(call)
    if isinstance(answer, bytes):
        return Response(answer, 200, {**SECURITY_HEADERS, "content-type": route.content_type})
    response = _json(200, answer)
    if isinstance(answer, dict) and isinstance(answer.get("version"), int):
        response.headers["etag"] = f'"{answer["version"]}"'
    return response


def _seen_version(text: str | None) -> int | None:
    """Read If-Match: the version that an ETag of this API was (RFC 9110, section 13.1.1); `*` matches whatever is there."""
    if text is None or text.strip() == "*":
        return None
    plain = text.strip().removeprefix('"').removesuffix('"')
    if not (plain.isascii() and plain.isdigit() and len(plain) < 19):
        raise _DeniedError(400, f"if-match {text[:64]!r} is no ETag of this API", "send back the ETag that it gave")
    return int(plain)


async def _authorize(api: Api, route: Route, request: Request, cli_token: str | None) -> tuple[str, frozenset[str]]:
    """Return who asks, and what they may do."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = ""
    if cli_token is not None:
        if not hmac.compare_digest(token.encode(), cli_token.encode()):
            raise _DeniedError(401, "the CLI's token is missing or wrong", "run the command as the gateway's user")
        return "cli", PERMISSIONS["owner"]
    if route.permission == "public":
        return "setup link", frozenset()
    found = await api.services.access.role_of(token)
    if found is None:
        raise _DeniedError(401, "no valid admin token was sent", "sign in with a link: switchgear admin link")
    name, role = found
    if route.permission not in PERMISSIONS.get(role, frozenset()):
        raise _DeniedError(403, f"the role {role} may not do this (needs {route.permission})")
    return f"token {name}", PERMISSIONS[role]


def _check_browser(request: Request, hosts: frozenset[str]) -> None:
    host = request.headers.get("host", "").lower()
    if host not in hosts:
        raise _DeniedError(421, "this console does not answer to that host name")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() not in hosts:
        raise _DeniedError(403, "requests from other sites are refused")
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise _DeniedError(403, "requests from other sites are refused")


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, {**SECURITY_HEADERS, "content-type": "application/json"})


def _error(status: int, message: str, hint: str, wrong_use: bool = False) -> Response:
    answer = _json(status, openapi.ErrorAnswer(message, hint, wrong_use))
    if status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    return answer
