"""Connections to checked addresses, with TLS and through a proxy where the endpoint says so. Level 2 (docs/invariants.md C1, H2).

A name is resolved once, every address that it has is judged, and one of these is connected to. Behind an HTTP proxy it is the
proxy that resolves: then the proxy's own address is judged, and the endpoint's where it is written as one.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from switchgear.net import addresses
from switchgear.providers.endpoint import Endpoint

PROXY_HEAD_BYTES_MAX = 8_192
PROXY_INTERIM_MAX = 8
"""As of a provider (docs/invariants.md H2)."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
"""RFC 9112 §4: a status has three digits. The space behind it is often left out where there is no reason."""
NOT_ALLOWED = "the name resolves to an address that is not allowed (private ranges need allow_private)"

P = TypeVar("P", bound=asyncio.Protocol)
Resolve = Callable[[str, int], Awaitable[list[str]]]


async def system_addresses(host: str, port: int) -> list[str]:
    """Ask the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Dialer:
    """Makes connections."""

    def __init__(self, resolve: Resolve | None = None) -> None:
        """`resolve` gives the addresses of a name; the system's resolver by default. It is asked once per connection."""
        self._resolve = resolve or system_addresses
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def open(self, endpoint: Endpoint, make: Callable[[], P], metadata: bool = False) -> P:
        """Connect, and return the protocol that `make` gives. Raises OSError, ssl.SSLError, UnicodeError.

        `metadata` is for who asks the machine's own metadata service: only then, and only by its address, is it reached.
        """
        loop = asyncio.get_running_loop()
        tls = self._context(endpoint)
        name = endpoint.host if tls is not None else None
        if endpoint.proxy:
            sock = await self._tunnel(endpoint)
            try:
                _, protocol = await loop.create_connection(make, sock=sock, ssl=tls, server_hostname=name)
            except BaseException:
                sock.close()
                raise
            return protocol
        last: Exception = OSError("no address")
        for address in await self._allowed(endpoint.host, endpoint.port, endpoint.allow_private, metadata):
            try:
                _, protocol = await loop.create_connection(make, address, endpoint.port, ssl=tls, server_hostname=name)
            except OSError as exc:
                last = exc
            else:
                return protocol
        raise last

    async def _allowed(self, host: str, port: int, allow_private: bool, metadata: bool = False) -> list[str]:
        candidates = await self._resolve(host, port)
        if not addresses.are_allowed(candidates, host, allow_private, metadata):
            raise OSError(NOT_ALLOWED)
        return candidates

    async def _tunnel(self, endpoint: Endpoint) -> socket.socket:
        """Return a socket that the proxy connected on (RFC 9110 §9.3.6)."""
        if addresses.is_literal(endpoint.host) and not addresses.is_allowed(endpoint.host, endpoint.allow_private):
            raise OSError(NOT_ALLOWED)
        host, _, port = endpoint.proxy.rpartition(":")
        last: Exception = OSError("no address")
        for address in await self._allowed(host.strip("[]"), int(port), True):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                await asyncio.get_running_loop().sock_connect(sock, (address, int(port)))
                await _ask_proxy(sock, endpoint)
            except OSError as exc:
                sock.close()
                last = OSError(f"the proxy {endpoint.proxy}: {exc.strerror or exc}")
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise last

    def _context(self, endpoint: Endpoint) -> ssl.SSLContext | None:
        if endpoint.scheme != "https":
            return None
        context = self._contexts.get(endpoint.tls_trust)
        if context is None:
            pem = None if endpoint.tls_trust == "system" else endpoint.tls_trust
            context = ssl.create_default_context(cadata=pem)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._contexts[endpoint.tls_trust] = context
        return context


async def _ask_proxy(sock: socket.socket, endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    where = f"{host}:{endpoint.port}"
    await loop.sock_sendall(sock, f"CONNECT {where} HTTP/1.1\r\nhost: {where}\r\n\r\n".encode("ascii"))
    for _ in range(PROXY_INTERIM_MAX + 1):
        status = await _proxy_status(sock)
        if 200 <= status < 300:
            return
        if not 100 <= status < 200 or status == 101:  # RFC 9110 §15.2: interim answers come before the final one
            raise OSError(f"it refused the connection with status {status}")
    raise OSError("it gave interim answers only")


async def _proxy_status(sock: socket.socket) -> int:
    """Read one head of a proxy's and return its status. Raises OSError."""
    loop = asyncio.get_running_loop()
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One by one: what follows the head is the destination's.
        byte = await loop.sock_recv(sock, 1)
        if not byte or len(head) >= PROXY_HEAD_BYTES_MAX:
            raise OSError("it did not answer in HTTP")
        head += byte
    found = _STATUS_LINE.match(head)
    if found is None:
        raise OSError("it did not answer in HTTP")
    return int(found[1])


def why(exc: Exception) -> str:
    """Return why a connection could not be made, for people."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {exc.verify_message}"
    if isinstance(exc, socket.gaierror):
        return "the name does not resolve"
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
