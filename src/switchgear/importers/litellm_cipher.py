"""Opens values that LiteLLM stored encrypted, in its three formats. Level 2.

Key material is the salt key (LITELLM_SALT_KEY), else the master key. Formats (its encrypt_decrypt_utils.py, read 2026-11):
base64url of NaCl's secretbox with SHA-256 of the salt; `v2:gcm:` AES-256-GCM with the same key; `v3:gcm:` AES-256-GCM with
HKDF-SHA256, info "litellm-at-rest-v3". Whoever calls makes a Secret of what is one; it goes to the vault only.
"""

import base64
import binascii
import hashlib
import importlib
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switchgear.core.errors import SealError, UserError

_INFO = b"litellm-at-rest-v3"
_NONCE = 12
VALUE_BYTES_MAX = 65_536


def open_value(text: str, salt_key: bytes) -> bytes:
    """Open one stored value. Raises SealError when the key does not fit, UserError when a library is missing."""
    if len(text) > VALUE_BYTES_MAX:
        raise SealError("the value is too long to be a credential")
    if text.startswith("v2:gcm:"):
        return _gcm(text[7:], hashlib.sha256(salt_key).digest())
    if text.startswith("v3:gcm:"):
        return _gcm(text[7:], HKDF(hashes.SHA256(), 32, None, _INFO).derive(salt_key))
    return _secretbox(_decoded(text), hashlib.sha256(salt_key).digest())


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise SealError("not an encrypted value") from None


def _gcm(text: str, key: bytes) -> bytes:
    raw = _decoded(text)
    try:
        return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], None)
    except (InvalidTag, ValueError):
        raise SealError("the salt key does not open this value") from None


def _secretbox(raw: bytes, key: bytes) -> bytes:
    try:
        secret: Any = importlib.import_module("nacl.secret")
        errors: Any = importlib.import_module("nacl.exceptions")
    except ImportError:
        raise UserError(
            "values of this age need PyNaCl, which is not installed",
            ".venv/bin/pip install --require-hashes -r requirements/litellm.txt",
        ) from None
    try:
        return bytes(secret.SecretBox(key).decrypt(raw))
    except (errors.CryptoError, ValueError, TypeError):
        raise SealError("the salt key does not open this value") from None
