"""Where the platform's identity may be shown."""

import pytest

from switchgear.providers import endpoint
from switchgear.providers.endpoint import KEYLESS
from switchgear.providers.identity import PLATFORMS, foreign_host


def stranger(auth, url, trusted=frozenset(), **parameters):
    place = endpoint.parse(url, auth=auth, allow_private=True, auth_parameters=parameters)
    return foreign_host(place, trusted)


BEDROCK = "https://bedrock-runtime.eu-central-1.amazonaws.com"
VERTEX = "https://europe-west4-aiplatform.googleapis.com/v1"
AZURE = "https://acme.openai.azure.com/openai/v1"


def test_every_keyless_scheme_that_shows_something_is_bound():
    assert set(PLATFORMS) == KEYLESS - {"none"}


@pytest.mark.parametrize(
    ("auth", "url", "parameters"),
    [
        ("instance_role", BEDROCK, {}),
        ("web_identity", BEDROCK, {}),
        ("web_identity", BEDROCK, {"token_url": "https://sts.eu-central-1.amazonaws.com"}),
        ("web_identity", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn", {"token_url": "https://sts.cn-north-1.amazonaws.com.cn"}),
        ("web_identity", "https://vpce-0a1-b2.bedrock-runtime.us-east-1.vpce.amazonaws.com", {}),
        ("web_identity", "https://vpce-0a1-b2.bedrock-mantle.us-east-1.vpce.amazonaws.com", {}),
        ("web_identity", "https://bedrock-runtime.eusc-de-east-1.api.amazonwebservices.eu", {}),
        ("workload_identity", VERTEX, {"token_url": "https://sts.googleapis.com/v1/token"}),
        ("workload_identity", VERTEX, {"token_url": "https://sts.us-central1.rep.googleapis.com/v1/token"}),
        ("workload_identity", "https://aiplatform.googleapis.com/v1", {"impersonation_url": "https://iamcredentials.googleapis.com"}),
        ("entra_federated", AZURE, {"token_url": "https://login.microsoftonline.us/t/oauth2/v2.0/token"}),
        ("entra_federated", "https://acme.services.ai.azure.com/anthropic/v1", {}),
        ("managed_identity", AZURE, {}),
        ("none", "http://127.0.0.1:8000/v1", {}),
        ("bearer", "https://evil.example/v1", {"token_url": "https://evil.example"}),
    ],
)  # fmt: skip
def test_the_clouds_own_hosts_are_fine(auth, url, parameters):
    assert stranger(auth, url, **parameters) is None


@pytest.mark.parametrize(
    ("auth", "url", "parameters", "host"),
    [
        ("entra_federated", AZURE, {"token_url": "http://127.0.0.1:9/t"}, "127.0.0.1"),
        ("entra_federated", "https://evil.example/v1", {}, "evil.example"),
        ("managed_identity", "https://evil.azure-api.net/v1", {}, "evil.azure-api.net"),
        ("managed_identity", AZURE, {"token_url": "http://168.63.129.16"}, "168.63.129.16"),
        ("web_identity", BEDROCK, {"token_url": "https://sts.evil.amazonaws.com.evil.example"}, "sts.evil.amazonaws.com.evil.example"),
        ("web_identity", "https://x.execute-api.us-east-1.amazonaws.com", {}, "x.execute-api.us-east-1.amazonaws.com"),
        ("instance_role", "https://bedrock-runtime.eu-central-1.amazonaws.com.evil.example", {}, "bedrock-runtime.eu-central-1.amazonaws.com.evil.example"),
        ("workload_identity", VERTEX, {"impersonation_url": "https://evil.example"}, "evil.example"),
        ("workload_identity", "https://evil.run.app/v1", {}, "evil.run.app"),
    ],
)  # fmt: skip
def test_any_other_host_is_a_stranger_until_it_is_named(auth, url, parameters, host):
    assert stranger(auth, url, **parameters) == host
    assert stranger(auth, url, frozenset({host}), **parameters) is None
