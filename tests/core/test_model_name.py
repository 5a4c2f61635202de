import pytest

from switchgear.core.model_name import NAME_CHARACTERS_MAX, NameTable, without_maker


@pytest.mark.parametrize(
    ("model", "plain"),
    [  # names of one model at Bedrock (its model ids and inference profiles), OpenRouter and the Gemini API
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1-20250805-v1:0"),
        ("global.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4-20250514-v1:0"),
        ("anthropic/Claude-Sonnet-4.5", "claude-sonnet-4.5"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b-1:0"),
        ("gpt-4.1", "gpt-4.1"),
    ],
)
def test_a_makers_prefix_is_taken_off_a_models_name(model, plain):
    assert without_maker(model) == plain


def test_a_long_name_is_cut():
    assert len(without_maker("x" * 10_000)) == NAME_CHARACTERS_MAX


def test_the_first_row_that_matches_a_whole_name_counts():
    table = NameTable([("a|b", 1), ("a-x", 2), ("c", 3)], r"(-\d+)?")
    assert [table.find(name) for name in ("a", "B-20", "a-x", "openai/c-1", "cc", "")] == [1, 1, 2, 3, None, None]
    assert NameTable([("gpt-5", 1)], ".*").find("gpt-5.6-mini") == 1
