"""What a JSON body must satisfy before it is decoded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.steps import finish
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


def counts(value):
    """Containers and commas, as the standard library's parser finds them."""
    if isinstance(value, list | dict):
        inner = [counts(item) for item in (value.values() if isinstance(value, dict) else value)]
        return 1 + sum(c for c, _ in inner), max(0, len(value) - 1) + sum(v for _, v in inner)
    return 0, 0


@given(st.dictionaries(st.text(max_size=4), trees, max_size=5), st.integers(1, 9), st.booleans())
def test_a_scan_counts_what_a_parser_finds_wherever_it_is_cut(tree, slice_bytes, ascii_only):
    raw = json.dumps(tree, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return
    found = finish(json_guard.scan_steps(raw, names=True, slice_bytes=slice_bytes))
    assert (found.containers, found.values) == counts(tree)
    assert found.keys == len(tree)
    assert found.names == [json.loads(json.dumps(name)) for name in tree]


@given(st.binary(max_size=40), st.integers(1, 5))
def test_H4_a_scan_finds_what_is_not_utf8_wherever_it_is_cut(raw, slice_bytes):
    body = b'{"a":"' + raw.replace(b"\\", b"").replace(b'"', b"") + b'"}'
    try:
        body.decode()
        good = True
    except UnicodeDecodeError as exc:
        good = False
        start = exc.start
    if good:
        finish(json_guard.scan_steps(body, slice_bytes=slice_bytes))
        return
    with pytest.raises(JsonRefusedError, match=rf"\(byte {start}\)"):
        finish(json_guard.scan_steps(body, slice_bytes=slice_bytes))


@pytest.mark.parametrize("slice_bytes", [1, 2, 3, 7, 65_536])
def test_H4_names_are_found_as_often_as_they_stand(slice_bytes):
    raw = b'{"model":"a","mod\\u0065l":{"model":[1,"model"]},"x":"\\"model\\":","y\\\\":[[]], "model" : 3}'
    found = finish(json_guard.scan_steps(raw, names=True, slice_bytes=slice_bytes))
    assert found.names == ["model", "model", "x", "y\\", "model"]
    with pytest.raises(JsonRefusedError, match="stands twice"):
        json_guard.refuse_repeated(found.names, {"model"})


def test_H4_a_body_of_too_many_keys_is_refused():
    raw = b"{" + b",".join(b'"k%d":1' % n for n in range(json_guard.KEYS_MAX + 1)) + b"}"
    with pytest.raises(JsonRefusedError, match="more than 1000 keys"):
        finish(json_guard.scan_steps(raw))


def test_H4_numbers_of_any_length_do_not_hide_a_duplicate():
    raw = b'{"model":"small","n":%b,"model":"huge"}' % (b"9" * 5_000)
    with pytest.raises(JsonRefusedError):
        json_guard.check_duplicates(raw, (b'"model"',))
