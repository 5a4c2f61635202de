"""Embeddings between dialects: texts in, vectors out. Level 1, sans-I/O.

OpenAI API reference, "Embeddings"; Gemini API reference, "embedContent" and "batchEmbedContents"; Cohere API reference, v2
"Embed" (as of 2026-11). Pictures and token arrays cannot be carried and are refused by name.
"""

import array
import base64
from typing import Any

import msgspec

from switchgear.core.usage import TokenUsage
from switchgear.dialects.json_node import Node


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
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


def unknown(body: Node, known: set[str]) -> list[str]:
    """Return the keys of a body that are not known, which are dropped."""
    return [key for key in body.names() if key not in known]


def texts_of(body: Node, key: str) -> list[str]:
    """Read one text or a list of them. Raises InvalidBodyError for anything else."""
    value = body.get(key)
    if isinstance(value, str):
        return [value]
    texts: list[str] = []
    for item in body.items(key):
        if not isinstance(item.value, str):
            raise item.fail(
                "only texts can be carried to this model's provider, no token ids (LangChain: check_embedding_ctx_length=False)"
            )
        texts.append(item.value)
    return texts


def vector_of(value: Any, node: Node) -> list[float]:
    """Read a vector: numbers, or 32-bit floats in base64. Raises InvalidBodyError for anything else."""
    if isinstance(value, str):
        floats = array.array("f")
        floats.frombytes(base64.b64decode(value))
        return floats.tolist()
    if not isinstance(value, list):
        raise node.fail("an answer without a vector")
    return value
