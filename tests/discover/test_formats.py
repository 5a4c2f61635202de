import json

from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from tests.discover.test_collector import finding
from tests.discover.test_report import made

from switchgear.discover import formats

FOUND = (
    finding("0a", rule="groq", where="/a b/c.py:12", severity="critical"),
    finding(
        "0b",
        kind="service",
        rule="litellm",
        product="litellm",
        version="1.81.16",
        where="127.0.0.1:4000",
        auth="open",
        evidence={"tls": "no"},
    ),
    finding(
        "0c", kind="advisory", rule="CVE-2026-42208", where="127.0.0.1:4000", severity="critical", product="litellm"
    ),
    finding(
        "0d",
        kind="package",
        rule="litellm",
        version="1.82.7",
        where="/x/requirements.txt",
        evidence={"purl": "pkg:pypi/litellm@1.82.7"},
    ),
    finding("0e", kind="model", rule="model-name", where="a.py:1", evidence={"model": "gpt-4o"}),
    finding("0f", kind="image", rule="ollama", product="ollama", where="c.yaml:3"),
    finding("10", kind="egress", rule="api", where="10.0.0.5", provider="openai"),
)


def test_cyclonedx_is_valid_by_its_schema():
    document = formats.cyclonedx(made(*FOUND))
    assert make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    (service,) = document["services"]
    assert service["endpoints"] == ["http://127.0.0.1:4000"] and service["authenticated"] is False
    assert {c["type"] for c in document["components"]} == {"library", "machine-learning-model", "container"}
    (vulnerability,) = document["vulnerabilities"]
    assert vulnerability["affects"] == [{"ref": "0b"}]
    empty = formats.cyclonedx(made(failed=True))
    assert make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6).validate_str(json.dumps(empty)) is None


def test_sarif_has_what_its_readers_need():
    # §3.13 to §3.28 of SARIF 2.1.0: version, runs, tool.driver.name, results with message, rule and location.
    document = formats.sarif(made(*FOUND, failed=True))
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert document["version"] == "2.1.0" and len({r["id"] for r in rules}) == len(rules)
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "x: y"
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"] and result["partialFingerprints"]["switchgear/v1"]
    places = {r["partialFingerprints"]["switchgear/v1"]: r["locations"][0] for r in run["results"]}
    assert places["0a"] == {
        "physicalLocation": {"artifactLocation": {"uri": "/a%20b/c.py"}, "region": {"startLine": 12}}
    }
    assert places["0b"] == {"logicalLocations": [{"fullyQualifiedName": "127.0.0.1:4000", "kind": "resource"}]}


def test_markup_in_a_finding_is_escaped_in_markdown():
    text = formats.markdown(made(finding(title="<script>|[x](http://evil)`", where="a|b\n# c"), failed=True))
    assert "<script>" not in text and r"\<script\>\|\[x\]" in text and "\n# c" not in text
    assert "Partial: 1 places" in text
