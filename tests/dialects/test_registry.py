"""The registry of dialects: a dialect is one module and one line."""

import subprocess
import sys
from pathlib import Path

from switchgear.dialects.registry import BY_NAME, DEFAULT, DIALECTS


def test_rows_are_found_by_their_names_and_the_first_is_the_default():
    assert [BY_NAME[row.name] for row in DIALECTS] == list(DIALECTS)
    assert DEFAULT is DIALECTS[0]


def test_a_dialect_is_one_module_and_a_line_in_the_registry():
    folder = Path(__file__).parent / "toy"
    done = subprocess.run([sys.executable, folder / "walk.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
