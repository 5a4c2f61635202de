"""An edge of fakes, and what is said between its client, itself and the vault, as a dialogue. Level 5.

    talk = Dialogue(providers={"up": ("openai",)})
    talk.client >> chat("up/m")                   # the client asks
    talk.vault << Asked("up/default")             # the vault is asked for an attempt
    talk.vault >> Head(503, [], None)             # the provider fails,
    talk.vault >> Last(b"busy")
    talk.client << NOTHING
    talk.advance(0.2)                             # … is asked again
    talk.vault << Asked("up/default", number=2)

`side >> something` is said by that side; `side << something` asserts what that side got next. No socket, no disk, no sleep: time
passes by `advance`. The handler, its stages, transfers and the end of the turn are the real ones.
"""

import heapq
import itertools
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from switchgear.core import virtual_key
from switchgear.core.errors import SpoolFullError
from switchgear.core.ids import IdSource
from switchgear.counters.backend import Done
from switchgear.counters.memory import MemoryCounters
from switchgear.edge.context import RequestContext
from switchgear.edge.handler import EdgeHandler, services_of
from switchgear.edge.resolver import Resolver
from switchgear.edge.turn_commit import TurnCommit
from switchgear.net.exchange import Exchange
from switchgear.net.link import LinkClient, LinkStream, StreamOwner
from switchgear.policies.buckets import Hold
from switchgear.pricing.price import Price, Rate
from switchgear.replica.entries import KeyEntry, Pending, SecretHash, Snapshot, Spend, StoredThing
from switchgear.replica.reader import ReplicaReader
from switchgear.routing.states import Health
from switchgear.routing.table import ProviderEntry, RouteTable
from switchgear.spool.writer import SpoolWriter
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.wire import frames, records
from switchgear.wire.frames import Fail, Head
from switchgear.wire.http_requests import RequestHead
from switchgear.wire.records import Kind

PEPPER = b"p" * 32
KEY_ID, TOKEN = virtual_key.mint(lambda size: bytes(range(size)))
JSON = Head(200, [(b"content-type", b"application/json")], None)
SSE = Head(200, [(b"content-type", b"text/event-stream")], None)
PRICE = Price("m", "override", {"input": Rate(10**9), "output": Rate(2 * 10**9)})


class FakeLoop:
    """Calls what is due when told: `run` what is due now, after `advance` of the clock also what was to be later."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._order = itertools.count()

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """As asyncio's."""
        self.call_later(0.0, callback, *arguments)

    def call_later(self, delay_s: float, callback: Callable[..., object], *arguments: object) -> None:
        """As asyncio's."""
        due = self._clock.monotonic_s() + delay_s
        heapq.heappush(self._due, (due, next(self._order), callback, arguments))

    def run(self) -> None:
        """Call everything that is due, and what becomes due by it."""
        while self._due and self._due[0][0] <= self._clock.monotonic_s():
            _, _, callback, arguments = heapq.heappop(self._due)
            callback(*arguments)


class FakeReplica:
    """What control published, as a test sets it."""

    def __init__(self, key: KeyEntry | None, snapshot: Snapshot) -> None:
        self.key = key
        self.published = snapshot
        self.things: dict[str, StoredThing] = {}
        self.spent: Spend | None = None
        self.waiting: dict[str, Pending] = {}
        self.shared_health = Health()
        self.ended: set[str] = set()

    def look_up(self, key_id: str) -> tuple[Snapshot, KeyEntry | None]:
        """As ReplicaReader."""
        return self.published, self.key if self.key is not None and key_id == self.key.id else None

    def look_up_hash(self, mac: bytes) -> None:
        """As ReplicaReader: no key was imported."""

    def snapshot(self) -> Snapshot:
        """As ReplicaReader."""
        return self.published

    def stored(self, name: str) -> StoredThing | None:
        """As ReplicaReader."""
        return self.things.get(name)

    def spend(self, key_id: str) -> Spend | None:
        """As ReplicaReader."""
        return self.spent

    def health(self) -> Health:
        """As ReplicaReader."""
        return self.shared_health

    def is_ended(self, attempt: str) -> bool:
        """As ReplicaReader."""
        return attempt in self.ended

    def pending(self) -> dict[str, Pending]:
        """As ReplicaReader."""
        return self.waiting


