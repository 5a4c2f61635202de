"""The vault's own store of sealed credentials: one file, replaced as a whole. Level 3 (docs/invariants.md C3).

Versions only rise and removal leaves a tombstone, so a restored database brings nothing back. A change is durable
before it is acknowledged.
"""

from pathlib import Path

import msgspec

from switchgear.core.errors import UNREADABLE, RefusedError, SealError
from switchgear.core.guard import Guard, each
from switchgear.core.ids import credential_id
from switchgear.core.secret import Secret
from switchgear.providers import endpoint, identity
from switchgear.providers.endpoint import Endpoint
from switchgear.spool.files import write_durably
from switchgear.vault import seal
from switchgear.vault.auth import Authorizer
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import SealContext
from switchgear.vault.verbs import CredentialCeilings, Metadata, Put, State

CREDENTIALS_MAX = 10_000
RECOGNISE_MAX = 400
"""Digests that may be asked about at once: the answer fits a frame."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One credential at rest."""

    context: SealContext
    blob: bytes
    state: State
    last4: str
    fingerprint: str
    created_ms: int
    changed_ms: int
    ceilings: CredentialCeilings = CredentialCeilings()

    @property
    def id(self) -> str:
        """`provider/credential`: what a frame asks for."""
        return credential_id(self.context.provider, self.context.credential)


class OpenCredential(msgspec.Struct, frozen=True):
    """A credential ready for use."""

    item: Item
    secret: Secret
    auth_line: bytes
    """The header line that presents the secret; empty where it is presented otherwise."""
    query: str
    """The secret as a query parameter, for the scheme `query`."""
    redactor: seal.Redactor
    auth: Authorizer | None = None
    """What signs requests, or fetches tokens; None where the secret is sent as it is."""


class _File(msgspec.Struct, frozen=True):
    store_id: str
    items: list[Item]


