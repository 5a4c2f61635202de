"""What an answer says of itself, bounded."""

from switchgear.dialects.answer_metadata import cap


def test_a_long_text_of_a_provider_is_cut():
    assert len(cap("x" * 500)) == 128 and cap(None) is None
