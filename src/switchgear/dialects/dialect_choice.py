"""In which dialect a provider is asked, by what the client speaks and what is asked for. Level 1."""

from collections.abc import Mapping

from msgspec import Raw

from switchgear.dialects import web_search
from switchgear.dialects.model_facts import facts_of
from switchgear.dialects.registry import BY_NAME

SHARED_OPERATIONS = frozenset({"rerank"})
"""What has one shape in every dialect that knows it: query, documents and top_n in, index and relevance_score out (Cohere's,
which Jina, vLLM and others took over; docs.cohere.com/reference/rerank and its SDK,
`V2RerankResponse`; docs.jina.ai; read 2026-11-27)."""


def choose_dialect(
    dialect: str,
    operation: str,
    spoken: tuple[str, ...],
    model: str = "",
    fields: Mapping[str, Raw] | None = None,
    searches: bool = False,
) -> str | None:
    """Return the dialect in which a provider is asked: the client's own where it speaks it and serves the model on it, else
    the first that a translation leads to. `fields` are the body's, where there is one; `searches`: the provider runs
    searches of the web (`web_search`), where they can be asked for. None when the provider cannot do this."""
    if operation == "chat":
        facts = facts_of(model)
        if (
            facts.best_on in spoken
            and facts.best_on != dialect
            and (
                facts.is_only_there
                or dialect not in spoken
                or (dialect == "openai" and facts.refuses_in_chat(fields or {}))
            )
        ):
            return facts.best_on
        if searches and dialect not in spoken and web_search.is_asked(fields or {}):
            searching = next((name for name in spoken if BY_NAME[name].fit.searches), None)
            if searching is not None:
                return searching
    row = BY_NAME[dialect]
    if dialect in spoken and operation in row.operations:
        return dialect
    if operation == "chat":
        return next(iter(spoken), None)
    if row.embedder is not None and operation in row.embedder.readers:
        return next((name for name in spoken if BY_NAME[name].embedder is not None), None)
    if operation in SHARED_OPERATIONS:
        return next((name for name in spoken if operation in BY_NAME[name].operations), None)
    return None
