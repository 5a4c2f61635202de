import pytest

from switchgear.core.nearest import meant


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("keys", ["key", "model"], "; did you mean 'key'?"),
        ("opnai", ["openai", "azure"], "; did you mean 'openai'?"),
        ("claude", ["codex", "claude-code"], "; did you mean 'claude-code'?"),
        ("OpenAI", ["openai"], "; did you mean 'openai'?"),
        ("zzz", ["openai"], ""),
        ("", ["openai"], ""),
        ("x", [], ""),
    ],
)
def test_the_nearest_name_is_suggested_and_nothing_far(name, known, said):
    assert meant(name, known) == said
