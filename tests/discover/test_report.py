import msgspec
import pytest
from tests.discover.test_collector import finding

from switchgear.core.errors import UserError
from switchgear.discover import report
from switchgear.discover.collector import Collector


def made(*findings, failed: bool = False) -> report.Report:
    out = Collector()
    for one in findings:
        out.add(one)
    if failed:
        out.failed("x", "y")
    return report.make(out, version="0", generated="2026-11-26T00:00:00+00:00", sources=["."], as_of="2026-11-26")


@pytest.mark.parametrize(
    ("found", "failed", "code"),
    [
        ([], False, 0),
        ([finding()], False, 3),
        ([finding(severity="info")], False, 0),
        ([finding(verdict="governed", severity="high")], False, 0),
        ([], True, 4),
        ([finding()], True, 4),
    ],
)
def test_the_exit_code_says_whether_findings_reach_the_threshold(found, failed, code):
    assert report.exit_code(made(*found, failed=failed), "low") == code


def test_what_counts_can_be_raised():
    assert report.exit_code(made(finding(severity="medium")), "high") == 0


def test_a_baseline_leaves_what_is_new_and_names_what_is_gone():
    earlier = msgspec.json.encode(made(finding("a"), finding("b")))
    now = report.against(made(finding("b"), finding("c")), earlier, "base.json")
    assert [f.id for f in now.findings] == ["c"] and now.fixed == ["a"]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"findings": [{}]}', b"\xff"])
def test_what_is_no_baseline_is_refused(data):
    with pytest.raises(UserError, match=r"base\.json: not a report"):
        report.against(made(), data, "base.json")


def test_the_contract_of_the_json():
    raw = msgspec.to_builtins(made(finding()))
    assert raw["partial"] is False
    assert {"id", "kind", "severity", "title", "where", "fix"} <= raw["findings"][0].keys()
