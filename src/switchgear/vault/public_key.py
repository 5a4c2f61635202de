"""The public key of the vault, as a file beside its box: what secrets are sealed with. Level 3."""

import base64
import hashlib
from pathlib import Path

import msgspec

from switchgear.core.errors import UNREADABLE, UserError
from switchgear.vault.kek import PublicKey


class PublicKeyFile(msgspec.Struct):
    """Content of `public.json`."""

    kek_id: str
    public_key: bytes
    kek_path: str
    kek_stamp: str
    """Identity of the KEK file that it was derived from."""


def read(path: Path) -> PublicKey:
    """Return the key in `public.json`. Raises UserError before the vault ever ran."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=PublicKeyFile)
    except (OSError, *UNREADABLE):
        raise UserError(
            f"there is no vault in {path.parent.parent}", "start the gateway first: switchgear serve"
        ) from None
    return PublicKey(file.public_key)


def fingerprint(public: PublicKey) -> str:
    """Return what people compare of a vault's public key: SHA-256 of its 1,216 bytes, written as OpenSSH writes those of keys."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public.raw).digest()).decode().rstrip("=")
