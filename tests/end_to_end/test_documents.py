"""What the documents tell people to run: backing up and restoring, the proxy in front, the unit, the alerts."""

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess, free_port, wait_for
from switchgear.testing.patience import PATIENCE_S, until

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(name, kind):
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / name).read_text(), re.S)


def call(port, key, model="fast", source="127.0.0.1", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S, source_address=(source, 0))
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": "stream" in model})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", **headers})
    return connection, connection.getresponse()


def asked(port, key, **headers):
    connection, answer = call(port, key, **headers)
    with contextlib.closing(connection):
        answer.read()
        return answer.status


# Backing up and restoring


def test_S1_a_backup_of_a_running_gateway_is_restored_as_the_documents_say(provider, tmp_path):
    backup, restore = blocks("upgrade.md", "sh")
    gateway = GatewayProcess(config(provider.port), environ=ENVIRON, workers=1)
    other = None
    try:
        key, revoked = gateway.key("app"), gateway.key("gone")
        gateway.cli("key", "revoke", "gone", "--yes")
        stop, load = threading.Event(), []

        def ask():
            while not stop.is_set():
                load.append(asked(gateway.port, key))

        busy = threading.Thread(target=ask)
        busy.start()
        until(lambda: gateway.total() >= 20)
        place = tmp_path / "backup"
        text = backup.replace("/var/lib/switchgear", str(gateway.data)).replace(
            "/opt/switchgear/.venv/bin/python", sys.executable
        )
        text = re.sub(r"BACKUP=\S+( \S+\))?", f"BACKUP={place}", text)
        known = gateway.total()
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        stop.set()
        busy.join()
        assert set(load) == {200}, "requests went on"
        assert not [
            path
            for path in place.rglob("*")
            if path.is_file() and path.stat().st_mode & 0o077 and path.stat().st_uid == 0
        ]
        kek = (gateway.folder / "kek").read_text()
        assert all(kek.strip().encode() not in path.read_bytes() for path in place.rglob("*") if path.is_file())
        gateway.stop(keep=True)
        folder = tmp_path / "new"
        folder.mkdir()
        (folder / "kek").write_text(kek)
        (folder / "kek").chmod(0o600)
        set_up = f"DATA={folder / 'data'} BACKUP={place}\n"
        done = subprocess.run(["sh", "-c", set_up + restore], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        other = GatewayProcess(config(provider.port), folder=folder, environ=ENVIRON, workers=1)
        assert asked(other.port, key) == 200, "keys and credentials work"
        assert asked(other.port, revoked) == 401
        assert known <= other.total() <= len(load) + 1
        assert other.json("ledger", "verify")["differences"] == []
        assert other.json("status")["problems"] == []
    finally:
        if other is not None:
            other.stop()
        gateway.stop()


# The proxy in front


@pytest.fixture(scope="module")
def behind(provider, tmp_path_factory):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    gateway = GatewayProcess(
        config(provider.port), environ=ENVIRON, workers=1, arguments=("--behind-tls-proxy", "127.0.0.1/32")
    )
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (block,) = blocks("install.md", "nginx")
    block = re.sub(r"\n *(ssl_certificate|server_name)[^\n]*", "", block)
    block = block.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace(
        "127.0.0.1:4100", f"127.0.0.1:{gateway.port}"
    )
    paths = "".join(f"{name}_temp_path {folder};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {paths} {block} }}"
    )
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield gateway, port
        assert "[error]" not in (errors := (folder / "error.log").read_text()), errors
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        gateway.stop()


def test_H7_behind_the_documented_proxy_the_clients_address_is_the_clients(behind):
    gateway, port = behind
    key = gateway.key("proxied")
    assert asked(port, key, source="127.0.0.5", **{"x-forwarded-for": "6.6.6.6"}) == 200
    (record,) = until(lambda: gateway.records("--key", "proxied"))
    assert record["client_ip"] == "127.0.0.5", "what the client claims of itself is not believed"


def test_the_documented_proxy_passes_events_on_when_they_are_made(behind):
    gateway, port = behind
    key = gateway.key("streamed")
    connection, answer = call(port, key, "fake/stream-400-20")
    with contextlib.closing(connection):
        first = answer.read1(65536)
        running = gateway.json("status")
        assert answer.status == 200 and first.startswith(b"data: ") and running["state"] == "ready"
        rest = answer.read()
    assert b"[DONE]" not in first and rest.endswith(b"data: [DONE]\n\n"), (
        "the first events came before the last were made"
    )


# Unit, alerts, sketches


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    text = (
        (ROOT / "deploy/switchgear.service").read_text().replace("/opt/switchgear/.venv/bin/switchgear", sys.executable)
    )
    (tmp_path / "switchgear.service").write_text(text)
    done = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / "switchgear.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    mine = [line for line in done.stderr.splitlines() if "switchgear.service" in line]
    if not mine and done.returncode != 0:
        pytest.skip(f"systemd-analyze cannot run here: {done.stderr[:200]}")
    assert mine == []


def test_a_service_manager_hears_when_it_is_ready_and_when_it_stops(tmp_path):
    place = f"/tmp/sg-{os.getpid()}"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(place)
        try:
            manager.settimeout(PATIENCE_S)
            gateway = GatewayProcess("{}", workers=1, environ={"NOTIFY_SOCKET": place})
            assert manager.recv(100) == b"READY=1"
            check = [sys.executable, "-I", "-m", "switchgear.app.healthcheck", str(gateway.data)]
            assert subprocess.run(check, check=False).returncode == 0
            gateway.stop(keep=True)
            assert manager.recv(100) == b"STOPPING=1"
            assert subprocess.run(check, check=False, stderr=subprocess.DEVNULL).returncode == 1
            shutil.rmtree(gateway.folder)
        finally:
            os.unlink(place)


def test_alerts_name_metrics_that_exist():
    text = (DOCS / "operations.md").read_text()
    found = re.search(r"\n    groups:\n(.*?)\n\n", text, re.S)
    rules = yaml.safe_load("groups:\n" + "\n".join(line[4:] for line in found.group(1).split("\n")))["groups"][0][
        "rules"
    ]
    assert len(rules) >= 8
    for rule in rules:
        for name in re.findall(r"switchgear_\w+", rule["expr"]):
            assert f"`{name.removesuffix('_bucket')}`" in text, name


def test_the_sketch_for_kubernetes_is_yaml_whose_flags_exist():
    (found,) = (yaml.safe_load(block) for block in blocks("install.md", "yaml"))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    source = (ROOT / "src/switchgear/cli/serve.py").read_text()
    assert all(f'"{flag}"' in source for flag in container["args"] if flag.startswith("--"))
    volumes = {v["name"] for v in found["spec"]["template"]["spec"]["volumes"]}
    volumes |= {v["metadata"]["name"] for v in found["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
