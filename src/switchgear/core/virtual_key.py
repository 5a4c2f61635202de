"""The format of virtual keys: `sk-sg-` + 12 base62 (id) + `-` + 43 base62 (secret) + 6 base62 (CRC-32). Level 0.

The checksum rejects typing errors and most random scans before anything is looked up. Only keyed hashes are stored:
HMAC-SHA-256(pepper, SHA-256(token)). The inner hash is what other gateways store, so their keys can be imported.
"""

import hashlib
import hmac
import re
import zlib

from switchgear.core.ids import Entropy, KeyId, base62, random_base62

PREFIX = "sk-sg-"
TOKEN_LENGTH = 68
TOKEN_BYTES_MAX = 512
_TOKEN = re.compile(r"sk-sg-[0-9A-Za-z]{12}-[0-9A-Za-z]{49}")


def mint(entropy: Entropy, key_id: KeyId | None = None) -> tuple[KeyId, str]:
    """Make a token. Returns (its id, the token); pass `key_id` to make a new secret for an existing key."""
    identity = key_id or KeyId(random_base62(entropy, 12))
    body = f"{PREFIX}{identity}-{random_base62(entropy, 43)}"
    return identity, body + base62(zlib.crc32(body.encode()), 6)


def parse_id(token: str) -> KeyId | None:
    """Return the id inside a well-formed token whose checksum holds, else None."""
    if len(token) != TOKEN_LENGTH or not _TOKEN.fullmatch(token):
        return None
    if base62(zlib.crc32(token[:62].encode()), 6) != token[62:]:
        return None
    return KeyId(token[6:18])


def digest(token: str) -> bytes:
    """Return SHA-256 of the token: what config files may name a key by (as hex)."""
    return hashlib.sha256(token.encode()).digest()


def keyed_hash(pepper: bytes, token_digest: bytes) -> bytes:
    """Return the 32 bytes that are stored for a token; `pepper` is 32 random bytes known to control and edges."""
    return hmac.digest(pepper, token_digest, "sha256")
