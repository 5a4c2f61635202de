"""The twins by name: where each provider listens, how it wants to be asked, and what it says in odd moments. Level 5, data.

A row per well-known provider. What it refuses beside its dialect's rules is in `by_provider`. Paths are those of the API
references (2026-11), below a part of their own so that one server can be all of them: `http://127.0.0.1:PORT/mistral/v1/…`.
"""

import re
from typing import NamedTuple

from switchgear.testing.twins.streaming import PLAIN, Odd


class Twin(NamedTuple):
    """A provider. `paths` is dialect → (plain, stream): patterns below `/{name}`; a group is the model, named in the path."""

    name: str
    base: str
    paths: dict[str, tuple[str, str]]
    auth: str = "authorization: Bearer "
    """The header that must be there, and how its value begins."""
    odd: tuple[Odd, ...] = (PLAIN,)
    """How its streams of chat completions were seen to be."""
    headers: tuple[str, ...] = ()
    """Further headers without which it refuses."""

    def base_url(self, port: int) -> str:
        """Where a gateway is told to find it."""
        return f"http://127.0.0.1:{port}/{self.name}{self.base}"

    def find(self, path: str) -> tuple[str, bool | None, str | None] | None:
        """Return (dialect, stream or None where the body says it, model in the path) for a path below `/{name}`, or None."""
        for dialect, (plain, stream) in self.paths.items():
            for pattern, in_stream in ((plain, False), (stream, True)):
                found = re.fullmatch(re.escape(self.base) + pattern, path) if pattern else None
                if found is not None:
                    is_said = in_stream if stream else None
                    return dialect, is_said, found.group(1) if found.re.groups else None
        return None


_CHAT = {"openai": ("/chat/completions", "")}
_BOTH = {"openai": ("/chat/completions", ""), "responses": ("/responses", "")}
_GEMINI = {"gemini": ("/models/([^/:]+):generateContent", "/models/([^/:]+):streamGenerateContent")}
_NO_DONE = Odd(no_done=True)
_ALTERNATING = Odd(alternating=True)

TWINS: dict[str, Twin] = {
    twin.name: twin
    for twin in (
        Twin("openai", "/v1", _BOTH),
        Twin("azure", "/openai/v1", _BOTH, "api-key: "),
        Twin("anthropic", "/v1", {"anthropic": ("/messages", "")}, "x-api-key: ", headers=("anthropic-version",)),
        Twin(
            "vertex-anthropic",
            "/v1/projects/p/locations/us-east5/publishers/anthropic",
            {"anthropic": ("/models/([^/:]+):rawPredict", "/models/([^/:]+):streamRawPredict")},
        ),
        Twin("gemini", "/v1beta", _GEMINI, "x-goog-api-key: "),
        Twin("vertex", "/v1/projects/p/locations/us-central1/publishers/google", _GEMINI),
        Twin(
            "bedrock",
            "",
            {"bedrock": ("/model/([^/]+)/converse", "/model/([^/]+)/converse-stream")},
            "authorization: AWS4-HMAC-SHA256 ",
        ),
        Twin("bedrock-mantle", "/v1", _BOTH),
        Twin("deepseek", "/v1", _BOTH),
        Twin("mistral", "/v1", _CHAT, odd=(Odd(usage_in_last=True),)),
        Twin("groq", "/openai/v1", _BOTH),
        Twin("xai", "/v1", _BOTH),
        Twin("cohere", "/v2", {"cohere": ("/chat", "")}),
        Twin("openrouter", "/api/v1", _BOTH, odd=(PLAIN, Odd(half_surrogates=True))),
        Twin("moonshot", "/v1", _CHAT, odd=(PLAIN, Odd(usage_in_last=True))),
        Twin("zai", "/api/paas/v4", _CHAT, odd=(Odd(usage_in_last=True),)),
        Twin("minimax", "/v1", _CHAT, odd=(_NO_DONE, _ALTERNATING)),
        Twin("together", "/v1", _CHAT, odd=(PLAIN, Odd(usage_in_last=True))),
        Twin("fireworks", "/inference/v1", _CHAT, odd=(PLAIN, _ALTERNATING)),
        Twin("cerebras", "/v1", _CHAT, odd=(PLAIN, Odd(usage_in_last=True))),
        Twin("ollama", "/v1", _CHAT, "", odd=(PLAIN, Odd(no_done=True, number_id=True))),
        Twin("vllm", "/v1", _BOTH, "", odd=(PLAIN, Odd(no_arguments=True))),
        Twin("snowflake", "/api/v2/cortex/v1", _CHAT),
        Twin("heroku", "/v1", _CHAT),
        Twin("crusoe", "/v1", _CHAT),
        Twin("huggingface", "/v1", _CHAT),
        # A server of somebody's own, and all that was seen of such: what is forbidden nowhere and happens.
        Twin(
            "other",
            "/v1",
            _BOTH,
            "",
            odd=(
                _ALTERNATING,
                Odd(index_zero=True),
                Odd(no_call_ids=True),
                Odd(no_arguments=True, no_done=True),
                Odd(half_surrogates=True, number_id=True),
            ),
        ),
    )
}
