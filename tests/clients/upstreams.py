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
    only: str = ""
    """The one scenario that is asked here; empty for all of the client's."""

    @property
    def name(self) -> str:
        """The model as clients ask for it."""
        return f"{self.provider}/{self.model}"


UPSTREAMS = (
    Upstream("chat (qwen3)", "qwen", "qwen3-coder-plus", "dialect: openai"),
    Upstream("responses (gpt-oss)", "local", "gpt-oss-120b", "dialect: responses"),
    Upstream("gpt-5", "openai", "gpt-5"),
    Upstream("gpt-5.5", "openai", "gpt-5.5"),
    Upstream("gpt-4.1", "openai", "gpt-4.1"),
    Upstream("deepseek", "deepseek", "deepseek-reasoner"),
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
CREDENTIAL = "sk-upstream-credential-0123456789abcdef"
ENVIRON = {"UPSTREAM_KEY": CREDENTIAL}


def configuration(port: int) -> str:
    """The gateway's whole configuration: every provider is the one process on `port`."""
    lines = ["providers:"]
    for upstream in {one.provider: one for one in reversed(UPSTREAMS)}.values():
        first = next(one for one in UPSTREAMS if one.provider == upstream.provider)
        more = f"{first.settings}, " if first.settings else ""
        lines.append(
            f'  {first.provider}: {{{more}base_url: "http://127.0.0.1:{port}/{first.provider}", allow_private: true, '
            "credentials: [{name: main, secret: {env: UPSTREAM_KEY}}]}"
        )
    return "\n".join(lines) + "\n"
