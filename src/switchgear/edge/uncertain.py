"""What this edge holds of budgets for attempts of the edge before it: until control says what became of them. Level 4."""

from collections.abc import Callable, Sequence

from switchgear.counters.backend import Counters, Ticket
from switchgear.replica.reader import ReplicaReader


class UncertainHolds:
    """One per edge."""

    def __init__(self) -> None:
        self._tickets: dict[str, list[Ticket]] = {}
        self.note: Callable[[int], None] = lambda count: None
        """Told how many attempts are left."""

    def __len__(self) -> int:
        return len(self._tickets)

    def add(self, attempt: str, tickets: Sequence[Ticket]) -> None:
        """Remember what is held for an attempt."""
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
        if ended:
            self.note(len(self._tickets))
