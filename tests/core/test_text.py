"""Text from outside: capped, without controls, keys masked."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.text import clean, header_value


@given(st.text(max_size=200))
def test_S4_no_control_character_survives(text):
    cleaned = clean(text, 64)
    assert len(cleaned) <= 80
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200b" for c in cleaned)


def test_S4_what_looks_like_a_key_is_masked():
    assert "abcdefghijklmnop1234" not in clean("x sk-proj-abcdefghijklmnop1234 y", 200)


@given(st.text(max_size=300))
def test_a_header_value_cannot_split_a_head(text):
    value = header_value(text)
    assert all(0x21 <= byte <= 0x7E for byte in value)
