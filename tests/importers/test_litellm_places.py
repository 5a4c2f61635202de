# switchgear:allow-file: samples
import pytest
from tests.importers.test_litellm import entry, models, run, said

from switchgear.cli.import_ import as_yaml, check
from switchgear.importers.litellm_places import KINDS, OPEN
from switchgear.providers.catalogue import PROVIDERS


@pytest.mark.parametrize(
    ("params", "provider", "upstream"),
    [
        ({"model": "gpt-4o"}, "openai", "gpt-4o"),
        ({"model": "claude-sonnet-4"}, "anthropic", "claude-sonnet-4"),
        ({"model": "anthropic/claude-sonnet-4"}, "anthropic", "claude-sonnet-4"),
        (
            {"model": "bedrock/converse/anthropic.claude", "aws_region_name": "eu-central-1"},
            "bedrock-eu-central-1",
            "anthropic.claude",
        ),
        (
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_project": "p", "vertex_location": "eu"},
            "vertex-eu",
            "gemini-2.5-pro",
        ),
        (
            {"model": "vertex_ai/claude-x", "vertex_project": "p", "vertex_location": "eu"},
            "vertex-anthropic-eu",
            "claude-x",
        ),
        ({"model": "azure/dep", "api_base": "https://acme.openai.azure.com"}, "azure-acme", "dep"),
        ({"model": "together_ai/meta/llama"}, "together", "meta/llama"),
        ({"model": "openai/qwen", "api_base": "http://10.0.0.5:8000/v1"}, "10.0.0.5", "qwen"),
        ({"model": "ollama/qwen3", "api_base": "http://localhost:11434"}, "ollama-localhost", "qwen3"),
        ({"model": "openrouter/openai/gpt-4o"}, "openrouter", "openai/gpt-4o"),
        ({"model": "x", "custom_llm_provider": "groq"}, "groq", "x"),
        ({"model": "openai/*"}, "openai", "*"),
    ],
)
def test_where_a_model_goes(params, provider, upstream):
    found = run({"model_list": [entry("m", **params)]})
    deployment = models(found)["m"]["deployments"][0]
    assert (deployment["provider"], deployment["model"]) == (provider, upstream)
    compiled, problems = check(as_yaml(found))
    assert problems == [] and compiled.models[0].deployments[0].provider == provider


def test_addresses_get_the_path_that_ours_have():
    found = run(
        {
            "model_list": [
                entry("a", model="ollama/x", api_base="http://h:11434"),
                entry("b", model="anthropic/x", api_base="https://proxy.example"),
            ]
        }
    )
    urls = {p.base_url for p in found.config.providers.values()}
    assert urls == {"http://h:11434/v1", "https://proxy.example/v1"}


def test_two_keys_are_two_credentials_of_one_provider():
    found = run(
        {
            "model_list": [
                entry("a", model="openai/a", api_key="os.environ/K1"),
                entry("b", model="openai/b", api_key="os.environ/K2"),
            ]
        }
    )
    assert [c.name for c in found.config.providers["openai"].credentials] == ["k1", "k2"]


def test_a_key_that_stands_in_the_file_goes_to_the_vault_and_into_no_text():
    secret = "sk-verysecretverysecretverysecret"
    found = run(
        {"model_list": [entry("a", model="openai/a", api_key=secret), entry("b", model="openai/b", api_key=secret)]}
    )
    assert list(found.secrets) == [("openai", "default")] and "sealed: true" in as_yaml(found)
    assert secret not in as_yaml(found) + repr(found) + str(found.lines)


def test_references_within_the_file_are_followed():
    raw = {
        "environment_variables": {"K": "sk-abcabcabcabcabcabc"},
        "credential_list": [
            {
                "credential_name": "eu",
                "credential_values": {"api_key": "os.environ/K", "api_base": "https://acme.openai.azure.com"},
            }
        ],
        "model_list": [entry("m", model="azure/x", litellm_credential_name="eu")],
    }
    found = run(raw)
    assert found.config.providers["azure-acme"].resource == "acme" and len(found.secrets) == 1


def test_every_kind_is_a_row_of_ours():
    assert {kind for kind in KINDS.values() if kind != OPEN} <= set(PROVIDERS)


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"model": "nobody/x"}, "model"),
        ({"model": "azure/x"}, "api_base"),
        ({"model": "bedrock/x"}, "aws_region_name"),
        ({"model": "openai_like/x"}, "api_base"),
        ({}, "model"),
    ],
)
def test_a_place_that_is_not_known_is_said(params, path):
    found = run({"model_list": [entry("m", **params)]})
    assert list(said(found)) == [f"model_list[0].litellm_params.{path}"] and found.config.models == {}


def test_keys_of_amazon_are_joined_for_the_vault():
    keys = {
        "aws_access_key_id": "AKIAABCDEFGHIJKLMNOP",
        "aws_secret_access_key": "s" * 40,
        "aws_region_name": "eu-west-1",
    }
    found = run({"model_list": [entry("m", model="bedrock/x", **keys)]})
    assert list(found.secrets) == [("bedrock-eu-west-1", "default")]
    role = run({"model_list": [entry("m", model="bedrock/x", aws_region_name="eu-west-1")]})
    assert role.config.providers["bedrock-eu-west-1"].auth == "instance_role"
