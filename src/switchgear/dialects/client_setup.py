"""How to point each known client at this gateway: rows of data for `switchgear connect` and `GET /connect/{client}`. Level 1.

The clients' own documentation, as of 2026-11. `{root}` is the gateway's address, `{v1}` the same with `/v1`, `{key}` a
virtual key, `{model}` a model's name.
"""

from typing import Literal

import msgspec

Form = Literal["env", "json", "toml", "yaml", "text"]


class SettingsFile(msgspec.Struct, frozen=True, kw_only=True):
    """A further file of a client that keeps its settings in several."""

    file: str
    form: Form
    text: str = ""
    """What stands in it; unused where the form is env."""


class ClientSetup(msgspec.Struct, frozen=True, kw_only=True):
    """One client."""

    name: str
    title: str
    dialect: str
    """What it speaks: `connect --check` asks in it."""
    env: tuple[tuple[str, str], ...] = ()
    """Environment variables that it reads."""
    file: str | None = None
    """The file in which it keeps settings; `~` is the person's home."""
    form: Form = "text"
    text: str = ""
    """What stands in the file, or what to type."""
    also: tuple[SettingsFile, ...] = ()
    """What it needs besides `file`."""
    note: str = ""

    @property
    def files(self) -> tuple[SettingsFile, ...]:
        """All its files; empty where it keeps its settings elsewhere."""
        if self.file is None:
            return ()
        return (SettingsFile(file=self.file, form=self.form, text=self.text), *self.also)


def _openai_sdk(name: str, title: str, text: str = "", **more: str) -> ClientSetup:
    env = (("OPENAI_BASE_URL", "{v1}"), ("OPENAI_API_KEY", "{key}"))
    return ClientSetup(name=name, title=title, dialect="openai", env=env, text=text, note=more.get("note", ""))


