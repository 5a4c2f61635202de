# switchgear:allow-file: samples of what it finds
import pytest

from switchgear.detect.packages import Package, imported, installed_node, installed_python, of_manifest


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (
            "requirements.txt",
            "# c\nlitellm[proxy]==1.82.7 \\\n  --hash=sha256:x\nOpenAI>=1\n-r other.txt\n",
            {("litellm", "1.82.7"), ("openai", None)},
        ),
        ("requirements-dev.in", "vllm === 0.9.1\n", {("vllm", "0.9.1")}),
        (
            "pyproject.toml",
            'dependencies = ["litellm[proxy]==1.83.7", "httpx"]\n',
            {("litellm", "1.83.7"), ("httpx", None)},
        ),
        ("uv.lock", '[[package]]\nname = "litellm"\nversion = "1.82.8"\nsource = {}\n', {("litellm", "1.82.8")}),
    ],
)
def test_python_manifests(name, text, wanted):
    assert {(p.name, p.version) for p in of_manifest(name, text.encode()) if p.ecosystem == "pypi"} >= wanted


def test_node_manifests():
    text = b'{"name":"x","dependencies":{"openai":"^4.0.0"},"devDependencies":{"flowise":"3.0.5"}}'
    assert set(of_manifest("package.json", text)) == {
        Package("npm", "openai", None),
        Package("npm", "flowise", "3.0.5"),
    }
    lock = b'{"lockfileVersion":3,"packages":{"":{"version":"1"},"node_modules/a/node_modules/mcp-remote":{"version":"0.1.2"}}}'
    assert list(of_manifest("package-lock.json", lock)) == [Package("npm", "mcp-remote", "0.1.2")]


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
@pytest.mark.parametrize("data", [b"", b"[", b"\xff", b'{"packages": 3}', b"[" * 5000])
def test_broken_manifests_yield_nothing(name, data):
    assert list(of_manifest(name, data)) == []


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"import openai", "openai"),
        (b"    from anthropic import Anthropic", "anthropic"),
        (b"from google.genai import types", "google.genai"),
        (b'import OpenAI from "openai"', "openai"),
        (b"const x = require('@anthropic-ai/sdk/streaming')", "@anthropic-ai/sdk"),
        (b"import os", None),
        (b"# import openai soon", None),
        (b"from ./openai import x", None),
    ],
)
def test_imports(line, wanted):
    assert imported(line) == wanted


def test_installed_metadata():
    assert installed_python(b"Metadata-Version: 2.1\nName: Open_WebUI\nVersion: 0.6.1\n\ntext") == Package(
        "pypi", "open-webui", "0.6.1"
    )
    assert installed_python(b"no") is None and installed_node(b"{}") is None
    assert installed_node(b'{"name":"n8n","version":"1.1.0"}') == Package("npm", "n8n", "1.1.0")


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
def test_deep_json_yields_nothing(name):
    assert list(of_manifest(name, b'{"x":' + b"[" * 100_000)) == []
    assert installed_node(b'{"x":' + b"[" * 100_000) is None
