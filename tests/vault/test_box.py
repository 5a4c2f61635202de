"""The box: versions only rise, removal leaves a tombstone, nothing reads."""

import hashlib

import msgspec
import pytest

from switchgear.core.errors import RefusedError, SealError
from switchgear.core.secret import Secret
from switchgear.providers import endpoint
from switchgear.testing.faults import LoudGuard
from switchgear.vault import seal
from switchgear.vault.box import RECOGNISE_MAX, Box, _File
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import SealContext
from switchgear.vault.verbs import CredentialCeilings, Put

KEYS = KeyPair(Secret(bytes(range(32))))
PLACE = endpoint.parse("https://api.example.com/v1")


def put(version, value=b"sk-secret-value-1", name="c", place=PLACE):
    context = SealContext(provider="p", credential=name, version=version, endpoint=place)
    return Put(context, seal.seal(Secret(value), context, KEYS.public))


def test_C3_a_box_opens_its_credentials_after_a_restart(tmp_path):
    Box(tmp_path, KEYS, LoudGuard()).put(put(1), 10)
    again = Box(tmp_path, KEYS, LoudGuard())
    assert again.find("p/c").secret.reveal() == b"sk-secret-value-1"
    assert not again.is_empty and again.unopened == []


def test_C3_a_version_that_does_not_rise_is_refused(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(5), 1)
    for version in (4, 5):
        with pytest.raises(RefusedError):
            box.put(put(version, b"sk-other-value"), 1)
    assert box.put(put(6, b"sk-other-value"), 1).version == 6


