"""What this edge holds of budgets for attempts until control says what they came to. Level 4.

They are of the edge before this one, or of answers that are made in the background.
"""

from collections.abc import Callable, Sequence

from switchgear.counters.backend import Counters, Ticket
from switchgear.replica.reader import ReplicaReader


class UncertainHolds:
    """One per edge."""

    def __init__(self) -> None:
        self._tickets: dict[str, list[Ticket]] = {}
        self._orphans: set[str] = set()
        self.note: Callable[[int], None] = lambda count: None
        """Told how many attempts of the edge before are left."""

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def orphans(self) -> int:
        """How many of them are of the edge before this one."""
        return len(self._orphans)

    def add(self, attempt: str, tickets: Sequence[Ticket], is_orphan: bool = False) -> None:
        """Remember what is held for an attempt."""
        if is_orphan:
            self._orphans.add(attempt)
        self._tickets.setdefault(attempt, []).extend(tickets)

    def look(self, replica: ReplicaReader, counters: Counters) -> None:
        """Release what control has ended: what is left of it is in its column by then."""
        ended = [attempt for attempt in self._tickets if replica.is_ended(attempt)]
        for attempt in ended:
            for ticket in self._tickets.pop(attempt):
                try:
                    counters.release(ticket)
                except KeyError:
                    continue  # its time was over
        if self._orphans.intersection(ended):
            self._orphans.difference_update(ended)
            self.note(self.orphans)
