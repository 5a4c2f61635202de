"""OpenAI: embeddings."""

import array
import base64

import pytest

from switchgear.core.usage import TokenUsage
from switchgear.dialects.embeddings import EmbeddingsRequest, Vectors
from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.openai.embeddings import EMBEDDER

VECTORS = Vectors([[0.25, -0.5], [0.5, 0.125]], TokenUsage(input=4, output=0))


def test_an_embedding_asked_for_in_base64_is_answered_in_base64():
    wanted = EMBEDDER.readers["embeddings"](Node({"input": "a", "encoding_format": "base64"}))
    row = EMBEDDER.write_answer(VECTORS, wanted, "m")["data"][0]
    floats = array.array("f")
    floats.frombytes(base64.b64decode(row["embedding"]))
    assert floats.tolist() == [0.25, -0.5]


def test_a_provider_is_asked_for_floats_and_answers_in_either_form():
    wanted = EmbeddingsRequest(texts=["a", "b"], dimensions=2, task="search_query")
    asked = {"model": "up", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2}
    assert EMBEDDER.write_request(wanted, "up") == asked and wanted.dropped == ["input_type"]
    packed = base64.b64encode(array.array("f", [0.25, -0.5]).tobytes()).decode()
    body = {"data": [{"embedding": packed}, {"embedding": [0.5, 0.125]}], "usage": {"prompt_tokens": 4}}
    found = EMBEDDER.read_answer(Node(body))
    assert (found.vectors, found.usage.input) == (VECTORS.vectors, 4)


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": [{"embedding": None}]}])
def test_an_answer_without_vectors_is_none(body):
    with pytest.raises(InvalidBodyError):
        EMBEDDER.read_answer(Node(body))
