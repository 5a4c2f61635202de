"""The columns of the table: what the gateway is configured with, and which model is asked there."""

from typing import NamedTuple


class Upstream(NamedTuple):
    """One column."""

    title: str
    provider: str
    """Its name in the configuration; the catalogue's row of that name counts where there is one."""
    model: str
    settings: str = ""
    """What the configuration says of the provider besides."""
    refused: tuple[tuple[str, str], ...] = ()
    """(scenario, why the provider refuses it of everybody)."""
    only: str = ""
    """The one scenario that is asked here; empty for all of the client's."""

    @property
    def name(self) -> str:
        """The model as clients ask for it."""
        return f"{self.provider}/{self.model}"


_TEXT_ONLY = (("image", "DeepSeek's API takes parts of text alone"),)
UPSTREAMS = (
    Upstream("chat (qwen3)", "qwen", "qwen3-coder-plus", "dialect: openai"),
    Upstream("responses (gpt-oss)", "local", "gpt-oss-120b", "dialect: responses"),
    Upstream("gpt-5", "openai", "gpt-5"),
    Upstream("gpt-5.5", "openai", "gpt-5.5"),
    Upstream("gpt-4.1", "openai", "gpt-4.1"),
    Upstream("deepseek", "deepseek", "deepseek-reasoner", refused=_TEXT_ONLY),
    Upstream("Claude Sonnet 4.5", "anthropic", "claude-sonnet-4-5"),
    Upstream("Claude Opus 4.7", "anthropic", "claude-opus-4-7"),
    Upstream("Gemini 2.5 Flash", "gemini", "gemini-2.5-flash"),
    Upstream("Gemini 3 Pro", "gemini", "gemini-3-pro-preview"),
    Upstream(
        "Bedrock Claude", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "auth: bearer, region: us-east-1"
    ),
    Upstream("Bedrock Nova", "bedrock", "us.amazon.nova-pro-v1:0"),
)
MISSPELT = Upstream("a misspelt model", "opanai", "gpt-5", only="wrong")
"""Nothing is served there: the person must read so, and what was meant."""
COLUMNS = (*UPSTREAMS, MISSPELT)
FURTHER = (
    Upstream("Mistral", "mistral", "mistral-large-latest"),
    Upstream("Groq", "groq", "openai/gpt-oss-120b"),
    Upstream("xAI", "xai", "grok-4"),
    Upstream("Moonshot", "moonshot", "kimi-k2-thinking"),
    Upstream("Z.ai", "zai", "glm-4.6v"),
    Upstream("MiniMax", "minimax", "MiniMax-M2"),
    Upstream("Cerebras", "cerebras", "gpt-oss-120b"),
    Upstream("OpenRouter", "openrouter", "anthropic/claude-sonnet-4.5"),
)
"""Further providers that have a twin of their own: asked by the libraries alone, which are quick."""
CREDENTIAL = "sk-upstream-credential-0123456789abcdef"
ENVIRON = {"UPSTREAM_KEY": CREDENTIAL}


def configuration(port: int) -> str:
    """The gateway's whole configuration: every provider is the one process on `port`."""
    lines = ["providers:"]
    for upstream in {one.provider: one for one in reversed((*UPSTREAMS, *FURTHER))}.values():
        first = next(one for one in (*UPSTREAMS, *FURTHER) if one.provider == upstream.provider)
        more = f"{first.settings}, " if first.settings else ""
        lines.append(
            f'  {first.provider}: {{{more}base_url: "http://127.0.0.1:{port}/{first.provider}", allow_private: true, '
            "credentials: [{name: main, secret: {env: UPSTREAM_KEY}}]}"
        )
    return "\n".join(lines) + "\n"
