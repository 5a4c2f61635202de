"""How a provider differs from its dialect's book, as data. Level 1.

A provider's row holds one; encoders read it. A quirk that several providers share is a field here, never a comparison of
names.
"""

import msgspec


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults are those of a plain OpenAI-compatible server."""

    stream_usage: bool = True
    """False where `stream_options` is refused; usage is then estimated when the stream does not carry it."""
    max_tokens: str = "max_tokens"
    """The name of the output limit in chat completions; OpenAI's own reasoning models know only the newer one."""
    newer_limit: bool = True
    """False where `max_completion_tokens` is refused (Mistral: eca#231; read 2026-11-27)."""
    developer: bool = True
    """False where a message of the role `developer` is refused: "unknown variant `developer`" (DeepSeek, pi#1048), ROLE_UNSPECIFIED
    (Kimi, openclaw#21911), "invalid role: developer (2013)" (MiniMax, openclaw#3022), "Incorrect role information" (GLM,
    PI-Desktop#30), "developer is not one of" (Qwen, pi#5117), "Input tag 'developer'" (Mistral, chatgpt-md#189). Read
    2026-11-28."""
    reasoning_effort: bool = True
    """False where `reasoning_effort` is refused."""
    top_k: bool = False
    """True where chat completions take `top_k`."""
    reasoning_content: bool = False
    """True where an assistant's thinking goes back as `reasoning_content`, which makers of models that think between tool
    calls demand, and an empty one with calls where there is none (api-docs.deepseek.com/guides/thinking_mode, openclaw#74846;
    read 2026-11-27)."""
    takes_reasoning_content: bool = True
    """False where `reasoning_content` in a history is refused, whatever the model (jan#8136, kilocode#10375, crush#1590; read
    2026-11-27)."""
    refused_members: tuple[str, ...] = ()
    """Members of messages that are refused in a chat completion (but of a tool's)."""
    same_strict: bool = False
    """True where tools must all be strict or none (Roo-Code#10334; read 2026-11-27)."""
    call_id_chars: int = 0
    """Exactly so many letters and digits a call's id must have (Mistral: 9; error text "must be a-z, A-Z, 0-9, with a length of
    9", opencode#1680, mistral-vibe#1075; read 2026-11-27); 0 where it is free."""
    instructions_first: bool = False
    """True where instructions stand at the beginning only."""
    bridges_results: bool = False
    """True where a turn of the user may not follow a tool's result directly (Mistral: "Unexpected role 'user' after role 'tool'",
    zed#37021, hermes-agent#20154; read 2026-11-27)."""
    thinking_off: str = ""
    """The key that turns thinking off, as it must be where a tool is forced: `thinking` (an object with `type`) or
    `enable_thinking` (DeepSeek-V3#1376, oh-my-pi#1077, eino#994; read 2026-11-27). "" where none is known."""
    media: frozenset[str] = frozenset()
    """Media types that are read, and only where the request brings the data; empty where the dialect decides."""
    text_lists: bool = False
    """True where a turn may be a list of texts; else they are joined, as templates of many servers demand (CLIProxyAPI#3056,
    krasis#10; read 2026-11-27)."""
    shares_fields: bool = False
    """True where fields that OpenAI's two dialects share are known (service tier, prompt cache key, verbosity)."""
    reasoning_details: bool = False
    """True where signed thinking goes back as `reasoning_details` (OpenRouter, "Reasoning tokens")."""
    format_or_tools: bool = False
    """True where a format of the answer is refused beside tools."""
    prefill: str = ""
    """The key that marks a last turn of the assistant as one to be continued (docs.mistral.ai, "Prefix"), where one is needed."""
    metadata_needs_store: bool = False
    """True where `metadata` in chat completions is refused unless the answer is stored (error text of OpenAI's API)."""
    betas: dict[str, str] = {}
    """How values of `anthropic-beta` begin that the provider refuses → what it knows them as, empty for nothing."""
    drop: tuple[str, ...] = ()
    """Further fields that the provider refuses: removed in translated requests, and listed in the record."""
    paths: dict[str, str] = {}
    """Paths that differ from the dialect's, by operation (`chat`, `chat_stream`, …); `{model}` is the model's name."""
    charges: str = ""
    """Where the provider says in `usage` what it charges, in parts of a USD: "cost", "cost.total_cost". That is booked then."""
    charges_per_usd: int = 1
    """How many of that figure's unit are a USD."""
    charges_own_key: str = ""
    """What its user pays to a further provider, with a key of its own: added where `is_byok` is true."""
    web_search: bool = False
    """True where the provider runs a search of the web, in the dialect that asks for one."""
    texts_max: int = 0
    """The most texts that are embedded in one request; 0 for the dialect's own bound. OpenAI and Azure: 2,048 (API reference,
    embeddings, `input`); Mistral: 512 ("Too many inputs in request, split into more batches", code 3210,
    edgequake-llm#74); Voyage: 1,000 (docs.voyageai.com, "Text embeddings"); DashScope: 10 ("batch size is invalid, it should not
    be larger than 10"). Read 2026-11-28."""
    rerank_limit: str = ""
    """What a ranking's `top_n` is called, where it is not called so; such a provider's list is `data` instead of `results`."""
    body: dict[str, str | int | bool | None] | None = None
    """Keys that are set in every body; None removes one."""
