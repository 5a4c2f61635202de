"""What control may ask of the vault: each verb with the types of its body and of its answer. Level 3 (docs/invariants.md C4).

There is no verb that reads a secret, and none that takes a path. All may be asked again after a lost answer: a put of the same
version changes nothing, the others set a state or read one. How the vault does them: vault/perform.
"""

from typing import Literal

import msgspec

from switchgear.vault.seal import SealContext
from switchgear.wire.verbs import Verb

State = Literal["active", "disabled", "removed"]


class CredentialCeilings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one credential may be used for at most, whoever asks: bounds a compromised edge (C7)."""

    requests_per_s: int = 10_000
    concurrency: int = 20_000
    bytes_per_hour: int = 256 * 1024**3


class Put(msgspec.Struct, frozen=True):
    """A sealed credential for the box."""

    context: SealContext
    blob: bytes
    ceilings: CredentialCeilings = CredentialCeilings()


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of a credential."""

    id: str
    provider: str
    name: str
    version: int
    state: State
    last4: str
    fingerprint: str
    base_url: str
    auth: str
    created_ms: int
    changed_ms: int
    opens: bool
    """False when it cannot be used: the KEK at hand does not open it, or see `wrong`."""
    wrong: str = ""
    """Why it is not used although the KEK may open it: what this version refuses, of one that an older version took."""


class CredentialName(msgspec.Struct, frozen=True):
    """Which credential: `provider/credential`."""

    id: str


class Fence(msgspec.Struct, frozen=True):
    """Which run is dead, and by which spool."""

    run_id: str
    spool_id: str


class Status(msgspec.Struct, frozen=True):
    """What the vault says of its process."""

    faults: int
    """Exceptions that nobody expected, since the process began."""
    places: dict[str, int]
    """Where they were raised."""
    links: int
    attempts: int
    """In progress."""


class TestResult(msgspec.Struct, frozen=True):
    """What a cheap authenticated call with a credential gave."""

    ok: bool
    message: str


_NONE = type(None)

PUT = Verb("put", Put, Metadata)
DISABLE = Verb("disable", CredentialName, Metadata)
ENABLE = Verb("enable", CredentialName, Metadata)
REMOVE = Verb("remove", CredentialName, Metadata)
LIST = Verb("list", _NONE, list[Metadata])
TEST = Verb("test", CredentialName, TestResult)
RECOGNISE = Verb("recognise", list[bytes], dict[str, str])
"""SHA-256 digests of secrets; the answer names the credentials that have them, by hex digest."""
VERSIONS = Verb("versions", _NONE, dict[str, int])
"""The highest version per credential, tombstones included."""
STATUS = Verb("status", _NONE, Status)
FENCE = Verb("fence", Fence, _NONE)
"""Refuse a dead run for ever. The vault refuses with frames.FOREIGN_RUN when the run is of another spool."""
BIND_STORE = Verb("bind_store", str, _NONE)
"""The id of the store that this vault belongs to from now on."""

VERBS = (PUT, DISABLE, ENABLE, REMOVE, LIST, TEST, RECOGNISE, VERSIONS, STATUS, FENCE, BIND_STORE)