class FakeSpool:
    """Keeps records, decoded; `is_full` refuses new reservations, `is_broken` every write."""

    needs_sync = False
    is_prepared = True

    def __init__(self) -> None:
        self.records: list[records.Payload] = []
        self.is_full = self.is_broken = False
        self.commits = 0

    def append(self, kind: int, payload: bytes) -> None:
        """As SpoolWriter."""
        self.records.append(records.decode_payload(kind, payload))

    def reserve(self, request_id: str, payload: bytes) -> None:
        """As SpoolWriter."""
        if self.is_full:
            raise SpoolFullError("full")
        self.append(Kind.RESERVE, payload)

    def spare(self, payload: bytes) -> bool:
        """As SpoolWriter."""
        return not self.is_full

    def settle(self, request_id: str, payload: bytes) -> None:
        """As SpoolWriter."""
        self.append(Kind.SETTLE, payload)

    def attempt(self, request_id: str, payload: bytes) -> None:
        """As SpoolWriter."""
        if self.is_full:
            raise SpoolFullError("full")
        self.append(Kind.ATTEMPT, payload)

    def checkpoint(self, request_id: str, payload: bytes) -> None:
        """As SpoolWriter."""
        self.append(Kind.CHECKPOINT, payload)

    def commit(self) -> None:
        """As SpoolWriter."""
        if self.is_broken:
            raise OSError(28, "full")
        self.commits += 1


class Attempt:
    """What the vault was asked, and the stream that it answers on."""

    def __init__(self, message: frames.Open, body: bytes, owner: StreamOwner) -> None:
        self.message = message
        self.route = msgspec.msgpack.decode(message.route, type=frames.UpstreamRoute)
        self.body = body
        self.owner = owner
        self.consumed = 0
        self.is_cancelled = False

    def consume(self, size: int) -> None:
        """As LinkStream."""
        self.consumed += size

    def cancel(self) -> None:
        """As LinkStream."""
        self.is_cancelled = True


class FakeLink:
    """The way to a vault that a test plays."""

    def __init__(self) -> None:
        self.is_up = self.can_open = True
        self.asked: list[Attempt] = []

    def open(self, message: frames.Open, body: bytes | list[memoryview], owner: StreamOwner) -> LinkStream:
        """As LinkClient."""
        attempt = Attempt(message, body if isinstance(body, bytes) else b"".join(body), owner)
        self.asked.append(attempt)
        return cast(LinkStream, attempt)

    def flush(self) -> None:
        """As LinkClient."""


class Started(msgspec.Struct, frozen=True):
    """The client got the head of a stream."""

    status: int


class Wrote(msgspec.Struct, frozen=True):
    """The client got a piece of a stream; None stands for any."""

    data: bytes | None = None


class Sent(msgspec.Struct, frozen=True):
    """The client got a whole answer; None stands for any body."""

    status: int
    body: bytes | None = None
    headers: bytes | None = None


class Ended(msgspec.Struct, frozen=True):
    """The stream's end."""


class Aborted(msgspec.Struct, frozen=True):
    """The stream broke off."""


class Nothing(msgspec.Struct, frozen=True):
    """The side got nothing further."""


NOTHING = Nothing()
Said = Started | Wrote | Sent | Ended | Aborted | Nothing


