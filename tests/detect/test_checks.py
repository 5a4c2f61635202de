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
