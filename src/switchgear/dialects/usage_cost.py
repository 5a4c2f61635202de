"""`x-switchgear-include: cost`: the final usage of an answer gains `cost`, in USD. Level 1, sans-I/O.

Only where the client asks for it: no other answer is changed for its cost. Binary streams and JSON arrays are left as they are.
"""

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.money import format_usd
from switchgear.dialects.dialect import Dialect
from switchgear.dialects.json_node import encode
from switchgear.wire import sse

HELD_BYTES_MAX = 65_536
"""What may follow the last usage: a proper end is a few hundred bytes."""

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def add(body: bytes, path: tuple[str, ...], cost_nanousd: int) -> bytes:
    """Put the cost beside the figures at a path; the bytes as they were where there is no such object."""
    try:
        found = _decode_object(body)
        if len(path) > 1:
            inner = add(bytes(found[path[0]]), path[1:], cost_nanousd)
            return encode({**found, path[0]: Raw(inner)})
        usage = _decode_object(found[path[0]])
    except (*UNREADABLE, KeyError):
        return body
    return encode({**found, path[0]: Raw(encode({**usage, "cost": Raw(_decimal(cost_nanousd))}))})


def _decimal(cost_nanousd: int) -> bytes:
    text = format_usd(cost_nanousd).rstrip("0")
    return (text + "0" if text.endswith(".") else text).encode("ascii")


class CostInjector:
    """Lets a stream pass and holds back the event that may be the last to tell the usage, and what follows it, until the cost is
    known or a later such event comes."""

    def __init__(self, path: tuple[str, ...], early_usage: bytes) -> None:
        self._path = path
        self._early_usage = early_usage
        self._splitter = sse.Splitter()
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Return what may go on. Raises ProtocolError for an endless event."""
        out: list[bytes] = []
        for event in self._splitter.feed(data):
            if self._tells_usage(event):
                out += self._held
                self._held, self._held_bytes = [event], len(event)
            elif self._held:
                self._held.append(event)
                self._held_bytes += len(event)
                if self._held_bytes > HELD_BYTES_MAX:  # that was not the end: the client gets no cost, and no delay
                    out += self._held
                    self._held, self._held_bytes = [], 0
            else:
                out.append(event)
        return b"".join(out)

    def finish(self, cost_nanousd: int | None) -> bytes:
        """Return the rest, with the cost where it is known."""
        held, self._held = self._held, []
        if held and cost_nanousd is not None:
            held[0] = self._with_cost(held[0], cost_nanousd)
        return b"".join(held) + self._splitter.tail

    def _tells_usage(self, event: bytes) -> bool:
        if self._path[-1].encode() not in event:
            return False
        if self._early_usage and self._early_usage in event:
            return False
        data = sse.event_data(event)
        try:
            for name in self._path:
                found = _decode_object(data or b"")
                data = bytes(found[name])
            _decode_object(data or b"")
        except (*UNREADABLE, KeyError):
            return False
        return True

    def _with_cost(self, event: bytes, cost_nanousd: int) -> bytes:
        data = sse.event_data(event)
        assert data is not None
        changed = add(data, self._path, cost_nanousd)
        kept = [line for line in event.splitlines() if line and not line.startswith(b"data")]
        return b"\n".join([*kept, b"data: " + changed, b"", b""])


def cost_injector(dialect: Dialect, as_array: bool) -> CostInjector | None:
    """Return what adds the cost to a stream of a dialect; None where that is not done."""
    if dialect.stream_usage_at is None or as_array:
        return None
    return CostInjector(dialect.stream_usage_at, dialect.early_usage)
