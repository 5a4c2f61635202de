"""Settings that open an AI tool to others or let it do anything, in commands, units, compose and CI files. Level 1.

switchgear:allow-file: this is their list.
"""

import re

from switchgear.detect.finding import Severity

FLAGS: tuple[tuple[str, Severity, str], ...] = (
    # What stands there, how bad, what it does. Sources: product documentation, Elastic's detection rules (read 2026-11).
    ("--dangerously-skip-permissions", "high", "an agent runs any command without asking"),
    ("--permission-mode bypassPermissions", "high", "an agent runs any command without asking"),
    ("--dangerously-bypass-approvals-and-sandbox", "high", "an agent runs any command, outside its sandbox"),
    ("--sandbox danger-full-access", "high", "an agent runs without its sandbox"),
    ("--allow-all-tools", "medium", "an agent uses every tool without asking"),
    ("--yolo", "medium", "an agent runs any command without asking"),
    ("--trust-remote-code", "medium", "code that comes with a model is run"),
    ("WEBUI_AUTH=False", "high", "Open WebUI asks for no login"),
    ("LANGFLOW_AUTO_LOGIN=true", "high", "everyone is Langflow's superuser"),
    ("VLLM_SERVER_DEV_MODE=1", "high", "vLLM's development endpoints are open"),
    ("OLLAMA_HOST=0.0.0.0", "high", "Ollama, which has no login, listens on every address"),
    ("OLLAMA_ORIGINS=*", "medium", "any web page may use Ollama"),
    ("DANGEROUSLY_OMIT_AUTH=true", "high", "the MCP Inspector asks for no login"),
    ("AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED=true", "medium", "Weaviate asks for no login"),
    ("--ServerApp.token=''", "high", "Jupyter gives everyone a shell"),
    ("--NotebookApp.token=''", "high", "Jupyter gives everyone a shell"),
)
_PARTS = re.compile(r"[= ]")


def _pattern(flag: str) -> re.Pattern[str]:
    # `NAME=value` also as `NAME: value` (YAML) and with quotes; `--name value` also as `--name=value`.
    name, *value = _PARTS.split(flag, maxsplit=1)
    return re.compile(re.escape(name) + "".join(rf"[=: ] ?['\"]?{re.escape(v)}" for v in value), re.I)


_COMPILED = [(_pattern(text), text, bad, what) for text, bad, what in FLAGS]


def words(tag: str) -> dict[str, set[str]]:
    """Return what the first pass looks for."""
    return {_PARTS.split(text)[0].lower(): {tag} for text, _, _ in FLAGS}


def found_in(line: str) -> list[tuple[str, Severity, str]]:
    """Return (flag, severity, what it does) for a line of text."""
    return [(text, bad, what) for pattern, text, bad, what in _COMPILED if pattern.search(line)]
