# switchgear:allow-file: samples of what it finds
import base64

import msgspec
import pytest
from tests.discover.test_files import ANTHROPIC, GROQ, TOOLS, of, scan

from switchgear.dialects import client_setup
from switchgear.testing.corpus import true_lines


def test_no_secret_of_a_corpus_stands_in_any_finding(tmp_path):
    secrets = []
    for number, (rule, text) in enumerate(true_lines(TOOLS.library.keys, 14, seed=5)):
        (tmp_path / f"f{number}.conf").write_text(text + "\n")
        secrets.append((rule.id, text))
    out = scan(tmp_path)
    written = msgspec.json.encode(out.findings()).decode() + repr(out.problems)
    assert len(secrets) >= 1_000 and len(of(out, "key")) >= 0.99 * len(secrets)
    for _, text in secrets:
        for part in text.replace('"', " ").replace("'", " ").replace("=", " ").split():
            if len(part) > 24 and part.isascii() and not part.startswith(("http", "{", "-----")):
                assert part[-24:-4] not in written


def test_a_key_in_documentation_has_a_lower_severity(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text(f"key {GROQ}\n")
    (tmp_path / "a.txt").write_text(f"key {GROQ}\n")
    assert {f.where.split("/")[-2]: f.severity for f in of(scan(tmp_path), "key")} == {
        "docs": "medium",
        tmp_path.name: "high",
    }


def test_a_line_marked_as_allowed_is_skipped_and_counted(tmp_path):
    (tmp_path / "a.py").write_text(f"x = '{GROQ}'  # switchgear:allow\n")
    out = scan(tmp_path)
    assert of(out, "key") == [] and out.skipped["lines that say switchgear:allow"] == 1


def test_base_urls_that_point_here_are_governed_and_others_are_not(tmp_path):
    (tmp_path / "good.env").write_text("OPENAI_BASE_URL=http://127.0.0.1:4100/v1\n")
    (tmp_path / "bad.env").write_text("OPENAI_BASE_URL=https://api.openai.com/v1\n")
    out = scan(tmp_path, frozenset({("127.0.0.1", 4100)}))
    assert {f.where.split("/")[-1].split(":")[0]: f.verdict for f in of(out, "endpoint")} == {
        "good.env": "governed",
        "bad.env": "bypass",
    }


def test_what_is_shown_tested_or_recorded_is_no_bypass_and_one_finding(tmp_path):
    url = "https://api.openai.com/v1/chat/completions"
    for name in (
        "docs/a.md",
        "README.md",
        "tests/cassettes/b.yaml",
        "src/client_test.go",
        "src/api.spec.ts",
        "run/ClientTest.java",
        "rec/x.har",
        "config.example.yaml",
        "api/openapi.yml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"uri: {url}\n")
    (tmp_path / "azure.py").write_text('BASE = "https://your-resource.openai.azure.com"\n')
    (tmp_path / "azure2.py").write_text('BASE = f"https://{name}.openai.azure.com"\n')
    (tmp_path / "app.py").write_text(f'URL = "{url}"\n# once {url}\n# https://openrouter.ai/docs says how\n')
    found = of(scan(tmp_path), "endpoint")
    bypass = {f.where.rpartition("/")[2].partition(":")[0] for f in found if f.verdict == "bypass"}
    assert bypass == {"app.py", "azure2.py"}
    others = {f.provider: (f.count, f.severity, f.verdict) for f in found if f.verdict != "bypass"}
    assert others == {
        "openai": (10, "info", "unknown"),
        "azure": (1, "info", "unknown"),
        "openrouter": (1, "info", "unknown"),
    }


def test_what_else_is_found_in_a_repository(tmp_path):
    (tmp_path / "app.py").write_text("import openai\nMODEL = 'gpt-4o-mini'\n")
    (tmp_path / "web.ts").write_text('import Anthropic from "@anthropic-ai/sdk"\n')
    (tmp_path / "compose.yaml").write_text(
        "services:\n  llm:\n    image: ghcr.io/berriai/litellm:main-v1.81.16\n    environment:\n      WEBUI_AUTH: 'False'\n"
    )
    (tmp_path / "Dockerfile").write_text("FROM ollama/ollama:0.1.30\n")
    (tmp_path / "requirements.txt").write_text("litellm==1.82.8\n")
    (tmp_path / "config.yaml").write_text("model_list:\n  - model_name: x\n    litellm_params: {model: openai/x}\n")
    (tmp_path / ".mcp.json").write_text('{"mcpServers": {"fs": {"command": "npx", "args": ["-y", "server-fs"]}}}')
    (tmp_path / "main.tf").write_text('resource "aws_bedrock_guardrail" "x" {}\n')
    (tmp_path / "ci.yaml").write_text("    - uses: anthropics/claude-code-action@v1\n")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "CLAUDE.md").write_text("be nice\n")
    out = scan(tmp_path)
    assert {f.evidence["sdk"] for f in of(out, "sdk") if "sdk" in f.evidence} == {"openai", "@anthropic-ai/sdk"}
    assert {f.product for f in of(out, "image")} == {"litellm", "ollama"}
    rules = {f.rule for f in of(out, "advisory")}
    assert {"CVE-2026-42208", "MAL-2026-LITELLM", "CVE-2024-37032"} <= rules
    assert [f.rule for f in of(out, "config")] == ["litellm"] and "import litellm" in of(out, "config")[0].fix
    assert [f.title for f in of(out, "mcp")] == ["MCP server fs: npx server-fs, takes the newest version at each start"]
    assert [f.rule for f in of(out, "flag")] == ["WEBUI_AUTH=False"]
    assert {f.evidence["model"] for f in of(out, "model")} == {"gpt-4o-mini", "m.gguf"}
    assert {f.rule for f in of(out, "infrastructure")} == {"Amazon Bedrock", "Claude Code in CI"}
    assert not out.partial


def test_secrets_of_kubernetes_are_decoded_once(tmp_path):
    value = base64.b64encode(ANTHROPIC.encode()).decode()
    (tmp_path / "s.yaml").write_text(f"apiVersion: v1\nkind: Secret\ndata:\n  ANTHROPIC_API_KEY: {value}\n")
    (found,) = of(scan(tmp_path), "key")
    assert found.rule == "anthropic-api" and found.where.endswith("(Secret data ANTHROPIC_API_KEY)")


def test_credential_files_are_named_and_not_read(tmp_path):
    folder = tmp_path / ".codex"
    folder.mkdir()
    (folder / "auth.json").write_text(f'{{"key": "{GROQ}"}}')
    (folder / "auth.json").chmod(0o644)
    out = scan(tmp_path)
    (found,) = of(out, "credential_file")
    assert found.severity == "high" and found.evidence == {"mode": "644"} and of(out, "key") == []


def test_a_broken_client_file_is_named(tmp_path):
    (tmp_path / ".mcp.json").write_text("{")
    out = scan(tmp_path)
    assert out.partial and "cannot be read" in out.problems[0].reason


@pytest.mark.parametrize("setup", client_setup.CLIENT_SETUPS.values(), ids=lambda setup: setup.name)
def test_settings_that_connect_writes_are_no_bypass(tmp_path, setup):
    root = "http://127.0.0.1:4100"
    for one in setup.files:
        path = tmp_path / one.file.removeprefix("~/")
        path.parent.mkdir(parents=True, exist_ok=True)
        variables = "\n".join(f"{name}={value}" for name, value in setup.env)
        path.write_text(client_setup.fill(one.text if one.form != "env" else variables, root, "sk-key", "m"))
    (tmp_path / "shown.txt").write_text(client_setup.render(setup, root, "sk-key", "m"))
    found = scan(tmp_path, frozenset({("127.0.0.1", 4100)})).findings()
    assert [f.title for f in found if f.verdict == "bypass"] == []


def test_a_schema_or_a_namespace_is_a_name_and_asks_nobody(tmp_path):
    (tmp_path / "a.json").write_text(
        '{"$schema": "https://opencode.ai/config.json",\n"$id": "https://api.openai.com/x"}'
    )
    (tmp_path / "a.yaml").write_text("# yaml-language-server: $schema=https://api.openai.com/schema.json\n")
    (tmp_path / "a.xml").write_text('<a xmlns:o="https://api.openai.com/ns"/>')
    (tmp_path / "b.json").write_text(
        '{"$schema": "https://opencode.ai/config.json", "url": "https://api.openai.com/v1"}'
    )
    found = of(scan(tmp_path), "endpoint")
    assert [f.where for f in found] == [f"{tmp_path}/b.json:1"]
