"""What a JSON body must satisfy before it is decoded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import json_guard
from switchgear.dialects.json_guard import JsonRefusedError

trees = st.recursive(
    st.none() | st.text(max_size=5),
    lambda t: st.lists(t, max_size=3) | st.dictionaries(st.text(max_size=3), t, max_size=3),
    max_leaves=20,
)


def depth(value):
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


@given(trees, st.integers(1, 6))
def test_H4_depth_is_what_a_parser_finds(tree, limit):
    raw = json.dumps(tree).encode()
    if depth(tree) > limit:
        with pytest.raises(JsonRefusedError):
            json_guard.check_depth(raw, limit)
    else:
        json_guard.check_depth(raw, limit)


def test_H4_duplicates_of_watched_keys_are_refused_at_the_top_only():
    watched = (b'"model"',)
    json_guard.check_duplicates(b'{"model":1,"x":{"model":2}}', watched)
    json_guard.check_duplicates(b'{"model":1,"x":"\\"model\\""}', watched)
    for bad in (b'{"model":1,"model":2}', b'{"mod\\u0065l":1,"model":2}'):
        with pytest.raises(JsonRefusedError):
            json_guard.check_duplicates(bad, watched)


def test_H4_text_must_be_utf8():
    json_guard.check_text("é".encode())
    with pytest.raises(JsonRefusedError):
        json_guard.check_text(b'"\xff"')


@pytest.mark.parametrize(
    "raw", [b"[" * 65 + b'"' + b'\\"' * 200_000, b"[" * 65 + b'"\\' * 200_000, b"[" * 65 + b'"' * 200_001]
)
def test_H4_a_string_that_never_ends_is_read_once(raw):
    """Quadratic before: hours for one megabyte. The decoder refuses it afterwards."""
    with pytest.raises(JsonRefusedError):
        json_guard.check_depth(raw)
