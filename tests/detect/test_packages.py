# switchgear:allow-file: samples of what it finds
import pytest

from switchgear.detect.manifests import FORMATS, Package
from switchgear.detect.packages import PackageDetector, installed_node, installed_python
from switchgear.detect.prefilter import Prefilter
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files

RULES = Library.read(shipped_files()).sdks
TOOL = PackageDetector(RULES)
SIEVE = Prefilter(TOOL.words("import"))
MANIFESTS = [pattern for pattern, _, _ in FORMATS]
SOURCES = [(r, s) for r in RULES for s in r.sample if not any(pattern.fullmatch(s.file) for pattern in MANIFESTS)]


@pytest.mark.parametrize(
    ("rule", "sample"), SOURCES, ids=lambda value: getattr(value, "ecosystem", getattr(value, "file", ""))
)
def test_each_language_says_what_it_uses_and_nothing_else(rule, sample):
    text = sample.text.encode()
    found = [name for start, end, _ in SIEVE.lines(text) for _, name in TOOL.used(text[start:end], sample.file)]
    assert list(dict.fromkeys(found)) == sample.finds


def test_every_language_has_samples_that_it_finds_and_one_that_it_does_not():
    assert len(RULES) == 10
    for rule in RULES:
        sources = [sample for other, sample in SOURCES if other is rule]
        lines = sum(sample.text.strip().count("\n") + 1 for sample in sources)
        assert any(sample.finds for sample in sources) and lines > sum(len(sample.finds) for sample in sources)
        assert rule.as_of and rule.source


def test_a_file_of_no_language_imports_nothing():
    for file in ("a.txt", "noend", "a.md"):
        assert list(TOOL.used(b"import openai", file)) == []


@pytest.mark.parametrize(
    ("ecosystem", "name", "known"),
    [
        ("golang", "github.com/openai/openai-go/v3", True),
        ("golang", "github.com/Azure/azure-sdk-for-go/sdk/ai/azopenai", True),
        ("golang", "github.com/openai", False),
        ("maven", "dev.langchain4j:langchain4j-open-ai", True),
        ("maven", "dev.langchain4jx:thing", False),
        ("nuget", "azure.ai.openai", True),
        ("pypi", "langchain-openai", True),
        ("pypi", "langchainx", False),
        ("npm", "@ai-sdk/anthropic", True),
        ("nowhere", "openai", False),
    ],
)
def test_names_of_packages(ecosystem, name, known):
    assert TOOL.is_known(Package(ecosystem, name, None)) is known


def test_an_installed_package_is_read_from_its_metadata():
    assert installed_python(b"Metadata-Version: 2.1\nName: Open_WebUI\nVersion: 0.6.1\n\ntext") == Package(
        "pypi", "open-webui", "0.6.1"
    )
    assert installed_python(b"no") is None and installed_node(b"{}") is None
    assert installed_node(b'{"name":"n8n","version":"1.1.0"}') == Package("npm", "n8n", "1.1.0")


def test_deep_json_yields_nothing():
    assert installed_node(b'{"x":' + b"[" * 100_000) is None
