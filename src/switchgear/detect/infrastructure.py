"""AI services that infrastructure as code declares: Terraform, CloudFormation, Kubernetes kinds, CI actions. Level 1.

switchgear:allow-file: this is their list.
"""

import re

DECLARED: tuple[tuple[str, str], ...] = (
    # What stands there (`*`: any rest of the word), whose it is. Sources: provider registries and CRDs (read 2026-11).
    ("aws_bedrock*", "Amazon Bedrock"),
    ("aws_bedrockagent*", "Amazon Bedrock agents"),
    ("aws_sagemaker_*", "Amazon SageMaker"),
    ("aws_kendra_index", "Amazon Kendra"),
    ("AWS::Bedrock::*", "Amazon Bedrock"),
    ("AWS::SageMaker::*", "Amazon SageMaker"),
    ("azurerm_cognitive_account", "Azure AI services"),
    ("azurerm_cognitive_deployment", "Azure OpenAI"),
    ("azurerm_ai_services", "Azure AI services"),
    ("azurerm_ai_foundry*", "Azure AI Foundry"),
    ("azurerm_machine_learning_*", "Azure Machine Learning"),
    ("google_vertex_ai_*", "Vertex AI"),
    ("google_ml_engine_model", "Google AI Platform"),
    ("google_discovery_engine_*", "Google Discovery Engine"),
    ("google_dialogflow_cx_*", "Google Dialogflow"),
    ("kind: InferenceService", "KServe"),
    ("kind: LLMInferenceService", "KServe"),
    ("kind: InferencePool", "Kubernetes inference gateway"),
    ("kind: InferenceModel", "Kubernetes inference gateway"),
    ("kind: AIGatewayRoute", "Envoy AI Gateway"),
    ("kind: AIServiceBackend", "Envoy AI Gateway"),
    ("kind: BackendSecurityPolicy", "Envoy AI Gateway"),
    ("kind: RayCluster", "Ray"),
    ("kind: RayService", "Ray"),
    ("kind: RayJob", "Ray"),
    ("kind: NIMService", "NVIDIA NIM"),
    ("kind: NIMCache", "NVIDIA NIM"),
    ("kind: MCPServer", "an MCP server"),
    ("plugin: ai-proxy", "Kong AI proxy"),
    ("anthropics/claude-code-action", "Claude Code in CI"),
    ("anthropics/claude-code-base-action", "Claude Code in CI"),
    ("google-github-actions/run-gemini-cli", "Gemini CLI in CI"),
    ("openai/codex-action", "Codex in CI"),
)
CI_AGENTS = frozenset({"Claude Code in CI", "Gemini CLI in CI", "Codex in CI"})


def _pattern(text: str) -> re.Pattern[str]:
    rest = r"[A-Za-z0-9_:]{0,60}" if text.endswith("*") else ""
    name = re.escape(text.rstrip("*")).replace(r":\ ", r": {1,4}")
    return re.compile(rf"(?<![A-Za-z0-9_/]){name}{rest}(?![A-Za-z0-9_])")


_COMPILED = [(_pattern(text), whose) for text, whose in DECLARED]
_ANY = re.compile("|".join(pattern.pattern for pattern, _ in _COMPILED))


def words(tag: str) -> dict[str, set[str]]:
    """Return what the first pass looks for."""
    return {text.rstrip("*").partition(": ")[2].lower() or text.rstrip("*").lower(): {tag} for text, _ in DECLARED}


def found_in(line: str) -> list[tuple[str, str]]:
    """Return (what stands there, whose it is) for a line of text; the longest name of several that begin alike."""
    found: dict[int, tuple[str, str]] = {}
    if _ANY.search(line) is None:
        return []
    for pattern, whose in _COMPILED:
        match = pattern.search(line)
        if match is not None:
            found[match.start()] = (match.group(), whose)
    return list(found.values())
