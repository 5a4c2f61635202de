"""The command-line clients, one row each."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.clients.program import CACHE, MODULES, NODE, Home, Program, jar_version, npm_version, python_version

_BIN = MODULES / ".bin"
SCHEMA = {
    "type": "object",
    "properties": {"capital": {"type": "string", "minLength": 2}},
    "required": ["capital"],
    "additionalProperties": False,
}
MCP_SERVER = Path(__file__).parent / "mcp_server.py"


def _claude(home: Home, scenario: str, prompt: str) -> str:
    command = [str(MODULES / "@anthropic-ai/claude-code-linux-x64/claude"), "-p", prompt]
    command += ["--allowedTools", "Bash", "Read", "mcp__tests__lookup", "--permission-mode", "acceptEdits"]
    if scenario == "second":
        command.append("--continue")
    if scenario == "schema":
        command += ["--json-schema", json.dumps(SCHEMA), "--output-format", "json"]
    if scenario == "mcp":
        servers = {"mcpServers": {"tests": {"command": sys.executable, "args": [str(MCP_SERVER)]}}}
        command += ["--mcp-config", json.dumps(servers)]
    return home.run(command)


def _codex(home: Home, scenario: str, prompt: str) -> str:
    command = [str(_BIN / "codex"), "exec"]
    if scenario == "second":
        command += ["resume", "--last"]
    command += ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    if scenario == "schema":
        path = home.path / "schema.json"
        path.write_text(json.dumps(SCHEMA))
        command += ["--output-schema", str(path)]
    if scenario == "image":
        command += ["-i", str(home.picture)]
    if scenario == "mcp":
        command += ["-c", f"mcp_servers.tests.command={json.dumps(sys.executable)}"]
        command += ["-c", f"mcp_servers.tests.args=[{json.dumps(str(MCP_SERVER))}]"]
    if scenario == "compact":
        command += ["-c", "model_auto_compact_token_limit=6000"]
    return home.run([*command, "--", prompt])


def _gemini(home: Home, scenario: str, prompt: str) -> str:
    command = [str(_BIN / "gemini"), "--yolo", "-p", prompt]
    if scenario == "second":
        command += ["--resume", "latest"]
    if scenario == "image":
        command[-1] += f" @{home.picture.name}"
    return home.run(command, {"GEMINI_CLI_TRUST_WORKSPACE": "true"})  # what a person says when asked


def _opencode(home: Home, scenario: str, prompt: str) -> str:
    command = [str(MODULES / "opencode-linux-x64/bin/opencode"), "run"]
    if scenario == "second":
        command.append("--continue")
    if scenario == "image":
        command += ["--file", str(home.picture)]
    return home.run([*command, "--", prompt])


def _cline(home: Home, scenario: str, prompt: str) -> str:
    if scenario == "loop":
        line = next(line for line in home.text.splitlines() if line.startswith("cline auth"))
        home.run([str(_BIN / "cline"), *line.split()[1:]])
    return home.run([str(_BIN / "cline"), "--auto-approve", "true", prompt])


def _continue(home: Home, scenario: str, prompt: str) -> str:
    more = ["--resume"] if scenario == "second" else []
    return home.run([str(_BIN / "cn"), "--print", "--auto", *more, prompt])


def _qwen(home: Home, scenario: str, prompt: str) -> str:
    command = [str(_BIN / "qwen"), "--yolo"]
    if scenario == "second":
        command.append("--continue")
    if scenario == "image":
        prompt += f" @{home.picture.name}"
    if scenario == "schema":
        command += ["--json-schema", json.dumps(SCHEMA)]
    return home.run([*command, "-p", prompt])


def _copilot(home: Home, scenario: str, prompt: str) -> str:
    more = ["--continue"] if scenario == "second" else []
    return home.run([str(_BIN / "copilot"), "--allow-all-tools", *more, "-p", prompt])


def _aider(home: Home, scenario: str, prompt: str) -> str:
    command = [str(CACHE / "aider" / "bin" / "aider"), "--yes-always", "--no-check-update", "--no-show-model-warnings"]
    if scenario == "image":
        command += ["--file", home.picture.name]
    return home.run([*command, "--file", "README.md", "--message", prompt])


_SDK = Path(__file__).parent / "sdk"


def _python(name: str) -> Callable[[Home, str, str], str]:
    def ask(home: Home, scenario: str, prompt: str) -> str:
        (home.project / "connected.py").write_text(_code_of(home.text))
        shutil.copy(_SDK / name, home.project)
        return home.run([str(CACHE / "python" / "bin" / "python"), name, scenario, _prompts(), str(home.picture)])

    return ask


def _javascript(name: str) -> Callable[[Home, str, str], str]:
    def ask(home: Home, scenario: str, prompt: str) -> str:
        (home.project / "connected.mjs").write_text(_code_of(home.text))
        shutil.copy(_SDK / name, home.project)
        modules = home.project / "node_modules"
        if not modules.exists():
            modules.symlink_to(MODULES)
        return home.run([str(NODE), name, scenario, _prompts(), str(home.picture)])

    return ask


def _java(home: Home, scenario: str, prompt: str) -> str:
    code = _code_of(home.text).strip()
    (home.project / "Connected.java").write_text(
        "import dev.langchain4j.model.openai.OpenAiChatModel;\n\npublic class Connected {\n"
        f"    static OpenAiChatModel model() {{\n        return {code}\n    }}\n}}\n"
    )
    shutil.copy(_SDK / "UseLangChain4j.java", home.project)
    jars = f"{CACHE / 'java'}/*:."
    if not (home.project / "UseLangChain4j.class").exists():
        said = home.run(["javac", "-parameters", "-cp", jars, "Connected.java", "UseLangChain4j.java"])
        if "[exit" in said:
            return said
    return home.run(["java", "-cp", jars, "UseLangChain4j", scenario, str(home.picture)])


def _code_of(text: str) -> str:
    """What `connect` prints, without its comments and variables: those are set."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("#", "export OPENAI")))


