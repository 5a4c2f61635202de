"""Where the twins are."""

from switchgear.testing.twins.by_provider import BY_PROVIDER
from switchgear.testing.twins.providers import TWINS


def test_a_path_says_dialect_stream_and_model():
    assert TWINS["openai"].find("/v1/responses") == ("responses", None, None)
    assert TWINS["gemini"].find("/v1beta/models/g:streamGenerateContent") == ("gemini", True, "g")
    assert TWINS["bedrock"].find("/model/a%3Ab/converse") == ("bedrock", False, "a%3Ab")
    path = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude:streamRawPredict"
    assert TWINS["vertex-anthropic"].find(path) == ("anthropic", True, "claude")
    assert TWINS["openai"].find("/chat/completions") is None


def test_every_provider_with_rules_of_its_own_has_a_twin():
    assert set(BY_PROVIDER) <= set(TWINS)
