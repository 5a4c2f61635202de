"""Settings of clients."""

import json
import re
import tomllib

import pytest
import yaml

from switchgear.dialects.client_setup import CLIENT_SETUPS, fill, render
from switchgear.dialects.registry import DIALECTS
from switchgear.testing.twins import judge

_PARSERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load, "env": str, "text": str}


@pytest.mark.parametrize("guide", CLIENT_SETUPS.values(), ids=lambda guide: guide.name)
def test_every_guide_fills_and_its_files_parse(guide):
    shown = render(guide, "http://h:4100", "sk-sg-1", "a/b")
    assert "http://h:4100" in shown
    assert not re.search(r"\{(root|v1|key|model)\}", shown)
    for one in guide.files:
        text = fill(one.text, "http://h:4100", "sk-sg-1", "a/b")
        assert one.form == "env" or _PARSERS[one.form](text)
        assert one.file in shown


def test_codex_asks_responses_at_the_gateway():
    found = tomllib.loads(fill(CLIENT_SETUPS["codex"].text, "http://h:4100", "sk-sg-1", "a/b"))
    assert found["model_providers"]["switchgear"]["base_url"] == "http://h:4100/v1"


def test_claude_code_gets_a_root_and_openai_clients_a_v1():
    assert dict(CLIENT_SETUPS["claude-code"].env)["ANTHROPIC_BASE_URL"] == "{root}"
    assert dict(CLIENT_SETUPS["openai"].env)["OPENAI_BASE_URL"] == "{v1}"


@pytest.mark.parametrize("field", ["plain", "stream", "tool_call"])
@pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.name)
def test_what_connect_asks_to_check_a_client_is_taken_by_a_provider_of_its_dialect(row, field):
    example = getattr(row.examples, field)
    if example is None:
        pytest.skip("its clients have no such call")
    body = json.dumps(example.body).replace("{model}", "m").encode()
    assert judge(row.name, "m", body) is None


@pytest.mark.parametrize("model", ["bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "fast"])
def test_qwen_code_shows_pictures_to_a_model_whose_name_it_does_not_know(model):
    """`resolveModelConfig` of @qwen-code/qwen-code 0.24.4: without `modalities`, what the beginning of the name says, else text alone."""
    guide = CLIENT_SETUPS["qwen-code"]
    settings = json.loads(fill(guide.also[0].text, "http://h:4100", "sk-sg-1", model))
    assert settings["model"] == {"name": model, "generationConfig": {"modalities": {"image": True}}}


def test_aider_shows_pictures_to_a_model_that_litellm_does_not_list():
    """aider.chat/docs/config/adv-model-settings.html, "Context window size and token costs": `.aider.model.metadata.json`, whose
    `supports_vision` decides (aider 0.86, `Coder.get_images_message`)."""
    guide = CLIENT_SETUPS["aider"]
    (metadata,) = guide.also
    found = json.loads(fill(metadata.text, "http://h:4100", "sk-sg-1", "bedrock/x"))
    assert metadata.file == ".aider.model.metadata.json"
    assert found["openai/bedrock/x"]["supports_vision"] is True
