import base64
import hashlib

import pytest

from switchgear.app import sealing
from switchgear.app.layout import Layout
from switchgear.config import schema
from switchgear.config.compile import build_provider
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.vault import seal
from switchgear.vault.kek import KeyPair


def test_what_is_sealed_opens_in_its_place_only():
    keys = KeyPair(Secret(b"k" * 32))
    spec = build_provider("openai", schema.Provider())
    put = sealing.seal_one(spec, "default", Secret(b"sk-secret"), keys.public, 7)
    assert put.context.endpoint == spec.endpoint and put.context.version == 7
    assert seal.is_same(seal.open_sealed(put.blob, put.context, keys), Secret(b"sk-secret"))


def test_a_folder_without_a_vault(tmp_path):
    with pytest.raises(UserError, match="no vault"):
        sealing.read_public_key(Layout(tmp_path))


def test_the_fingerprint_is_written_as_openssh_writes_those_of_keys():
    public = KeyPair(Secret(b"k" * 32)).public
    text = base64.b64encode(hashlib.sha256(public.raw).digest()).decode().rstrip("=")
    assert sealing.fingerprint(public) == f"SHA256:{text}" and len(text) == 43
