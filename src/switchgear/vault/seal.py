"""Sealing a credential to the vault and to one place. Level 3 (docs/invariants.md C1).

Blob = magic | format | kek id (8) | HPKE ciphertext (RFC 9180; enc | ct). The context (purpose, provider, credential,
version, endpoint, trust, proxy, allow_private) is HPKE's `info`: a blob that is moved to another credential or host does
not open. This is the only module that reveals secrets.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from switchgear.core.errors import SealError
from switchgear.core.secret import Secret
from switchgear.providers.endpoint import AUTH_HEADERS, Endpoint
from switchgear.vault.auth import Authorizer, authorizer
from switchgear.vault.kek import KeyPair, PublicKey

MAGIC = b"SGS1"
SECRET_BYTES_MAX = 16_384
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


LATER: tuple[tuple[str, Any], ...] = (("passthrough", ()), ("auth_parameters", ()), ("query", ""))
"""Fields of an endpoint that came before `info` left out what says nothing, newest first, with what they say where nothing is
said: a secret that was sealed before them opens where they say nothing. None is added: `info` leaves out a new one."""


class SealContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a secret is bound to. Changing any of it needs the secret again."""

    provider: str
    credential: str
    version: int
    """Milliseconds since the epoch at sealing: versions only rise."""
    endpoint: Endpoint
    purpose: str = "inference"
    format: int = 1

    def info(self) -> bytes:
        """Return the bytes that are bound into the seal: canonical JSON. What an older version did not know is left out where it
        says nothing: its blobs open."""
        return msgspec.json.encode(self._bound(), order="sorted")

    def _bound(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        if not self.endpoint.headers:
            del plain["endpoint"]["headers"]
        return plain

    def infos(self) -> Iterator[bytes]:
        """Return what programs bound that knew fewer fields of an endpoint, newest first: this one's, then without the fields of
        LATER one after the other, as long as they say nothing here."""
        yield self.info()
        values = self._bound()
        if self.endpoint.headers:
            return
        for name, nothing in LATER:
            if values["endpoint"].pop(name) != nothing:
                return
            yield msgspec.json.encode(values, order="sorted")


def seal(secret: Secret, context: SealContext, public: PublicKey) -> bytes:
    """Seal a secret. Anybody with the public key can; only the vault can open."""
    value = secret.reveal()
    if len(value) > SECRET_BYTES_MAX:
        raise SealError(f"a credential may have at most {SECRET_BYTES_MAX} bytes")
    kek_id = bytes.fromhex(public.kek_id)
    return MAGIC + kek_id + _SUITE.encrypt(value, public.key, context.info())


def is_for(blob: bytes, keys: KeyPair) -> bool:
    """Tell whether a blob names this KEK."""
    return blob[4:12] == bytes.fromhex(keys.public.kek_id)


def open_sealed(blob: bytes, context: SealContext, keys: KeyPair) -> Secret:
    """Open a blob in its context. Raises SealError for another KEK, another context or damage."""
    if blob[:4] != MAGIC:
        raise SealError("not a sealed credential")
    if not is_for(blob, keys):
        raise SealError("sealed for another KEK")
    for info in context.infos():
        try:
            return Secret(_SUITE.decrypt(blob[12:], keys.private, info))
        except (InvalidTag, ValueError):
            continue
    raise SealError("does not open: damaged, or sealed for another credential or endpoint")


def fingerprint(secret: Secret, keys: KeyPair) -> str:
    """Return a keyed hash that recognises a secret without telling anything about it."""
    return fingerprint_of(hashlib.sha256(secret.reveal()).digest(), keys)


def fingerprint_of(digest: bytes, keys: KeyPair) -> str:
    """Return the fingerprint of a secret whose SHA-256 somebody brings: what `discover` asks about keys it found."""
    return hmac.new(keys.fingerprint_key, digest, hashlib.sha256).hexdigest()[:32]


def is_same(one: Secret, other: Secret) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one.reveal(), other.reveal())