def _prompts() -> str:
    return json.dumps(
        {name: f"[[{name}]] Please do as agreed." for name in ("loop", "second", "schema", "image", "refused")}
    )


_AGENT = ("loop", "second", "image", "refused")
_NO_EFFORT = {("", "openai/gpt-4.1"): "Codex asks every model to reason, and OpenAI refuses that of GPT-4.1"}
_TWICE = {
    (
        "second",
        "gemini/",
    ): "Gemini CLI says each result twice when it resumes a session, which Google refuses; other providers get it once"
}
_PRIVATE = {
    (
        "second",
        "openai/",
    ): "Copilot CLI sends `__copilotMessageSource` in a resumed session; OpenAI's types have no such member"
}
COMMANDS = (
    Program(
        "Claude Code",
        "claude-code",
        lambda: npm_version("@anthropic-ai/claude-code"),
        _claude,
        (*_AGENT, "schema", "mcp"),
    ),
    Program(
        "Codex",
        "codex",
        lambda: npm_version("@openai/codex"),
        _codex,
        (*_AGENT, "schema", "mcp", "compact"),
        _NO_EFFORT,
    ),
    Program("Gemini CLI", "gemini-cli", lambda: npm_version("@google/gemini-cli"), _gemini, _AGENT, _TWICE),
    Program("opencode", "opencode", lambda: npm_version("opencode-ai"), _opencode, _AGENT),
    Program("Qwen Code", "qwen-code", lambda: npm_version("@qwen-code/qwen-code"), _qwen, (*_AGENT, "schema")),
    Program("Cline CLI", "cline", lambda: npm_version("cline"), _cline, ("loop", "refused")),
    Program(
        "Continue CLI", "continue", lambda: npm_version("@continuedev/cli"), _continue, ("loop", "second", "refused")
    ),
    Program(
        "Copilot CLI",
        "copilot-cli",
        lambda: npm_version("@github/copilot"),
        _copilot,
        ("loop", "second", "refused"),
        _PRIVATE,
    ),
    Program("aider", "aider", lambda: python_version("aider_chat", "aider"), _aider, ("edit", "image", "refused")),
)
_KIT = ("loop", "second", "schema", "image", "refused")
KITS = (
    Program("AI SDK", "vercel-ai", lambda: npm_version("ai"), _javascript("use_vercel_ai.mjs"), _KIT),
    Program("LangChain", "langchain", lambda: python_version("langchain"), _python("use_langchain.py"), _KIT),
    Program(
        "LangChain.js", "langchain-js", lambda: npm_version("langchain"), _javascript("use_langchain_js.mjs"), _KIT
    ),
    Program(
        "Pydantic AI", "pydantic-ai", lambda: python_version("pydantic_ai_slim"), _python("use_pydantic_ai.py"), _KIT
    ),
    Program(
        "OpenAI Agents SDK",
        "openai-agents",
        lambda: python_version("openai_agents"),
        _python("use_openai_agents.py"),
        _KIT,
    ),
    Program("LangChain4j", "langchain4j", lambda: jar_version("langchain4j-open-ai"), _java, _KIT),
)
PROGRAMS = (*COMMANDS, *KITS)