class FakeExchange:
    """A client's exchange that notes what is done to it."""

    def __init__(self, head: RequestHead, body: bytes, handler: EdgeHandler) -> None:
        self.head = head
        self.context: object | None = None
        self.id = ""
        self.owner = ""
        self.client_address = self.certain_address = "192.0.2.1"
        self.seen: list[Said] = []
        self.is_blocked = self.is_ended = self.is_started = self.is_kept = self.is_tls = False
        self.is_complete = True
        self.room, self.held = 1 << 30, 0
        self.status = 0
        self._body = body
        server = SimpleNamespace(handler=handler, guard=handler.services.guard)
        self.connection = SimpleNamespace(server=server)

    @property
    def is_answered(self) -> bool:
        """As Exchange."""
        return self.is_ended

    def body(self) -> bytes:
        """As Exchange."""
        return self._body

    def discard(self) -> None:
        """As Exchange."""

    def start(self, status: int, headers: bytes, first: bytes = b"") -> None:
        """As Exchange."""
        self.is_started, self.status = True, status
        self.seen.append(Started(status))

    def write(self, data: bytes) -> None:
        """As Exchange."""
        if data:
            self.seen.append(Wrote(data))

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """As Exchange."""
        self.is_started = self.is_ended = True
        self.status = status
        self.seen.append(Sent(status, body, headers))

    def end(self) -> None:
        """As Exchange."""
        self.is_ended = True
        self.seen.append(Ended())

    def abort(self) -> None:
        """As Exchange."""
        self.is_ended = True
        self.seen.append(Aborted())

    def hold(self, size: int) -> bool:
        """As Exchange."""
        if self.held + size > self.room:
            return False
        self.held += size
        return True

    def release(self) -> None:
        """As Exchange."""
        self.held = 0

    def act(self, function: Callable[..., None], arguments: tuple[object, ...]) -> None:
        """As Exchange: what is raised ends this exchange."""
        try:
            function(*arguments)
        except Exception as exc:  # noqa: BLE001 (the exchange's own door)
            self.fault(exc)

    def fault(self, exc: Exception) -> None:
        """As Exchange."""
        Exchange.fault(cast(Exchange, self), exc)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends."""

    body: bytes
    path: bytes = b"/v1/chat/completions"
    method: bytes = b"POST"
    headers: dict[bytes, bytes] = {}


def chat(model: str, headers: dict[bytes, bytes] | None = None, **more: Any) -> Ask:
    """Return a request for a chat."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}
    return Ask(body=json.dumps(body).encode(), headers=headers or {})


class Asked(msgspec.Struct, frozen=True):
    """The vault is asked for an attempt; None stands for any."""

    credential_id: str | None = None
    number: int | None = None


class Last(msgspec.Struct, frozen=True):
    """The last piece of a provider's body."""

    data: bytes = b""


class ClientSide:
    """What the client says and hears."""

    def __init__(self, talk: "Dialogue") -> None:
        self._talk = talk
        self.exchange: FakeExchange
        """Of the last request."""
        self.room = 1 << 30
        """Bytes that a request may make the gateway hold."""

    def __rshift__(self, ask: Ask) -> "ClientSide":
        """Send a request."""
        headers = {b"authorization": b"Bearer " + TOKEN.encode(), b"host": b"a", **ask.headers}
        head = RequestHead(ask.method, ask.path, headers, True, False, len(ask.body), False)
        self.exchange = FakeExchange(head, ask.body, self._talk.handler)
        self.exchange.room = self.room
        exchange = cast(Exchange, self.exchange)
        self._talk.handler.on_head(exchange)
        if not self.exchange.is_answered:
            self._talk.handler.on_request(exchange)
        self._talk.loop.run()
        return self

    def __lshift__(self, expected: Said) -> "ClientSide":
        """Assert what it got next."""
        seen = self.exchange.seen
        if expected == NOTHING:
            assert seen == [], f"the client got {seen}"
            return self
        assert seen, f"the client got nothing, instead of {expected}"
        _compare(expected, seen.pop(0))
        return self

    def leave(self) -> None:
        """Go away."""
        self.exchange.is_ended = True
        self._talk.handler.on_gone(cast(Exchange, self.exchange))
        self._talk.loop.run()

    def read_again(self) -> None:
        """Read what was written, after `exchange.is_blocked`."""
        self.exchange.is_blocked = False
        self._talk.handler.on_writable(cast(Exchange, self.exchange))
        self._talk.loop.run()

    @property
    def context(self) -> RequestContext:
        """The state of the last request."""
        assert isinstance(self.exchange.context, RequestContext)
        return self.exchange.context


