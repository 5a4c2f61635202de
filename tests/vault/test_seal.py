"""Sealing: only the vault opens, and only in the place it was sealed for."""

import os

import msgspec
import pytest

from switchgear.core.errors import SealError
from switchgear.core.secret import Secret
from switchgear.providers import endpoint
from switchgear.vault import seal
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import SealContext

KEYS = KeyPair(Secret(bytes(range(32))))
SECRET = Secret(b"sk-provider-secret-123")
PLACE = endpoint.parse("https://api.example.com/v1")
CONTEXT = SealContext(provider="p", credential="c", version=5, endpoint=PLACE)


def test_C1_a_sealed_secret_opens_in_its_context():
    blob = seal.seal(SECRET, CONTEXT, KEYS.public)
    assert SECRET.reveal() not in blob
    assert seal.open_sealed(blob, CONTEXT, KEYS).reveal() == SECRET.reveal()


@pytest.mark.parametrize(
    "change",
    [
        {"provider": "q"},
        {"credential": "d"},
        {"version": 6},
        {"purpose": "management"},
        {"format": 2},
        *(
            {"endpoint": msgspec.structs.replace(PLACE, **{field: value})}
            for field, value in {
                "host": "evil.com",
                "port": 444,
                "scheme": "http",
                "path_prefix": "/v2",
                "auth": "x-api-key",
                "allow_private": True,
                "tls_trust": "pem",
                "proxy": "http://p",
            }.items()
        ),
    ],
)
def test_C1_changing_any_of_the_context_needs_the_secret_again(change):
    blob = seal.seal(SECRET, CONTEXT, KEYS.public)
    with pytest.raises(SealError):
        seal.open_sealed(blob, msgspec.structs.replace(CONTEXT, **change), KEYS)


def test_C1_damage_another_kek_and_garbage_do_not_open():
    blob = seal.seal(SECRET, CONTEXT, KEYS.public)
    for bad in (blob[:-1], blob[:-1] + bytes([blob[-1] ^ 1]), b"", b"SGS1", os.urandom(200)):
        with pytest.raises(SealError):
            seal.open_sealed(bad, CONTEXT, KEYS)
    with pytest.raises(SealError):
        seal.open_sealed(blob, CONTEXT, KeyPair(Secret(os.urandom(32))))


def test_two_seals_of_one_secret_differ():
    assert seal.seal(SECRET, CONTEXT, KEYS.public) != seal.seal(SECRET, CONTEXT, KEYS.public)


@pytest.mark.parametrize("value", [b"", b"a\r\nb", b"a b", b"\xff"])
def test_a_secret_that_cannot_stand_in_a_header_is_refused(value):
    with pytest.raises(SealError):
        seal.auth_line(Secret(value), PLACE)


def test_the_header_follows_the_scheme():
    assert seal.auth_line(SECRET, PLACE) == b"authorization: Bearer sk-provider-secret-123\r\n"
    assert seal.auth_line(SECRET, msgspec.structs.replace(PLACE, auth="x-api-key")).startswith(b"x-api-key: ")
    assert seal.auth_line(Secret(b""), msgspec.structs.replace(PLACE, auth="none")) == b""


def test_C9_the_secret_is_removed_from_what_leaves():
    redactor = seal.Redactor(SECRET)
    assert redactor.clean(b"key sk-provider-secret-123 is bad") == b"key [redacted] is bad"


def test_a_fingerprint_recognises_and_tells_nothing():
    assert seal.fingerprint(SECRET, KEYS) == seal.fingerprint(Secret(SECRET.reveal()), KEYS)
    assert seal.fingerprint(SECRET, KEYS) != seal.fingerprint(Secret(b"other"), KEYS)
    assert seal.is_same(SECRET, Secret(SECRET.reveal())) and not seal.is_same(SECRET, Secret(b"x"))


def test_C1_what_older_versions_sealed_opens():
    """The bytes that are bound, as version 0.1 of 2026-11-26 wrote them: a field that is new and says nothing changes none."""
    context = SealContext(provider="p", credential="c", version=1, endpoint=endpoint.parse("https://a.example/v1"))
    assert context.info() == (
        b'{"credential":"c","endpoint":{"allow_private":false,"auth":"bearer","auth_parameters":[],"host":"a.example","passthrough":[],'
        b'"path_prefix":"/v1","port":443,"proxy":"","query":"","scheme":"https","tls_trust":"system"},"format":1,"provider":"p",'
        b'"purpose":"inference","version":1}'
    )
    place = msgspec.structs.replace(context.endpoint, headers=(("x-a", "b"),))
    assert b'"headers":[["x-a","b"]]' in msgspec.structs.replace(context, endpoint=place).info()


def sealed_without(*fields):
    """Seal as a program did that did not know these fields of an endpoint."""
    values = msgspec.json.decode(CONTEXT.info())
    for name in fields:
        del values["endpoint"][name]
    info = msgspec.json.encode(values, order="sorted")
    kek_id = bytes.fromhex(KEYS.public.kek_id)
    return seal.MAGIC + kek_id + seal._SUITE.encrypt(SECRET.reveal(), KEYS.public.key, info)


@pytest.mark.parametrize(
    "fields", [("passthrough",), ("passthrough", "auth_parameters"), ("passthrough", "auth_parameters", "query")]
)
def test_C1_a_secret_that_an_older_program_sealed_opens_where_what_came_later_says_nothing(fields):
    blob = sealed_without(*fields)
    assert seal.open_sealed(blob, CONTEXT, KEYS).reveal() == SECRET.reveal()
    for change in (
        {"passthrough": ("GET /x",)},
        {"host": "evil.com"},
        {"headers": (("x-a", "b"),)},
        {"auth_parameters": (("a", "b"),)},
        {"query": "a=b"},
    ):
        moved = msgspec.structs.replace(CONTEXT, endpoint=msgspec.structs.replace(PLACE, **change))
        with pytest.raises(SealError):
            seal.open_sealed(blob, moved, KEYS)


def test_fields_that_came_later_are_known_with_what_they_say_where_nothing_is_said():
    values = msgspec.to_builtins(PLACE)
    assert [(name, values[name]) for name, _ in seal.LATER] == list(seal.LATER)