def test_C3_a_removed_credential_does_not_come_back(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    old = put(5)
    box.put(old, 1)
    box.set_state("p/c", "removed", 2)
    assert box.find("p/c") is None
    with pytest.raises(RefusedError):
        Box(tmp_path, KEYS, LoudGuard()).put(old, 3)
    assert Box(tmp_path, KEYS, LoudGuard()).versions() == {"p/c": 5}
    assert Box(tmp_path, KEYS, LoudGuard()).list() == []
    with pytest.raises(RefusedError):
        box.set_state("p/c", "active", 4)


def test_the_same_secret_in_the_same_place_is_no_change(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    first = box.put(put(1), 10)
    assert box.put(put(2), 20) == first
    assert box.put(put(3, place=msgspec.structs.replace(PLACE, port=444)), 30).version == 3


def test_disabled_is_not_found_and_comes_back(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(1), 1)
    box.set_state("p/c", "disabled", 2)
    assert box.find("p/c") is None
    box.set_state("p/c", "active", 3)
    assert box.find("p/c") is not None
    with pytest.raises(RefusedError):
        box.set_state("p/nobody", "disabled", 4)


def test_C4_metadata_and_the_file_hold_no_secret(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    shown = msgspec.json.encode(box.put(put(1), 1))
    assert b"sk-secret-value" not in shown and b'"last4":"ue-1"' in shown
    assert b"sk-secret-value" not in (tmp_path / "box").read_bytes()


def test_another_kek_opens_nothing_and_says_so(tmp_path):
    Box(tmp_path, KEYS, LoudGuard()).put(put(1), 1)
    other = Box(tmp_path, KeyPair(Secret(b"x" * 32)), LoudGuard())
    assert other.unopened == ["p/c"] and other.is_foreign
    assert other.find("p/c") is None
    assert [m.opens for m in other.list()] == [False]


def test_a_box_is_foreign_only_when_all_of_it_is(tmp_path):
    empty = Box(tmp_path, KEYS, LoudGuard())
    assert not empty.is_foreign
    empty.put(put(1), 1)
    assert not Box(tmp_path, KEYS, LoudGuard()).is_foreign


def test_a_damaged_file_is_an_error_not_an_empty_box(tmp_path):
    Box(tmp_path, KEYS, LoudGuard()).put(put(1), 1)
    (tmp_path / "box").write_bytes(b"garbage")
    with pytest.raises(SealError):
        Box(tmp_path, KEYS, LoudGuard())


def test_S1_a_box_belongs_to_one_store(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.bind_store("a")
    Box(tmp_path, KEYS, LoudGuard()).bind_store("a")
    with pytest.raises(RefusedError):
        Box(tmp_path, KEYS, LoudGuard()).bind_store("b")
    assert CredentialCeilings().concurrency > 0


# recognising (decision 016)


def digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def test_C4_a_secret_is_recognised_by_its_digest_and_nothing_else_is_told(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(1, b"sk-secret-value-one"), 10)
    found = box.recognise([digest(b"sk-secret-value-one"), digest(b"sk-another"), b"", b"x" * 99])
    assert found == {digest(b"sk-secret-value-one").hex(): "p/c"}
    box.set_state("p/c", "disabled", 11)
    assert box.recognise([digest(b"sk-secret-value-one")]), "a disabled credential still works at its provider"
    box.set_state("p/c", "removed", 12)
    assert box.recognise([digest(b"sk-secret-value-one")]) == {}


def test_a_question_is_bounded(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(1, b"sk-secret-value-one"), 10)
    many = [digest(bytes([n % 256, n // 256])) for n in range(RECOGNISE_MAX)]
    assert box.recognise([*many, digest(b"sk-secret-value-one")]) == {}


def test_fingerprints_of_an_earlier_version_are_renewed(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(1, b"sk-secret-value-one"), 10)
    (item,) = box._items.values()
    box._items[item.id] = msgspec.structs.replace(item, fingerprint="0" * 32)
    box._save()
    again = Box(tmp_path, KEYS, LoudGuard())
    assert again.recognise([digest(b"sk-secret-value-one")])


def test_a_credential_that_cannot_be_opened_for_any_reason_is_one_that_does_not_open(tmp_path, monkeypatch):
    first = Box(tmp_path, KEYS, LoudGuard())
    first.put(put(1), 10)
    real = seal.auth_line
    monkeypatch.setattr(seal, "auth_line", lambda *arguments: {}["sk-canary"])
    guard = LoudGuard()
    again = Box(tmp_path, KEYS, guard)
    assert again.unopened == ["p/c"] and [item.opens for item in again.list()] == [False]
    assert guard.faults == 1 and guard.said[0][1]["credential"] == "p/c" and "canary" not in str(guard.said)
    monkeypatch.setattr(seal, "auth_line", real)
    assert again.set_state("p/c", "active", 20).opens


def test_a_disabled_credential_stays_so_until_it_is_enabled_or_replaced(tmp_path):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(1), 1)
    box.set_state("p/c", "disabled", 2)
    again = put(3)
    assert box.put(again, 3).state == "disabled", "a configuration that is applied again"
    assert box.put(again, 3).state == "disabled", "asked again after a lost answer"
    box = Box(tmp_path, KEYS, LoudGuard())
    assert box.put(put(4, place=msgspec.structs.replace(PLACE, port=444)), 4).state == "disabled"
    assert box.find("p/c") is None
    assert box.set_state("p/c", "active", 5).state == "active"
    assert box.find("p/c") is not None
    box.set_state("p/c", "disabled", 6)
    assert box.put(put(7, b"sk-another-secret"), 7).state == "active"


@pytest.mark.parametrize(
    "change",
    [
        {"headers": (("x-a", "b\r\n\r\nDELETE /v1 HTTP/1.1"),)},
        {"headers": (("content-length", "3"),)},
        {"headers": (("x-a", "\u00e9"),)},
        {"path_prefix": "/v1 HTTP/1.1\r\nx: y"},
        {"host": "\u00e9.example"},
        {"proxy": "abc"},
    ],
)
def test_C1_a_credential_for_a_place_that_splits_a_request_is_refused_whoever_sealed_it(tmp_path, change):
    box = Box(tmp_path, KEYS, LoudGuard())
    with pytest.raises(RefusedError, match="endpoint is not valid"):
        box.put(put(1, place=msgspec.structs.replace(PLACE, **change)), 1)
    assert box.is_empty and box.find("p/c") is None


BAD_PLACES = [
    (PLACE, {"headers": (("x-a", "b\r\nx: y"),)}, "endpoint is not valid: "),
    (PLACE, {"path_prefix": "/v1/../admin"}, "endpoint is not valid: "),
    (PLACE, {"auth": "instance_role"}, "platform's identity"),
]


@pytest.mark.parametrize(("place", "change", "why"), BAD_PLACES)
def test_C1_what_an_older_version_took_and_this_one_refuses_is_not_used_and_told(tmp_path, place, change, why):
    box = Box(tmp_path, KEYS, LoudGuard())
    box.put(put(1), 1)
    box.put(put(1, name="good"), 1)
    file = msgspec.msgpack.decode((tmp_path / "box").read_bytes(), type=_File)
    context = msgspec.structs.replace(file.items[0].context, endpoint=msgspec.structs.replace(place, **change))
    older = msgspec.structs.replace(
        file.items[0], context=context, blob=seal.seal(Secret(b"sk-1"), context, KEYS.public)
    )
    (tmp_path / "box").write_bytes(msgspec.msgpack.encode(_File(file.store_id, [older, file.items[1]])))
    again = Box(tmp_path, KEYS, LoudGuard())
    assert again.find("p/c") is None and again.find("p/good") is not None
    told = {one.id: one for one in again.list()}
    assert not told["p/c"].opens and why in told["p/c"].wrong
    assert told["p/good"].opens and told["p/good"].wrong == ""
    again.put(put(2), 2)
    assert again.find("p/c") is not None and {one.wrong for one in again.list()} == {""}
