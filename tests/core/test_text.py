"""Text from outside: capped, without controls, keys masked."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.text import clean, file_name, header_value, is_clean, is_deep, plain, shown, without_secrets


@given(st.text(max_size=200))
def test_S4_no_control_character_survives(text):
    cleaned = clean(text, 64)
    assert len(cleaned) <= 80
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200b" for c in cleaned)


def test_S4_a_text_like_a_key_is_masked():
    assert "abcdefghijklmnop1234" not in clean("x sk-proj-abcdefghijklmnop1234 y", 200)


@given(st.text(max_size=300))
def test_a_header_value_cannot_split_a_head(text):
    value = header_value(text)
    assert all(0x21 <= byte <= 0x7E for byte in value)


@pytest.mark.parametrize(
    "text",
    [
        "vllm --api-key hunter2hunter2 --port 80",
        "serve --auth_token=hunter2hunter2",
        "{'api_key': 'hunter2hunter2', 'x': 1}",
        'password: "hunter2hunter2"',
        "postgres://u:hunter2hunter2@h/x",
        "x sk-proj-hunter2hunter2hunter2 y",
        "SECRET hunter2hunter2",
        "--token hunter2" + "a" * 40,
    ],
)
def test_a_text_for_people_has_its_secrets_removed(text):
    assert "hunter2" not in without_secrets(text, 300)


@given(st.text(max_size=300), st.integers(2, 50))
def test_a_text_for_people_is_capped_and_can_be_encoded(text, most):
    shown = without_secrets(text, most)
    assert len(shown) <= most
    shown.encode()


def test_a_file_name_that_is_not_utf8_is_shown_by_its_bytes():
    assert file_name(os.fsdecode(b"a/\xff\xfe.env")) == "a/\\xff\\xfe.env"
    assert file_name("ü/日本") == "ü/日本"


@given(st.text(st.characters(categories=["Cs", "L", "Cc"]), max_size=80))
def test_a_cleaned_text_can_be_encoded(text):
    clean(text, 64).encode()


PIECES = st.sampled_from(
    [
        "sk",
        "pk",
        "rk",
        "sgat",
        "gsk",
        "xai",
        "AIza",
        "ghp",
        "hf",
        "-",
        "_",
        " ",
        "a1B2c3D4e5F6g7H8",
        "\x1b",
        "é",
        "s",
        "k",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_a_text_is_clean_where_cleaning_changes_nothing_whatever_key_is_in_it(words):
    if is_clean(words, 64):
        assert clean(words, 64) == words
    else:
        assert clean(words, 64) != words or len(words) > 64 or not words.isprintable() or len(words) <= 18


@pytest.mark.parametrize(
    ("text", "kept"),
    [("team red", "team red"), ("a\x00b\u202ec", "abc"), ("sk-proj-abcdefghijklmnop1234", "sk-proj-a")],
)
def test_a_name_that_an_administrator_gave_is_capped_without_controls_and_not_masked(text, kept):
    assert plain(text, 9) == kept[:9]


def test_a_piece_of_what_somebody_wrote_is_quoted_and_its_cut_is_seen():
    assert shown("it's\n") == repr("it's")
    assert shown("x" * 80) == repr("x" * 80)
    assert shown("x" * 81) == repr("x" * 80) + "…"


@pytest.mark.parametrize(
    ("text", "is_nested_deeper_than_three"),
    [
        ("[[[]]]", False),
        ("[[[[]]]]", True),
        ("[{[{}]}]", True),
        ("[]{}[]{}[]", False),
        ("]]]][[[", False),
        ("]]]][[[[", True),
        ("[[[ 'a' ]]] [[[ ]]]", False),
        ("", False),
    ],
)
def test_brackets_are_deep_by_how_many_are_open_at_once_and_not_by_their_number(text, is_nested_deeper_than_three):
    assert is_deep(text, 3) is is_nested_deeper_than_three
