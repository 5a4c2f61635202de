"""The providers that are known by name, one row each. Level 1.

A row says where, in which dialects, how to authenticate, what it is called in the price snapshot, and its quirks as data:
docs/howto/provider.md shows how to add one in five minutes. `{name}` in a URL is a variable that the configuration gives
(`resource`, `region`, `project`, `location`, `account`, `api_version`). Base URLs are the providers' documented
ones as far as they are known here (2026-11); a request to a wrong one fails at once, and `base_url` overrides it.
switchgear:allow-file: this is the list of providers that `discover` looks for elsewhere.
"""

import msgspec

from switchgear.providers.quirks import Quirks


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a provider before anybody configures it."""

    name: str
    base_url: str
    pricing_id: str | None = None
    dialects: tuple[str, ...] = ("openai",)
    """The dialects that it speaks at this URL; the first is the one that others are translated to."""
    auth: str = "bearer"
    allow_private: bool = False
    query: str = ""
    """A query string that every request carries."""
    locations: dict[str, str] = {}
    """Base URLs of the values of `location` that have a host of their own."""
    defaults: dict[str, str] = {}
    """Values of variables that need not be given."""
    quirks: Quirks = Quirks()


_OPENAI = Quirks(
    max_tokens="max_completion_tokens",
    metadata_needs_store=True,
    shares_fields=True,
    text_lists=True,
    texts_max=2_048,
)
_NO_EFFORT = Quirks(reasoning_effort=False)
_THINKS = Quirks(reasoning_effort=False, reasoning_content=True, thinking_off="thinking", developer=False)
_QWEN = msgspec.structs.replace(_THINKS, thinking_off="enable_thinking", texts_max=10)
_MINIMAX = Quirks(reasoning_effort=False, reasoning_content=True, instructions_first=True, developer=False)
_LOCAL = Quirks(top_k=True)
# "invalid image input", "invalid message format" (ollama/ollama, openai/openai.go, `FromChatRequest`; read 2026-11-27)
_OLLAMA = Quirks(top_k=True, media=frozenset({"image/jpeg", "image/png", "image/webp"}))
_PENALTIES = ("frequency_penalty", "presence_penalty")
_PROBES = ("logprobs", "top_logprobs")
# Mistral refuses every field that it does not know, `stream_options` among them, and tells the usage of a stream unasked
# (openai-agents-python#442; read 2026-11-27).
_MISTRAL = Quirks(
    newer_limit=False,
    developer=False,
    texts_max=512,
    reasoning_effort=False,
    stream_usage=False,
    takes_reasoning_content=False,
    refused_members=("reasoning_content", "name"),
    call_id_chars=9,
    instructions_first=True,
    bridges_results=True,
    prefill="prefix",
    drop=("user", "seed", *_PROBES),
    body={"stream_options": None},
)
# console.groq.com/docs/openai, "Currently Unsupported OpenAI Features"; read 2026-11-27. "json mode cannot be combined with
# tool/function calling" (agno#1065, vercel/ai#16540)
_GROQ = Quirks(
    takes_reasoning_content=False,
    refused_members=("name", "reasoning_content"),
    drop=_PROBES,
    format_or_tools=True,
)
# inference-docs.cerebras.ai, "OpenAI compatibility"; read 2026-11-27
_CEREBRAS = Quirks(
    takes_reasoning_content=False, refused_members=("reasoning_content",), same_strict=True, drop=_PENALTIES
)
# A list of further models would be called and paid for past what the virtual key may call, and past the record.
# Its `usage.cost` is in credits, which are USD; with a key of its user's own that is its fee alone, and the maker's charge stands
# in `cost_details` (openrouter.ai/docs/use-cases/usage-accounting, read 2026-11-27; `is_byok` decides, for the details stand
# in other answers too).
_OPENROUTER = Quirks(
    top_k=True,
    developer=False,  # Qwen's models behind it refuse the role, and OpenAI's take the other for the same
    reasoning_details=True,
    body={"models": None, "preset": None},
    charges="cost",
    charges_own_key="cost_details.upstream_inference_cost",
)
# "The actual amount billed", tools included, in ticks of 10^-10 USD (docs.x.ai/developers/cost-tracking, read 2026-11-27).
_XAI = Quirks(web_search=True, charges="cost_in_usd_ticks", charges_per_usd=10_000_000_000)
_PERPLEXITY = Quirks(reasoning_effort=False, charges="cost.total_cost")
# What Vertex answers with 400 "Unexpected value(s) for the `anthropic-beta` header", after the table that LiteLLM keeps
# (read 2026-11-26), which does not list `claude-code-` and `oauth-` for Vertex.
_VERTEX_BETAS = {
    "advanced-tool-use-": "tool-search-tool-2025-10-19",
    **dict.fromkeys(
        (
            "advisor-tool-",
            "claude-code-",
            "code-execution-",
            "effort-",
            "fast-mode-",
            "files-api-",
            "fine-grained-tool-streaming-",
            "mcp-",
            "oauth-",
            "output-128k-",
            "prompt-caching-scope-",
            "skills-",
            "structured-outputs-",
            "token-efficient-tools-",
            "web-fetch-",
        ),
        "",
    ),
}
_VERTEX_CLAUDE = Quirks(
    web_search=True,  # platform.claude.com, "Claude on Vertex AI": the basic search
    paths={
        "chat": "/models/{model}:rawPredict",
        "chat_stream": "/models/{model}:streamRawPredict",
        "count_tokens": "/models/count-tokens:rawPredict",
    },
    betas=_VERTEX_BETAS,
    body={"anthropic_version": "vertex-2023-10-16", "model": None},
)
# The host of each location: the official SDKs (anthropic `lib/vertex/_client.py`, google-genai `_api_client.py`; read 2026-11-27).
# `us` and `eu` are multi-regions; their names look like those of regions, and `us-aiplatform.googleapis.com` is nobody's.
_VERTEX_HOSTS = {
    "": "{location}-aiplatform.googleapis.com",
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}
_AZURE_PATHS = {
    operation: "/deployments/{model}" + path
    for operation, path in (
        ("chat", "/chat/completions"),
        ("completions", "/completions"),
        ("embeddings", "/embeddings"),
        ("images", "/images/generations"),
        ("speech", "/audio/speech"),
    )
}
_BOTH = ("openai", "responses")


def _row(name: str, base_url: str, pricing_id: str | None = None, **more: object) -> ProviderRow:
    return msgspec.convert({"name": name, "base_url": base_url, "pricing_id": pricing_id} | more, ProviderRow)


def _vertex(name: str, publisher: str, **more: object) -> ProviderRow:
    urls = {
        location: f"https://{host}/v1/projects/{{project}}/locations/{location or '{location}'}/publishers/{publisher}"
        for location, host in _VERTEX_HOSTS.items()
    }
    return _row(name, urls.pop(""), "google", locations=urls, auth="google", **more)


def _rows() -> tuple[ProviderRow, ...]:
    return (
        # makers of models
        _row(
            "openai",
            "https://api.openai.com/v1",
            "openai",
            dialects=_BOTH,
            quirks=msgspec.structs.replace(_OPENAI, web_search=True),
        ),
        _row(
            "anthropic",
            "https://api.anthropic.com/v1",
            "anthropic",
            dialects=("anthropic",),
            auth="x-api-key",
            quirks=Quirks(web_search=True),
        ),
        _row(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta",
            "google",
            dialects=("gemini",),
            auth="x-goog-api-key",
        ),
        _row(
            "mistral",
            "https://api.mistral.ai/v1",
            "mistral",
            quirks=_MISTRAL,
        ),
        _row("cohere", "https://api.cohere.com/v2", "cohere", dialects=("cohere",)),
        _row("xai", "https://api.x.ai/v1", "x-ai", dialects=_BOTH, quirks=_XAI),
        _row("deepseek", "https://api.deepseek.com/v1", "deepseek", quirks=_THINKS),
        _row("moonshot", "https://api.moonshot.ai/v1", "moonshotai", quirks=_THINKS),
        _row("zai", "https://api.z.ai/api/paas/v4", "zai", quirks=_THINKS),
        _row("zhipu", "https://open.bigmodel.cn/api/paas/v4", "zhipuai", quirks=_THINKS),
        _row("minimax", "https://api.minimax.io/v1", "minimax", quirks=_MINIMAX),
        _row("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", quirks=_QWEN),
        _row("qianfan", "https://qianfan.baidubce.com/v2", quirks=_NO_EFFORT),
        _row("volcengine", "https://ark.cn-beijing.volces.com/api/v3", quirks=_NO_EFFORT),
        _row("ai21", "https://api.ai21.com/studio/v1", quirks=_NO_EFFORT),
        _row("perplexity", "https://api.perplexity.ai", "perplexity", quirks=_PERPLEXITY),
        # Its `top_k` and `data`: Voyage AI's SDKs, `RerankRequest` and `RerankResponse` (read 2026-11-27).
        _row("voyage", "https://api.voyageai.com/v1", "voyageai", quirks=Quirks(rerank_limit="top_k", texts_max=1_000)),
        _row("jina", "https://api.jina.ai/v1"),
        # clouds
        _row(
            "azure",
            "https://{resource}.openai.azure.com/openai/v1",
            "azure",
            dialects=_BOTH,
            auth="api-key",
            quirks=_OPENAI,
        ),
        _row(
            "azure-deployments",
            "https://{resource}.openai.azure.com/openai",
            "azure",
            auth="api-key",
            query="api-version={api_version}",
            defaults={"api_version": "2024-10-21"},
            quirks=msgspec.structs.replace(_OPENAI, paths=_AZURE_PATHS),
        ),
        _row(
            "bedrock",
            "https://bedrock-runtime.{region}.amazonaws.com",
            "aws",
            dialects=("bedrock",),
            auth="sigv4",
            defaults={"service": "bedrock"},
        ),
        _row(
            "bedrock-mantle",
            "https://bedrock-mantle.{region}.api.aws/v1",
            "aws",
            dialects=_BOTH,
        ),
        _vertex("vertex", "google", dialects=("gemini",)),
        _row(
            "vertex-global",
            "https://aiplatform.googleapis.com/v1/projects/{project}/locations/global/publishers/google",
            "google",
            dialects=("gemini",),
            auth="google",
        ),
        _vertex("vertex-anthropic", "anthropic", dialects=("anthropic",), quirks=_VERTEX_CLAUDE),
        _row("databricks", "https://{account}.cloud.databricks.com/serving-endpoints", "databricks", quirks=_NO_EFFORT),
        _row("snowflake", "https://{account}.snowflakecomputing.com/api/v2/cortex/v1", quirks=_OPENAI),
        _row(
            "cloudflare",
            "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
            "cloudflare",
            quirks=_NO_EFFORT,
        ),
        _row("watsonx", "https://{region}.ml.cloud.ibm.com/ml/gateway/v1", quirks=_NO_EFFORT),
        _row("github", "https://models.github.ai/inference"),
        _row("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "ovhcloud", quirks=_NO_EFFORT),
        _row("scaleway", "https://api.scaleway.ai/v1", quirks=_NO_EFFORT),
        _row("nebius", "https://api.studio.nebius.com/v1", "huggingface_nebius"),
        _row("heroku", "https://us.inference.heroku.com/v1", quirks=_NO_EFFORT),
        _row("crusoe", "https://api.inference.crusoecloud.com/v1", quirks=_NO_EFFORT),
        # hosts of open models, and routers
        _row("groq", "https://api.groq.com/openai/v1", "groq", dialects=_BOTH, quirks=_GROQ),
        _row("together", "https://api.together.xyz/v1", "together", quirks=_LOCAL),
        _row("fireworks", "https://api.fireworks.ai/inference/v1", "fireworks", quirks=_LOCAL),
        _row("openrouter", "https://openrouter.ai/api/v1", "openrouter", dialects=_BOTH, quirks=_OPENROUTER),
        _row("cerebras", "https://api.cerebras.ai/v1", "cerebras", quirks=_CEREBRAS),
        _row("sambanova", "https://api.sambanova.ai/v1", "huggingface_sambanova", quirks=_NO_EFFORT),
        _row("nvidia", "https://integrate.api.nvidia.com/v1", quirks=_NO_EFFORT),
        _row("deepinfra", "https://api.deepinfra.com/v1/openai", quirks=_LOCAL),
        _row("huggingface", "https://router.huggingface.co/v1"),
        _row("novita", "https://api.novita.ai/v3/openai", "novita", quirks=_LOCAL),
        _row("hyperbolic", "https://api.hyperbolic.xyz/v1", "huggingface_hyperbolic", quirks=_LOCAL),
        _row("replicate", "https://openai-proxy.replicate.com/v1", quirks=_NO_EFFORT),
        _row("baseten", "https://inference.baseten.co/v1", "baseten"),
        # servers of one's own
        _row("ollama", "http://127.0.0.1:11434/v1", allow_private=True, auth="none", quirks=_OLLAMA),
        _row("vllm", "http://127.0.0.1:8000/v1", allow_private=True, auth="none", dialects=_BOTH, quirks=_LOCAL),
        _row("lmstudio", "http://127.0.0.1:1234/v1", allow_private=True, auth="none", quirks=_LOCAL),
        _row("llamacpp", "http://127.0.0.1:8080/v1", allow_private=True, auth="none", quirks=_LOCAL),
    )


PROVIDERS: dict[str, ProviderRow] = {row.name: row for row in _rows()}

_GENERIC_ROWS = (
    _row("openai", "", dialects=("openai",)),
    _row("responses", "", dialects=("responses", "openai")),
    _row("anthropic", "", dialects=("anthropic",), auth="x-api-key"),
    _row("gemini", "", dialects=("gemini",), auth="x-goog-api-key"),
    _row("bedrock", "", dialects=("bedrock",)),
    _row("cohere", "", dialects=("cohere",)),
)
GENERIC: dict[str, ProviderRow] = {row.name: row for row in _GENERIC_ROWS}
"""A server of a dialect that is in no catalogue, by the dialect's name: a base URL is all that is missing."""
PLAIN = _GENERIC_ROWS[0]
"""What a server is taken for that tells no dialect."""
