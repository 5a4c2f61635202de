from switchgear.detect.finding import Finding, Fingerprint
from switchgear.discover import collector
from switchgear.discover.collector import PROBLEMS_NAMED_MAX, Collector
from switchgear.discover.detector_set import DetectorSet


def finding(identity: str = "a", **more) -> Finding:
    return Finding(
        **{
            "id": identity,
            "kind": "key",
            "severity": "low",
            "title": "t",
            "where": "w",
            "fix": "f",
            "verdict": "bypass",
            **more,
        }
    )


def test_the_same_finding_counts_up_and_keeps_the_worst():
    out = Collector()
    out.add(finding())
    out.add(finding(severity="high", where="v"))
    out.add(finding())
    (found,) = out.findings()
    assert (found.count, found.severity, found.where) == (3, "high", "v")


def test_the_worst_comes_first():
    out = Collector()
    for severity in ("info", "critical", "medium"):
        out.add(finding(severity, severity=severity))
    assert [f.severity for f in out.findings()] == ["critical", "medium", "info"]


def test_text_of_others_is_cleaned():
    out = Collector()
    out.add(finding(title="a\x1b[2Jb" + "x" * 9_999, evidence={"e": "\r\n"}))
    (found,) = out.findings()
    assert "\x1b" not in found.title and len(found.title) <= 512 and found.evidence["e"] == ""


def test_a_report_is_bounded_and_says_so(monkeypatch):
    monkeypatch.setattr(collector, "FINDINGS_MAX", 3)
    out = Collector()
    for number in range(10):
        out.add(finding(f"f{number}"), "11" * 32)
    out.add(finding("f0"))
    assert len(out.findings()) == 3 and out.problem_count == 1 and out.skipped["findings beyond the bound"] == 7


def test_every_text_of_a_finding_is_cleaned():
    out = Collector()
    out.add(finding(fix="x\x1b", version="1\x1b", owner="o\n", evidence={"a\x1b": "b\x1b"}))
    assert (
        "\x1b" not in repr(out.findings()) and "\\x1b" not in repr(out.findings()) and "\\n" not in repr(out.findings())
    )


def test_keys_of_this_gateway_are_recognised():
    out = Collector()
    out.add(finding("k"), "11" * 32)
    out.add(finding("c"), "22" * 32)
    out.add(finding("o"), "33" * 32)
    assert out.digests() == ["11" * 32, "22" * 32, "33" * 32]
    out.recognise({"11" * 32: ("virtual_key", "ci"), "22" * 32: ("credential", "openai/prod")})
    found = {f.id: f for f in out.findings()}
    assert found["k"].verdict == "governed" and "'ci'" in found["k"].title
    assert found["c"].severity == "critical" and "credential add openai --name prod)" in found["c"].fix
    assert found["o"].verdict == "bypass"
    assert not any(digest in repr(out.findings()) for digest in out.digests())


def test_problems_are_counted_beyond_those_that_are_named():
    out = Collector()
    assert not out.partial
    for number in range(PROBLEMS_NAMED_MAX + 5):
        out.failed(f"p{number}", OSError("x"))
    assert out.partial and out.problem_count == PROBLEMS_NAMED_MAX + 5 and len(out.problems) == PROBLEMS_NAMED_MAX


def test_a_version_that_is_not_known_is_said_once():
    out = Collector()
    tools = DetectorSet.shipped(Fingerprint(b"k" * 32))
    out.advise(tools.advisories.of_product("litellm", None), "LiteLLM", None, "h:1")
    (found,) = out.findings()
    assert found.rule == "version-unknown" and found.severity == "info" and "cannot be judged" in found.title
