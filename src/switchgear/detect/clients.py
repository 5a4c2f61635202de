"""Configuration of AI clients and agents: MCP servers, credential files, gateways' own files. Level 1."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from switchgear.core.text import is_deep

MCP_FILES = (
    # Ends of paths where clients keep their MCP servers (agent-scan and ABOM lists, client documentation, read 2026-11).
    ".claude.json", ".claude/settings.json", ".claude/settings.local.json", ".mcp.json", "claude_desktop_config.json",
    "managed-mcp.json", ".cursor/mcp.json", "windsurf/mcp_config.json", ".vscode/mcp.json", "Code/User/mcp.json",
    ".copilot/mcp-config.json", "cline_mcp_settings.json", "mcp_settings.json", ".codex/config.toml",
    ".gemini/settings.json", "antigravity/mcp_config.json", "goose/config.yaml", "zed/settings.json",
    ".openclaw/openclaw.json", ".kiro/settings/mcp.json", "opencode/opencode.json", "opencode.json",
    "amazonq/mcp.json", ".junie/mcp/mcp.json", ".continue/config.json", ".continue/config.yaml",
)  # fmt: skip
CREDENTIAL_FILES = {
    ".claude/.credentials.json": "Claude Code",
    ".codex/auth.json": "Codex",
    ".gemini/oauth_creds.json": "Gemini CLI",
    "github-copilot/apps.json": "GitHub Copilot",
    "github-copilot/hosts.json": "GitHub Copilot",
    ".aider/oauth-keys.env": "Aider",
    ".cache/huggingface/token": "Hugging Face",
    ".anthropic/api_key": "Anthropic",
    ".claude-code-router/config.json": "Claude Code Router",
}
"""Files that hold credentials of clients: reported by name and mode, never read."""
INSTRUCTION_FILES = frozenset(
    {"CLAUDE.md", "AGENTS.md", "GEMINI.md", ".cursorrules", ".windsurfrules", ".clinerules", "copilot-instructions.md"}
)
_KEYS = ("mcpServers", "mcp_servers", "servers", "context_servers", "extensions", "mcp")
_UNPINNED = re.compile(r"^(?:@[a-z0-9._-]+/)?[a-z0-9._-]+$", re.I)


class McpServer(msgspec.Struct, frozen=True):
    """An MCP server that a client starts or calls; `program` is its package or host, never an argument that could be secret."""

    name: str
    program: str
    remote: bool
    problems: tuple[str, ...]


def is_mcp_file(path: str) -> bool:
    """Tell whether a path is where a client keeps MCP servers."""
    return any(path == end or path.endswith(f"/{end}") for end in MCP_FILES)


def credential_file(path: str) -> str | None:
    """Return whose credential file a path is, or None."""
    return next((owner for end, owner in CREDENTIAL_FILES.items() if path == end or path.endswith(f"/{end}")), None)


def mcp_servers(path: str, data: bytes) -> Iterator[McpServer]:
    """Yield the servers that a client's file names. Raises ValueError when the file cannot be read."""
    try:
        if path.endswith(".toml"):
            raw: Any = tomllib.loads(data.decode())
        elif path.endswith((".yaml", ".yml")):
            raw = _yaml(data)
        else:
            raw = msgspec.json.decode(_without_comments(data))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError(str(exc)) from None
    for key in _KEYS:
        servers = raw.get(key) if isinstance(raw, dict) else None
        for name, entry in servers.items() if isinstance(servers, dict) else ():
            if isinstance(entry, dict) and ("command" in entry or "url" in entry or "cmd" in entry):
                yield _server(str(name)[:64], entry)


def _yaml(data: bytes) -> Any:
    import yaml  # noqa: PLC0415 - a tenth of a run that meets no such file

    if is_deep(data.decode("utf-8", "replace")):
        raise ValueError("brackets are nested too deeply")
    try:
        return yaml.load(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as exc:
        raise ValueError(str(exc)) from None


def _server(name: str, entry: Mapping[str, Any]) -> McpServer:
    problems = []
    url = entry.get("url")
    if isinstance(url, str):
        host = re.match(r"(?i)(https?)://(?:[^/@]*@)?([^/:?#]+)", url)
        if host is not None and host.group(1).lower() == "http" and host.group(2) not in {"127.0.0.1", "localhost"}:
            problems.append("over plain http")
        return McpServer(name, host.group(2) if host else "?", True, tuple(problems))
    command = next((c for c in (entry.get("command"), entry.get("cmd")) if isinstance(c, str)), "")
    arguments = (
        [str(a) for a in entry.get("args", []) if isinstance(a, str)] if isinstance(entry.get("args"), list) else []
    )
    program = command.rpartition("/")[2][:64]
    package = next((a for a in arguments if not a.startswith("-") and a not in {"run", "exec"}), "")[:100]
    if program in {"npx", "bunx", "uvx", "pipx"} and package:
        if _UNPINNED.fullmatch(package):
            problems.append("takes the newest version at each start")
        program = f"{program} {package}"
    if entry.get("alwaysAllow") or entry.get("autoApprove"):
        problems.append("tools that need no approval")
    return McpServer(name, program, False, tuple(problems))


def _without_comments(data: bytes) -> bytes:
    return re.sub(rb"(?m)^\s*//.*$", b"", data)


def is_litellm_config(block: bytes) -> bool:
    """Tell whether a YAML file is a configuration of LiteLLM."""
    return b"model_list:" in block and b"litellm_params" in block


def gateway_file(path: str, names: Mapping[str, str]) -> str | None:
    """Return the product whose configuration file a path is; `names`: end of path → product id."""
    parts = path.rsplit("/", 2)
    return names.get(parts[-1]) or names.get("/".join(parts[-2:]))
