import pytest
from tests.importers.test_litellm import entry, run

from switchgear.importers import litellm_defaults as defaults
from switchgear.importers.litellm_places import KINDS


def test_defaults_are_of_providers_that_are_taken_over():
    assert defaults.KEYS.keys() | defaults.BASES.keys() <= KINDS.keys()
    assert defaults.ACCOUNTS.keys() <= set(KINDS.values())


def test_the_first_variable_that_is_set_counts():
    assert defaults.first(("A", "B", "C"), {"B": "2", "C": "3", "A": ""}) == "B"
    assert defaults.first(("A",), {}) is None


@pytest.mark.parametrize(
    ("model", "name"),
    [
        # docs.litellm.ai/docs/providers/…, each page's first example (read 2026-11-27)
        ("anthropic/claude-sonnet-4", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY"),
        ("perplexity/sonar", "PERPLEXITYAI_API_KEY"),
        ("fireworks_ai/x", "FIREWORKS_API_KEY"),
        ("deepinfra/x", "DEEPINFRA_API_KEY"),
        ("xai/grok-4", "XAI_API_KEY"),
        ("voyage/voyage-3", "VOYAGE_API_KEY"),
    ],
)
def test_a_deployment_without_a_key_takes_its_providers_variable(model, name):
    assert list(run({"model_list": [entry("m", model=model)]}).environment.values()) == [name]
