from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect.finding import Fingerprint, masked, plain_identity, worse


def test_severities_stay_in_their_range():
    assert worse("high", 1) == "critical" == worse("critical", 3)
    assert worse("low", -1) == "info" == worse("info", -5)


def test_fingerprints_depend_on_the_installation():
    one, other = Fingerprint(b"1" * 32), Fingerprint(b"2" * 32)
    assert one.secret(b"k") == one.secret(b"k") != other.secret(b"k")
    assert one.identity("a", "bc") != one.identity("ab", "c")
    assert plain_identity("a", "b") == plain_identity("a", "b") != plain_identity("a", "c")


@given(st.binary(min_size=8, max_size=200), st.integers(0, 20))
def test_a_mask_shows_a_prefix_and_four_characters_at_most(value, shown):
    text = masked(value, shown)
    assert len(text) <= 14 + 1 + 4
    if len(value) < 24:
        assert text.endswith("…")


def test_a_short_secret_shows_no_end():
    assert masked(b"sk-1234", 0) == "…"
    assert masked(b"gsk_" + b"a" * 48 + b"WXYZ", 4) == "gsk_…WXYZ"
