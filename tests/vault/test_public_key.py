"""The file with the public key, and what people compare of it."""

import base64
import hashlib

import msgspec
import pytest

from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.vault import public_key
from switchgear.vault.kek import KeyPair
from switchgear.vault.public_key import PublicKeyFile

PUBLIC = KeyPair(Secret(b"k" * 32)).public


def test_the_key_is_read_from_its_file(tmp_path):
    path = tmp_path / "public.json"
    path.write_bytes(msgspec.json.encode(PublicKeyFile(PUBLIC.kek_id, PUBLIC.raw, "/kek", "1:2:3")))
    assert public_key.read(path).raw == PUBLIC.raw


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"kek_id": "a"}'])
def test_without_a_good_file_there_is_no_vault(tmp_path, content):
    path = tmp_path / "vault" / "public.json"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(UserError, match="no vault"):
        public_key.read(path)


def test_the_fingerprint_is_written_as_openssh_writes_those_of_keys():
    public = PUBLIC
    text = base64.b64encode(hashlib.sha256(public.raw).digest()).decode().rstrip("=")
    assert public_key.fingerprint(public) == f"SHA256:{text}" and len(text) == 43
