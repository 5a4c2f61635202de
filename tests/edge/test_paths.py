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
    ],
)
def test_known_paths(target, name):
    assert paths.find(target)[0].name == name


@pytest.mark.parametrize(
    "target", [b"/v2/chat/completions", b"/chat", b"/v1/chat/completions/x", b"/V1/models", b"/..", b"/v1/../models"]
)
def test_unknown_paths(target):
    assert paths.find(target)[0] is None


@pytest.mark.parametrize(
    ("target", "model"), [(b"/v1/models/openai/gpt-4o", b"openai/gpt-4o"), (b"/v1/models/openai%2Fgpt", b"openai/gpt")]
)
def test_a_models_id_may_hold_slashes(target, model):
    assert paths.find(target)[1] == model
