"""`discover` against a real gateway: keys that it issued or holds are recognised, findings are stored and decided."""

import json
import os
import random
import subprocess
import sys

import pytest

from switchgear.testing.corpus import expand
from switchgear.testing.gateway import GatewayProcess

SECRET = expand("sk-proj-<word*74>T3BlbkFJ<word*74>", random.Random(21))
UNKNOWN = expand("gsk_<alnum*52>", random.Random(22))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = GatewayProcess("workers: 1\n", folder=tmp_path_factory.mktemp("g"), workers=1)
    running.cli("credential", "add", "openai", "--from-stdin", stdin=SECRET)
    yield running
    running.stop()


def discover(gateway, folder, *arguments, home=None):
    command = [sys.executable, "-m", "switchgear.cli", "discover", *map(str, arguments), "--data", str(gateway.data)]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home or folder / ".home")}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_keys_that_the_gateway_issued_or_holds_are_recognised_and_never_shown(gateway, tmp_path):
    key = json.loads(gateway.cli("key", "create", "app-1", "--json").stdout)["key"]
    home = tmp_path / "home"
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "a.env").write_text(f"OPENAI_BASE_URL={gateway.url}/v1\nOPENAI_API_KEY={key}\n")
    (repo / "b.env").write_text(f"OPENAI_API_KEY={SECRET}\n")
    (repo / "c.env").write_text(f"GROQ_API_KEY={UNKNOWN}\n")
    texts = {}
    for output in ("table", "wide", "json", "sarif", "cyclonedx", "markdown"):
        done = discover(gateway, tmp_path, "repo", "-o", output, home=home)
        assert done.returncode == 3, done.stderr
        texts[output] = done.stdout + done.stderr
    for text in texts.values():
        for secret in (key, SECRET, UNKNOWN):
            assert secret[-30:-4] not in text
    found = {(f["kind"], f["where"].split("/")[-1].split(":")[0]): f for f in json.loads(texts["json"])["findings"]}
    assert (
        found["key", "a.env"]["verdict"] == "governed" and found["key", "a.env"]["evidence"]["virtual_key"] == "app-1"
    )
    assert found["endpoint", "a.env"]["verdict"] == "governed"
    assert (
        found["key", "b.env"]["severity"] == "critical"
        and found["key", "b.env"]["evidence"]["credential"] == "openai/default"
    )
    assert found["key", "c.env"]["verdict"] == "bypass" and "credential" not in found["key", "c.env"]["evidence"]


def test_findings_are_recorded_accepted_and_fixed(gateway, tmp_path):
    (tmp_path / "c.env").write_text(f"GROQ_API_KEY={UNKNOWN}\n")
    assert "1 new" in discover(gateway, tmp_path, ".", "--record").stderr
    (stored,) = [
        f
        for f in json.loads(gateway.cli("findings", "list", "--json").stdout)["findings"]
        if f["finding"]["rule"] == "groq"
    ]
    identity = stored["finding"]["id"]
    gateway.cli("findings", "accept", identity, "--reason", "test rig", "--until", "30d")
    assert "test rig" in gateway.cli("findings", "list", "-o", "wide", "--state", "accepted").stdout
    (tmp_path / "c.env").unlink()
    assert "1 fixed" in discover(gateway, tmp_path, ".", "--record").stderr
    states = {
        f["finding"]["id"]: f["state"] for f in json.loads(gateway.cli("findings", "list", "--json").stdout)["findings"]
    }
    assert states[identity] == "fixed"


def test_a_baseline_shows_what_is_new(gateway, tmp_path):
    repo, home = tmp_path / "r", tmp_path / "h"
    repo.mkdir()
    (repo / "c.env").write_text(f"GROQ_API_KEY={UNKNOWN}\n")
    base = tmp_path / "base.json"
    base.write_text(discover(gateway, tmp_path, "r", "--json", home=home).stdout)
    assert discover(gateway, tmp_path, "r", "--baseline", base, home=home).returncode == 0
    (repo / "d.env").write_text(f"GROQ_API_KEY={UNKNOWN}\n")
    done = discover(gateway, tmp_path, "r", "--baseline", base, "--json", home=home)
    assert done.returncode == 3 and [f["where"] for f in json.loads(done.stdout)["findings"]] == ["r/d.env:1"]


def test_a_search_without_a_gateway_works_and_a_missing_place_makes_it_partial(tmp_path):
    class Nobody:
        data = tmp_path / "none"

    (tmp_path / "a.env").write_text(f"GROQ_API_KEY={UNKNOWN}\n")
    assert discover(Nobody, tmp_path, "a.env").returncode == 3
    done = discover(Nobody, tmp_path, "a.env", "missing.env", "--json")
    assert done.returncode == 4 and json.loads(done.stdout)["partial"] is True
    assert discover(Nobody, tmp_path, "--logs", "missing.log").returncode == 4
    assert discover(Nobody, tmp_path, "--hosts", "8.8.8.0/24").returncode == 2


def test_the_gateway_itself_is_known_on_its_port(gateway, tmp_path):
    port = gateway.url.rpartition(":")[2]
    done = discover(gateway, tmp_path, "--hosts", f"127.0.0.1:{port}", "--json")
    found = json.loads(done.stdout)["findings"]
    assert [(f["product"], f["verdict"]) for f in found] == [("switchgear", "governed")] and done.returncode == 0
