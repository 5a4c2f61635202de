"""OpenAI chat completions: embeddings to and from those of others. Level 1."""

import array
import base64
from typing import Any

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects.dialect import (
    Embedder,
)
from switchgear.dialects.embeddings import EmbeddingsRequest, Vectors, texts_of, unknown, vector_of
from switchgear.dialects.json_node import Node
from switchgear.dialects.openai.usage import usage_of_raw


def _from_openai(body: Node) -> EmbeddingsRequest:
    known = {"model", "input", "dimensions", "encoding_format", "user"}
    base64_wanted = body.text("encoding_format") == "base64"
    return EmbeddingsRequest(
        texts=texts_of(body, "input"),
        dimensions=body.integer("dimensions"),
        as_base64=base64_wanted,
        dropped=unknown(body, known),
    )


def _to_openai(wanted: EmbeddingsRequest, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": wanted.texts, "encoding_format": "float"}
    if wanted.task is not None:
        wanted.dropped.append("input_type")
    return body | ({"dimensions": wanted.dimensions} if wanted.dimensions is not None else {})


@Stepwise
def _read_openai(body: Node) -> Steps[Vectors]:
    vectors = []
    for row in body.each("data"):
        yield
        vectors.append(vector_of(row.get("embedding"), row))
    if not vectors:
        raise body.fail("an answer without vectors", "data")
    return Vectors(vectors, usage_of_raw(body.raw("usage")))


def _show_openai(vectors: Vectors, wanted: EmbeddingsRequest, model: str) -> dict[str, Any]:
    def shown(vector: list[float]) -> Any:
        return base64.b64encode(array.array("f", vector).tobytes()).decode() if wanted.as_base64 else vector

    usage = vectors.usage or TokenUsage()
    rows = [{"object": "embedding", "index": n, "embedding": shown(v)} for n, v in enumerate(vectors.vectors)]
    counts = {"prompt_tokens": usage.input_total, "total_tokens": usage.input_total}
    return {"object": "list", "data": rows, "model": model, "usage": counts}


EMBEDDER = Embedder(
    {"embeddings": _from_openai},
    operation="embeddings",
    write_request=_to_openai,
    read_answer=_read_openai,
    write_answer=_show_openai,
)
