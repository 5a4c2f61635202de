"""Embeddings between dialects."""

import json

import pytest

from switchgear.core.usage import TokenUsage
from switchgear.dialects import embeddings
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.registry import DIALECTS
from switchgear.dialects.request_reader import parse
from switchgear.dialects.translation import open_translation
from switchgear.providers.catalogue import PROVIDERS
from switchgear.providers.quirks import Quirks

BODIES = {
    ("openai", "embeddings"): {"model": "m", "input": ["a", "b"], "dimensions": 2},
    ("cohere", "embeddings"): {"model": "m", "texts": ["a", "b"], "output_dimension": 2},
    ("gemini", "embeddings_batch"): {
        "requests": [{"content": {"parts": [{"text": t}]}, "outputDimensionality": 2} for t in "ab"]
    },
}
EMBEDDERS = {row.name: row.embedder for row in DIALECTS if row.embedder is not None}
VECTORS = embeddings.Vectors([[0.25, -0.5], [0.5, 0.125]], TokenUsage(input=4, output=0))


def read_request(dialect, operation, body):
    return EMBEDDERS[dialect].readers[operation](body)


@pytest.mark.parametrize("provider", EMBEDDERS)
@pytest.mark.parametrize("client", BODIES)
def test_texts_dimensions_and_vectors_cross(client, provider):
    wanted = read_request(*client, Node(BODIES[client]))
    sent = EMBEDDERS[provider].write_request(wanted, "up")
    again = read_request(provider, EMBEDDERS[provider].operation, Node(sent))
    assert again.texts == ["a", "b"] and again.dimensions == 2
    shown = EMBEDDERS[client[0]].write_answer(VECTORS, wanted, "m")
    assert EMBEDDERS[client[0]].read_answer(Node(shown)).vectors == VECTORS.vectors


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai", {"input": [[1, 2]]}),
        ("openai", {"input": 5}),
        ("cohere", {"images": ["data:"]}),
        ("cohere", {"texts": ["a"], "embedding_types": ["int8"]}),
    ],
)
def test_what_cannot_be_carried_is_refused(dialect, body):
    with pytest.raises(InvalidBodyError):
        read_request(dialect, "embeddings", Node(body))


@pytest.mark.parametrize("dialect", EMBEDDERS)
def test_an_answer_without_vectors_is_none(dialect):
    with pytest.raises(InvalidBodyError):
        EMBEDDERS[dialect].read_answer(Node({}))


@pytest.mark.parametrize(("provider", "most"), [("gemini", 100), ("cohere", 96)])
def test_more_texts_than_a_provider_takes_are_refused_by_name(provider, most):
    """Gemini: "at most 100 requests can be in one batch"; Cohere, v2 Embed: "Maximum number of texts per call is 96"."""

    def ask(count):
        text = json.dumps({"model": "m", "input": ["x"] * count}).encode()
        return open_translation(parse(text, "openai", "embeddings"), "openai", provider, "e", Quirks(), created=1)

    assert ask(most).body
    with pytest.raises(InvalidBodyError, match=f"{most + 1} texts are too many .* at most {most}") as refused:
        ask(most + 1)
    assert refused.value.param == "input"


@pytest.mark.parametrize(
    ("provider", "most"), [("openai", 2048), ("azure", 2048), ("mistral", 512), ("voyage", 1000), ("dashscope", 10)]
)
def test_a_providers_own_bound_of_texts_is_said_by_its_number(provider, most):
    """OpenAI API reference: "any array must be 2048 dimensions or less"; Mistral, code 3210: "Too many inputs in request"."""

    def ask(count):
        text = json.dumps({"model": "m", "texts": ["x"] * count}).encode()
        quirks = PROVIDERS[provider].quirks
        return open_translation(parse(text, "cohere", "embeddings"), "cohere", "openai", "e", quirks, created=1)

    assert ask(most).body
    with pytest.raises(InvalidBodyError, match=f"{most + 1} texts are too many .* at most {most}") as refused:
        ask(most + 1)
    assert refused.value.param == "texts"