_CLAUDE = (
    ("ANTHROPIC_BASE_URL", "{root}"),
    ("ANTHROPIC_AUTH_TOKEN", "{key}"),
    ("ANTHROPIC_MODEL", "{model}"),
    # What it asks for titles, and what sub-agents name by tier.
    ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "{model}"),
    ("ANTHROPIC_DEFAULT_SONNET_MODEL", "{model}"),
    ("ANTHROPIC_DEFAULT_OPUS_MODEL", "{model}"),
)
_ROWS = (
    ClientSetup(
        name="claude-code",
        title="Claude Code",
        dialect="anthropic",
        env=_CLAUDE,
        file="~/.claude/settings.json",
        form="json",
        text='{{"env": {{' + ", ".join(f'"{name}": "{value}"' for name, value in _CLAUDE) + "}}}}",
        note=(
            "The base URL has no /v1. CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1 lists models whose name holds `claude`. "
            "It does not know the size of other models: CLAUDE_CODE_MAX_CONTEXT_TOKENS says it."
        ),
    ),
    ClientSetup(
        name="codex",
        title="Codex CLI",
        dialect="responses",
        env=(("SWITCHGEAR_KEY", "{key}"),),
        file="~/.codex/config.toml",
        form="toml",
        text=(
            'model = "{model}"\nmodel_provider = "switchgear"\n\n[model_providers.switchgear]\nname = "Switchgear"\n'
            'base_url = "{v1}"\nenv_key = "SWITCHGEAR_KEY"\nwire_api = "responses"\n'
        ),
        note="Codex speaks responses only; any chat model behind the gateway answers it.",
    ),
    ClientSetup(
        name="gemini-cli",
        title="Gemini CLI",
        dialect="gemini",
        env=(("GOOGLE_GEMINI_BASE_URL", "{root}"), ("GEMINI_API_KEY", "{key}"), ("GEMINI_MODEL", "{model}")),
        file="~/.gemini/.env",
        form="env",
        also=(
            # With a base URL alone it picks an authentication that it then refuses (google-gemini/gemini-cli#27553, read
            # 2026-11-27).
            SettingsFile(
                file="~/.gemini/settings.json",
                form="json",
                text='{{"security": {{"auth": {{"selectedType": "gemini-api-key"}}}}, "model": {{"name": "{model}"}}}}',
            ),
        ),
        note="It wants https unless the gateway is on localhost. It reads the file of variables in folders that are trusted.",
    ),
    ClientSetup(
        name="opencode",
        title="OpenCode",
        dialect="openai",
        file="opencode.json",
        form="json",
        text=(
            '{{"$schema": "https://opencode.ai/config.json", "provider": {{"switchgear": {{"npm": "@ai-sdk/openai-compatible", '
            '"options": {{"baseURL": "{v1}", "apiKey": "{key}"}}, "models": {{"{model}": {{"attachment": true, "tool_call": true, '
            '"modalities": {{"input": ["text", "image"], "output": ["text"]}}}}}}}}}}, "model": "switchgear/{model}"}}'
        ),
    ),
    ClientSetup(
        name="aider",
        title="aider",
        dialect="openai",
        env=(("OPENAI_API_BASE", "{v1}"), ("OPENAI_API_KEY", "{key}")),
        file=".aider.conf.yml",
        form="yaml",
        text="openai-api-base: {v1}\nopenai-api-key: {key}\nmodel: openai/{model}\n",
        also=(
            # By itself it shows pictures to models of litellm's list alone.
            SettingsFile(
                file=".aider.model.metadata.json",
                form="json",
                text='{{"openai/{model}": {{"supports_vision": true, "litellm_provider": "openai", "mode": "chat"}}}}',
            ),
        ),
    ),
    ClientSetup(
        name="continue",
        title="Continue",
        dialect="openai",
        file="~/.continue/config.yaml",
        form="yaml",
        text=(
            "name: Switchgear\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: {model}\n"
            "    provider: openai\n    model: {model}\n    apiBase: {v1}\n    apiKey: {key}\n"
            "    roles: [chat, edit, apply]\n    capabilities: [tool_use, image_input]\n"
        ),
    ),
    ClientSetup(
        name="cline",
        title="Cline, Roo Code, Kilo Code",
        dialect="openai",
        text=(
            "Settings → API Provider: OpenAI Compatible\n  Base URL  {v1}\n  API Key   {key}\n  Model ID  {model}\n\n"
            "# Cline CLI\ncline auth --provider openai-compatible --baseurl {v1} --apikey {key} --modelid {model}\n"
        ),
    ),
    ClientSetup(
        name="cursor",
        title="Cursor",
        dialect="openai",
        text=(
            "Settings → Models → OpenAI API Key\n  API Key                   {key}\n  Override OpenAI Base URL  {v1}\n"
            "  Add model                 {model}\n"
        ),
        note="Cursor calls from its own cloud: the gateway needs a public https address. Tab completion is not routed.",
    ),
    ClientSetup(
        name="zed",
        title="Zed",
        dialect="openai",
        file="~/.config/zed/settings.json",
        form="json",
        text=(
            '{{"language_models": {{"openai_compatible": {{"Switchgear": {{"api_url": "{v1}", "available_models": '
            '[{{"name": "{model}", "max_tokens": 128000}}]}}}}}}}}'
        ),
        note="Give the key in the agent panel's settings, or as SWITCHGEAR_API_KEY.",
    ),
    ClientSetup(
        name="open-webui",
        title="Open WebUI",
        dialect="openai",
        env=(
            ("OPENAI_API_BASE_URL", "{v1}"),
            ("OPENAI_API_KEY", "{key}"),
            ("ENABLE_FORWARD_USER_INFO_HEADERS", "true"),
        ),
        note="With forwarded headers each record names the person and the conversation.",
    ),
    ClientSetup(
        name="librechat",
        title="LibreChat",
        dialect="openai",
        file="librechat.yaml",
        form="yaml",
        text=(
            "endpoints:\n  custom:\n    - name: Switchgear\n      apiKey: {key}\n      baseURL: {v1}\n      models:\n"
            "        default: ['{model}']\n        fetch: true\n      headers:\n"
            "        x-librechat-user-id: '{{{{LIBRECHAT_USER_ID}}}}'\n"
        ),
    ),
    _openai_sdk(
        "openai",
        "OpenAI SDK",
        'client = openai.OpenAI(base_url="{v1}", api_key="{key}")\n'
        'client.chat.completions.create(model="{model}", messages=[{{"role": "user", "content": "hello"}}])\n',
    ),
    ClientSetup(
        name="anthropic",
        title="Anthropic SDK",
        dialect="anthropic",
        env=(("ANTHROPIC_BASE_URL", "{root}"), ("ANTHROPIC_API_KEY", "{key}")),
        text='client = anthropic.Anthropic(base_url="{root}", api_key="{key}")\n',
    ),
    ClientSetup(
        name="google-genai",
        title="Google Gen AI SDK",
        dialect="gemini",
        env=(("GOOGLE_GEMINI_BASE_URL", "{root}"), ("GEMINI_API_KEY", "{key}")),
        text='client = genai.Client(api_key="{key}", http_options={{"base_url": "{root}"}})\n',
    ),
    ClientSetup(
        name="qwen-code",
        title="Qwen Code",
        dialect="openai",
        env=(("OPENAI_BASE_URL", "{v1}"), ("OPENAI_API_KEY", "{key}"), ("OPENAI_MODEL", "{model}")),
        file="~/.qwen/.env",
        form="env",
        also=(
            SettingsFile(
                file="~/.qwen/settings.json",
                form="json",
                # By itself it looks for a maker's name at the beginning of the model's, and shows pictures to no other.
                text=(
                    '{{"security": {{"auth": {{"selectedType": "openai"}}}}, "model": {{"name": "{model}", '
                    '"generationConfig": {{"modalities": {{"image": true}}}}}}}}'
                ),
            ),
        ),
        note="A model that reads no pictures: modalities.image is false in ~/.qwen/settings.json.",
    ),
    ClientSetup(
        name="copilot-cli",
        title="Copilot CLI",
        dialect="openai",
        env=(
            ("COPILOT_PROVIDER_BASE_URL", "{v1}"),
            ("COPILOT_PROVIDER_API_KEY", "{key}"),
            ("COPILOT_MODEL", "{model}"),
            ("COPILOT_OFFLINE", "true"),
        ),
        note="COPILOT_OFFLINE=true keeps it from GitHub altogether: no login, no telemetry, no updates, no GitHub tools.",
    ),
    _openai_sdk(
        "langchain",
        "LangChain",
        "from langchain_openai import ChatOpenAI\n\n"
        'model = ChatOpenAI(base_url="{v1}", api_key="{key}", model="{model}", stream_usage=True)\n',
    ),
    _openai_sdk(
        "langchain-js",
        "LangChain.js",
        'import {{ ChatOpenAI }} from "@langchain/openai";\n\nexport const model = new ChatOpenAI({{\n'
        '  model: "{model}", apiKey: "{key}", streamUsage: true, configuration: {{ baseURL: "{v1}" }},\n}});\n',
    ),
    _openai_sdk(
        "langchain4j",
        "LangChain4j",
        'OpenAiChatModel.builder().baseUrl("{v1}").apiKey("{key}").modelName("{model}").build();\n',
    ),
    _openai_sdk(
        "openai-agents",
        "OpenAI Agents SDK",
        "from agents import AsyncOpenAI, OpenAIChatCompletionsModel, set_tracing_disabled\n\n"
        "set_tracing_disabled(True)\n"
        'client = AsyncOpenAI(base_url="{v1}", api_key="{key}")\n'
        'model = OpenAIChatCompletionsModel(model="{model}", openai_client=client)\n',
        note="Tracing sends what agents do to OpenAI; the gateway's key is no key there.",
    ),
    _openai_sdk(
        "llamaindex",
        "LlamaIndex",
        'OpenAILike(api_base="{v1}", api_key="{key}", model="{model}", is_chat_model=True, is_function_calling_model=True)\n',
        note="Use OpenAILike: its OpenAI class refuses model names that it does not know.",
    ),
    _openai_sdk(
        "vercel-ai",
        "Vercel AI SDK",
        'import {{ createOpenAICompatible }} from "@ai-sdk/openai-compatible";\n\n'
        "export const model = createOpenAICompatible({{\n"
        '  name: "switchgear", baseURL: "{v1}", apiKey: "{key}", includeUsage: true, supportsStructuredOutputs: true,\n'
        '}})("{model}");\n',
        note=(
            "createOpenAI(…)(model) speaks Responses and refers to stored items, which only OpenAI has: use "
            "createOpenAI(…).chat(model). Its ANTHROPIC_BASE_URL means an address with /v1, unlike the Anthropic SDK's; both "
            "are served."
        ),
    ),
    _openai_sdk(
        "pydantic-ai",
        "Pydantic AI",
        "from pydantic_ai.models.openai import OpenAIChatModel\nfrom pydantic_ai.providers.openai import OpenAIProvider\n\n"
        'model = OpenAIChatModel("{model}", provider=OpenAIProvider(base_url="{v1}", api_key="{key}"))\n',
    ),
)
CLIENT_SETUPS: dict[str, ClientSetup] = {setup.name: setup for setup in _ROWS}


def fill(text: str, root: str, key: str, model: str) -> str:
    """Put this gateway's values into a row's text."""
    return text.format(root=root, v1=root + "/v1", key=key, model=model)


def render(setup: ClientSetup, root: str, key: str, model: str) -> str:
    """Return what a person reads: variables, the file, the note."""
    lines = [f"# {setup.title}"]
    if setup.env:
        lines += [f"export {name}={fill(value, root, key, model)}" for name, value in setup.env]
    if setup.form == "env" and setup.file:
        lines.append(f"# or, without export, in {setup.file}")
    if setup.text:
        where = setup.file or "in its settings, or in code"
        lines += ["", f"# {where}", fill(setup.text, root, key, model).rstrip()]
    for one in setup.also:
        lines += ["", f"# {one.file}", fill(one.text, root, key, model).rstrip()]
    if setup.note:
        lines += ["", f"# {setup.note}"]
    return "\n".join(lines) + "\n"
