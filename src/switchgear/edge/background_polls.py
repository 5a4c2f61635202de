"""Asks providers for answers that are made in the background, so that what they cost is known where no client asks. Level 4.

A client's own question is heard in passing (`edge.background_notes`). Where none comes, the first edge asks until the provider
tells: a request of the key that made the answer, named `switchgear`, which costs nothing. What is pending stands in the replica, so
another edge process goes on where one died; the times of asking follow from the answer's age alone.
"""

from collections import Counter
from typing import cast

from switchgear.core.errors import SpoolFullError
from switchgear.core.guard import Guard
from switchgear.dialects.references import Reference
from switchgear.dialects.request import Request
from switchgear.edge import paths, settle, translate
from switchgear.edge.attribute import ClientClaims
from switchgear.edge.context import RequestContext
from switchgear.edge.course import Course
from switchgear.edge.services import EdgeServices
from switchgear.edge.transfer import Transfer
from switchgear.net.exchange import Exchange
from switchgear.replica.entries import HeldKey, HolderEntry, KeyEntry, Pending, Snapshot
from switchgear.routing.table import Deployment, Route, Timeouts
from switchgear.wire import records
from switchgear.wire.http_requests import RequestHead

TOOL = "switchgear"
FIRST_S = 5.0
"""A client that waits for its answer asks sooner."""
PAUSE_MIN_S = 5.0
PAUSE_MAX_S = 600.0
AT_ONCE_MAX = 8
"""Shared by the providers of pending answers, one each at least: one that hangs keeps no other's waiting."""
AT_ONCE_OF_KEY_MAX = 2
"""Answers that hang keep those of their own key waiting, nobody else's."""
TIMEOUTS = Timeouts(connect_s=10.0, first_byte_s=30.0, idle_s=30.0, total_s=60.0)


class Nobody:
    """The client of a request that the gateway makes by itself: an exchange that hears nothing."""

    def __init__(self, target: bytes, guard: Guard) -> None:
        self._guard = guard
        self.connection = self.server = self.handler = self
        self.head = RequestHead(b"GET", target, {}, True, False, 0, False)
        self.context: object | None = None
        self.id = ""
        self.owner = TOOL
        self.client_address = self.certain_address = None
        self.is_blocked = self.is_ended = self.is_started = self.is_kept = self.is_tls = False
        self.is_complete = True
        self.status = 0

    def on_fault(self, exchange: Exchange, exc: Exception) -> None:
        """As the handler of an exchange's server: what fails towards nobody is told, and that is all."""
        self._guard.caught(exc)

    def start(self, status: int, headers: bytes, first: bytes = b"") -> None:
        """As Exchange."""
        self.is_started, self.status = True, status

    def write(self, data: bytes) -> None:
        """As Exchange."""

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """As Exchange."""
        self.is_started = self.is_ended = True
        self.status = status

    def end(self) -> None:
        """As Exchange."""
        self.is_ended = True

    def abort(self) -> None:
        """As Exchange."""
        self.is_ended = True

    def hold(self, size: int) -> bool:
        """As Exchange: AT_ONCE_MAX answers, or one of each provider, are bounded enough."""
        return True

    def release(self) -> None:
        """As Exchange."""


class Background:
    """Asks for answers that nobody has asked for. One per edge; only the first edge's is used."""

    def __init__(self, services: EdgeServices) -> None:
        self._services = services
        self._next_s: dict[str, float] = {}
        """When each is asked for again, of the monotonic clock."""
        self._asking: dict[str, RequestContext] = {}

    def look(self) -> None:
        """Ask for what is due."""
        services = self._services
        pending = services.replica.pending()
        if not pending and not self._next_s:
            return
        self._next_s = {name: at for name, at in self._next_s.items() if name in pending}
        self._asking = {name: context for name, context in self._asking.items() if context.transfer is not None}
        snapshot = services.replica.snapshot()
        if snapshot is None or services.running.is_draining or not services.link.can_open:
            return
        if not services.commit.is_recording:
            return
        now_s, now_ms = services.clock.monotonic_s(), services.clock.wall_ms()
        due: list[tuple[float, str]] = []
        for name, entry in pending.items():
            first_s = max(0.0, FIRST_S - self._age_s(entry, now_ms))
            due_s = self._next_s.setdefault(name, now_s + first_s)
            if due_s <= now_s and name not in self._asking:
                due.append((due_s, name))
        asking = Counter(context.key.id for context in self._asking.values() if context.key is not None)
        asked = Counter(_provider_of(context) for context in self._asking.values())
        share = max(1, AT_ONCE_MAX // max(1, len({entry.provider for entry in pending.values()})))
        for _, name in sorted(due):
            entry = pending[name]
            key = _key_of(entry)
            if asking[key.id] >= AT_ONCE_OF_KEY_MAX or asked[entry.provider] >= share:
                continue
            self._next_s[name] = now_s + min(max(PAUSE_MIN_S, self._age_s(entry, now_ms) / 2), PAUSE_MAX_S)
            self._ask(snapshot, name, entry, key, now_ms)
            asking[key.id] += name in self._asking
            asked[entry.provider] += name in self._asking

    @staticmethod
    def _age_s(entry: Pending, now_ms: int) -> float:
        return max(0.0, (now_ms - entry.since_ms) / 1000)

    def _ask(self, snapshot: Snapshot, name: str, entry: Pending, key: KeyEntry, now_ms: int) -> None:
        services = self._services
        provider = snapshot.table.providers.get(entry.provider)
        if provider is None or entry.credential not in provider.credentials:
            return
        target = b"/v1/responses/" + name.encode()
        match = paths.find(target)
        if match is None:
            return
        deployment = Deployment(provider, entry.credential, entry.upstream_model, None, TIMEOUTS)
        resolution = services.resolver.resolve_one(snapshot, Route(entry.model, (deployment,), 0), now_ms)
        if resolution.problem is not None:
            return  # frozen: asked for when that is over
        exchange = cast(Exchange, Nobody(target, services.guard))
        context = RequestContext(exchange, services.ids.request_id(now_ms), now_ms, services.clock.monotonic_s())
        exchange.context, exchange.id = context, context.id
        context.endpoint, context.path_argument, context.snapshot = match.endpoint, name, snapshot
        context.key, context.client = key, ClientClaims(tool=TOOL)
        request = context.request = Request({}, match.endpoint.dialect.name, "stored", entry.model, False)
        request.refers_to, request.stored_path, request.method = name, "stored", "GET"
        request.references = [Reference("response", name, "id")]
        context.course = course = Course(resolution.deployments[:1], 0, TIMEOUTS.total_s)
        if translate.prepare(context, course) is not None:
            return
        try:
            settle.reserve(context, course.current, services.spool)
        except SpoolFullError:
            return
        context.transfer = transfer = Transfer(services, context, course)
        services.running.add(context)
        self._asking[name] = context
        transfer.begin()
        services.commit.schedule()


def _provider_of(context: RequestContext) -> str:
    assert context.course is not None
    return context.course.current.deployment.provider.name


def _key_of(entry: Pending) -> KeyEntry:
    """Return who is booked: the key as it was when it made the request."""
    caller = records.decode_caller(entry.who)
    team_id = caller.team_scope
    team = () if team_id is None else (HolderEntry(kind="team", id=team_id, name=caller.team or team_id, version=0),)
    return HeldKey(
        caller.key_id,
        caller.key_name,
        caller.key_version,
        [],
        holders=team,
        team=caller.team,
        user=caller.user,
        project=caller.project,
    )
