"""One attempt at a deployment: its stream on the link, the head that came, and how it is recorded. Level 4."""

import msgspec

from switchgear.core.text import clean
from switchgear.core.usage import TokenUsage
from switchgear.dialects.request import Request
from switchgear.edge import heads
from switchgear.edge.setback import Setback
from switchgear.net.link import LinkStream
from switchgear.pricing.price import Pricer
from switchgear.wire.frames import Head
from switchgear.wire.records import AttemptOutcome

STREAM_TYPES = (b"text/event-stream", b"application/vnd.amazon.eventstream", b"text/plain")
"""Under the last one, or under none, servers were seen to send events."""


class AttemptProgress(msgspec.Struct, eq=False):
    """Times are in ms since the request began."""

    start_ms: int = 0
    stream: LinkStream | None = None
    head: Head | None = None
    first_ms: int | None = None
    """When the head came."""
    number: int = 1
    """Of the request's attempts, from 1."""

    @property
    def status(self) -> int | None:
        """The provider's status, once it came."""
        return None if self.head is None else self.head.status

    def cancel(self) -> None:
        """Tell the vault that nobody waits any more."""
        if self.stream is not None:
            self.stream.cancel()

    def outcome(
        self, pricer: Pricer | None, status: int | None, error: str | None, charge: Setback | None, end_ms: int
    ) -> AttemptOutcome:
        """Return how it ended, for the record. `charge` is for one that another follows; the last one's is the settlement's."""
        head = self.head
        usage: TokenUsage | None = None
        upstream_id = cost = tier = units = None
        if head is not None:
            for name, value in head.headers:
                if name in heads.UPSTREAM_IDS:
                    upstream_id = clean(value[:128].decode("latin-1"), 128)
                    break
        if charge is not None:
            usage, tier = charge.usage, charge.service_tier
            units = charge.units if usage is not None else None
            if usage is not None and pricer is not None:
                cost = pricer.nanousd(usage, tier, units)
        return AttemptOutcome(
            self.number,
            status,
            error,
            self.start_ms,
            self.first_ms,
            end_ms,
            head.connect_ms if head is not None else None,
            upstream_id,
            usage,
            cost,
            charge is not None and charge.is_estimated,
            tier,
            units,
        )


def is_event_stream(request: Request, head: Head) -> bool:
    """Tell whether an answer is the stream that was asked for."""
    if not request.stream:
        return False
    kind = next((value for name, value in head.headers if name == b"content-type"), b"").lower()
    return kind.startswith(STREAM_TYPES) or not kind