class VaultSide:
    """What the vault says and hears."""

    def __init__(self, talk: "Dialogue") -> None:
        self._talk = talk
        self.attempt: Attempt
        """The one that is answered: the last that was asserted."""

    def __lshift__(self, expected: Asked | Nothing) -> "VaultSide":
        """Assert what it was asked next."""
        asked = self._talk.link.asked
        if isinstance(expected, Nothing):
            assert asked == [], f"the vault was asked {[attempt.route for attempt in asked]}"
            return self
        assert asked, f"the vault was asked nothing, instead of {expected}"
        self.attempt = asked.pop(0)
        number = int(self.attempt.message.attempt_id.rpartition("-")[2])
        _compare(expected, Asked(self.attempt.route.credential_id, number))
        return self

    def __rshift__(self, said: Head | bytes | Last | Fail) -> "VaultSide":
        """Answer: a head, a piece of the body, its last piece, or a failure."""
        owner = self.attempt.owner
        try:
            if isinstance(said, Head):
                owner.on_response(said, b"", False)
            elif isinstance(said, bytes):
                owner.on_body(said, False)
            elif isinstance(said, Last):
                owner.on_body(said.data, True)
            else:
                owner.on_fail(said)
        except Exception as exc:  # noqa: BLE001 (the stream's own door)
            owner.on_fault(exc)
        self._talk.loop.run()
        return self


def _compare(expected: msgspec.Struct, got: msgspec.Struct) -> None:
    assert type(expected) is type(got), f"expected {expected}, got {got}"
    for name in expected.__struct_fields__:
        value = getattr(expected, name)
        assert value is None or value == getattr(got, name), f"expected {expected}, got {got}"


class LateCounters(MemoryCounters):
    """Answers in a later turn, as shared counters do where another process holds their lock; gives back only once."""

    def __init__(self, clock: FakeClock, loop: FakeLoop) -> None:
        super().__init__(clock.boot_us)
        self._loop = loop

    def take(self, holds: Sequence[Hold], attempt: str, done: Done) -> Any:
        """As Counters."""
        self._loop.call_later(0.001, lambda: done(super(LateCounters, self).take(holds, attempt, done)))


class Dialogue:
    """An edge of fakes with one key. `providers` says which dialects each speaks; every one has the credential `default`.
    `is_late`: counters answer in a later turn."""

    def __init__(
        self,
        *,
        providers: dict[str, tuple[str, ...]] | None = None,
        table: RouteTable | None = None,
        key: dict[str, Any] | None = None,
        snapshot: dict[str, Any] | None = None,
        is_late: bool = False,
        wait_s: float = 0.0,
    ) -> None:
        self.clock = FakeClock()
        self.loop = FakeLoop(self.clock)
        self.counters = LateCounters(self.clock, self.loop) if is_late else MemoryCounters(self.clock.boot_us)
        self.spool = FakeSpool()
        self.link = FakeLink()
        self.guard = LoudGuard()
        mac = virtual_key.keyed_hash(PEPPER, virtual_key.digest(TOKEN))
        self.key = KeyEntry(KEY_ID, "k", 1, [SecretHash(mac, 1)], **(key or {}))
        spoken = providers if providers is not None else {"up": ("openai",)}
        entries = {
            name: ProviderEntry(name=name, dialects=dialects, credentials=("default",))
            for name, dialects in spoken.items()
        }
        published = Snapshot(store_id="s", epoch=1, table=table or RouteTable(providers=entries), **(snapshot or {}))
        self.replica = FakeReplica(self.key, published)
        spool = cast(SpoolWriter, self.spool)
        self.commit = TurnCommit(spool, lambda text: None, self.guard, self.loop)
        self.commit.link = cast(LinkClient, self.link)
        self.services = services_of(
            replica=cast(ReplicaReader, self.replica),
            peppers={1: PEPPER},
            spool=spool,
            link=self.commit.link,
            commit=self.commit,
            resolver=Resolver(lambda name: None),
            ids=IdSource(lambda size: b"\0" * size),
            clock=self.clock,
            loop=self.loop,
            counters=self.counters,
            report=self.guard.said,
            guard=self.guard,
            wait_s=wait_s,
        )
        self.handler = EdgeHandler(self.services)
        self.client = ClientSide(self)
        self.vault = VaultSide(self)

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what was due."""
        self.clock.advance(seconds)
        self.loop.run()

    def tick(self, seconds: float = 1.0) -> None:
        """Let time pass, and look after what runs, as a timer does each second."""
        self.advance(seconds)
        self.services.running.check()
        self.loop.run()

    def recorded(self, kind: type[records.Payload]) -> list[Any]:
        """Return the records of a kind, in order."""
        return [record for record in self.spool.records if isinstance(record, kind)]

    @property
    def settled(self) -> records.Settle:
        """The one settlement."""
        (record,) = self.recorded(records.Settle)
        return cast(records.Settle, record)
