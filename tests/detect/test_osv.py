"""OSV learns names and versions only, and an answer that makes no sense is never "all well"."""

import msgspec
import pytest

from switchgear.detect import osv

PACKAGES = [("click", "8.1.0"), ("rich", "13.0.0")]


def test_only_names_and_versions_are_sent():
    body = msgspec.json.decode(osv.question(PACKAGES))
    assert body == {
        "queries": [
            {"package": {"name": "click", "ecosystem": "PyPI"}, "version": "8.1.0"},
            {"package": {"name": "rich", "ecosystem": "PyPI"}, "version": "13.0.0"},
        ]
    }


def test_vulnerabilities_are_findings_of_their_packages():
    answer = {"results": [{"vulns": [{"id": "GHSA-x", "modified": "2026"}, {"id": "PYSEC-y"}]}, {}]}
    found = osv.judge(PACKAGES, 200, msgspec.json.encode(answer))
    assert [one.id for one in found] == ["dependency-vulnerable-click-GHSA-x", "dependency-vulnerable-click-PYSEC-y"]
    assert found[0].severity == "high" and "https://osv.dev/vulnerability/GHSA-x" in found[0].fix


def test_a_package_without_advisories_is_no_finding():
    assert osv.judge(PACKAGES, 200, b'{"results": [{}, null]}') == []


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"results": []}', b'{"results": [1, 2]}', b"null", b'{"results": [{}, {"vulns": [{}]}]}', b"\xff"],
)
def test_an_answer_that_makes_no_sense_is_a_hint(body):
    assert [one.id for one in osv.judge(PACKAGES, 200, body)] == ["online"]


def test_an_error_and_a_redirect_are_a_hint():
    for status in (302, 404, 500):
        assert [one.id for one in osv.judge(PACKAGES, status, b'{"results": [{}, {}]}')] == ["online"]


def test_an_id_with_control_characters_is_told_clean():
    answer = {"results": [{"vulns": [{"id": "GHSA\x1b[2J" + "x" * 200}]}, {}]}
    (found,) = osv.judge(PACKAGES, 200, msgspec.json.encode(answer))
    assert "\x1b" not in found.title + found.fix + found.id
