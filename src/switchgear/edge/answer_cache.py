"""Answers that are kept for the same request of the same scope, in the memory of this process. Level 4.

Never on disk. Bounded in all, for each scope and each answer: who fills it pushes out answers of the scope that holds the most,
which is their own before anybody else's. An answer is found by a digest of everything that it may depend on (`edge.recall`),
its scope among it. Requests for what is being asked already wait for that one (`Flight`).
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

BYTES_MAX = 64 * 1024 * 1024
SCOPE_BYTES_MAX = BYTES_MAX // 4
ANSWER_BYTES_MAX = 1024 * 1024
COLLECTED_SHARE = 4
"""Answers that are under way and may be kept are a part of all: a quarter at most, then further ones are not kept."""
ANSWER_COST_BYTES = 1_024
PIECE_COST_BYTES = 64
"""What an answer and each of its pieces take in memory beside their bytes."""
SWEPT_MAX = 1_000
"""Answers that are let go of at a time because their time is over."""
COMPARED_MAX = 16
"""Earlier routes of which it is known whether they are today's."""
FOLLOWERS_MAX = 1_024
"""Requests that wait for another's answer; a further one asks itself."""


class CachedAnswer(msgspec.Struct, frozen=True, eq=False):
    """A complete, good answer as its client got it."""

    content_type: bytes
    pieces: tuple[bytes, ...]
    """The body as it was written; one piece of a plain answer."""
    is_stream: bool
    made_s: float
    until_s: float
    cost_nanousd: int | None
    """What it cost; None: no price is known."""
    finish_reason: str | None
    size: int
    """Bytes of the body."""

    @property
    def held_bytes(self) -> int:
        """What it takes in memory."""
        return self.size + ANSWER_COST_BYTES + PIECE_COST_BYTES * len(self.pieces)


Landed = Callable[[bool, int], None]
"""Called once: whether there is an answer, and the number of the caller among those that waited for it."""


class Flight:
    """A request that is under way, and those that wait for its answer."""

    __slots__ = ("_cache", "followers", "name", "until_s")

    def __init__(self, cache: "AnswerCache", name: bytes, until_s: float) -> None:
        self._cache = cache
        self.name = name
        self.until_s = until_s
        """When nobody waits for it any more, whatever became of it."""
        self.followers: list[Landed] = []

    def land(self, has_answer: bool) -> None:
        """It is done: call those that wait, once."""
        self._cache.landed(self)
        followers, self.followers = self.followers, []
        for number, landed in enumerate(followers):
            landed(has_answer, number)


class CacheCounts(msgspec.Struct):
    """Since they were last taken."""

    hit: int = 0
    miss: int = 0
    bypass: int = 0
    stored: int = 0
    evicted: int = 0
    followed: int = 0


class _Scope:
    __slots__ = ("answers", "held_bytes")

    def __init__(self) -> None:
        self.answers: OrderedDict[bytes, CachedAnswer] = OrderedDict()
        self.held_bytes = 0


