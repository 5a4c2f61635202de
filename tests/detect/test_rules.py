import pytest

from switchgear.core.errors import ConfigError
from switchgear.detect.rules import KeyRule, Library, decode
from switchgear.discover.detector_set import shipped_files

GOOD = b"""id = "x"
title = "X"
provider = "x"
severity = "high"
as_of = "2026-11-26"
source = "s"
keywords = ["x-"]
pattern = 'x-[a-z]{8}'
"""


def test_a_well_formed_file_of_rules_is_read():
    assert decode("keys/x.toml", GOOD, KeyRule).pattern == "x-[a-z]{8}"


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (GOOD.replace(b'severity = "high"', b'severity = "bad"'), 4, "Invalid enum value"),
        (GOOD + b"surprise = 1\n", 9, "unknown field"),
        (GOOD.replace(b"pattern = 'x-[a-z]{8}'", b"pattern = 'x-[a-z'"), 8, "is not a pattern"),
        (GOOD.replace(b'provider = "x"', b"provider = "), 3, "not TOML"),
        (GOOD.replace(b'keywords = ["x-"]', b'keywords = "x-"'), 7, "Expected `array`"),
        (b"\xff", 1, "not TOML"),
        (b"", 1, "missing required field"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(data, line, said):
    with pytest.raises(ConfigError) as caught:
        decode("keys/x.toml", data, KeyRule)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line) == ("keys/x.toml", line)
    assert said in problem.message


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Library.read({"keys/a.toml": b"x", "products/b.toml": b"y", "keys/c.toml": GOOD})
    assert {p.file for p in caught.value.problems} == {"keys/a.toml", "products/b.toml"}


def test_the_shipped_data_is_read_whole():
    files = shipped_files()
    library = Library.read(files)
    assert len(library.keys) + len(library.products) + len(library.sdks) + 1 == len(files)
