"""Every row of the catalogue is usable."""

import google.auth.credentials
import pytest
from anthropic import AnthropicVertex
from google import genai

from switchgear.app.layout import PriceFiles
from switchgear.config import schema
from switchgear.config.compile import build_provider, check_spec
from switchgear.dialects.registry import BY_NAME
from switchgear.providers import endpoint
from switchgear.providers.catalogue import GENERIC, PROVIDERS

GIVEN = {"resource": "acme", "region": "eu-central-1", "project": "p1", "location": "europe-west4", "account": "acme"}


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_a_row_builds_a_provider_and_its_prices_exist(row):
    spec = build_provider("mine", schema.Provider(kind=row.name, **GIVEN))
    assert spec.endpoint.scheme == "https" or row.allow_private
    assert "{" not in spec.endpoint.url + spec.endpoint.query
    assert check_spec(spec) is None and endpoint.check(spec.endpoint) is None
    assert set(spec.dialects) <= set(BY_NAME)
    assert row.pricing_id is None or PriceFiles().load(row.pricing_id) is not None


def test_a_missing_variable_is_named():
    with pytest.raises(ValueError, match="needs `resource`"):
        build_provider("azure", schema.Provider())
    with pytest.raises(ValueError, match="letters"):
        build_provider("azure", schema.Provider(resource="a/../b"))


def test_azure_has_two_shapes_and_vertex_a_global_one():
    assert build_provider("azure", schema.Provider(resource="a")).endpoint.path_prefix == "/openai/v1"
    older = build_provider("azure", schema.Provider(resource="a", api_version="2024-10-21"))
    assert older.endpoint.query == "api-version=2024-10-21" and "deployments" in older.quirks.paths["chat"]
    assert (
        build_provider("vertex", schema.Provider(project="p", location="global")).endpoint.host
        == "aiplatform.googleapis.com"
    )


@pytest.mark.parametrize("location", ["global", "us", "eu", "us-east5", "europe-west4"])
def test_each_location_of_vertex_is_asked_where_the_official_clients_ask(location):
    claude = AnthropicVertex(region=location, project_id="p", access_token="t")
    spec = build_provider("vertex-anthropic", schema.Provider(project="p", location=location))
    assert (
        spec.endpoint.url == f"{str(claude.base_url).rstrip('/')}/projects/p/locations/{location}/publishers/anthropic"
    )
    someone = google.auth.credentials.AnonymousCredentials()
    gemini = genai.Client(vertexai=True, project="p", location=location, credentials=someone)
    spec = build_provider("vertex", schema.Provider(project="p", location=location))
    host = gemini._api_client._http_options.base_url
    assert spec.endpoint.url == f"{host}v1/projects/p/locations/{location}/publishers/google"


@pytest.mark.parametrize("dialect", GENERIC)
def test_any_compatible_server_needs_only_a_url(dialect):
    spec = build_provider("mine", schema.Provider(dialect=dialect, base_url="https://ai.example.com/v1"))
    assert dialect in spec.dialects


def test_one_credential_may_authenticate_in_another_way_and_has_its_parameters():
    credential = schema.Credential(name="sp", auth="entra", sealed=True)
    given = {"tenant_id": "t", "client_id": "c"}
    spec = build_provider("azure", schema.Provider(resource="a", auth_parameters=given, credentials=[credential]))
    assert spec.place("sp").auth == "entra" and dict(spec.place("sp").auth_parameters) == given
