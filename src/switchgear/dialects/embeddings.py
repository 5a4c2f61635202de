"""Embeddings between dialects: texts in, vectors out. Level 1, sans-I/O.

OpenAI API reference, "Embeddings"; Gemini API reference, "embedContent" and "batchEmbedContents"; Cohere API reference, v2
"Embed" (as of 2026-11). Pictures and token arrays cannot be carried and are refused by name.
"""

import array
import base64
from collections.abc import Callable
from typing import Any

import msgspec

from switchgear.core.steps import Steps, Stepwise
from switchgear.core.usage import TokenUsage
from switchgear.dialects import cohere, openai
from switchgear.dialects.shape import Node


class Wanted(msgspec.Struct, kw_only=True):
    """What a client asks."""

    texts: list[str]
    dimensions: int | None = None
    task: str | None = None
    """Cohere's `input_type`; Gemini's `taskType` is turned into it and back."""
    as_base64: bool = False
    single: bool = False
    """True where the client's dialect returns one vector and no list."""
    dropped: list[str] = []


ANSWER_VALUES_MAX = 10_000_000
"""Numbers in an answer: 16 MiB hold no more."""


class Vectors(msgspec.Struct):
    """What a provider answers."""

    vectors: list[list[float]]
    usage: TokenUsage | None = None


_TASKS = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
_TASK_NAMES = {gemini: name for name, gemini in _TASKS.items()}


def _drop(body: Node, known: set[str]) -> list[str]:
    return [key for key in body.names() if key not in known]


def _texts(body: Node, key: str) -> list[str]:
    value = body.get(key)
    if isinstance(value, str):
        return [value]
    texts: list[str] = []
    for item in body.items(key):
        if not isinstance(item.value, str):
            raise item.fail("only texts can be carried to this model's provider")
        texts.append(item.value)
    return texts


def _from_openai(body: Node) -> Wanted:
    known = {"model", "input", "dimensions", "encoding_format", "user"}
    base64_wanted = body.text("encoding_format") == "base64"
    return Wanted(
        texts=_texts(body, "input"),
        dimensions=body.integer("dimensions"),
        as_base64=base64_wanted,
        dropped=_drop(body, known),
    )


def _from_cohere(body: Node) -> Wanted:
    if body.has("images") or body.has("inputs"):
        raise body.fail(
            "only `texts` can be carried to this model's provider", "images" if body.has("images") else "inputs"
        )
    kinds = [str(item.value) for item in body.items("embedding_types")]
    if kinds and kinds != ["float"]:
        raise body.fail("only float can be asked of this model's provider", "embedding_types")
    known = {"model", "texts", "input_type", "embedding_types", "output_dimension"}
    return Wanted(
        texts=_texts(body, "texts"),
        dimensions=body.integer("output_dimension"),
        task=body.text("input_type"),
        dropped=_drop(body, known),
    )


def _from_gemini(body: Node) -> Wanted:
    text = "".join(part.need("text") for part in body.object("content").items("parts"))
    return Wanted(
        texts=[text],
        dimensions=body.integer("outputDimensionality") or body.integer("output_dimensionality"),
        task=_TASK_NAMES.get(body.text("taskType") or ""),
        single=True,
    )


def _from_gemini_batch(body: Node) -> Wanted:
    asked = [_from_gemini(item) for item in body.items("requests")]
    first = asked[0] if asked else Wanted(texts=[])
    return Wanted(texts=[one.texts[0] for one in asked], dimensions=first.dimensions, task=first.task)


def _to_openai(wanted: Wanted, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "input": wanted.texts, "encoding_format": "float"}
    if wanted.task is not None:
        wanted.dropped.append("input_type")
    return body | ({"dimensions": wanted.dimensions} if wanted.dimensions is not None else {})


def _to_cohere(wanted: Wanted, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "texts": wanted.texts, "embedding_types": ["float"]}
    body["input_type"] = wanted.task or "search_document"
    return body | ({"output_dimension": wanted.dimensions} if wanted.dimensions is not None else {})


def _to_gemini(wanted: Wanted, model: str) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for text in wanted.texts:
        request: dict[str, Any] = {"model": f"models/{model}", "content": {"parts": [{"text": text}]}}
        if wanted.task in _TASKS:
            request["taskType"] = _TASKS[wanted.task]
        if wanted.dimensions is not None:
            request["outputDimensionality"] = wanted.dimensions
        requests.append(request)
    return {"requests": requests}


