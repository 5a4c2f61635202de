"""The table of paths, as people paste base URLs."""

import pytest

from switchgear.edge import paths


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (b"/v1/chat/completions", "chat"),
        (b"/chat/completions", "chat"),
        (b"/v1/v1/chat/completions", "chat"),
        (b"//v1//chat/completions", "chat"),
        (b"/v1/chat/completions/?x=1", "chat"),
        (b"/v1/embeddings", "embeddings"),
        (b"/v1/models", "models"),
        (b"/v1", "root"),
        (b"/", "root"),
        (b"/healthz", "healthz"),
        (b"/v1/key", "key"),
        (b"/v1/messages?beta=true", "messages"),
        (b"/messages", "messages"),
        (b"/v1/responses", "responses"),
        (b"/openai/responses", "responses"),
        (b"/openai/v1/chat/completions", "chat"),
        (b"/v2/chat", "chat"),
    ],
)
def test_a_known_path_is_found_as_its_endpoint(target, name):
    assert paths.find(target).endpoint.name == name


@pytest.mark.parametrize(
    "target", [b"/v2/chat/completions", b"/chat", b"/v1/chat/completions/x", b"/V1/models", b"/..", b"/v1/../models"]
)
def test_an_unknown_path_is_not_found(target):
    assert paths.find(target) is None


@pytest.mark.parametrize(
    ("target", "model"), [(b"/v1/models/openai/gpt-4o", "openai/gpt-4o"), (b"/v1/models/openai%2Fgpt", "openai/gpt")]
)
def test_a_models_id_may_hold_slashes(target, model):
    assert paths.find(target).rest == model


@pytest.mark.parametrize("before", [b"", b"/v1", b"/v1/projects/p/locations/l/publishers/anthropic"])
def test_vertexs_count_of_tokens_has_its_model_in_the_body(before):
    """Vertex AI, "Count tokens for Claude models": `count-tokens` stands where a model's name would (read 2026-11-27)."""
    found = paths.find(before + b"/models/count-tokens:rawPredict")
    assert (found.endpoint.operation, found.endpoint.dialect.name, found.rest) == ("count_tokens", "anthropic", "")


@pytest.mark.parametrize(
    ("target", "dialect", "model", "stream"),
    [
        (b"/v1beta/models/gemini-2.5-pro:generateContent", "gemini", "gemini-2.5-pro", False),
        (b"/models/a%2Fb:streamGenerateContent?alt=sse", "gemini", "a/b", True),
        (b"/v1beta/models/a/b:countTokens", "gemini", "a/b", False),
        (b"/v1/projects/p/locations/l/publishers/google/models/g:generateContent", "gemini", "g", False),
        (b"/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "anthropic", "c", True),
        (b"/model/us.nova-lite-v1%3A0/converse", "bedrock", "us.nova-lite-v1:0", False),
        (b"/model/a/b/converse-stream", "bedrock", "a/b", True),
        (b"/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", "openai", "gpt-4o", None),
        (b"/openai/deployments/openai/gpt-4o/chat/completions?api-version=1", "openai", "openai/gpt-4o", None),
        (b"/openai/deployments/openai%2Fgpt-4o/embeddings", "openai", "openai/gpt-4o", None),
        (b"/openai/deployments/team/gpt-5/responses?api-version=2025-03-01-preview", "responses", "team/gpt-5", None),
        (b"/openai/deployments/a/b/c/completions", "openai", "a/b/c", None),
        (b"/openai/deployments/a/audio/transcriptions", "openai", "a", None),
    ],
)
def test_paths_that_name_the_model(target, dialect, model, stream):
    match = paths.find(target)
    assert (match.endpoint.dialect.name, match.rest, match.endpoint.stream) == (dialect, model, stream)


def test_a_query_parameter_is_decoded():
    assert paths.query(b"/x?alt=sse&key=a%2Bb", b"key") == b"a+b"
    assert paths.query(b"/x", b"key") is None
