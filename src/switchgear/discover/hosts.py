"""Asks hosts which AI products they run, without doing anything there. Level 5.

Only GET, only paths of `detect.probe_paths`, no body, no credential, no redirect followed, one connection per host and port
at a time, a bounded rate, bounded bodies that are dropped once judged. The first request of each port is for a path that
cannot exist: what answers that as well proves nothing.
"""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Iterable

import httptools
import msgspec

from switchgear import __version__
from switchgear.core import guard
from switchgear.detect.finding import Finding, Severity, plain_identity
from switchgear.detect.probe_paths import is_allowed
from switchgear.detect.services import Response, ServiceMatch
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.scope import Target

CONNECT_S = 1.5
READ_S = 3.0
BODY_BYTES_MAX = 65_536
HEADERS_MAX = 100
AT_ONCE = 64
PER_S = 200
TLS_PORTS = frozenset({443, 8443})
USER_AGENT = f"switchgear-discover/{__version__}"


class Receipt(msgspec.Struct):
    """What was sent: for the report, and for whoever owns the hosts."""

    requests: int = 0
    paths: set[str] = msgspec.field(default_factory=set)


class NotHttpError(Exception):
    """The port answers, in another language."""


class ClosedError(Exception):
    """Nobody listens there, or nobody can be reached."""


