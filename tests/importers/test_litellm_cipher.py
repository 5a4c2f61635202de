import base64
import hashlib
import os
import sys

import nacl.secret
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switchgear.core.errors import SealError, UserError
from switchgear.importers.litellm_cipher import open_value

SALT = b"sk-salt-of-the-gateway"
VALUE = b"sk-proj-value"


def secretbox(value: bytes, salt: bytes) -> str:
    return base64.urlsafe_b64encode(nacl.secret.SecretBox(hashlib.sha256(salt).digest()).encrypt(value)).decode()


def gcm(value: bytes, key: bytes, prefix: str) -> str:
    nonce = os.urandom(12)
    return prefix + base64.urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, value, None)).decode()


def all_formats(value: bytes, salt: bytes) -> dict[str, str]:
    derived = HKDF(hashes.SHA256(), 32, None, b"litellm-at-rest-v3").derive(salt)
    return {
        "secretbox": secretbox(value, salt),
        "v2": gcm(value, hashlib.sha256(salt).digest(), "v2:gcm:"),
        "v3": gcm(value, derived, "v3:gcm:"),
    }


@pytest.mark.parametrize("name", ["secretbox", "v2", "v3"])
def test_each_format_opens_with_its_salt_and_with_no_other(name):
    text = all_formats(VALUE, SALT)[name]
    assert open_value(text, SALT) == VALUE
    with pytest.raises(SealError):
        open_value(text, b"another")


@pytest.mark.parametrize("name", ["secretbox", "v2", "v3"])
def test_a_changed_value_does_not_open(name):
    text = all_formats(VALUE, SALT)[name]
    for at in range(8, len(text) - 2, 5):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(SealError):
            open_value(changed, SALT)


@pytest.mark.parametrize("text", ["", "x", "v2:gcm:", "v3:gcm:!!", "ä", "v3:gcm:" + "A" * 100_000, "sk-plain-text-key"])
def test_a_malformed_encrypted_value_is_refused(text):
    with pytest.raises(SealError):
        open_value(text, SALT)


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nacl.secret", None)
    with pytest.raises(UserError, match="PyNaCl"):
        open_value(secretbox(VALUE, SALT), SALT)
