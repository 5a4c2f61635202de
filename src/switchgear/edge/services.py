"""What stages and transfers need of the edge that they work in. Level 4.

One value per process, frozen: nobody needs the handler that made it, and a test makes one of fakes.
"""

from collections.abc import Callable

import msgspec

from switchgear.core.clock import Clock, Loop
from switchgear.core.guard import Guard
from switchgear.core.ids import IdSource
from switchgear.core.log_line import Report
from switchgear.counters.backend import Counters
from switchgear.edge.answer_cache import AnswerCache
from switchgear.edge.budget_time import BudgetTime
from switchgear.edge.context import RequestContext
from switchgear.edge.limit_queue import LimitQueue
from switchgear.edge.output_sizes import OutputSizes
from switchgear.edge.refusals import Refusals
from switchgear.edge.resolver import Resolver
from switchgear.edge.running import Running
from switchgear.edge.slices import Slicer
from switchgear.edge.stored_things import StoredThings
from switchgear.edge.turn_commit import TurnCommit
from switchgear.edge.uncertain import UncertainHolds
from switchgear.edge.waiting import WaitingRoom
from switchgear.net.link import LinkClient
from switchgear.replica.reader import ReplicaReader
from switchgear.spool.writer import SpoolWriter


class EdgeServices(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything of an edge that outlives a request."""

    replica: ReplicaReader
    """What control published: keys, routes, prices, freezes."""
    peppers: dict[int, bytes]
    resolver: Resolver
    """Which deployments answer a model, with their prices."""
    stored: StoredThings
    """What providers keep, and whose it is."""
    spool: SpoolWriter
    """The records; they become durable with the turn."""
    commit: TurnCommit
    """The end of the turn: records first, then the link, then clients."""
    link: LinkClient
    """The way to the vault."""
    running: Running
    """The requests that are sent and not settled."""
    counters: Counters
    """What limits count, for all edges of the machine."""
    uncertain: UncertainHolds
    """What is held of budgets for attempts whose cost is not known."""
    budget_time: BudgetTime
    """Which period of a budget it is."""
    output_sizes: OutputSizes
    """How long answers usually are."""
    cache: AnswerCache
    """Answers that are kept."""
    waiting: WaitingRoom
    """The requests that wait for something of this edge."""
    queue: LimitQueue
    """Those of them that wait for room under a limit, in their order."""
    refusals: Refusals
    slices: Slicer
    """Long work, a few milliseconds per turn."""
    clock: Clock
    loop: Loop
    ids: IdSource
    report: Report
    guard: Guard
    resume: Callable[["EdgeServices", RequestContext], None]
    """Lets a request go on whose stage said WAIT: whoever made it wait calls it once."""
