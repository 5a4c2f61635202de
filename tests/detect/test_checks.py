from pathlib import Path

import pytest

from switchgear.detect.checks import REASONS, finding

DOCS = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_every_check_is_documented_with_its_reason():
    text = DOCS.read_text()
    for check, reason in REASONS.items():
        assert f"| `{check}` | {reason} |" in text, check


def test_a_finding_has_its_checks_id_and_subject():
    assert finding("disk-space", "high", "t", "w", "f").id == "disk-space"
    one = finding("key-unused", "low", "t", "w", "f", "a")
    assert (one.id, one.rule, one.kind) == ("key-unused-a", "key-unused", "keys")
    with pytest.raises(AssertionError):
        finding("invented", "low", "t", "w", "f")


def test_names_of_others_steer_no_terminal():
    one = finding("file-open", "high", "t\x1b[2J", "/data/\x1b]0;x\x07\n" + "y" * 9_999, "chmod \x1b", "s\x1b")
    assert not any("\x1b" in text or "\n" in text for text in (one.id, one.title, one.where, one.fix))
    assert len(one.where) <= 512
