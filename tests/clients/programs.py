"""The clients, one row each: programs of the command line, and libraries, each used as `sdk` says."""

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.clients.program import CACHE, MODULES, NODE, SECONDS, Home, Program, jar_version, npm_version, python_version

_BIN = MODULES / ".bin"
KIT_SCENARIOS = ("loop", "second", "schema", "image", "refused", "rate", "wrong")
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
    if not (home.path / ".cline").exists():  # whichever scenario is a column's first
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
_PLAIN_PROMPTS = {name: f"[[{name}]] Please do as agreed." for name in KIT_SCENARIOS}


def _python(name: str) -> Callable[[Home, str, str], str]:
    def start(kit: Kit) -> list[str]:
        for one in (name, "serve.py"):
            shutil.copy(_SDK / one, kit.folder)
        return [str(CACHE / "python" / "bin" / "python"), name]

    return Kit(start, "connected.py").ask


def _javascript(name: str) -> Callable[[Home, str, str], str]:
    def start(kit: Kit) -> list[str]:
        for one in (name, "serve.mjs"):
            shutil.copy(_SDK / one, kit.folder)
        (kit.folder / "node_modules").symlink_to(MODULES)
        return [str(NODE), name]

    return Kit(start, "connected.mjs").ask


_JARS = f"{CACHE / 'java'}/*:."


def _java() -> Callable[[Home, str, str], str]:
    def start(kit: Kit) -> list[str]:
        shutil.copy(_SDK / "UseLangChain4j.java", kit.folder)
        said = kit.run(["javac", "-parameters", "-cp", _JARS, "UseLangChain4j.java"])
        assert not said, said
        return ["java", "-cp", _JARS, "UseLangChain4j"]

    return Kit(start, "Connected.java", _java_class).ask


def _java_class(code: str) -> str:
    return (
        "import dev.langchain4j.model.openai.OpenAiChatModel;\n\npublic class Connected {\n"
        f"    public static OpenAiChatModel model() {{\n        return {code.strip()}\n    }}\n}}\n"
    )


class Kit:
    """A library that is loaded once for all columns: a program asks it for scenarios, one after the other."""

    def __init__(
        self, start: Callable[["Kit"], list[str]], connected: str, wrap: Callable[[str], str] = lambda code: code
    ) -> None:
        self._start, self._connected, self._wrap = start, connected, wrap
        self._process: subprocess.Popen[str] | None = None
        self.folder = Path()

    def run(self, command: list[str]) -> str:
        """Run a command in the kit's folder, and return what it says."""
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS, check=False
        ).stderr

    def ask(self, home: Home, scenario: str, prompt: str) -> str:
        """Return what the library printed. `connected` is written for this column: what `connect` prints, as it is."""
        path = home.project / self._connected
        path.write_text(self._wrap(_code_of(home.text)))
        modules = home.project / "node_modules"
        if path.suffix == ".mjs" and not modules.exists():
            modules.symlink_to(MODULES)
        asked = {
            "scenario": scenario,
            "connected": str(path),
            "prompts": _PLAIN_PROMPTS,
            "picture": str(home.picture),
        }
        process = self._running(home)
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            return "".join(self._lines(process))
        finally:
            timer.cancel()

    def _running(self, home: Home) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            self.folder = Path(tempfile.mkdtemp(prefix="kit-", dir=CACHE / "homes"))
            self._process = subprocess.Popen(
                self._start(self),
                cwd=self.folder,
                env={**home.environment(), "HOME": str(self.folder)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            atexit.register(self._process.kill)
        return self._process

    def _lines(self, process: "subprocess.Popen[str]") -> Iterator[str]:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "[end of scenario]":
                return
            yield line
        yield f"\n[exit {process.wait()}]"


def _code_of(text: str) -> str:
    """What `connect` prints, without its comments and variables: those are set."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("#", "export OPENAI")))


_AGENT = ("loop", "second", "image", "refused", "rate")
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
    Program("Cline CLI", "cline", lambda: npm_version("cline"), _cline, ("loop", "refused", "rate")),
    Program(
        "Continue CLI",
        "continue",
        lambda: npm_version("@continuedev/cli"),
        _continue,
        ("loop", "second", "refused", "rate"),
    ),
    Program(
        "Copilot CLI",
        "copilot-cli",
        lambda: npm_version("@github/copilot"),
        _copilot,
        ("loop", "second", "refused", "rate"),
        _PRIVATE,
    ),
    Program(
        "aider", "aider", lambda: python_version("aider_chat", "aider"), _aider, ("edit", "image", "refused", "rate")
    ),
)
_KIT = ("loop", "second", "schema", "image", "refused", "rate")
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
    Program("LangChain4j", "langchain4j", lambda: jar_version("langchain4j-open-ai"), _java(), _KIT),
)
PROGRAMS = (*COMMANDS, *KITS)
