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


AZURE_ENV = {
    "AZ_BASE": "https://acme.openai.azure.com/",
    "AZ_VERSION": "2024-10-21",
    "CHOSEN": "openai/gpt-4o",
    "FOREIGN": "https://ai.acme.example/azure",
}


def test_what_the_environment_says_is_read_everywhere():
    """LiteLLM, "All settings": `os.environ/NAME` may stand for any value (docs/proxy/config_settings, read 2026-11-27)."""
    azure = {"model": "azure/prod", "api_version": "os.environ/AZ_VERSION", "api_key": "os.environ/AZ_KEY"}
    raw = {
        "model_list": [
            entry("one", **azure, api_base="os.environ/AZ_BASE", timeout="os.environ/SECONDS"),
            entry("two", model="os.environ/CHOSEN", api_key="os.environ/AZ_KEY"),
            entry("three", **azure, api_base="os.environ/FOREIGN"),
        ],
        "environment_variables": {"SECONDS": "45"},
    }
    found = run(raw, environ=AZURE_ENV)
    provider = found.config.providers["azure-acme"]
    assert (provider.kind, provider.resource, provider.api_version) == ("azure-deployments", "acme", "2024-10-21")
    assert found.config.providers["azure-ai.acme.example"].base_url == "https://ai.acme.example/azure/openai"
    got = models(found)
    assert got["two"]["deployments"][0]["model"] == "gpt-4o" and got["one"]["timeouts"]["first_byte_s"] == 45
    assert {*found.environment.values()} == {"AZ_KEY"} and found.is_complete
    assert check(as_yaml(found))[1] == []


@pytest.mark.parametrize(
    ("environ", "params", "region"),
    [
        ({"AWS_REGION_NAME": "eu-north-1", "AWS_REGION": "us-east-1"}, {"model": "bedrock/x"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "us-east-2"}, {"model": "bedrock/x"}, "us-east-2"),
        ({"AWS_REGION": "us-east-1"}, {"model": "bedrock/eu-central-1/x"}, "eu-central-1"),
        (
            {"AWS_REGION": "us-east-1"},
            {"model": "bedrock/arn:aws:bedrock:sa-east-1:1:inference-profile/x"},
            "sa-east-1",
        ),
        ({}, {"model": "bedrock/x"}, "us-west-2"),
    ],
)
def test_bedrocks_region_is_the_one_that_litellm_takes(environ, params, region):
    """LiteLLM, "AWS Bedrock" and `base_aws_llm._get_aws_region_name`: said, in the model's name or ARN, of the environment,
    us-west-2 (read 2026-11-27)."""
    found = run({"model_list": [entry("m", **params)]}, environ=environ)
    assert [p.region for p in found.config.providers.values()] == [region] and check(as_yaml(found))[1] == []


def test_keys_of_the_environment_have_litellms_default_names():
    raw = {"model_list": [entry("a", model="groq/x"), entry("b", model="together_ai/y"), entry("c", model="bedrock/z")]}
    found = run(
        raw, environ={"TOGETHER_API_KEY": "t", "AWS_ACCESS_KEY_ID": "AKIAABCDEFGH", "AWS_SECRET_ACCESS_KEY": "s" * 40}
    )
    assert set(found.environment.values()) == {"GROQ_API_KEY", "TOGETHER_API_KEY"}
    assert list(found.secrets) == [("bedrock-us-west-2", "default")] and "AKIA" not in as_yaml(found)


def test_google_is_asked_as_whom_the_file_or_the_environment_says():
    vertex = {"model": "vertex_ai/gemini-2.5-pro", "vertex_project": "p", "vertex_location": "global"}
    found = run({"model_list": [entry("m", **vertex, vertex_credentials="/etc/sa.json")]})
    assert found.files == {("vertex-global", "file"): "/etc/sa.json"} and "file: /etc/sa.json" in as_yaml(found)
    found = run({"model_list": [entry("m", model="vertex_ai/meta/llama-4")]}, environ={"VERTEXAI_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": "/x.json"})  # fmt: skip
    (provider,) = found.config.providers.values()
    assert (
        provider.base_url
        == "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi"
    )
    assert provider.auth == "google" and list(found.files.values()) == ["/x.json"] and check(as_yaml(found))[1] == []


def test_header_fields_of_a_deployment_are_its_providers():
    fields = {"HTTP-Referer": "https://app.example", "Authorization": "Bearer x", "x-org": "os.environ/ORG"}
    raw = {"model_list": [entry("m", model="openrouter/x", api_key="os.environ/K", extra_headers=fields)]}
    found = run(raw, environ={"ORG": "acme"})
    assert found.config.providers["openrouter"].headers == {"http-referer": "https://app.example", "x-org": "acme"}
    assert list(said(found)) == ["model_list[0].litellm_params.extra_headers.Authorization"]


def test_azure_by_entra_and_foundry_have_their_places():
    entra = {"tenant_id": "t", "client_id": "c", "client_secret": "os.environ/SECRET"}
    foundry = "https://acme.services.ai.azure.com/models"
    raw = {
        "model_list": [
            entry("a", model="azure/d", api_base="https://acme.openai.azure.com", **entra),
            entry("b", model="azure_ai/claude-sonnet-4-5", api_base=foundry, api_key="os.environ/K"),
            entry("c", model="azure_ai/DeepSeek-V3", api_base=foundry, api_key="os.environ/K"),
        ]
    }
    found = run(raw)
    a, b, c = found.config.providers.values()
    assert (a.auth, a.auth_parameters) == ("entra", {"tenant_id": "t", "client_id": "c"})
    assert (b.dialect, b.base_url) == ("anthropic", "https://acme.services.ai.azure.com/anthropic/v1")
    assert (c.auth, c.base_url) == ("api-key", "https://acme.services.ai.azure.com/openai/v1")
    assert found.is_complete and check(as_yaml(found))[1] == []


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
        ({"model": "bedrock/agent/x"}, "model"),
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
