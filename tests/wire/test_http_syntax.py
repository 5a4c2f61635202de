"""How fields and chunks are written."""

from switchgear.wire.http_syntax import encode_chunk, is_safe_header, join_repeated


def test_a_header_with_a_line_break_or_a_bad_name_is_unsafe():
    assert is_safe_header(b"accept", b"a b")
    assert not is_safe_header(b"accept", b"a\r\nb")
    assert not is_safe_header(b"ac cept", b"a")
    assert encode_chunk(b"abc") == b"3\r\nabc\r\n"


def test_fields_that_came_more_than_once_are_joined_with_commas():
    """RFC 9110 §5.3."""
    fields = [(b"a", b"1"), (b"b", b"x"), (b"a", b"2")]
    assert join_repeated(fields) == {b"a": b"1, 2", b"b": b"x"}
