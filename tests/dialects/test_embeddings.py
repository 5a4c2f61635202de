"""Embeddings between dialects."""

import array
import base64

import pytest

from switchgear.core.usage import TokenUsage
from switchgear.dialects import embeddings
from switchgear.dialects.shape import InvalidBodyError, Node

BODIES = {
    ("openai", "embeddings"): {"model": "m", "input": ["a", "b"], "dimensions": 2},
    ("cohere", "embeddings"): {"model": "m", "texts": ["a", "b"], "output_dimension": 2},
    ("gemini", "embeddings_batch"): {
        "requests": [{"content": {"parts": [{"text": t}]}, "outputDimensionality": 2} for t in "ab"]
    },
}
VECTORS = embeddings.Vectors([[0.25, -0.5], [0.5, 0.125]], TokenUsage(input=4, output=0))


@pytest.mark.parametrize("provider", embeddings.ASKED)
@pytest.mark.parametrize("client", BODIES)
def test_texts_dimensions_and_vectors_cross(client, provider):
    wanted = embeddings.read_request(*client, Node(BODIES[client]))
    sent = embeddings.write_request(provider, wanted, "up")
    again = embeddings.read_request(provider, embeddings.ASKED[provider][0], Node(sent))
    assert again.texts == ["a", "b"] and again.dimensions == 2
    shown = embeddings.write_answer(client[0], VECTORS, wanted, "m")
    assert embeddings.read_answer(client[0], Node(shown)).vectors == VECTORS.vectors


def test_openais_sdk_asks_for_base64_and_gets_it():
    wanted = embeddings.read_request("openai", "embeddings", Node({"input": "a", "encoding_format": "base64"}))
    row = embeddings.write_answer("openai", VECTORS, wanted, "m")["data"][0]
    floats = array.array("f")
    floats.frombytes(base64.b64decode(row["embedding"]))
    assert floats.tolist() == [0.25, -0.5]


def test_geminis_single_call_gets_a_single_vector():
    wanted = embeddings.read_request(
        "gemini", "embeddings", Node({"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"})
    )
    assert wanted.task == "search_query"
    assert embeddings.write_answer("gemini", VECTORS, wanted, "m") == {"embedding": {"values": [0.25, -0.5]}}


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
        embeddings.read_request(dialect, "embeddings", Node(body))


@pytest.mark.parametrize("dialect", embeddings.ASKED)
def test_an_answer_without_vectors_is_none(dialect):
    with pytest.raises(InvalidBodyError):
        embeddings.read_answer(dialect, Node({}))
