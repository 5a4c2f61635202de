"""What travels through the stages: one typed object per request; each field says who fills it. Level 4."""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Protocol

import msgspec

from switchgear.core.problems import Problem
from switchgear.core.steps import Steps
from switchgear.core.usage import TokenUsage
from switchgear.dialects.request import Request
from switchgear.dialects.translation import Translation
from switchgear.edge.answer_cache import Recall
from switchgear.edge.attribute import ClientClaims
from switchgear.edge.course import Course
from switchgear.edge.head_facts import HeadFacts
from switchgear.edge.paths import Endpoint
from switchgear.edge.resolver import PricedDeployment, Resolution
from switchgear.net.exchange import Exchange
from switchgear.policies.limits import Why
from switchgear.pricing.price import Pricer
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing.table import Deployment
from switchgear.wire.records import AttemptOutcome, Held

NO_ENDPOINT = Endpoint("unknown", b"", needs_key=False)
"""Before a path was read, and for one that is not served."""
NO_CLAIMS = ClientClaims()


class Halt(Enum):
    """Why no further stage follows, although nothing was refused."""

    WAIT = 1
    """Whoever said it has seen to it that `EdgeServices.resume` is called once; the same stage is run again then."""
    DONE = 2
    """The request is answered, or somebody owns it."""
    AGAIN = 3
    """It goes to another model than was asked for: begin again with `authorize`."""


Outcome = Problem | Halt | Steps[Problem | None] | None
"""What a stage returns: None to go on, Problem to refuse; Steps, which come to one of these, where it takes long."""


class InProgress(Protocol):
    """What owns a request from its reservation to its settlement."""

    def on_gone(self) -> None:
        """The client went away."""
        ...

    def on_writable(self) -> None:
        """The client reads again."""
        ...

    def on_fault(self, exc: Exception) -> None:
        """Something unexpected was raised about the request: tell it, settle it, end it."""
        ...

    def check(self, now_s: float) -> None:
        """Enforce what has no event of its own."""
        ...

    def interrupt(self, message: str) -> None:
        """The gateway stops: end the request, and say so."""
        ...

    def cut(self, problem: Problem) -> None:
        """Something that the request needs was frozen: end it, and say so."""
        ...


class Lack(msgspec.Struct, frozen=True):
    """The limit that had no room."""

    bucket: str
    why: Why
    retry_after_ms: int
    """As `policies.limits.Refusal`."""


class HeldPlace(Protocol):
    """A place in a line (`edge.limit_queue`), as far as those need it who end a request."""

    def leave(self) -> None:
        """It goes, with or without room."""
        ...


class Spent(msgspec.Struct, frozen=True):
    """What an attempt came to, for what was held for it."""

    usage: TokenUsage | None = None
    """None: nothing."""
    cost_nanousd: int | None = 0
    """None: nobody knows."""
    is_sent: bool = True
    """False: no provider was asked."""
    is_certain: bool = True
    """False: its provider may charge more than is known, as much as was held."""
    until_s: float = 0.0
    """How long that stays uncertain."""
    is_late: bool = False
    """It is made in the background: control says when its cost is known."""
    is_untold: bool = False
    """The whole answer came, and its provider reported no usage."""


class HeldLimits(Protocol):
    """What a request holds of limits and budgets (`edge.admission`), as far as those need it who end or answer it."""

    is_final: bool
    """The last answer is about who asks: no other deployment helps."""
    reroute: str | None
    """The model that a budget that is spent leads to."""
    spent: Problem | None
    """What is told of that budget where the model cannot be called."""

    @property
    def budgeted(self) -> int | None:
        """The number of the attempt that it holds budgets for; None: it holds none."""
        ...

    def wakes(self, wake: Callable[[], None]) -> None:
        """Say who is woken from now on when counters answered in a later turn."""
        ...

    def take_attempt(self, deployment: PricedDeployment, number: int) -> Problem | bool:
        """Take the limits of a deployment for an attempt: True when they are taken, False while the answer is to come, else why
        not."""
        ...

    def forget(self) -> None:
        """What was asked for last holds no more: ask anew."""
        ...

    def adopt(self, other: Any) -> None:
        """Go on with what another of its kind holds for an attempt."""
        ...

    def overrun(self, usage: TokenUsage, cost_nanousd: int | None) -> Problem | None:
        """Tell whether a stream costs more than is held of a hard budget."""
        ...

    def end_attempt(self, spent: Spent, requests: int = 0) -> None:
        """An attempt failed and another may follow."""
        ...

    def end(self, spent: Spent, before: Iterable[TokenUsage], is_complete: bool) -> None:
        """The request is settled."""
        ...

    def let_go(self) -> None:
        """Nothing was sent: give everything back."""
        ...


