"""What is derived from a request head, once per connection and head: clients repeat theirs. Level 4.

Nothing here decides by itself: a key is looked up for every request, and what depends on time is never kept.
"""

import msgspec

from switchgear.edge.attribute import ClientClaims
from switchgear.edge.paths import PathMatch
from switchgear.replica.entries import KeyEntry


class Claim(msgspec.Struct):
    """Who a head claims to be: derived once, checked against the replica every time."""

    key_id: str
    digest: bytes
    verified: KeyEntry | None = None
    """The entry that this secret was checked against, where nothing in it depends on time."""


class HeadFacts(msgspec.Struct):
    """What stages derived from a head; None is "not yet"."""

    match: PathMatch | None = None
    """handler: what the path means."""
    claim: Claim | None = None
    """authenticate"""
    client: ClientClaims | None = None
    """read_claims"""
    is_media_good: bool = False
    """check_media_type: the body is of a kind that this path takes."""
    forwarded: tuple[str, tuple[tuple[bytes, bytes], ...]] | None = None
    """heads: (dialect, the headers that a provider of it gets)."""
    caller: tuple[KeyEntry, msgspec.Raw] | None = None
    """settle: the encoded records.Caller, and the version of the key that it is of."""
