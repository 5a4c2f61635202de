"""Sealing for the vault of a data folder: what `serve`, `credential add` and `config apply` do with a secret. Level 6."""

import base64
import hashlib

import msgspec

from switchgear.app.layout import Layout, PublicKeyFile
from switchgear.config.compile import ProviderSpec
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.vault import seal
from switchgear.vault.kek import PublicKey
from switchgear.vault.seal import SealContext
from switchgear.vault.verbs import Ceilings, Put


def seal_one(spec: ProviderSpec, name: str, secret: Secret, public: PublicKey, now_ms: int) -> Put:
    """Seal one credential to its provider's endpoint."""
    context = SealContext(provider=spec.name, credential=name, version=now_ms, endpoint=spec.place(name))
    ceilings = spec.ceilings.get(name)
    bounds = (
        Ceilings()
        if ceilings is None
        else Ceilings(
            requests_per_s=ceilings.requests_per_s,
            concurrency=ceilings.concurrency,
            bytes_per_hour=ceilings.bytes_per_hour,
        )
    )
    return Put(context, seal.seal(secret, context, public), bounds)


def read_public_key(layout: Layout) -> PublicKey:
    """Return the vault's public key. Raises UserError before the vault ever ran."""
    try:
        file = msgspec.json.decode(layout.public_key.read_bytes(), type=PublicKeyFile)
    except (OSError, msgspec.DecodeError):
        raise UserError(f"there is no vault in {layout.data}", "start the gateway first: switchgear serve") from None
    return PublicKey(file.public_key)


def fingerprint(public: PublicKey) -> str:
    """Return what people compare of a vault's public key: SHA-256 of its 1,216 bytes, written as OpenSSH writes those of keys."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public.raw).digest()).decode().rstrip("=")