class AnswerCache:
    """One per edge."""

    def __init__(self, bytes_max: int = BYTES_MAX, scope_bytes_max: int = SCOPE_BYTES_MAX) -> None:
        self._bytes_max, self._scope_bytes_max = bytes_max, scope_bytes_max
        self._scopes: dict[str, _Scope] = {}
        self._sizes: dict[int, OrderedDict[str, None]] = {}
        """Scopes by the power of two that they hold: the largest is found without looking at all."""
        self._ends: list[tuple[float, str, bytes]] = []
        self._flights: dict[bytes, Flight] = {}
        self._epoch = 0
        self._compared: deque[tuple[object, bool]] = deque(maxlen=COMPARED_MAX)
        self._compared_to: object = None
        self.held_bytes = 0
        self.collected_bytes = 0
        """Of answers that are under way and may be kept."""
        self.following = 0
        """Requests that wait for another's answer."""
        self.counts = CacheCounts()

    def __len__(self) -> int:
        return sum(len(scope.answers) for scope in self._scopes.values())

    def heed(self, epoch: int) -> None:
        """Forget everything where somebody purged since. Whatever is asked for now is not kept by its leader (`put`)."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._scopes.clear()
            self._sizes.clear()
            self._ends.clear()
            self._flights.clear()  # those that wait are called by their leader all the same
            self.held_bytes = 0

    def get(self, scope: str, name: bytes, now_s: float, age_max_s: float) -> CachedAnswer | None:
        """Return what is kept and still holds, for who takes nothing older."""
        kept = self._scopes.get(scope)
        answer = kept.answers.get(name) if kept is not None else None
        if kept is None or answer is None:
            return None
        if answer.until_s <= now_s:
            self._drop(scope, kept, name)
            return None
        if now_s - answer.made_s > age_max_s:
            return None
        kept.answers.move_to_end(name)
        return answer

    def put(self, scope: str, name: bytes, answer: CachedAnswer, epoch: int) -> bool:
        """Keep an answer that was asked for in an epoch; False where it is too large, or somebody purged since."""
        held = answer.held_bytes
        if epoch != self._epoch or held > min(ANSWER_BYTES_MAX, self._scope_bytes_max):
            return False
        kept = self._scopes.get(scope)
        if kept is not None and name in kept.answers:
            self._drop(scope, kept, name)
        kept = self._scopes.setdefault(scope, _Scope())
        kept.answers[name] = answer
        self._resize(scope, kept, held)
        self.counts.stored += 1
        heapq.heappush(self._ends, (answer.until_s, scope, name))
        while kept.held_bytes > self._scope_bytes_max:
            self._evict(scope)
        while self.held_bytes + self.collected_bytes > self._bytes_max:
            self._evict(next(iter(self._sizes[max(self._sizes)])))
        if len(self._ends) > 2 * len(kept.answers) + 65_536:  # of answers that left before their time
            self._ends = [
                (one.until_s, name_of, key) for name_of, s in self._scopes.items() for key, one in s.answers.items()
            ]
            heapq.heapify(self._ends)
        return True

    def collect(self, size: int) -> bool:
        """Count bytes of an answer that is under way; False where so many are that it is not kept. The caller owes `let_go`."""
        if self.collected_bytes + size > self._bytes_max // COLLECTED_SHARE:
            return False
        self.collected_bytes += size
        return True

    def let_go(self, size: int) -> None:
        """An answer that was under way is kept, or let go of."""
        self.collected_bytes -= size

    def _evict(self, scope: str) -> None:
        kept = self._scopes[scope]
        self._drop(scope, kept, next(iter(kept.answers)))
        self.counts.evicted += 1

    def _drop(self, scope: str, kept: _Scope, name: bytes) -> None:
        self._resize(scope, kept, -kept.answers.pop(name).held_bytes)
        if not kept.answers:
            del self._scopes[scope]

    def _resize(self, scope: str, kept: _Scope, change: int) -> None:
        before, kept.held_bytes = kept.held_bytes, kept.held_bytes + change
        self.held_bytes += change
        old, new = before.bit_length(), kept.held_bytes.bit_length()
        if before and old != new:
            alike = self._sizes[old]
            del alike[scope]
            if not alike:
                del self._sizes[old]
        if kept.held_bytes and (old != new or not before):
            self._sizes.setdefault(new, OrderedDict())[scope] = None

    def sweep(self, now_s: float) -> None:
        """Let go of answers whose time is over."""
        for _ in range(SWEPT_MAX):
            if not self._ends or self._ends[0][0] > now_s:
                break
            until_s, scope, name = heapq.heappop(self._ends)
            kept = self._scopes.get(scope)
            answer = kept.answers.get(name) if kept is not None else None
            if kept is not None and answer is not None and answer.until_s <= until_s:
                self._drop(scope, kept, name)

    def is_same(self, before: object, now: object) -> bool:
        """Tell whether routes are the same as before, by value: comparing thousands of models takes long, so it is done once for
        each publication, and not for each request that waited meanwhile."""
        if before is now:
            return True
        if self._compared_to is not now:
            self._compared_to = now
            self._compared.clear()
        for known, is_same in self._compared:
            if known is before:
                return is_same
        found = before == now
        self._compared.append((before, found))
        return found

    # who asks already

    def lead(self, name: bytes, until_s: float) -> Flight:
        """Begin to ask: others may wait for the answer until it lands."""
        flight = self._flights[name] = Flight(self, name, until_s)
        return flight

    def flight(self, name: bytes, now_s: float) -> Flight | None:
        """Return who asks for the same at the moment."""
        flight = self._flights.get(name)
        return flight if flight is not None and flight.until_s > now_s else None

    @property
    def is_crowded(self) -> bool:
        """True while so many wait that a further one asks itself."""
        return self.following >= FOLLOWERS_MAX

    def follow(self, flight: Flight, landed: Landed) -> None:
        """Wait for an answer. The caller owes `unfollow` where it stops waiting before it is called."""
        flight.followers.append(landed)
        self.following += 1

    def unfollow(self, flight: Flight, landed: Landed) -> None:
        """Wait no more."""
        if landed in flight.followers:
            flight.followers.remove(landed)
            self.following -= 1

    def landed(self, flight: Flight) -> None:
        """A flight is done: nobody waits for it any more."""
        if self._flights.get(flight.name) is flight:
            del self._flights[flight.name]
        self.following -= len(flight.followers)


class Recall(msgspec.Struct, eq=False):
    """What the cache is to one request that asks for it."""

    told: bytes
    """hit, miss or bypass."""
    name: bytes = b""
    """What the answer is kept by; empty where nothing is."""
    scope: str = ""
    ttl_s: int = 0
    epoch: int = 0
    reads: bool = False
    stores: bool = False
    table: object = None
    """The routes that it was resolved by."""
    deployment: object = None
    """The one that `name` is of: another's answer is not kept."""
    answer: CachedAnswer | None = None
    """What was found."""
    flight: Flight | None = None
    """What others wait for and this request asks."""
    pieces: list[bytes] = []
    """What its client got so far, to be kept."""
    size: int = 0
    collected: int = 0
    """What the pieces take in memory."""
    cache: AnswerCache | None = None
    """Where that is counted."""
    content_type: bytes = b""
    is_stream: bool = False
    is_complete: bool = False
    """The answer is whole and good."""

    def add(self, piece: bytes) -> None:
        """Note a piece of the answer, unless it becomes too large to be kept."""
        if not self.stores or not piece:
            return
        cost = len(piece) + PIECE_COST_BYTES
        is_large = self.collected + cost + ANSWER_COST_BYTES > ANSWER_BYTES_MAX
        if is_large or (self.cache is not None and not self.cache.collect(cost)):
            self.stores = False
            self.clear()
            return
        self.collected += cost
        self.pieces.append(piece)
        self.size += len(piece)

    def clear(self) -> None:
        """Let go of what was collected."""
        if self.cache is not None:
            self.cache.let_go(self.collected)
        self.pieces, self.size, self.collected = [], 0, 0

    def leave(self) -> None:
        """The request ends, or asks otherwise: those that wait for it ask themselves."""
        self.clear()
        flight, self.flight = self.flight, None
        if flight is not None:
            flight.land(False)


BYPASS = b"bypass"
HIT = b"hit"
MISS = b"miss"
