"""Settings of clients."""

import json
import tomllib

import pytest
import yaml

from switchgear.dialects.guides import GUIDES, fill, render


@pytest.mark.parametrize("guide", GUIDES.values(), ids=lambda guide: guide.name)
def test_every_guide_fills_and_its_file_parses(guide):
    text = fill(guide.text, "http://h:4100", "sk-sg-1", "a/b")
    shown = render(guide, "http://h:4100", "sk-sg-1", "a/b")
    assert "http://h:4100" in shown and "{" not in shown.replace("{{", "").split("#")[0].replace("${", "")
    if guide.form == "json":
        assert json.loads(text)
    elif guide.form == "toml":
        assert tomllib.loads(text)["model_providers"]["switchgear"]["base_url"] == "http://h:4100/v1"
    elif guide.form == "yaml":
        assert yaml.safe_load(text)


def test_claude_code_gets_a_root_and_openai_clients_a_v1():
    assert dict(GUIDES["claude-code"].env)["ANTHROPIC_BASE_URL"] == "{root}"
    assert dict(GUIDES["openai"].env)["OPENAI_BASE_URL"] == "{v1}"
