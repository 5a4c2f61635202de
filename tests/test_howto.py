"""The pages of docs/howto are followed to the letter, each in a copy of the project of its own."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "howto").glob("*.md"))
BLOCK = re.compile(r"^```(\w+) (.+)\n((?:.*\n)*?)```$", re.M)
COPIED = ("src", "tests", "docs", "scripts", "requirements", "pyproject.toml", "README.md")
CACHE = ".mypy_cache"
"""What `make check` left: the types of what the page does not change."""


class Change(msgspec.Struct):
    """What one block of a page does to a file."""

    path: str
    text: str
    before: str = ""
    after: str = ""
    old: str = ""
    new: str = ""

    def apply(self, root: Path) -> None:
        target = root / self.path
        if not (self.before or self.after or self.old):
            assert not target.exists(), f"{self.path} is there already"
            target.write_text(self.text)
            return
        content = target.read_text()
        anchor = self.before or self.after or self.old
        assert content.count(anchor) == 1, f"{anchor!r} stands {content.count(anchor)} times in {self.path}"
        if self.old:
            target.write_text(content.replace(self.old, self.new))
            return
        lines = content.splitlines(keepends=True)
        number = next(number for number, line in enumerate(lines) if anchor in line) + bool(self.after)
        target.write_text("".join([*lines[:number], self.text, *lines[number:]]))


def steps(page: Path) -> tuple[list[Change], list[str]]:
    """Return the changes and the commands of a page."""
    changes, commands = [], []
    for language, marks, text in BLOCK.findall(page.read_text()):
        if language == "sh" and marks == "run":
            commands += text.splitlines()
            continue
        fields = dict(mark.split("=", 1) for mark in shlex.split(marks))
        content = (ROOT / fields["copy"]).read_text() if "copy" in fields else text
        changes.append(
            Change(
                fields["file"],
                content,
                fields.get("before", ""),
                fields.get("after", ""),
                fields.get("replace", ""),
                fields.get("with", ""),
            )
        )
    return changes, commands


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.stem)
def test_a_page_that_is_followed_works(page, tmp_path):
    changes, commands = steps(page)
    assert changes and commands, "a page shows what to write and what to run"
    for name in (*COPIED, *((CACHE,) if (ROOT / CACHE).is_dir() else ())):
        source = ROOT / name
        if source.is_dir():
            # with its compiled modules: times of change are kept, so they count
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copyfile(source, tmp_path / name)
    for change in changes:
        change.apply(tmp_path)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    for command in commands:
        words = shlex.split(command)
        assert words[:2] == ["python", "-m"]
        run = subprocess.run(
            [sys.executable, *words[1:]], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{command}\n{run.stdout[-3_000:]}{run.stderr[-1_000:]}"


def test_every_page_is_in_the_list_of_pages():
    listed = set(re.findall(r"\(([\w-]+\.md)\)", (ROOT / "docs" / "howto" / "README.md").read_text()))
    assert listed == {page.name for page in PAGES} - {"README.md"}