class Box:
    """Credentials by id, sealed on disk, open in memory."""

    def __init__(self, folder: Path, keys: KeyPair, guard: Guard, identity_hosts: frozenset[str] = frozenset()) -> None:
        """Open the box; the file is made at the first put. Raises SealError when the file is damaged. A credential that
        cannot be opened, for whatever reason, is one that does not open, and no more. `identity_hosts` may be shown the
        platform's identity beside the clouds' own."""
        self._guard = guard
        self._path = folder / "box"
        self._keys = keys
        self._identity_hosts = identity_hosts
        self._items: dict[str, Item] = {}
        self._opened: dict[str, OpenCredential] = {}
        self._wrong: dict[str, str] = {}
        """Why items are not used that the KEK may open."""
        try:
            file = msgspec.msgpack.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            file = _File("", [])
        except UNREADABLE as exc:
            raise SealError(f"the vault's box {self._path} is damaged: {exc}") from exc
        self.store_id = file.store_id
        for item in file.items:
            self._items[item.id] = item
        each(file.items, self._open, self._open_fault)

    @property
    def is_empty(self) -> bool:
        """True when no credential was ever put."""
        return not self._items

    @property
    def is_foreign(self) -> bool:
        """True when all that it holds was sealed for another KEK."""
        held = [item for item in self._items.values() if item.state != "removed"]
        return bool(held) and not any(seal.is_for(item.blob, self._keys) for item in held)

    @property
    def unopened(self) -> list[str]:
        """Ids of active credentials that the KEK does not open."""
        return [item.id for item in self._items.values() if item.state == "active" and item.id not in self._opened]

    def bind_store(self, store_id: str) -> None:
        """Remember which store this box belongs to (S1). Raises RefusedError when it belongs to another."""
        if self.store_id and self.store_id != store_id:
            raise RefusedError(f"the box belongs to store {self.store_id}, not {store_id}")
        if not self.store_id:
            self.store_id = store_id
            self._save()

    def recognise(self, digests: list[bytes]) -> dict[str, str]:
        """Return hex digest → id of the credentials whose secrets have these SHA-256 digests. Opens nothing."""
        known = {item.fingerprint: item.id for item in self._items.values() if item.state != "removed"}
        found = {digest.hex(): known.get(seal.fingerprint_of(digest, self._keys)) for digest in digests[:RECOGNISE_MAX]}
        return {digest: name for digest, name in found.items() if name is not None}

    def find(self, deployment: str) -> OpenCredential | None:
        """Return the credential that serves a deployment, if it is active and opens."""
        return self._opened.get(deployment)

    def put(self, put: Put, now_ms: int) -> Metadata:
        """Add or replace a credential. Raises RefusedError for an endpoint that is not valid and for a version that does not
        rise, SealError if it does not open here. The same secret in the same place is not a change, and one that was disabled
        stays so until it is enabled or another secret comes: a configuration that is applied again must not bring it back."""
        wrong = self._wrong_place(put.context.endpoint)
        if wrong is not None:
            raise RefusedError(wrong)
        secret = seal.open_sealed(put.blob, put.context, self._keys)
        seal.auth_line(secret, put.context.endpoint)
        seal.authorizer_of(secret, put.context.endpoint)
        context = put.context
        key = f"{context.provider}/{context.credential}"
        old = self._items.get(key)
        if old is not None and old.state != "removed" and old.context == context and old.blob == put.blob:
            return self._metadata(old)  # asked again after a lost answer
        if old is not None and context.version <= old.context.version:
            raise RefusedError(
                f"version {context.version} of credential {key!r} is not above {old.context.version}: "
                "an old blob cannot come back (check this machine's clock)"
            )
        if old is not None and old.state == "active" and key in self._opened:
            same_place = msgspec.structs.replace(old.context, version=0) == msgspec.structs.replace(context, version=0)
            if same_place and seal.is_same(self._opened[key].secret, secret) and old.ceilings == put.ceilings:
                return self._metadata(old)
        if len(self._items) >= CREDENTIALS_MAX and old is None:
            raise RefusedError(f"the box holds {CREDENTIALS_MAX} credentials already")
        item = Item(
            context=context,
            blob=put.blob,
            state="disabled" if old is not None and self._is_disabled(old, secret) else "active",
            last4=secret.last4(),
            fingerprint=seal.fingerprint(secret, self._keys),
            created_ms=old.created_ms if old is not None and old.state != "removed" else now_ms,
            changed_ms=now_ms,
            ceilings=put.ceilings,
        )
        self._items[key] = item
        self._save()
        each([item], self._open, self._open_fault)
        return self._metadata(item)

    def _is_disabled(self, old: Item, secret: Secret) -> bool:
        """Tell whether this very secret was disabled."""
        if old.state != "disabled":
            return False
        try:
            return seal.is_same(seal.open_sealed(old.blob, old.context, self._keys), secret)
        except SealError:
            return False  # of another KEK: nobody can tell, and it could not be enabled either

    def set_state(self, key: str, state: State, now_ms: int) -> Metadata:
        """Disable, enable or remove. A removed credential keeps its version and loses its blob."""
        item = self._items.get(key)
        if item is None or (item.state == "removed" and state != "removed"):
            raise RefusedError(f"there is no credential {key!r}")
        item = msgspec.structs.replace(
            item, state=state, changed_ms=now_ms, blob=b"" if state == "removed" else item.blob
        )
        self._items[key] = item
        self._save()
        self._opened.pop(key, None)
        each([item], self._open, self._open_fault)
        return self._metadata(item)

    def list(self) -> list[Metadata]:
        """List what may be told of all credentials."""
        return [self._metadata(item) for item in self._items.values() if item.state != "removed"]

    def versions(self) -> dict[str, int]:
        """Return the highest version per credential, tombstones included."""
        return {item.id: item.context.version for item in self._items.values()}

    def _metadata(self, item: Item) -> Metadata:
        return Metadata(
            id=item.id,
            provider=item.context.provider,
            name=item.context.credential,
            version=item.context.version,
            state=item.state,
            last4=item.last4,
            fingerprint=item.fingerprint,
            base_url=item.context.endpoint.url,
            auth=item.context.endpoint.auth,
            created_ms=item.created_ms,
            changed_ms=item.changed_ms,
            opens=item.state != "active" or item.id in self._opened,
            wrong=self._wrong.get(item.id, "") if item.state == "active" else "",
        )

    def _wrong_place(self, place: Endpoint) -> str | None:
        """Say why nothing is sent to an endpoint, whoever sealed it and whenever; None where it may be used."""
        wrong = endpoint.check(place)
        if wrong is not None:
            return f"the credential's endpoint is not valid: {wrong}"
        stranger = identity.foreign_host(place, self._identity_hosts)
        if stranger is None:
            return None
        return (
            f"{place.auth} would show this platform's identity to {stranger[:128]!r}, which is not its own: "
            "whoever starts the gateway can allow it (switchgear serve --identity-host HOST)"
        )

    def _open_fault(self, item: Item, exc: Exception) -> None:
        self._guard.caught(exc, credential=item.id)

    def _open(self, item: Item) -> None:
        self._wrong.pop(item.id, None)
        if item.state != "active":
            return
        wrong = self._wrong_place(item.context.endpoint)
        if wrong is not None:
            self._wrong[item.id] = wrong
            return
        try:
            secret = seal.open_sealed(item.blob, item.context, self._keys)
        except SealError:
            return
        try:
            line = seal.auth_line(secret, item.context.endpoint)
            query = seal.auth_query(secret, item.context.endpoint)
            auth = seal.authorizer_of(secret, item.context.endpoint)
        except SealError as exc:
            self._wrong[item.id] = str(exc)
            return
        if item.fingerprint != (now := seal.fingerprint(secret, self._keys)):  # of an earlier version's box
            item = self._items[item.id] = msgspec.structs.replace(item, fingerprint=now)
        self._opened[item.id] = OpenCredential(item, secret, line, query, seal.Redactor(secret), auth)

    def _save(self) -> None:
        write_durably(self._path, msgspec.msgpack.encode(_File(self.store_id, list(self._items.values()))), 0o600)
