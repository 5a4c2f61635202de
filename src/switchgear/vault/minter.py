"""Fetches what `auth` asks for: one exchange at a time per credential, whoever waits. Level 3."""

from collections.abc import Callable

import msgspec

from switchgear.core.clock import Clock
from switchgear.core.errors import SealError
from switchgear.core.guard import each, guarded
from switchgear.net.upstream import INTERNAL, Deadlines, Failure, Pool, UpstreamConnection
from switchgear.providers.endpoint import Endpoint
from switchgear.vault.auth import Ask, Grant, GrantError, Mint, Reply, TokenFile
from switchgear.vault.box import Opened
from switchgear.wire.http1 import ResponseHead

ANSWER_BYTES_MAX = 65_536
_DEADLINES = Deadlines(5.0, 10.0, 10.0, 15.0)

Done = Callable[[str | None], None]
"""Called with None when there is a grant, else with the reason why not."""


class Minter:
    """Gets grants. Nothing of what it receives leaves the vault."""

    def __init__(self, pool: Pool, clock: Clock, read_token: Callable[[str], bytes] | None = None) -> None:
        """`read_token` reads a file of the operator's folder by its name; None where no folder was given."""
        self._pool = pool
        self._read_token = read_token
        self._clock = clock
        self._waiting: dict[str, list[Done]] = {}

    def now_s(self) -> float:
        """Return Unix time in seconds."""
        return self._clock.wall_ms() / 1000

    def authorize(self, opened: Opened, done: Done) -> None:
        """See to it that a credential's authorizer is usable, then call `done`: at once, where it is."""
        auth = opened.auth
        assert auth is not None
        now_s = self.now_s()
        if auth.is_usable(now_s):
            done(None)
            if auth.can_mint and auth.is_aging(now_s) and opened.item.id not in self._waiting:
                self._begin(opened, [])  # early, while the old one still holds
            return
        waiting = self._waiting.get(opened.item.id)
        if waiting is not None:
            waiting.append(done)
        else:
            self._begin(opened, [done])

    def _begin(self, opened: Opened, waiting: list[Done]) -> None:
        auth = opened.auth
        assert auth is not None
        exchange = _Exchange(self, opened, auth.begin(self.now_s()))
        self._waiting[opened.item.id] = waiting
        exchange.advance(None)

    def finish(self, opened: Opened, grant: Grant | None, reason: str | None) -> None:
        """An exchange ended."""
        waiting = self._waiting.pop(opened.item.id, [])
        if grant is not None and opened.auth is not None:
            each([grant], lambda given: self._take(opened, given), lambda _, exc: self.fault(opened, exc))
            if not opened.auth.is_usable(self.now_s()):
                reason = reason or INTERNAL
        each(waiting, lambda done: done(reason), lambda _, exc: self.fault(opened, exc))

    def _take(self, opened: Opened, grant: Grant) -> None:
        assert opened.auth is not None
        opened.auth.take(grant, self.now_s())
        opened.redactor.watch(opened.auth.sensitive())

    def fault(self, opened: Opened, exc: Exception) -> None:
        """Tell what nobody expected about a credential."""
        self._pool.guard.caught(exc, credential=opened.item.id)

    def token(self, name: str) -> Reply:
        """Read the platform's token. Raises GrantError."""
        if self._read_token is None:
            raise GrantError("no folder with tokens was given: switchgear serve --identity-dir DIR")
        try:
            return Reply(200, self._read_token(name))
        except OSError as exc:
            raise GrantError(f"the token file {name!r} cannot be read: {exc.strerror}") from None

    def send(self, ask: Ask, exchange: "_Exchange") -> None:
        """Send one question, on a connection of its own."""
        lines = [f"{ask.method} {ask.target} HTTP/1.1", f"host: {ask.place.host_header.decode()}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in ask.headers]
        lines.append(f"content-length: {len(ask.body)}")
        request = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + ask.body

        def connected(connection: UpstreamConnection) -> None:
            connection.send([request], exchange, _DEADLINES)

        place = ask.place if ask.is_metadata else _behind(exchange.provider, ask.place)
        key = ("token", place)
        self._pool.connect(key, place, _DEADLINES.connect_s, connected, exchange.on_failure, ask.is_metadata)


def _behind(provider: Endpoint, place: Endpoint) -> Endpoint:
    """Return a token service as it is reached from where its provider is reached: through the same proxy, which may end TLS."""
    if not provider.proxy:
        return place
    return msgspec.structs.replace(place, proxy=provider.proxy, tls_trust=provider.tls_trust)


class _Exchange:
    """One way to a grant; it receives the answers."""

    def __init__(self, minter: Minter, opened: Opened, mint: Mint) -> None:
        self._minter = minter
        self._opened = opened
        self._mint = mint
        self._status = 0
        self._body = b""

    @property
    def provider(self) -> Endpoint:
        """Where the credential is used."""
        return self._opened.item.context.endpoint

    def on_fault(self, exc: Exception) -> None:
        """Receiver: end this exchange, and nothing else; whoever waits for it hears that there is no grant."""
        self._minter.fault(self._opened, exc)
        self._minter.finish(self._opened, None, INTERNAL)

    @guarded(on_fault)
    def advance(self, reply: Reply | None) -> None:
        """Go on with an answer, or begin."""
        try:
            ask = next(self._mint) if reply is None else self._mint.send(reply)
            while isinstance(ask, TokenFile):
                ask = self._mint.send(self._minter.token(ask.name))
        except StopIteration as end:
            self._minter.finish(self._opened, end.value, None)
        except (GrantError, SealError, ValueError) as exc:
            self._minter.finish(self._opened, None, str(exc))
        else:
            self._status, self._body = 0, b""
            self._minter.send(ask, self)

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: bytes of the answer."""
        if head is not None:
            self._status = head.status
        if len(self._body) <= ANSWER_BYTES_MAX:
            self._body += body
        if complete:
            self.advance(Reply(self._status, self._body[:ANSWER_BYTES_MAX]))

    def on_failure(self, failure: Failure) -> None:
        """Receiver: no answer."""
        self._mint.close()
        self._minter.finish(self._opened, None, f"the token service: {failure.message}")
