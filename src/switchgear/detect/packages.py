"""Knows packages that call AI providers, in manifests, lock files, imports and installed metadata. Level 1."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from switchgear.detect.advisories import normalized

Ecosystem = Literal["pypi", "npm"]

SDKS: dict[Ecosystem, frozenset[str]] = {
    "pypi": frozenset(
        """
        openai anthropic google-generativeai google-genai google-cloud-aiplatform vertexai cohere mistralai groq
        xai-sdk together fireworks-ai replicate huggingface-hub ollama litellm langchain langchain-core
        langchain-community langchain-openai langchain-anthropic langgraph llama-index crewai pyautogen
        autogen-agentchat semantic-kernel dspy dspy-ai guidance instructor pydantic-ai smolagents haystack-ai
        google-adk a2a-sdk mcp fastmcp openai-agents claude-agent-sdk aider-chat any-llm-sdk azure-ai-inference
        azure-ai-projects sentence-transformers transformers vllm chainlit
        """.split()  # noqa: SIM905 - a list to read
    ),
    "npm": frozenset(
        """
        openai @anthropic-ai/sdk @anthropic-ai/claude-code @anthropic-ai/bedrock-sdk @openai/codex
        @openai/agents @google/genai @google/generative-ai @google/gemini-cli ai @ai-sdk/openai
        @ai-sdk/anthropic @ai-sdk/google @ai-sdk/azure @ai-sdk/amazon-bedrock @ai-sdk/mistral @ai-sdk/groq
        @aws-sdk/client-bedrock-runtime cohere-ai @mistralai/mistralai groq-sdk langchain @langchain/core
        @langchain/openai @langchain/anthropic @langchain/langgraph llamaindex ollama @huggingface/inference
        replicate together-ai @modelcontextprotocol/sdk mcp-remote supergateway @musistudio/claude-code-router
        openclaw portkey-ai @portkey-ai/gateway @maximhq/bifrost n8n flowise
        """.split()  # noqa: SIM905 - a list to read
    ),
}
IMPORTS = frozenset(
    """
        openai anthropic cohere mistralai groq together replicate ollama litellm langchain langgraph llama_index
        crewai autogen semantic_kernel dspy instructor pydantic_ai smolagents haystack vertexai
        """.split()  # noqa: SIM905 - a list to read
)
"""Python modules whose import says that a program calls a provider."""
_PYTHON_IMPORT = re.compile(rb"^\s*(?:import|from)\s+(google\.genai|google\.generativeai|[a-z_]+)\b")
_JS_IMPORT = re.compile(rb"""(?:\bfrom|\brequire\(|\bimport)\s*['"](@?[a-z0-9@/_.-]{2,60})['"]""")
_REQUIREMENT = re.compile(r"^\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:(===?)\s*([A-Za-z0-9.+!_-]+))?")


class Package(msgspec.Struct, frozen=True):
    """A package that a file names; `version` only where it is exact."""

    ecosystem: Ecosystem
    name: str
    version: str | None


def import_words(tag: str) -> dict[str, set[str]]:
    """Return what the first pass looks for."""
    words = {name: {tag} for name in IMPORTS if len(name) > 4}
    npm = {name: {tag} for name in SDKS["npm"] if name.startswith("@")}
    return {**words, **npm, "google.genai": {tag}, "google.generativeai": {tag}}


def imported(line: bytes) -> str | None:
    """Return the SDK that a line of Python or JavaScript imports, or None."""
    match = _PYTHON_IMPORT.match(line)
    if match is not None:
        name = match.group(1).decode()
        return name if name in IMPORTS or name.startswith("google.") else None
    match = _JS_IMPORT.search(line)
    if match is not None:
        parts = match.group(1).decode().split("/")
        name = "/".join(parts[: 2 if parts[0].startswith("@") else 1])
        return name if name in SDKS["npm"] else None
    return None


class _Npm(msgspec.Struct):
    name: str = ""
    version: str = ""
    dependencies: dict[str, str] = {}
    dev_dependencies: dict[str, str] = msgspec.field(default={}, name="devDependencies")


class _LockEntry(msgspec.Struct):
    version: str = ""


class _NpmLock(msgspec.Struct):
    packages: dict[str, _LockEntry] = {}


def of_manifest(name: str, data: bytes) -> Iterator[Package]:
    """Yield what a manifest or lock file names, by the file's name. Files that are none yield nothing."""
    if name == "package.json":
        yield from _package_json(data)
    elif name in {"package-lock.json", "npm-shrinkwrap.json"}:
        try:
            lock = msgspec.json.decode(data, type=_NpmLock)
        except (msgspec.MsgspecError, RecursionError):
            return
        for path, entry in lock.packages.items():
            if path:
                yield Package("npm", path.rpartition("node_modules/")[2], entry.version or None)
    elif name in {"poetry.lock", "uv.lock", "pdm.lock", "pylock.toml"}:
        for found in re.finditer(r'(?m)^name = "([^"\n]+)"\nversion = "([^"\n]+)"', data.decode("utf-8", "replace")):
            yield Package("pypi", normalized(found.group(1)), found.group(2))
    elif re.fullmatch(r".*require.*\.(?:txt|in)|constraints\.txt", name):
        for line in data.decode("utf-8", "replace").splitlines():
            found_one = _REQUIREMENT.match(line)
            if found_one is not None and not line.lstrip().startswith(("#", "-")):
                yield Package("pypi", normalized(found_one.group(1)), found_one.group(3))
    elif name == "pyproject.toml":
        for quoted in re.finditer(
            r"""["']([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?\s*(?:[=<>~!][^"'\n]*)?)["']""",
            data.decode("utf-8", "replace"),
        ):
            found_one = _REQUIREMENT.match(quoted.group(1))
            if found_one is not None:
                yield Package("pypi", normalized(found_one.group(1)), found_one.group(3))


def _package_json(data: bytes) -> Iterator[Package]:
    try:
        found = msgspec.json.decode(data, type=_Npm)
    except (msgspec.MsgspecError, RecursionError):
        return
    for name, wanted in {**found.dependencies, **found.dev_dependencies}.items():
        yield Package("npm", name, wanted if wanted[:1].isdigit() else None)


def installed_python(metadata: bytes) -> Package | None:
    """Return the package of a METADATA file's head."""
    name = re.search(rb"(?m)^Name: ([A-Za-z0-9._-]+)\s*$", metadata)
    version = re.search(rb"(?m)^Version: ([A-Za-z0-9.+!_-]+)\s*$", metadata)
    if name is None:
        return None
    return Package("pypi", normalized(name.group(1).decode()), version.group(1).decode() if version else None)


def installed_node(data: bytes) -> Package | None:
    """Return the package of an installed package.json."""
    try:
        found = msgspec.json.decode(data, type=_Npm)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return Package("npm", found.name, found.version or None) if found.name else None
