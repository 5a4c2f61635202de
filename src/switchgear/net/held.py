"""Counts what others make this process hold, and gives each its share. Level 2, pure."""


class HeldBytes:
    """Bytes that clients make this process keep, by owner: a key, an address, a link.

    An owner may hold as much as is left free for all others (Choudhury and Hahne, "Dynamic queue length thresholds for
    shared-memory packet switches", 1998): one alone takes half, two a third each, and there is always room for a newcomer.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.total = 0
        self._by_owner: dict[str, int] = {}

    def take(self, owner: str, size: int) -> bool:
        """Count bytes; False, and nothing is counted, when the owner would hold more than is left."""
        mine = self._by_owner.get(owner, 0) + size
        total = self.total + size
        if mine > self._bytes_max - total:
            return False
        self._by_owner[owner] = mine
        self.total = total
        return True

    def give(self, owner: str, size: int) -> None:
        """Undo `take`."""
        if not size:
            return
        self.total -= size
        mine = self._by_owner[owner] - size
        if mine:
            self._by_owner[owner] = mine
        else:
            del self._by_owner[owner]

    def of(self, owner: str) -> int:
        """Return what an owner holds."""
        return self._by_owner.get(owner, 0)
