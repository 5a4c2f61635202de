"""What nobody expected and the processes caught: counted for `status` and /metrics. Level 5.

Edges count the errors of their logs in their spools, control knows its own, and vault and courier are asked.
"""

import contextlib
from collections.abc import Callable

from switchgear.control.courier import Courier
from switchgear.core.clock import Clock
from switchgear.core.errors import RefusedError, UserError
from switchgear.courier.verbs import CourierStatus
from switchgear.net.link import LinkClient
from switchgear.vault import verbs
from switchgear.vault.verbs import Status

PAUSE_S = 10.0
PATIENCE_S = 10.0
SHOWN_S = 3_600.0
"""How long a fault of the vault is a problem in `status`."""


class Faults:
    """Asks the vault and the courier from time to time."""

    def __init__(self, link: LinkClient, courier: Courier, own: Callable[[], int], clock: Clock) -> None:
        """`own` returns how many errors control's log had."""
        self._link = link
        self._asker = courier
        self.courier: CourierStatus | None = None
        """What the courier said last; None without one."""
        self._own = own
        self._clock = clock
        self._vault = Status(0, {}, 0, 0)
        self._rose_s: float | None = None
        self._where = ""

    async def turn(self) -> None:
        """Ask once. Of one that is away the last answer stays: the supervisor says that it is."""
        with contextlib.suppress(RefusedError, ConnectionError, TimeoutError):
            self._take(await self._link.ask(verbs.STATUS, None, PATIENCE_S))
        with contextlib.suppress(UserError):
            self.courier = await self._asker.status()

    def _take(self, now: Status) -> None:
        # A vault that was started again counts from zero.
        before = self._vault if self._vault.faults <= now.faults else Status(0, {}, 0, 0)
        risen = [place for place, count in now.places.items() if count > before.places.get(place, 0)]
        if now.faults > before.faults:
            self._rose_s, self._where = self._clock.monotonic_s(), risen[-1] if risen else self._where
        self._vault = now

    def counts(self, edges: int) -> dict[str, int]:
        """Return how many there were, by role; `edges` is what those counted."""
        counts = {"edge": edges, "vault": self._vault.faults, "control": self._own()}
        return counts if self.courier is None else counts | {"courier": self.courier.faults}

    @property
    def problems(self) -> list[str]:
        """What `status` says."""
        closed = [one.name for one in self.courier.destinations if not one.opens] if self.courier is not None else []
        said = [f"the courier's key does not open the destination {name}" for name in closed]
        if self._rose_s is None or self._clock.monotonic_s() - self._rose_s > SHOWN_S:
            return said
        where = f", the last at {self._where}" if self._where else ""
        return [f"faults that the vault caught: {self._vault.faults}{where}; its log has them", *said]
