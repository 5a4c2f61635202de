"""Which rows this gateway's control wrote: a keyed hash over each row that it acts on. Level 2 (docs/invariants.md S5).

Whoever can write the database, or stands between control and it, cannot make such a row, change one, or pass one row's content off
as another's. The hash is BLAKE2b with a key (RFC 7693, read 2026-11-27) over the store's id, the table, and the row's values as
MessagePack, which has one reading only.
"""

import hashlib
import hmac
from typing import Any

import msgspec
from sqlalchemy import Connection

KEY_BYTES = 32
OPTION = "macs"
"""The engine's execution option that leads from a connection to its RowMacs."""
_encode = msgspec.msgpack.Encoder().encode


class RowMacs:
    """Makes and checks the MACs of one store's rows."""

    def __init__(self, key: bytes) -> None:
        """`key` has KEY_BYTES bytes. Raises ValueError for another length."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key of rows has {KEY_BYTES} bytes, not {len(key)}")
        self._keyed = hashlib.blake2b(key=key, digest_size=32, person=b"switchgear rows")
        self._of_store = self._keyed

    def bind(self, store_id: str) -> None:
        """Make and check the MACs of this store from now on: a row of another store's is a stranger's."""
        self._of_store = self._keyed.copy()
        self._of_store.update(_encode(store_id))

    def of(self, table: str, *values: Any) -> bytes:
        """Return the MAC of a row: texts, bytes, whole numbers, None, and lists of these."""
        state = self._of_store.copy()
        state.update(_encode((table, values)))
        return state.digest()

    def holds(self, mac: Any, table: str, *values: Any) -> bool:
        """Tell whether what stands in a row as its MAC is that of the row. Whoever writes SQLite's file writes values of any type
        into any column."""
        return isinstance(mac, bytes) and hmac.compare_digest(mac, self.of(table, *values))


def macs_of(connection: Connection) -> RowMacs:
    """Return what makes the MACs of a connection's store."""
    macs: RowMacs = connection.get_execution_options()[OPTION]
    return macs
