"""`doctor` on a real gateway: a request through every process, what control sees, and what is wrong on purpose."""

import json
import os
import subprocess
import sys

import pytest

from switchgear.testing.gateway import GatewayProcess


@pytest.fixture(scope="module")
def gateway():
    running = GatewayProcess("workers: 1\n", workers=1)
    yield running
    running.stop()


def findings(done):
    return {f["id"]: f for f in json.loads(done.stdout)["findings"]}


def test_a_request_goes_through_every_process_and_nothing_is_left(gateway):
    done = gateway.cli("doctor", "--self-test", "--json", check=False)
    found = findings(done)
    assert "self-test" not in found, found.get("self-test")
    assert all(f["reason"] and f["severity"] for f in found.values())
    assert [p["name"] for p in gateway.json("provider", "list")["providers"] if p["name"].startswith("doctor-")] == []
    assert [k for k in gateway.json("key", "list")["keys"] if k["name"].startswith("doctor-")] == []
    booked = [r for r in gateway.records(count=1) if r["outcome"] == "ok"]
    assert booked and all(r["key"]["name"].startswith("doctor-") for r in booked)


def test_doctor_lists_the_findings_of_control(gateway):
    gateway.key("for-ever")
    found = findings(gateway.cli("doctor", "--json", check=False))
    assert (
        "for-ever" in found["key-no-expiry"]["where"]
        and found["key-no-expiry"]["reason"] == "a forgotten key works for ever"
    )


def test_an_open_file_is_exit_3_and_can_be_mended(gateway):
    path = gateway.data / "pepper"
    before, folder = path.stat().st_mode, gateway.data.stat().st_mode
    path.chmod(0o644)
    gateway.data.chmod(0o755)
    try:
        done = gateway.cli("doctor", "--json", check=False)
        assert done.returncode == 3 and f"file-open-{path}" in findings(done)
        done = gateway.cli("doctor", "--fix", "--json", check=False)
        assert "mended" in done.stderr and path.stat().st_mode & 0o007 == 0
    finally:
        path.chmod(before)
        gateway.data.chmod(folder)


def test_a_self_test_that_fails_says_so(gateway):
    gateway.cli("freeze", "all", "--for", "1h")
    try:
        done = gateway.cli("doctor", "--self-test", "--json", check=False)
        assert done.returncode == 3 and findings(done)["self-test"]["severity"] == "critical"
    finally:
        gateway.cli("unfreeze", "all")


def test_without_a_gateway_it_looks_at_what_is_there(tmp_path):
    running = GatewayProcess("workers: 1\n", folder=tmp_path, workers=1)
    running.stop(keep=True)
    done = running.cli("doctor", "--json", check=False)
    assert json.loads(done.stdout)["partial"] is True and "stopped" in findings(done)


def test_from_elsewhere_it_says_what_it_cannot_see(gateway):
    """A viewer's token may not ask control what it sees, and this machine's kernel and files are not the gateway's."""
    token = gateway.json("token", "create", "watcher", "--role", "viewer")["token"]
    gateway.cli("freeze", "all", "--for", "1h")
    environ, url = {**os.environ, "SWITCHGEAR_TOKEN": token}, f"http://127.0.0.1:{gateway.console_port}"
    command = [sys.executable, "-m", "switchgear.cli", "doctor", "--server", url, "--data", "/nonexistent"]
    try:
        done = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 4 and json.loads(done.stdout)["partial"] is True, done.stderr
        assert "not looked at: keys" in done.stderr and "not looked at from here: kernel" in done.stderr
        assert not [
            f for f in findings(done).values() if f["rule"] in {"store", "kernel", "file-changed", "kek-unreadable"}
        ]
        environ["SWITCHGEAR_TOKEN"] = gateway.json("token", "create", "boss", "--role", "admin")["token"]
        done = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=False)
        assert "frozen" in findings(done) and "not looked at: keys" not in done.stderr
        environ["SWITCHGEAR_TOKEN"] = "sgat-wrong"
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stdout == ""
    finally:
        gateway.cli("unfreeze", "all")


def test_doctor_counts_the_findings_that_it_lists(gateway):
    gateway.cli("key", "create", "gone", "--expires", "2020-01-01", check=False)
    shown = gateway.cli("doctor", check=False).stdout
    wide = gateway.cli("doctor", "-o", "wide", check=False).stdout

    def listed(text):
        return sum(
            line.split()[0] in {"info", "low", "medium", "high", "critical"}
            for line in text.splitlines()
            if line.startswith("  ")
        )

    last = shown.splitlines()[-1].split()
    assert int(last[0]) == listed(shown) if last[0] != "nothing" else listed(shown) == 0
    assert listed(wide) >= listed(shown)