class RequestContext(msgspec.Struct, eq=False):
    """One request from its head to its settlement."""

    # filled at the head
    exchange: Exchange
    id: str
    now_ms: int
    started_s: float
    facts: HeadFacts = msgspec.field(default_factory=HeadFacts)
    """handler: what is derived from the head."""
    endpoint: Endpoint = NO_ENDPOINT
    """handler: the row of the path table."""
    path_argument: str = ""
    """handler: what the path says beyond it: a model's name."""
    snapshot: Snapshot | None = None
    """authenticate"""
    key: KeyEntry | None = None
    """authenticate"""
    client: ClientClaims = NO_CLAIMS
    """read_claims: tool, session and other claims of the client."""

    # filled from the body
    body: bytes = b""
    """handler"""
    bytes_in: int = 0
    """handler"""
    stage: int = 0
    """pipeline: the stage that is next."""
    media: tuple[int, int] = (0, 0)
    """parse: how much of the body is base64, in how many pieces."""
    request: Request | None = None
    """parse"""
    stored_lookups: int = 0
    """find_stored, authorize: how often they waited for something stored to be published."""
    resolution: Resolution | None = None
    """authorize: where it may go."""
    rerouted: str | None = None
    """authorize: the model that was asked for, where a budget that is spent led to another one."""
    is_stale: bool = False
    """standing: key or routes are others than those that `authorize` saw."""
    course: Course | None = None
    """choose: where it goes, and what is left."""
    translation: Translation | None = None
    """translate: what the current attempt asks, and how its answer comes back."""
    holds_translation: bool = False
    """translate: what a large body became is counted as held."""
    cost_output: int | None = None
    """translate: the output limit that keeps it within the ceiling of its cost, where the body says none."""
    output_bound: int | None = None
    """admit: the output limit that is written into the body where it says none, so that a budget bounds it."""
    caps_tools: bool = False
    """admit: how often its provider's tools may be used is written into the body, where it says nothing of that."""
    held: tuple[list[Held], int, int] | None = None
    """admit, transfer: what the next attempt holds of budgets, since when by the counters' clock, and for how many seconds at most;
    its record says it."""
    still_charged: dict[int, int] = {}
    """transfer: attempts that held budgets and whose provider may charge more than is known; for how many seconds."""
    is_cut_off: bool = False
    """transfer: its answer was a stream that had begun: who is cut off writes no more."""
    recall: Recall | None = None
    """admit: what kept answers are to it; None where it asks for none."""
    place: HeldPlace | None = None
    """admit: where it stands that waits for room."""
    waits_since_s: float = 0.0
    """admit: when it began to wait there; 0 where it did not."""
    queue_ms: int | None = None
    """admit: how long it waited."""
    admission: HeldLimits | None = None
    """admit: what it holds of limits; None where none hold for it, or nothing is held any more."""
    limit_headers: bytes = b""
    """look_at_limits, admit: how much of its limits is left, as header lines of its client's dialect."""
    input_estimate: int = 0
    """reserve"""
    expect_nanousd: int | None = None
    """reserve"""
    reserved: bool = False
    """reserve"""
    transfer: InProgress | None = None
    """send: what owns it from then on; None again when it is settled."""

    # filled while the answer comes
    deployment: Deployment | None = None
    """transfer: where the current attempt goes."""
    pricer: Pricer | None = None
    """transfer: the price of the current deployment."""
    attempts: list[AttemptOutcome] = []
    """transfer: those that ended."""
    status: int = 0
    """transfer"""
    outcome: str = ""
    """transfer"""
    usage: TokenUsage | None = None
    """transfer"""
    units: dict[str, int] | None = None
    """transfer: what is counted otherwise."""
    estimate_reason: str | None = None
    """transfer"""
    is_late: bool = False
    """transfer: its answer is made in the background: what it costs is told later."""
    is_untold: bool = False
    """transfer: the whole answer came, and its provider reported no usage: what it may have cost is not known."""
    ttft_ms: int | None = None
    """transfer"""
    bytes_out: int = 0
    """transfer"""
    dropped: list[str] | None = None
    """transfer: what the provider's dialect could not carry."""
    client_gone: bool = False
    """handler: the client went away."""
    error: tuple[str, str] | None = None
    """whoever refuses: (code, message) for the record."""
    problem: Problem | None = None
    """whoever refuses: what the client is told."""