def _vector(value: Any, node: Node) -> list[float]:
    if isinstance(value, str):
        floats = array.array("f")
        floats.frombytes(base64.b64decode(value))
        return floats.tolist()
    if not isinstance(value, list):
        raise node.fail("an answer without a vector")
    return value


def _read_openai(body: Node) -> Steps[Vectors]:
    vectors = []
    for row in body.each("data"):
        yield
        vectors.append(_vector(row.get("embedding"), row))
    if not vectors:
        raise body.fail("an answer without vectors", "data")
    return Vectors(vectors, openai.usage_of_raw(body.raw("usage")))


def _read_cohere(body: Node) -> Steps[Vectors]:
    holder = body.object("embeddings")
    rows = holder.get("float")
    if not isinstance(rows, list):
        raise body.fail("an answer without vectors", "embeddings")
    vectors = []
    for row in rows:
        yield
        vectors.append(_vector(row, holder))
    return Vectors(vectors, cohere.usage_of_raw(body.raw("meta")))


def _read_gemini(body: Node) -> Steps[Vectors]:
    vectors = []
    for row in body.each("embeddings"):
        yield
        vectors.append(_vector(row.get("values"), row))
    if not vectors:
        raise body.fail("an answer without vectors", "embeddings")
    return Vectors(vectors)


def _show_openai(vectors: Vectors, wanted: Wanted, model: str) -> dict[str, Any]:
    def shown(vector: list[float]) -> Any:
        return base64.b64encode(array.array("f", vector).tobytes()).decode() if wanted.as_base64 else vector

    usage = vectors.usage or TokenUsage()
    rows = [{"object": "embedding", "index": n, "embedding": shown(v)} for n, v in enumerate(vectors.vectors)]
    counts = {"prompt_tokens": usage.input_total, "total_tokens": usage.input_total}
    return {"object": "list", "data": rows, "model": model, "usage": counts}


def _show_cohere(vectors: Vectors, wanted: Wanted, model: str) -> dict[str, Any]:
    usage = vectors.usage or TokenUsage()
    return {
        "id": "unknown",
        "texts": wanted.texts,
        "embeddings": {"float": vectors.vectors},
        "response_type": "embeddings_by_type",
        "meta": {"billed_units": {"input_tokens": usage.input_total}},
    }


def _show_gemini(vectors: Vectors, wanted: Wanted, model: str) -> dict[str, Any]:
    rows = [{"values": vector} for vector in vectors.vectors]
    return {"embedding": rows[0]} if wanted.single else {"embeddings": rows}


_FROM: dict[tuple[str, str], Callable[[Node], Wanted]] = {
    ("openai", "embeddings"): _from_openai,
    ("cohere", "embeddings"): _from_cohere,
    ("gemini", "embeddings"): _from_gemini,
    ("gemini", "embeddings_batch"): _from_gemini_batch,
}
# A provider's dialect: the operation that takes many texts, how it is asked and how its answer is read.
ASKED: dict[str, tuple[str, Callable[[Wanted, str], dict[str, Any]], Callable[[Node], Steps[Vectors]]]] = {
    "openai": ("embeddings", _to_openai, _read_openai),
    "cohere": ("embeddings", _to_cohere, _read_cohere),
    "gemini": ("embeddings_batch", _to_gemini, _read_gemini),
}
_SHOW: dict[str, Callable[[Vectors, Wanted, str], dict[str, Any]]] = {
    "openai": _show_openai,
    "cohere": _show_cohere,
    "gemini": _show_gemini,
}
OPERATIONS = frozenset(operation for _, operation in _FROM)


def read_request(dialect: str, operation: str, body: Node) -> Wanted:
    """Read a client's request. Raises InvalidBodyError."""
    return _FROM[dialect, operation](body)


def write_request(dialect: str, wanted: Wanted, model: str) -> dict[str, Any]:
    """Build the body for a provider."""
    return ASKED[dialect][1](wanted, model)


@Stepwise
def read_answer(dialect: str, body: Node) -> Steps[Vectors]:
    """Read a provider's answer. Raises InvalidBodyError."""
    vectors = yield from ASKED[dialect][2](body)
    return vectors


def write_answer(dialect: str, vectors: Vectors, wanted: Wanted, model: str) -> dict[str, Any]:
    """Build the answer for a client."""
    return _SHOW[dialect](vectors, wanted, model)
