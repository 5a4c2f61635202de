"""Gemini: embeddings."""

from switchgear.core.usage import TokenUsage
from switchgear.dialects.embeddings import EmbeddingsRequest, Vectors
from switchgear.dialects.gemini.embeddings import EMBEDDER
from switchgear.dialects.json_node import Node

VECTORS = Vectors([[0.25, -0.5], [0.5, 0.125]], TokenUsage(input=4, output=0))


def test_geminis_single_call_gets_a_single_vector():
    wanted = EMBEDDER.readers["embeddings"](
        Node({"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"})
    )
    assert wanted.task == "search_query"
    assert EMBEDDER.write_answer(VECTORS, wanted, "m") == {"embedding": {"values": [0.25, -0.5]}}


def test_each_text_is_a_request_of_the_batch_and_tasks_have_googles_names():
    sent = EMBEDDER.write_request(EmbeddingsRequest(texts=["a", "b"], dimensions=2, task="clustering"), "up")
    first = {
        "model": "models/up",
        "content": {"parts": [{"text": "a"}]},
        "taskType": "CLUSTERING",
        "outputDimensionality": 2,
    }
    assert sent["requests"][0] == first and len(sent["requests"]) == 2
    again = EMBEDDER.readers["embeddings_batch"](Node(sent))
    assert (again.texts, again.dimensions, again.task) == (["a", "b"], 2, "clustering")
    assert EMBEDDER.readers["embeddings_batch"](Node({"requests": []})).texts == []


def test_a_batch_is_answered_with_a_list():
    shown = EMBEDDER.write_answer(VECTORS, EmbeddingsRequest(texts=["a", "b"]), "m")
    assert shown == {"embeddings": [{"values": [0.25, -0.5]}, {"values": [0.5, 0.125]}]}
    assert EMBEDDER.read_answer(Node(shown)).vectors == VECTORS.vectors
