"""Writing a client's file."""

import json
import stat

import pytest

from switchgear.cli.connect import write
from switchgear.core.errors import UserError
from switchgear.dialects.client_setup import CLIENT_SETUPS


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name):
    return write(CLIENT_SETUPS[name], "http://127.0.0.1:4100", "sk-sg-1", "demo/echo")[0]


def test_json_is_merged_and_the_old_file_kept(home):
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text('{"theme": "dark", "env": {"X": "1", "ANTHROPIC_BASE_URL": "old"}}')
    path = put("claude-code")
    found = json.loads(path.read_text())
    assert found["theme"] == "dark" and found["env"]["X"] == "1"
    assert found["env"]["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:4100"
    assert "old" in (home / ".claude" / "settings.json.before-switchgear").read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    assert put("claude-code").read_text() == before


def test_a_variable_in_an_env_file_is_replaced_and_the_others_stay(home):
    (home / ".gemini").mkdir()
    (home / ".gemini" / ".env").write_text("A=1\nGEMINI_API_KEY=old\n")
    lines = put("gemini-cli").read_text().splitlines()
    assert "A=1" in lines and "GEMINI_API_KEY=sk-sg-1" in lines and "GEMINI_API_KEY=old" not in lines


def test_a_file_that_cannot_be_merged_is_left_unchanged(home):
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text('model = "x"\n')
    with pytest.raises(UserError, match="cannot be merged"):
        put("codex")
    assert (home / ".codex" / "config.toml").read_text() == 'model = "x"\n'
    with pytest.raises(UserError, match="elsewhere"):
        put("cursor")


def test_json_with_comments_is_not_destroyed(home):
    (home / "opencode.json").write_text("// mine\n{}")
    with pytest.raises(UserError, match="not plain JSON"):
        put("opencode")


def test_a_client_with_two_files_gets_both_and_what_stood_in_them_stays(home):
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(
        '{"ui": {"theme": "x"}, "security": {"auth": {"selectedType": "gateway"}}}'
    )
    put("gemini-cli")
    found = json.loads((home / ".gemini" / "settings.json").read_text())
    assert found["ui"] == {"theme": "x"} and found["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert "GEMINI_MODEL=demo/echo" in (home / ".gemini" / ".env").read_text()


def test_where_one_file_cannot_be_merged_the_others_are_not_touched(home):
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text("// mine\n{}")
    with pytest.raises(UserError, match="not plain JSON"):
        put("gemini-cli")
    assert not (home / ".gemini" / ".env").exists()
