"""What control may ask of the courier: each verb with the types of its body and of its answer. Level 4.

A verb names a destination, never a URL: the configuration says which there are, and no verb adds one. How the courier does
them: courier/perform.
"""

from typing import Literal

import msgspec

from switchgear.vault.seal import SealContext
from switchgear.wire.verbs import Verb

REQUEST_BODY_BYTES_MAX = 49_152
"""A question fits one frame, and so does its answer."""
REPLY_BODY_BYTES_MAX = 57_344


class Sealed(msgspec.Struct, frozen=True):
    """A destination with its secret, for the courier alone. `context.purpose` says what it may be used for."""

    context: SealContext
    blob: bytes


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a destination's URL."""

    destination: str
    method: Literal["GET", "POST"]
    path: str
    """Below the destination's URL, beginning with "/", or empty; with its query, if any."""
    content_type: str = ""
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the destination answered, whatever its status is. Redirects are not followed."""

    status: int
    content_type: str
    retry_after: str
    body: bytes


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is told to a webhook: the courier signs it with the destination's secret."""

    destination: str
    id: str
    """The same whenever it is told again, so that who is told twice can know."""
    time_s: int
    """Of this attempt, since the epoch."""
    body: bytes
    """JSON."""


class DestinationName(msgspec.Struct, frozen=True):
    """Which destination."""

    name: str


class RelaySocket(msgspec.Struct, frozen=True):
    """Where to connect: a socket in the courier's folder of sockets, for the process that asked and no other."""

    name: str


class DestinationState(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a destination."""

    name: str
    purpose: str
    url: str
    opens: bool
    """False when the courier's key does not open its secret."""
    requests: int
    """Requests and relayed connections since the process began."""
    failures: int


class CourierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the courier says of its process."""

    faults: int
    """Exceptions that nobody expected, since the process began."""
    places: dict[str, int]
    relayed: int
    """Connections that are relayed now."""
    destinations: list[DestinationState]


SEND = Verb("send", Request, Reply, once=True)
"""Refused with a sentence when there is no complete answer."""
NOTIFY = Verb("notify", Notice, Reply, once=True)
"""As `send`, to a webhook."""
RELAY = Verb("relay", DestinationName, RelaySocket)
STATUS = Verb("status", type(None), CourierStatus)

VERBS = (SEND, NOTIFY, RELAY, STATUS)
