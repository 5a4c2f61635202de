"""One request to a destination, and its whole answer. Level 4.

Sent once, followed nowhere, bounded in time and size: whoever answers slowly, endlessly or elsewhere costs this request only.
"""

from collections.abc import Callable

from switchgear.core.errors import RefusedError
from switchgear.courier.destinations import OpenDestination
from switchgear.courier.verbs import REPLY_BODY_BYTES_MAX, Reply
from switchgear.net.upstream import INTERNAL, Deadlines, Failure, Pool, UpstreamConnection
from switchgear.wire.http_responses import ResponseHead

DEADLINES = Deadlines(10.0, 20.0, 20.0, 30.0)
HEADER_BYTES_MAX = 128

Done = Callable[[Reply | RefusedError], None]


class Sending:
    """A request on its way; it receives the answer."""

    def __init__(self, destination: OpenDestination, encoded: bytes, pool: Pool, done: Done) -> None:
        """`encoded` is the request's bytes (`Destination.encode`)."""
        self._destination = destination
        self._bytes = encoded
        self._pool = pool
        self._done = done
        self._connection: UpstreamConnection | None = None
        self._head: ResponseHead | None = None
        self._body = b""

    def begin(self) -> None:
        """Connect, and send."""
        self._destination.requests += 1
        endpoint = self._destination.endpoint
        self._pool.connect((self._destination.name,), endpoint, DEADLINES.connect_s, self._connected, self.on_failure)

    def _connected(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.send([self._bytes], self, DEADLINES)

    def _refuse(self, why: str) -> None:
        self._destination.failures += 1
        self._done(RefusedError(f"{self._destination.name}: {why}"))

    def on_fault(self, exc: Exception) -> None:
        """Receiver: tell it, and that there is no answer."""
        self._pool.guard.caught(exc, destination=self._destination.name)
        self._refuse(INTERNAL)

    def on_failure(self, failure: Failure) -> None:
        """Receiver: no complete answer."""
        self._refuse(failure.message)

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: bytes of the answer."""
        if head is not None:
            self._head = head
        self._body += body
        if len(self._body) > REPLY_BODY_BYTES_MAX:
            if self._connection is not None:
                self._connection.abort()
            self._refuse(f"the answer has more than {REPLY_BODY_BYTES_MAX} bytes")
        elif complete and self._head is not None:
            self._done(
                Reply(
                    status=self._head.status,
                    content_type=self._text(b"content-type"),
                    retry_after=self._text(b"retry-after"),
                    body=self._destination.clean(self._body),
                )
            )

    def _text(self, name: bytes) -> str:
        assert self._head is not None
        value = self._destination.clean(self._head.get(name) or b"")
        return value[:HEADER_BYTES_MAX].decode("latin-1")
