import hashlib

import msgspec
import pytest

from switchgear.store.macs import KEY_BYTES, RowMacs


def macs(key=b"k" * KEY_BYTES, store_id="s"):
    made = RowMacs(key)
    made.bind(store_id)
    return made


def test_a_mac_is_keyed_blake2b_over_store_table_and_values_with_one_reading():
    text = msgspec.msgpack.encode("s") + msgspec.msgpack.encode(("t", ("a", 1, None, b"x", [(b"m", 1)])))
    expected = hashlib.blake2b(text, key=b"k" * 32, digest_size=32, person=b"switchgear rows").digest()
    assert macs().of("t", "a", 1, None, b"x", [(b"m", 1)]) == expected


@pytest.mark.parametrize(
    ("other", "table", "values"),
    [
        (macs(key=b"j" * 32), "t", ("a", "b")),
        (macs(store_id="z"), "t", ("a", "b")),
        (macs(), "u", ("a", "b")),
        (macs(), "t", ("ab", "")),
        (macs(), "t", ("a", b"b")),
        (macs(), "t", ("a", "b", None)),
        (macs(), "t", ("b", "a")),
    ],
)
def test_a_mac_holds_for_its_key_its_store_its_table_and_its_values_alone(other, table, values):
    mac = macs().of("t", "a", "b")
    assert macs().holds(mac, "t", "a", "b")
    assert not other.holds(mac, table, *values)


@pytest.mark.parametrize("mac", [None, b"", 5, "text", b"x" * 32, 1.5])
def test_whatever_else_stands_in_its_place_is_no_mac(mac):
    assert not macs().holds(mac, "t", "a")


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(ValueError, match="32 bytes"):
        RowMacs(key)
