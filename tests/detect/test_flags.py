# switchgear:allow-file: samples of what it finds
import pytest

from switchgear.detect.flags import FLAGS, found_in, words


@pytest.mark.parametrize("flag", [text for text, _, _ in FLAGS])
def test_a_flag_is_found_as_it_stands(flag):
    assert flag in [text for text, _, _ in found_in(f"ENV x {flag} y")]
    assert any(word in flag.lower() for word in words("f"))


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("  OLLAMA_HOST: 0.0.0.0", "OLLAMA_HOST=0.0.0.0"),
        ("WEBUI_AUTH: 'False'", "WEBUI_AUTH=False"),
        ("claude --permission-mode=bypassPermissions", "--permission-mode bypassPermissions"),
    ],
)
def test_a_flag_is_found_in_every_spelling(line, flag):
    assert [text for text, _, _ in found_in(line)] == [flag]


@pytest.mark.parametrize("line", ["OLLAMA_HOST=127.0.0.1", "WEBUI_AUTH=True", "--trust-no-code", ""])
def test_safe_settings_are_none(line):
    assert found_in(line) == []