class _Reader:
    """Collects one response; httptools calls it."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.cut = False
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < HEADERS_MAX:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body[: BODY_BYTES_MAX - len(self.body)]
        self.cut = len(self.body) >= BODY_BYTES_MAX

    def on_message_complete(self) -> None:
        self.complete = True


class HostSource:
    """Asks targets."""

    def __init__(
        self, tools: DetectorSet, collector: Collector, run_id: str, upstreams: frozenset[tuple[str, int]] = frozenset()
    ) -> None:
        """`run_id` goes into `X-Switchgear-Scan`; `upstreams`: (host, port) of this gateway's providers, which are governed."""
        self._tools = tools
        self._out = collector
        self._run_id = run_id
        self._upstreams = upstreams
        self._permits = asyncio.Semaphore(AT_ONCE)
        self._next_at = 0.0
        self.receipt = Receipt()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # nothing secret is sent; the certificate is recorded

    def ports(self) -> list[int]:
        """Return the usual ports of all products."""
        return sorted({80, 443, *(port for product in self._tools.services.products for port in product.ports)})

    async def scan(self, targets: Iterable[Target]) -> None:
        """Ask all targets."""
        jobs = [(target, port) for target in targets for port in (target.ports or (*self.ports(), *target.more_ports))]
        seen: set[tuple[str, int]] = set()
        async with asyncio.TaskGroup() as group:
            for target, port in jobs:
                if (target.address, port) not in seen:
                    seen.add((target.address, port))
                    group.create_task(self._port(target, port))

    async def _port(self, target: Target, port: int) -> None:
        where = f"{target.name if ':' not in target.name else f'[{target.name}]'}:{port}"
        failure = await self._look(target, port, where)
        if failure is not None:
            self._out.fault(where, failure)

    @guard.guarded(lambda self, exc: exc)
    async def _look(self, target: Target, port: int, where: str) -> Exception | None:
        """Ask one port; returns what nobody expected, or None."""
        async with self._permits:
            self._out.progress(1, where)
            named = target.ports is not None
            try:
                tls, control = await self._control(target, port)
            except NotHttpError as exc:
                self._out.skipped["ports that speak no HTTP"] += 1
                if named:
                    self._out.failed(where, exc)
                return None
            except ClosedError as exc:
                self._out.skipped["closed ports"] += 1
                if named and not isinstance(exc.__cause__, ConnectionRefusedError):
                    self._out.failed(where, exc)
                return None
            except (OSError, TimeoutError) as exc:
                self._out.failed(where, str(exc) or f"took a connection and said nothing for {READ_S:g} s")
                return None
            self._out.looked_at["ports"] += 1
            known = port if any(port in product.ports for product in self._tools.services.products) else None
            await self._ask(target, port, tls, control, where, known)
            return None

    async def _control(self, target: Target, port: int) -> tuple[str | None, Response]:
        """Send the control probe; returns (certificate's hash or None for plain HTTP, response)."""
        path = "/" + hashlib.sha256(f"{self._run_id} {target.address} {port}".encode()).hexdigest()[:16]
        orders = [True, False] if port in TLS_PORTS else [False, True]
        failure: Exception | None = None
        for tls in orders:
            try:
                response, certificate = await self._get(target, port, path, tls)
            except NotHttpError as exc:
                failure = exc
                continue
            except (OSError, TimeoutError) as exc:
                if isinstance(failure, NotHttpError) and tls and port not in TLS_PORTS:
                    raise NotHttpError(str(failure)) from exc  # neither of both: it broke off at the second try
                raise
            if not tls and response.status == 400 and "HTTPS" in response.body:
                continue  # a plain request to a TLS port
            return certificate, response
        raise failure or NotHttpError("nothing was answered")

    async def _ask(
        self, target: Target, port: int, tls: str | None, control: Response, where: str, known: int | None
    ) -> None:
        responses: dict[str, Response] = {}
        failures = 0
        matches: list[ServiceMatch] = []
        for paths in self._rounds(known):
            for path in paths:
                if path in responses:
                    continue
                try:
                    responses[path], _ = await self._get(target, port, path, tls is not None)
                except (OSError, TimeoutError, NotHttpError, ClosedError) as exc:
                    failures += 1
                    if failures > 3:
                        self._out.failed(where, f"stopped answering: {exc or 'no answer in time'}")
                        break
            matches = self._tools.services.judge(responses, control)
            if failures > 3 or any(match.confidence == "confirmed" for match in matches):
                break
        for match in matches:
            self._found(match, target, port, tls, where)

    def _rounds(self, known: int | None) -> list[list[str]]:
        # First what the port's usual products are known by, then everything: a service may stand on any port.
        everything = self._tools.services.paths(None)
        return [self._tools.services.paths(known), everything] if known is not None else [everything]

    async def _get(self, target: Target, port: int, path: str, tls: bool) -> tuple[Response, str | None]:
        """Send one GET. Raises OSError, TimeoutError, NotHttpError."""
        if not is_allowed(path):
            raise AssertionError(f"{path!r} is not on the list of harmless paths")
        await self._pace()
        context = self._context if tls else None
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    target.address,
                    port,
                    ssl=context,
                    server_hostname=(target.name if tls else None),
                    limit=BODY_BYTES_MAX,
                )
        except ssl.SSLError as exc:
            raise NotHttpError(f"no TLS: {exc.reason}") from None
        except TimeoutError as exc:
            raise ClosedError(f"no connection within {CONNECT_S:g} s") from exc
        except OSError as exc:
            if tls and isinstance(exc, ConnectionResetError):
                raise NotHttpError("no TLS: the connection was reset") from None
            raise ClosedError(exc.strerror or str(exc)) from exc
        try:
            certificate = None
            if tls:
                der = writer.get_extra_info("ssl_object").getpeercert(True)
                certificate = hashlib.sha256(der).hexdigest() if der else "none"
            host = f"[{target.name}]" if ":" in target.name else target.name
            head = (
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {USER_AGENT}\r\nAccept: application/json, text/html\r\n"
                f"X-Switchgear-Scan: {self._run_id}\r\nConnection: close\r\n\r\n"
            )
            self.receipt.requests += 1
            self.receipt.paths.add(path)
            writer.write(head.encode("ascii"))
            async with asyncio.timeout(READ_S):
                return await _response(reader), certificate
        except ConnectionError:
            raise NotHttpError("no HTTP: the connection was reset") from None
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
                async with asyncio.timeout(0.2):
                    await writer.wait_closed()

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_at)
        self._next_at = at + 1 / PER_S
        if at > now:
            await asyncio.sleep(at - now)

    def _found(self, match: ServiceMatch, target: Target, port: int, tls: str | None, where: str) -> None:
        own = match.category == "own gateway"
        governed = own or (target.name, port) in self._upstreams or (target.address, port) in self._upstreams
        evidence = {"signs": "; ".join(match.signs[:6]), "address": target.address, "tls": "yes" if tls else "no"}
        if tls:
            evidence["certificate_sha256"] = tls
        said = {
            "open": ", open to everyone",
            "claimable": ", waits for its first visitor or asks for no login",
            "auth": ", asks for a login",
        }
        title = f"{match.name}{f' {match.version}' if match.version else ''}{said.get(match.auth, '')}"
        if match.risk and not governed and match.auth != "auth":
            title += f"; {match.risk}"
        self._out.add(
            Finding(
                id=plain_identity("service", match.product, target.address, str(port)),
                kind="service",
                rule=match.product,
                severity="info" if own else _severity(match),
                confidence=match.confidence,
                verdict="governed" if governed else "bypass" if match.category == "gateway" else "unknown",
                title=title,
                where=where,
                fix="" if own else _fix(match),
                product=match.product,
                version=match.version,
                auth=match.auth,
                owner=target.owner,
                evidence=evidence,
            )
        )
        if match.confidence != "possible":
            self._out.advise(
                self._tools.advisories.of_product(match.product, match.version), match.name, match.version, where
            )


async def _response(reader: asyncio.StreamReader) -> Response:
    seen = _Reader()
    parser = httptools.HttpResponseParser(seen)
    got = False
    while not seen.complete and not seen.cut:
        try:
            data = await reader.read(16_384)
        except TimeoutError:
            if seen.headers:  # a stream that goes on: what came is judged
                break
            raise
        if not data:
            break
        got = True
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as exc:
            raise NotHttpError(f"no HTTP: {type(exc).__name__}") from None
    if not got or not parser.get_status_code():
        raise NotHttpError("no HTTP: closed without an answer")
    body = bytes(seen.body).decode("utf-8", "replace")
    return Response(status=parser.get_status_code(), body=body, headers=seen.headers, whole=not seen.cut)


def _severity(match: ServiceMatch) -> Severity:
    if match.confidence == "possible":
        return "info"
    if match.auth in {"open", "claimable"}:
        return "high"
    return "medium" if match.category == "gateway" else "low"


def _fix(match: ServiceMatch) -> str:
    if match.product == "litellm":
        return "switchgear import litellm CONFIG, then take it down"
    if match.auth in {"open", "claimable"}:
        return "close it: bind it to loopback or put a login before it; then register it: switchgear provider add"
    return "register it as a provider (switchgear provider add) or take it down"
