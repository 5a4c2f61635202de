"""How the courier does what control asks of it: a row for each verb of `courier/verbs`. Level 4."""

from collections.abc import Callable
from typing import Protocol

from switchgear.core.errors import RefusedError
from switchgear.courier import relay, verbs
from switchgear.courier.destinations import Destinations, OpenDestination
from switchgear.courier.send import Sending
from switchgear.courier.verbs import CourierStatus, DestinationName, Notice, RelaySocket, Reply, Request
from switchgear.net.performer import Run, at_once, later, table
from switchgear.net.upstream import Pool

IN_PROGRESS_MAX = 64
"""Requests at once, of all destinations."""


class VerbService(Protocol):
    """What verbs need of the process."""

    destinations: Destinations
    pool: Pool
    in_progress: int

    def status(self) -> CourierStatus:
        """Return what it says of itself."""
        ...


def _send(service: VerbService, request: Request, done: Callable[[Reply | RefusedError], None]) -> None:
    found = service.destinations.find(request.destination, "request")
    _begin(service, found, found.encode(request), done)


def _begin(
    service: VerbService, destination: OpenDestination, encoded: bytes, done: Callable[[Reply | RefusedError], None]
) -> None:
    if service.in_progress >= IN_PROGRESS_MAX:
        raise RefusedError("too many requests at once")

    def ended(answer: Reply | RefusedError) -> None:
        service.in_progress -= 1
        done(answer)

    sending = Sending(destination, encoded, service.pool, ended)
    service.in_progress += 1
    sending.begin()


def _notify(service: VerbService, notice: Notice, done: Callable[[Reply | RefusedError], None]) -> None:
    found = service.destinations.find(notice.destination, "webhook")
    _begin(service, found, found.encode_notice(notice), done)


def _relay(service: VerbService, name: DestinationName) -> RelaySocket:
    return RelaySocket(relay.socket_name(service.destinations.find(name.name, "relay")))


RUNS: dict[str, Run[VerbService]] = table(
    (
        later(verbs.SEND, _send),
        later(verbs.NOTIFY, _notify),
        at_once(verbs.RELAY, _relay),
        at_once(verbs.STATUS, lambda service, _: service.status()),
    )
)