def auth_line(secret: Secret, endpoint: Endpoint) -> bytes:
    """Return the header line that presents the secret, or nothing for `auth: none`. Raises SealError for bytes that
    cannot stand in a header."""
    scheme = endpoint.auth
    prefix = AUTH_HEADERS.get(scheme)
    if prefix is None and scheme.startswith("header:"):
        prefix = scheme[7:].encode() + b": "
    if prefix is None:
        return b""
    value = secret.reveal()
    if not value or any(byte <= 0x20 or byte >= 0x7F for byte in value):
        raise SealError("the credential has characters that cannot stand in a header (a newline?)")
    return prefix + value + b"\r\n"


def auth_query(secret: Secret, endpoint: Endpoint) -> str:
    """Return the query parameter that presents the secret, or "" for other schemes. Raises SealError."""
    if endpoint.auth != "query":
        return ""
    value = secret.reveal()
    if not re.fullmatch(rb"[A-Za-z0-9._~-]{1,1024}", value):
        raise SealError("the credential has characters that cannot stand in a query")
    return "key=" + value.decode("ascii")


def authorizer_of(secret: Secret, endpoint: Endpoint) -> Authorizer | None:
    """Return what signs requests with a secret or trades it for tokens; None where it is sent as it is. Raises SealError
    for a secret that is not of the scheme's form."""
    return authorizer(secret.reveal(), endpoint)


def webhook_signer(secret: Secret) -> Callable[[str, int, bytes], bytes]:
    """Return what signs a message (id, time in seconds, body) for a webhook, as the value of `webhook-signature`. Raises SealError
    for a secret that is none: base64 of 24 to 64 bytes, with `whsec_` before it.

    Source: Standard Webhooks 1.0.0, "Signature scheme" (github.com/standard-webhooks/standard-webhooks, read 2026-11-28).
    """
    try:
        key = base64.b64decode(secret.reveal().removeprefix(b"whsec_"), validate=True)
    except binascii.Error:
        raise SealError("the secret of a webhook must be base64, as whsec_… is") from None
    if not 24 <= len(key) <= 64:
        raise SealError("the secret of a webhook must have 24 to 64 bytes")

    def sign(message_id: str, time_s: int, body: bytes) -> bytes:
        signed = b"%s.%d.%s" % (message_id.encode(), time_s, body)
        return b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))

    return sign


class Redactor:
    """Removes one credential's secrets from bytes that leave the vault (C9)."""

    __slots__ = ("_all", "_minted", "_values")

    def __init__(self, secret: Secret) -> None:
        value = secret.reveal()
        parts = re.split(rb"[\s\"':,{}]+", value) if len(value) > 64 or b":" in value else []
        self._values = [value, *(part for part in parts if len(part) >= 16)]
        self._values = [value for value in dict.fromkeys(self._values) if len(value) >= 8]
        self._minted: list[bytes] = []
        self._all = tuple(self._values)

    def watch(self, minted: list[bytes]) -> None:
        """Remove these, too: what the secret was traded for. The last four of those before are removed as well."""
        self._minted = [*self._minted[-4:], *minted]
        self._all = (*self._values, *self._minted)

    def clean(self, data: bytes) -> bytes:
        """Return the data without the secrets."""
        for value in self._values:
            if value in data:
                data = data.replace(value, b"[redacted]")
        for value in self._minted:
            if value in data:
                data = data.replace(value, b"[redacted]")
        return data

    def stream(self, held: bytes, data: bytes, is_last: bool) -> tuple[bytes, bytes]:
        """Return (what may go on, what is held back): the next piece of a body, behind what was held of those before. An end that
        a secret could begin with waits for the next piece."""
        if held:
            data = held + data
        for value in self._all:
            if value in data:
                data = data.replace(value, b"[redacted]")
        if is_last or data.endswith(b"\n"):
            return data, b""  # an event's end, mostly: no secret has a line's end in it
        for value in self._all:
            begin = value[:1]
            at = data.find(begin, max(0, len(data) - len(value) + 1))
            while at >= 0:
                if value.startswith(data[at:]):
                    return data[:at], data[at:]
                at = data.find(begin, at + 1)
        return data, b""
