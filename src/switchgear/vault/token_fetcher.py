"""Fetches what `auth` asks for: one exchange at a time per credential, whoever waits. Level 3."""

from collections.abc import Callable

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.errors import SealError
from switchgear.core.guard import each, guarded
from switchgear.net.upstream import INTERNAL, Deadlines, Failure, Pool, UpstreamConnection
from switchgear.providers.endpoint import Endpoint
from switchgear.vault.auth import Grant, GrantError, TokenFile, TokenFlow, TokenRequest, TokenResponse
from switchgear.vault.box import OpenCredential
from switchgear.wire.http_responses import ResponseHead

ANSWER_BYTES_MAX = 65_536
_DEADLINES = Deadlines(5.0, 10.0, 10.0, 15.0)

OnToken = Callable[[str | None], None]
"""Called with None when there is a grant, else with the reason why not."""


class TokenFetcher:
    """Fetches grants. Nothing of what it receives leaves the vault."""

    def __init__(self, pool: Pool, clock: Clock, read_token: Callable[[str], bytes] | None = None) -> None:
        """`read_token` reads a file of the operator's folder by its name; None where no folder was given."""
        self._pool = pool
        self._read_token = read_token
        self._clock = clock
        self._waiting: dict[str, list[OnToken]] = {}

    def now_s(self) -> float:
        """Return Unix time in seconds."""
        return self._clock.wall_ms() / 1000

    def authorize(self, credential: OpenCredential, done: OnToken) -> None:
        """See to it that a credential's authorizer is usable, then call `done`: at once, where it is."""
        auth = credential.auth
        assert auth is not None
        now_s = self.now_s()
        if auth.is_usable(now_s):
            done(None)
            if auth.can_fetch and auth.is_aging(now_s) and credential.item.id not in self._waiting:
                self._begin(credential, [])  # early, while the old one still holds
            return
        waiting = self._waiting.get(credential.item.id)
        if waiting is not None:
            waiting.append(done)
        else:
            self._begin(credential, [done])

    def _begin(self, credential: OpenCredential, waiting: list[OnToken]) -> None:
        auth = credential.auth
        assert auth is not None
        exchange = _Exchange(self, credential, auth.begin(self.now_s()))
        self._waiting[credential.item.id] = waiting
        exchange.advance(None)

    def finish(self, credential: OpenCredential, grant: Grant | None, reason: str | None) -> None:
        """An exchange ended."""
        waiting = self._waiting.pop(credential.item.id, [])
        if grant is not None and credential.auth is not None:
            each([grant], lambda given: self._take(credential, given), lambda _, exc: self.fault(credential, exc))
            if not credential.auth.is_usable(self.now_s()):
                reason = reason or INTERNAL
        each(waiting, lambda done: done(reason), lambda _, exc: self.fault(credential, exc))

    def _take(self, credential: OpenCredential, grant: Grant) -> None:
        assert credential.auth is not None
        credential.auth.take(grant, self.now_s())
        credential.redactor.watch(credential.auth.sensitive())

    def fault(self, credential: OpenCredential, exc: Exception) -> None:
        """Tell what nobody expected about a credential."""
        self._pool.guard.caught(exc, credential=credential.item.id)

    def token(self, name: str) -> TokenResponse:
        """Read the platform's token. Raises GrantError."""
        if self._read_token is None:
            raise GrantError("no folder with tokens was given: switchgear serve --identity-dir DIR")
        try:
            return TokenResponse(200, self._read_token(name))
        except OSError as exc:
            raise GrantError(f"the token file {name!r} cannot be read: {exc.strerror}") from None

    def send(self, request: TokenRequest, exchange: "_Exchange") -> None:
        """Send one question, on a connection of its own."""
        lines = [f"{request.method} {request.target} HTTP/1.1"]
        lines += [f"host: {request.endpoint.host_header.decode()}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        lines.append(f"content-length: {len(request.body)}")
        message = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + request.body

        def connected(connection: UpstreamConnection) -> None:
            connection.send([message], exchange, _DEADLINES)

        place = request.endpoint if request.is_metadata else _behind(exchange.provider, request.endpoint)
        key = ("token", place)
        self._pool.connect(key, place, _DEADLINES.connect_s, connected, exchange.on_failure, request.is_metadata)


def _behind(provider: Endpoint, place: Endpoint) -> Endpoint:
    """Return a token service as it is reached from where its provider is reached: through the same proxy, which may end TLS."""
    if not provider.proxy:
        return place
    return msgspec.structs.replace(place, proxy=provider.proxy, tls_trust=provider.tls_trust)


class _Exchange:
    """One way to a grant; it receives the answers."""

    def __init__(self, token_fetcher: TokenFetcher, credential: OpenCredential, token_flow: TokenFlow) -> None:
        self._fetcher = token_fetcher
        self._credential = credential
        self._flow = token_flow
        self._status = 0
        self._body = b""

    @property
    def provider(self) -> Endpoint:
        """Where the credential is used."""
        return self._credential.item.context.endpoint

    def on_fault(self, exc: Exception) -> None:
        """Receiver: end this exchange, and nothing else; whoever waits for it hears that there is no grant."""
        self._fetcher.fault(self._credential, exc)
        self._fetcher.finish(self._credential, None, INTERNAL)

    @guarded(on_fault)
    def advance(self, response: TokenResponse | None) -> None:
        """Go on with an answer, or begin."""
        try:
            request = next(self._flow) if response is None else self._flow.send(response)
            while isinstance(request, TokenFile):
                request = self._flow.send(self._fetcher.token(request.name))
        except StopIteration as end:
            self._fetcher.finish(self._credential, end.value, None)
        except (GrantError, SealError, ValueError) as exc:
            self._fetcher.finish(self._credential, None, str(exc))
        else:
            self._status, self._body = 0, b""
            self._fetcher.send(request, self)

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: bytes of the answer."""
        if head is not None:
            self._status = head.status
        if len(self._body) <= ANSWER_BYTES_MAX:
            self._body += body
        if complete:
            self.advance(TokenResponse(self._status, self._body[:ANSWER_BYTES_MAX]))

    def on_failure(self, failure: Failure) -> None:
        """Receiver: no answer."""
        self._flow.close()
        self._fetcher.finish(self._credential, None, f"the token service: {failure.message}")
