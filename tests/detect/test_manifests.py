# switchgear:allow-file: samples of what it finds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.detect.manifests import FORMATS, Package, of_manifest
from switchgear.detect.packages import PackageDetector
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files

RULES = Library.read(shipped_files()).sdks
TOOL = PackageDetector(RULES)
SAMPLES = [
    (rule, sample) for rule in RULES for sample in rule.sample if any(p.fullmatch(sample.file) for p, _, _ in FORMATS)
]


@pytest.mark.parametrize(
    ("rule", "sample"), SAMPLES, ids=lambda value: getattr(value, "ecosystem", getattr(value, "file", ""))
)
def test_each_manifest_names_what_calls_ai_and_nothing_else(rule, sample):
    known = [p for p in of_manifest(sample.file, sample.text.encode()) if TOOL.is_known(p)]
    assert {p.ecosystem for p in known} <= {rule.ecosystem}
    assert sorted({f"{p.name} {p.version}" if p.version else p.name for p in known}) == sorted(sample.finds)


def test_every_ecosystem_has_a_manifest_and_a_sample_of_it():
    assert {rule.ecosystem for rule, _ in SAMPLES} == {rule.ecosystem for rule in RULES} == {e for _, e, _ in FORMATS}


def test_nested_packages_of_a_lock_file():
    lock = b'{"lockfileVersion":3,"packages":{"":{"version":"1"},"node_modules/a/node_modules/mcp-remote":{"version":"0.1.2"}}}'
    assert list(of_manifest("package-lock.json", lock)) == [Package("npm", "mcp-remote", "0.1.2")]


NAMES = sorted({sample.file for _, sample in SAMPLES} | {"package-lock.json"})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"[", b"\xff", b"{packages: 3}", b"[" * 100_000])
def test_broken_manifests_yield_nothing(name, data):
    assert list(of_manifest(name, data)) == []


NASTY = (
    "[", "\n", " ", "<dependency>", "<!--", "<PackageReference ", "<package ", ".package(name: \"", "  a:\n    b\n", "a" * 50, "[a]\n", "gem ",
    "'", '"', "- ", "(", "a@1:\n", "group = ", "{",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_text_takes_more_than_linear_time(name):
    """Whatever is found is a stranger's: a pattern that goes back over the text would take hours for these."""
    for piece in NASTY:
        list(of_manifest(name, (piece * (300_000 // len(piece))).encode()))


@given(st.sampled_from(SAMPLES), st.data())
def test_a_manifest_that_is_cut_breaks_nothing(sample, data):
    text = sample[1].text.encode()
    cut = text[: data.draw(st.integers(0, len(text)))]
    assert all(isinstance(p.name, str) for p in of_manifest(sample[1].file, cut))
