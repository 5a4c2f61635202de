"""What code, tests and documents cite exists: ids of invariants, sections, decisions, paths, links; and decisions have one form."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from tests.test_rooms import LEVELS

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "switchgear"
DOCS = ROOT / "docs"
INVARIANT = re.compile(r"^- \*\*([PCHLSNM][0-9])\*\* ", re.M)
IDS = re.compile(r"\b[PCHLSNM][0-9]\b")
CITED_IDS = re.compile(r"docs/invariants\.md\s+((?:\*?[PCHLSNM][0-9]\b(?:[,–-]| and)?\s*)+)")
SECTION = re.compile(r"docs/(contract|design)\.md\s+§([0-9]+)")
DECISION = re.compile(r"\b[Dd]ecisions? ([0-9]{3})\b")
TOP = re.compile(
    r"(?<![\w/.-])((?:docs|tests|scripts|requirements|deploy)/[\w./-]*\w\.(?:py|md|toml|json|sh|in|txt|service))\b"
)
MODULE = re.compile(
    rf"(?<![\w/.-])(?:src/switchgear/)?((?:{'|'.join(LEVELS)})/[a-z_0-9/]*[a-z_0-9])(\.py)?(?![\w/.*{{-])"
)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
# Words of prose that look like modules and are none: folders of DATA, services of systemd, and the like.
NOT_MODULES = {
    "spool/vault",
    "spool/edge",
    "run/vault",
    "run/control",
    "edge/vault",
    "net/http",
    "config/export",
    "store/seen",
    "store/signed",
}
OLD_NAMES = re.compile(r"\b(?:INVARIANTS|CONTRACT|DESIGN|STYLE)\b")


def sources() -> list[Path]:
    return [path for folder in ("src", "tests", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]


def documents() -> list[Path]:
    return [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]


def prose(path: Path) -> str:
    """Docstrings and comments of a module; the whole of a document."""
    text = path.read_text()
    if path.suffix != ".py":
        is_followed = path.parent == DOCS / "howto"  # its blocks are what a reader is to write
        return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M) if is_followed else text
    comments = [
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT
    ]
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join(comments + strings)


def invariants() -> set[str]:
    return set(INVARIANT.findall((DOCS / "invariants.md").read_text()))


def is_module(name: str) -> bool:
    return (SRC / f"{name}.py").exists() or (SRC / name).exists() or (ROOT / name).exists()


ALL = [*sources(), *documents()]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_invariant_is_in_the_list_of_claims():
    sys.path.insert(0, str(ROOT / "scripts"))
    import assurance

    assert set(assurance.CLAIMS) | set(assurance.NOT_YET) == invariants()


def test_every_id_in_a_tests_name_is_an_invariant():
    names = {
        match
        for path in (ROOT / "tests").rglob("*.py")
        for match in re.findall(r"def test_([PCHLSNM][0-9])_", path.read_text())
    }
    assert names <= invariants()


@pytest.mark.parametrize("path", ALL, ids=relative)
def test_every_cited_id_section_and_decision_exists(path):
    text = prose(path)
    ids = {name for cited in CITED_IDS.findall(text) for name in IDS.findall(cited)}
    assert ids <= invariants()
    for page, number in SECTION.findall(text):
        assert f"\n## {number}. " in (DOCS / f"{page}.md").read_text(), f"{page} §{number}"
    for number in DECISION.findall(text):
        assert list((DOCS / "decisions").glob(f"{number}-*.md")), f"decision {number}"
    assert not OLD_NAMES.search(text), "cite docs/invariants.md L2, docs/contract.md §4, docs/design.md §2"


@pytest.mark.parametrize("path", ALL, ids=relative)
def test_every_path_in_prose_exists(path):
    text = prose(path)
    missing = {name for name in TOP.findall(text) if not (ROOT / name).exists()}
    if path.parent != DOCS / "decisions" and path.name != "CHANGELOG.md":  # records of their day
        missing |= {
            name + ending
            for name, ending in MODULE.findall(text)
            if (ending or f"`{name}`" in text or f"**{name}**" in text)
            and name not in NOT_MODULES
            and not is_module(name)
        }
    assert not missing


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_every_link_leads_somewhere(path):
    for target in LINK.findall(re.sub(r"```.*?```", "", path.read_text(), flags=re.S)):
        if re.match(r"[a-z]+:", target) or target == "…":
            continue
        name, _, anchor = target.partition("#")
        page = (path.parent / name) if name else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target


def test_the_index_of_decisions_is_current_and_each_begins_alike():
    run = subprocess.run(
        [sys.executable, "scripts/decisions.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_decision_has_context_decision_and_consequences():
    for path in (DOCS / "decisions").glob("[0-9]*.md"):
        parts = re.findall(r"^\*\*(Context|Decision|Consequences)\.\*\*", path.read_text(), re.M)
        assert parts == ["Context", "Decision", "Consequences"], path.name
