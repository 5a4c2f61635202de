"""Every document that names a goal names the same one."""

import re
from pathlib import Path

import pytest

from switchgear.bench.goals import GOALS, goal

ROOT = Path(__file__).parent.parent.parent


def rows(name):
    """Return (measure, goal) of each row of three columns that has a goal with a figure."""
    found = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]*≤[^|]*) \|$", (ROOT / name).read_text(), re.M)
    return [(label, words) for label, words in found if not re.match(r"≤ 1\.0\d ×", words)]  # beside an older version


@pytest.mark.parametrize("name", ["README.md", "docs/benchmarks.md"])
def test_a_goal_that_a_table_names_is_the_goal(name):
    named = rows(name)
    assert len(named) >= 5
    for label, words in named:
        label = label.replace("**", "")  # noqa: PLW2901
        wanted = goal("CPU per streamed event that is translated" if "translated" in label else label)
        assert words.partition(":")[0].strip() == wanted, label


def test_the_design_names_the_goals_of_its_section():
    text = re.sub(r"\s+", " ", (ROOT / "docs" / "design.md").read_text().split("## 3.")[1].split("\n## ")[0])
    assert f"a plain request at most {goal('CPU per plain request')[2:]}" in text
    assert f"a streamed event at most {goal('CPU per streamed event')[2:]}" in text
    assert "at most 160 MB idle" in text and "0.5 ms (p50) and 3 ms (p99)" in text and "1.5 s" in text


def test_a_measure_without_a_goal_is_an_error():
    with pytest.raises(KeyError):
        goal("number of cats")
    assert len({beginning for beginning, _ in GOALS}) == len(GOALS)
