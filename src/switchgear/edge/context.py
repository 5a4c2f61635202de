"""What travels through the stages: one typed object per request; each field says who fills it. Level 4."""

from typing import Any

from switchgear.core.problems import Problem
from switchgear.core.usage import TokenUsage
from switchgear.dialects.request import Request
from switchgear.edge.paths import Endpoint
from switchgear.net.server import Exchange
from switchgear.pricing.price import Meterer
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing.table import Candidate, Route
from switchgear.wire.records import AttemptOutcome

NO_ENDPOINT = Endpoint("unknown", b"", needs_key=False)
"""Before a path was read, and for one that is not served."""


class RequestContext:
    """One request from its head to its settlement."""

    __slots__ = (
        "attempts",
        "body",
        "bytes_in",
        "bytes_out",
        "candidate",
        "client",
        "dropped",
        "endpoint",
        "error",
        "estimate_reason",
        "exchange",
        "expect_nanousd",
        "gone",
        "id",
        "input_estimate",
        "key",
        "media",
        "meterer",
        "now_ms",
        "outcome",
        "problem",
        "request",
        "reserved",
        "rest",
        "route",
        "snapshot",
        "started_s",
        "status",
        "ttft_ms",
        "units",
        "usage",
        "waits",
    )

    def __init__(self, exchange: Exchange, request_id: str, now_ms: int, started_s: float) -> None:
        # filled at the head
        self.exchange = exchange
        self.id = request_id
        self.now_ms = now_ms
        self.started_s = started_s
        self.endpoint: Endpoint = NO_ENDPOINT  # gate: the row of the path table
        self.rest = ""  # gate: what the path says beyond it: a model's name
        self.snapshot: Snapshot | None = None  # authenticate
        self.key: KeyEntry | None = None  # authenticate
        self.client: Any = None  # attribute: tool, session and other claims of the client
        # filled from the body
        self.body = b""  # gate
        self.bytes_in = 0  # gate
        self.media = (0, 0)  # parse: how much of the body is base64, in how many pieces
        self.request: Request | None = None  # parse
        self.route: Route | None = None  # authorize
        self.candidate: Candidate | None = None  # route: where the current attempt goes
        self.meterer: Meterer | None = None  # route: the price of the current candidate
        self.input_estimate = 0  # reserve
        self.expect_nanousd: int | None = None  # reserve
        self.reserved = False  # reserve
        # filled while the answer comes
        self.attempts: list[AttemptOutcome] = []  # transfer
        self.status = 0  # transfer
        self.outcome = ""  # transfer
        self.usage: TokenUsage | None = None  # transfer
        self.units: dict[str, int] | None = None  # transfer: what is counted otherwise
        self.estimate_reason: str | None = None  # transfer
        self.ttft_ms: int | None = None  # transfer
        self.bytes_out = 0  # transfer
        self.dropped: list[str] | None = None  # transfer: what the provider's dialect could not carry
        self.waits = 0  # transfer: how often it looked for something stored
        self.gone = False  # gate: the client went away
        self.error: tuple[str, str] | None = None  # whoever refuses: (code, message) for the record
        self.problem: Problem | None = None  # whoever refuses: what the client is told
