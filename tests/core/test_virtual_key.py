"""Virtual keys: format, checksum, hashing."""

import hashlib
import os

from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import virtual_key


def test_C6_a_token_has_the_documented_form():
    key_id, token = virtual_key.mint(os.urandom)
    assert len(token) == 68
    assert token.startswith(f"sk-sg-{key_id}-")
    assert virtual_key.parse_id(token) == key_id


@given(st.integers(0, 67), st.sampled_from("0aZ-"))
def test_a_typing_error_is_noticed(at, char):
    _, token = virtual_key.mint(os.urandom)
    broken = token[:at] + char + token[at + 1 :]
    assert broken == token or virtual_key.parse_id(broken) is None


@given(st.text(max_size=80))
def test_garbage_has_no_id(text):
    assert virtual_key.parse_id(text) is None


def test_a_new_secret_keeps_the_id():
    key_id, first = virtual_key.mint(os.urandom)
    again, second = virtual_key.mint(os.urandom, key_id)
    assert again == key_id and first != second


def test_C6_the_stored_hash_needs_the_pepper():
    digest = virtual_key.digest("token")
    assert digest == hashlib.sha256(b"token").digest()
    assert virtual_key.keyed_hash(b"a" * 32, digest) != virtual_key.keyed_hash(b"b" * 32, digest)
