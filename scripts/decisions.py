"""Writes the table of docs/decisions/README.md: number, title and date of every decision.

python scripts/decisions.py            write
python scripts/decisions.py --check    exit 1 when the page is not what this would write
"""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "decisions"
TARGET = FOLDER / "README.md"
MARK = "| number | decision | date | status |"
HEAD = re.compile(
    r"# ([0-9]{3}): (.+)\n\nDate: ([0-9]{4}-[0-9]{2}-[0-9]{2})\. Status: (accepted|replaced by \[[0-9]{3}\]\(.+\))\.\n"
)


def records():
    """Return (path, number, title, date, status) of each decision. Raises SystemExit with the name of one in another format."""
    rows = []
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        match = HEAD.match(path.read_text())
        if match is None:
            raise SystemExit(f"{path.name}: it does not begin like docs/decisions/template.md")
        rows.append((path, *match.groups()))
    return rows


def page():
    """Return the text of the page: what stands above the table stays."""
    head = TARGET.read_text().split(MARK)[0]
    lines = [
        f"| {number} | [{title}]({path.name}) | {date} | {status} |" for path, number, title, date, status in records()
    ]
    return head + "\n".join([MARK, "|---|---|---|---|", *lines]) + "\n"


def main():
    text = page()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
    elif TARGET.read_text() != text:
        print("docs/decisions/README.md is not current: python scripts/decisions.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
