"""Gemini's generateContent: embeddings to and from those of others. Level 1."""

from typing import Any

from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects.dialect import (
    Embedder,
)
from switchgear.dialects.embeddings import EmbeddingsRequest, Vectors, vector_of
from switchgear.dialects.json_node import (
    Node,
)

_TASKS = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


_TASK_NAMES = {gemini: name for name, gemini in _TASKS.items()}


def _from_gemini(body: Node) -> EmbeddingsRequest:
    text = "".join(part.need("text") for part in body.object("content").items("parts"))
    return EmbeddingsRequest(
        texts=[text],
        dimensions=body.integer("outputDimensionality") or body.integer("output_dimensionality"),
        task=_TASK_NAMES.get(body.text("taskType") or ""),
        single=True,
    )


def _from_gemini_batch(body: Node) -> EmbeddingsRequest:
    asked = [_from_gemini(item) for item in body.items("requests")]
    first = asked[0] if asked else EmbeddingsRequest(texts=[])
    return EmbeddingsRequest(texts=[one.texts[0] for one in asked], dimensions=first.dimensions, task=first.task)


def _to_gemini(wanted: EmbeddingsRequest, model: str) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for text in wanted.texts:
        request: dict[str, Any] = {"model": f"models/{model}", "content": {"parts": [{"text": text}]}}
        if wanted.task in _TASKS:
            request["taskType"] = _TASKS[wanted.task]
        if wanted.dimensions is not None:
            request["outputDimensionality"] = wanted.dimensions
        requests.append(request)
    return {"requests": requests}


@Stepwise
def _read_gemini(body: Node) -> Steps[Vectors]:
    vectors = []
    for row in body.each("embeddings"):
        yield
        vectors.append(vector_of(row.get("values"), row))
    if not vectors:
        raise body.fail("an answer without vectors", "embeddings")
    return Vectors(vectors)


def _show_gemini(vectors: Vectors, wanted: EmbeddingsRequest, model: str) -> dict[str, Any]:
    rows = [{"values": vector} for vector in vectors.vectors]
    return {"embedding": rows[0]} if wanted.single else {"embeddings": rows}


EMBEDDER = Embedder(
    {"embeddings": _from_gemini, "embeddings_batch": _from_gemini_batch},
    operation="embeddings_batch",
    write_request=_to_gemini,
    read_answer=_read_gemini,
    write_answer=_show_gemini,
    texts_max=100,  # "at most 100 requests can be in one batch" (error of batchEmbedContents; read 2026-11-27)
)
