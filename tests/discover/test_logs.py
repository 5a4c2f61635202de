import gzip
import json
import os
from pathlib import Path

import pytest
from tests.store.test_pihole import make

from switchgear.detect.finding import Fingerprint
from switchgear.discover import logs
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.logs import LogSource

TOOLS = DetectorSet.shipped(Fingerprint(b"k" * 32))
LINES = [
    "Aug 24 10:00:00 dnsmasq[1]: query[A] api.openai.com from 10.0.0.5",
    "Aug 24 10:00:01 dnsmasq[1]: reply api.openai.com is 1.2.3.4",
    "Aug 24 11:00:00 dnsmasq[1]: query[AAAA] eu.api.openai.com from 10.0.0.5",
    "Aug 26 10:00:00 dnsmasq[1]: query[A] api.openai.com from 10.0.0.5",
    "Aug 24 10:00:00 dnsmasq[1]: query[A] notapi.openai.com from 10.0.0.6",
    "Aug 24 10:00:00 dnsmasq[1]: query[A] chatgpt.com from 10.0.0.7",
    "Aug 24 10:00:00 dnsmasq[1]: query[A] models.litellm.cloud from 10.0.0.8",
    "Aug 24 10:00:00 dnsmasq[1]: query[A] api.anthropic.com from 10.0.0.9",
    "Aug 24 10:00:00 dnsmasq[1]: query[A] example.org from 10.0.0.5",
]


def scan(*paths, **more) -> Collector:
    out = Collector()
    source = LogSource(TOOLS, out, year=2026, **more)
    for path in paths:
        source.scan(path)
    source.report()
    return out


def test_who_talked_to_whom_how_often_and_since_when(tmp_path):
    (tmp_path / "dns.log").write_text("\n".join(LINES) + "\n")
    found = {f.evidence and (f.where, f.provider): f for f in scan(tmp_path / "dns.log").findings()}
    openai = found["10.0.0.5", "openai"]
    assert openai.count == 3 and openai.verdict == "bypass" and openai.evidence["days"] == "2"
    assert openai.evidence["first"].startswith("2026-08-24T10:00:00") and openai.evidence["last"].startswith(
        "2026-08-26"
    )
    assert openai.evidence["hosts"] == "api.openai.com, eu.api.openai.com"
    assert found["10.0.0.7", "openai"].verdict == "unknown" and found["10.0.0.7", "openai"].severity == "info"
    assert found["10.0.0.8", "malicious"].severity == "critical"
    assert ("10.0.0.6", "openai") not in found


def test_traffic_of_this_gateway_is_governed(tmp_path):
    (tmp_path / "dns.log").write_text("\n".join(LINES))
    found = {f.where: f for f in scan(tmp_path / "dns.log", own_clients=frozenset({"10.0.0.9"})).findings()}
    assert found["10.0.0.9"].verdict == "governed" and found["10.0.0.5"].verdict == "bypass"


def test_pseudonyms_hide_clients_and_stay_the_same(tmp_path):
    (tmp_path / "dns.log").write_text("\n".join(LINES))
    one, other = (scan(tmp_path / "dns.log", pseudonymise=True).findings() for _ in range(2))
    assert [f.where for f in one] == [f.where for f in other]
    assert "10.0.0." not in json.dumps([f.where + f.title for f in one])


def test_packed_logs_and_cloudtrail(tmp_path):
    (tmp_path / "a.log.gz").write_bytes(gzip.compress("\n".join(LINES).encode()))
    record = {"eventSource": "bedrock.amazonaws.com", "awsRegion": "us-east-1", "sourceIPAddress": "10.1.1.1"}
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [record] * 3}).encode()))
    out = scan(tmp_path / "a.log.gz", tmp_path / "b.json.gz")
    assert {("10.0.0.5", "openai"), ("10.1.1.1", "bedrock")} <= {(f.where, f.provider) for f in out.findings()}


def test_the_database_of_a_pihole(tmp_path):
    make(tmp_path / "pihole-FTL.db", [{"timestamp": 1.0, "domain": "api.openai.com", "client": "10.0.0.5"}] * 3)
    (found,) = scan(tmp_path / "pihole-FTL.db").findings()
    assert (found.where, found.provider, found.count) == ("10.0.0.5", "openai", 3)


@pytest.mark.parametrize("size", [64, 100, 4096])
def test_lines_across_pieces_are_read_whole(tmp_path, monkeypatch, size):
    monkeypatch.setattr(logs, "PIECE", size)
    (tmp_path / "dns.log").write_text("\n".join(LINES * 50) + "\n")
    found = {(f.where, f.provider): f.count for f in scan(tmp_path / "dns.log").findings()}
    assert found["10.0.0.5", "openai"] == 150 and found["10.0.0.9", "anthropic"] == 50


def test_a_broken_archive_is_named_and_what_came_is_kept(tmp_path):
    whole = gzip.compress(("\n".join(LINES) + "\n").encode() * 2000)
    (tmp_path / "a.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8b\x08" + b"\xff" * 100)
    out = scan(tmp_path / "a.gz", tmp_path / "b.gz")
    assert out.partial and len(out.problems) == 2


@pytest.mark.parametrize("data", [b"\0" * 100, b"\x1f\x8b", b'{"Records": ['])
def test_what_is_no_log_is_named(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    assert scan(tmp_path / "x").partial


def test_an_endless_line_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "PIECE", 65_536)
    monkeypatch.setattr(logs, "LINE_BYTES_MAX", 100_000)
    (tmp_path / "x").write_text(LINES[0] + "\n" + "a" * 500_000 + "\n" + LINES[7] + "\n")
    out = scan(tmp_path / "x")
    assert out.partial and {f.provider for f in out.findings()} == {"openai", "anthropic"}


def test_a_missing_log_makes_the_search_partial(tmp_path):
    assert scan(tmp_path / "none").partial


def test_an_empty_log_is_clean(tmp_path):
    (tmp_path / "x").write_text("")
    out = scan(tmp_path / "x")
    assert not out.partial and out.findings() == []


def test_hostile_lines_are_read_in_linear_time(tmp_path):
    word = "api.openai.com"
    lines = [
        word + "a." * 200_000,
        "query[A] " * 100_000 + word,
        "info: " * 100_000 + word,
        (word + " ") * 50_000,
        "0:" * 300_000 + word,
        "{" * 300_000 + word,
    ]
    (tmp_path / "x").write_text("\n".join(lines) + "\n")
    scan(tmp_path / "x")


def test_a_fault_ends_one_line_and_is_named_without_its_words(tmp_path, monkeypatch):
    (tmp_path / "dns.log").write_text("\n".join(LINES) + "\n")
    match = TOOLS.domains.match

    def fails(host):
        if host == "chatgpt.com":
            raise ZeroDivisionError("who asked")
        return match(host)

    monkeypatch.setattr(TOOLS.domains, "match", fails)
    out = scan(tmp_path / "dns.log")
    assert {f.where for f in out.findings()} >= {"10.0.0.5", "10.0.0.9"} and "10.0.0.7" not in {
        f.where for f in out.findings()
    }
    (problem,) = out.problems
    assert "ZeroDivisionError" in problem.reason and "who asked" not in problem.reason


def test_a_log_whose_name_is_not_utf8_is_read(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log")
    with open(name, "w") as file:
        file.write("\n".join(LINES) + "\n")
    out = scan(Path(name), Path(name + "gone"))
    assert out.findings() and [p.where for p in out.problems] == [f"{tmp_path}/\\xff.loggone"]
