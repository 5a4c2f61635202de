"""The reservations of one spool whose settlement has not come. Level 3. Pure.

What many reservations share is decoded once; what is kept is bounded, whatever a compromised edge writes.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from switchgear.core.errors import RecordError
from switchgear.ledger import tidy
from switchgear.ledger.build import OpenRequest
from switchgear.wire import records

OPEN_MAX = 100_000
"""Reservations of one spool that may be open at once; an edge has 20,000 connections."""
OPEN_BYTES_MAX = 256 * 1024 * 1024
INTERNED_MAX = 10_000
INTERNED_BYTES_MAX = 2_048
"""What is larger is decoded each time: a compromised edge must not fill this process with names."""
_REQUEST_ID = re.compile(r"[0-9a-f]{32}")
T = TypeVar("T", bound=msgspec.Struct)


def check_id(request_id: str) -> None:
    """Refuse what no edge's own code makes; numbers were bounded by decoding. Raises RecordError."""
    if not _REQUEST_ID.fullmatch(request_id):
        raise RecordError(f"a request's id is not one: {request_id[:40]!r}")


class OpenRequests:
    """By request id."""

    def __init__(self) -> None:
        self._open: dict[str, OpenRequest] = {}
        self._bytes = 0
        self._callers: dict[bytes, tuple[records.Caller, bool]] = {}
        self._callees: dict[bytes, tuple[records.Callee, bool]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._open

    def get(self, request_id: str) -> OpenRequest | None:
        """Return an open request."""
        return self._open.get(request_id)

    def among(self, ids: Iterable[str]) -> dict[str, OpenRequest]:
        """Return those of some ids that are open."""
        return {request_id: self._open[request_id] for request_id in ids if request_id in self._open}

    def open(self, reserve: records.Reserve, payload: bytes) -> None:
        """Take a reservation; one that is known already changes nothing. Raises RecordError."""
        check_id(reserve.id)
        if reserve.id in self._open:
            return
        if len(self._open) >= OPEN_MAX or self._bytes + len(payload) > OPEN_BYTES_MAX:
            raise RecordError("more reservations are open than an edge can have")
        opened = self._open[reserve.id] = self._decode(reserve, payload)
        self._bytes += len(opened.raw)

    def pop(self, request_id: str) -> OpenRequest | None:
        """Close a request and return it; None when it was not open."""
        opened = self._open.pop(request_id, None)
        if opened is not None:
            self._bytes -= len(opened.raw)
        return opened

    def all(self) -> list[OpenRequest]:
        """Return them."""
        return list(self._open.values())

    @property
    def streams(self) -> int:
        """How many of them are streams. Asked from another thread."""
        return sum(opened.reserve.stream for opened in list(self._open.values()))

    def _decode(self, reserve: records.Reserve, payload: bytes) -> OpenRequest:
        caller_raw, callee_raw = bytes(reserve.caller), bytes(reserve.callee)
        try:
            caller, caller_clean = self._callers.get(caller_raw) or _intern(
                self._callers, caller_raw, records.decode_caller, tidy.CALLER
            )
            callee, callee_clean = self._callees.get(callee_raw) or _intern(
                self._callees, callee_raw, records.decode_callee, tidy.CALLEE
            )
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
            raise RecordError(f"the reservation {reserve.id[:40]} does not decode: {exc}") from exc
        tidied = reserve
        if reserve.end_user is not None or reserve.tags is not None or reserve.session is not None:
            tidied = tidy.tidy(reserve, tidy.RESERVE)
        if tidied is not reserve or not (caller_clean and callee_clean):
            raws = {
                name: msgspec.Raw(records.encode_payload(value))
                for name, value in (("caller", caller), ("callee", callee))
            }
            tidied = msgspec.structs.replace(tidied, **raws)
            payload = records.encode_payload(tidied)
        return OpenRequest(tidied, caller, callee, payload, [])


def _intern(
    known: dict[bytes, tuple[T, bool]], raw: bytes, decode: Callable[[bytes], T], texts: dict[str, int]
) -> tuple[T, bool]:
    """Decode a part; True beside it when nothing of it had to be tidied."""
    decoded = decode(raw)
    tidied = tidy.tidy(decoded, texts)
    found = (tidied, tidied is decoded)
    if len(raw) <= INTERNED_BYTES_MAX:
        if len(known) >= INTERNED_MAX:
            known.clear()
        known[raw] = found
    return found
