"""The providers that are known by name: OpenAI-compatible ones, one row each. Level 1.

A row says where, how to authenticate, what it is called in the price snapshot, and its quirks as data. Base URLs are the
providers' documented ones (read 2026-11-23).
"""

import msgspec

from switchgear.providers.endpoint import AuthScheme


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a provider before anybody configures it."""

    name: str
    base_url: str
    pricing_id: str | None = None
    dialect: str = "openai"
    auth: AuthScheme = "bearer"
    allow_private: bool = False
    stream_usage: bool = True
    """False where `stream_options` is refused; usage is then estimated when the stream does not carry it."""


def _row(name: str, base_url: str, pricing_id: str | None = None, **more: bool | AuthScheme) -> ProviderRow:
    return ProviderRow(name=name, base_url=base_url, pricing_id=pricing_id, **more)  # type: ignore[arg-type]


PROVIDERS: dict[str, ProviderRow] = {
    row.name: row
    for row in (
        _row("openai", "https://api.openai.com/v1", "openai"),
        _row("groq", "https://api.groq.com/openai/v1", "groq"),
        _row("mistral", "https://api.mistral.ai/v1", "mistral"),
        _row("deepseek", "https://api.deepseek.com/v1", "deepseek"),
        _row("xai", "https://api.x.ai/v1", "x-ai"),
        _row("together", "https://api.together.xyz/v1", "together"),
        _row("fireworks", "https://api.fireworks.ai/inference/v1", "fireworks"),
        _row("openrouter", "https://openrouter.ai/api/v1", "openrouter"),
        _row("perplexity", "https://api.perplexity.ai", "perplexity"),
        _row("cerebras", "https://api.cerebras.ai/v1", "cerebras"),
        _row("sambanova", "https://api.sambanova.ai/v1"),
        _row("nvidia", "https://integrate.api.nvidia.com/v1"),
        _row("deepinfra", "https://api.deepinfra.com/v1/openai"),
        _row("moonshot", "https://api.moonshot.ai/v1", "moonshotai"),
        _row("zai", "https://api.z.ai/api/paas/v4", "zai"),
        _row("huggingface", "https://router.huggingface.co/v1"),
        _row("novita", "https://api.novita.ai/v3/openai", "novita"),
        _row("hyperbolic", "https://api.hyperbolic.xyz/v1"),
        _row("voyage", "https://api.voyageai.com/v1", "voyageai"),
        _row("ollama", "http://127.0.0.1:11434/v1", allow_private=True, auth="none"),
        _row("vllm", "http://127.0.0.1:8000/v1", allow_private=True, auth="none"),
        _row("lmstudio", "http://127.0.0.1:1234/v1", allow_private=True, auth="none"),
        _row("llamacpp", "http://127.0.0.1:8080/v1", allow_private=True, auth="none"),
    )
}
