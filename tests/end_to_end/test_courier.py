"""The courier of a real gateway: a destination with an authority of its own, and what its death or silence costs others."""

import http.server
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from tests.courier.rig import certificates

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

SECRET = "osv-destination-secret-0123456789"
CONFIG = """
providers:
  fake: {{dialect: openai, base_url: "http://127.0.0.1:{provider}/v1", allow_private: true, auth: none}}
models: {{fast: fake/echo}}
courier:
  destinations:
    osv: {{url: "https://127.0.0.1:{port}", ca_file: ca.pem, allow_private: true, auth: bearer, secret: {{env: OSV_TOKEN}}}}
    database: {{relay: "tcp://127.0.0.1:{port}", allow_private: true}}
"""


class Osv(http.server.BaseHTTPRequestHandler):
    """Knows one vulnerability of one package."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        results = [{"vulns": [{"id": "GHSA-x"}]} if q["package"]["name"] == "click" else {} for q in body["queries"]]
        raw = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


class Estate:
    """A gateway whose courier reaches a server of ours."""

    def __init__(self, folder: Path):
        authority, context = certificates(folder, "127.0.0.1")
        (folder / "ca.pem").write_text(authority)
        self.osv = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Osv)
        self.osv.asked = []
        self.osv.socket = context.wrap_socket(self.osv.socket, server_side=True)
        threading.Thread(target=self.osv.serve_forever, daemon=True).start()
        self.provider = ProviderProcess()
        config = CONFIG.format(port=self.osv.server_port, provider=self.provider.port)
        self.gateway = GatewayProcess(config, folder=folder, workers=1, environ={"OSV_TOKEN": SECRET})
        self.key = self.gateway.key("app")

    def call(self) -> int:
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "hello"}]}).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.gateway.url}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status

    def online(self):
        done = self.gateway.cli("doctor", "--online", "--json", check=False)
        return done, {one["id"] for one in json.loads(done.stdout or '{"findings": []}')["findings"]}

    def stop(self):
        assert self.gateway.stop(keep=True) == 0
        self.provider.stop()
        self.osv.shutdown()
        self.osv.server_close()


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    made = Estate(tmp_path_factory.mktemp("courier"))
    yield made
    made.stop()


def test_doctor_asks_through_the_courier_with_the_destinations_secret(estate):
    estate.osv.asked.clear()
    done, found = estate.online()
    assert done.returncode == 3 and "dependency-vulnerable-click-GHSA-x" in found, done.stderr
    ((path, headers, body),) = estate.osv.asked
    assert path == "/v1/querybatch" and headers["authorization"] == f"Bearer {SECRET}"
    assert {q["package"]["name"] for q in body["queries"]} >= {"click", "msgspec"}
    assert all(set(q) == {"package", "version"} for q in body["queries"])


def test_status_shows_the_courier_and_its_confinement(estate):
    until = time.monotonic() + PATIENCE_S
    while (found := estate.gateway.json("status", check=False))["courier"] is None and time.monotonic() < until:
        time.sleep(0.5)
    assert found["pids"]["courier"] == estate.gateway.pids("courier")[0]
    assert {one["name"]: one["purpose"] for one in found["courier"]["destinations"]} == {
        "osv": "request",
        "database": "relay",
    }
    assert all(one["opens"] for one in found["courier"]["destinations"])
    assert found["confinement"]["courier"]["seccomp"] and not found["confinement"]["courier"]["missing"]
    assert found["faults"]["courier"] == 0


def test_M3_the_secret_stands_in_no_file_and_no_environment(estate):
    for path in estate.gateway.folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            assert SECRET.encode() not in path.read_bytes(), path
    pids = estate.gateway.status()["pids"]
    for pid in (pids["supervisor"], pids["courier"], pids["control"]):
        assert SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    key = estate.gateway.folder / "courier.key"
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_change_of_the_section_holds_from_the_next_start_on(estate):
    before = estate.gateway.config.read_text()
    try:
        estate.gateway.config.write_text(before.replace("database:", "warehouse:"))
        applied = estate.gateway.json("config", "apply", str(estate.gateway.config))
        assert any("courier" in path for path in applied["restart"]), applied
        exported = estate.gateway.cli("config", "export").stdout
        assert "warehouse" in exported and "env: OSV_TOKEN" in exported
    finally:
        estate.gateway.config.write_text(before)
        estate.gateway.cli("config", "apply", str(estate.gateway.config))


def test_P3_a_process_that_is_not_control_cannot_use_a_relay(estate):
    from switchgear.net import unix

    if not (estate.gateway.data / "run" / "courier" / "database.relay").exists():
        pytest.skip("the folder is closed to this user")
    asked = len(estate.osv.asked)
    sock = unix.connect(estate.gateway.data / "run" / "courier", "database.relay", 5.0)
    with sock:
        sock.settimeout(5.0)
        try:
            sock.sendall(b"x")
            heard = sock.recv(100)
        except OSError:
            heard = b""
    assert heard == b"" and len(estate.osv.asked) == asked


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_courier_that_dies_or_hangs_costs_no_request(estate, how):
    pid = estate.gateway.pids("courier")[0]
    failed, answered, going = [], [], True

    def serve():
        while going:
            try:
                answered.append(estate.call())
            except OSError as exc:
                failed.append(exc)
            time.sleep(0.01)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        os.kill(pid, how)
        until = time.monotonic() + PATIENCE_S
        while estate.gateway.pids("courier") in ([pid], []) and time.monotonic() < until:
            time.sleep(0.05)
        assert estate.gateway.json("key", "list")["keys"], "control answers meanwhile"
    finally:
        going = False
        thread.join()
    assert not failed and len(answered) > 5 and set(answered) == {200}
    assert estate.gateway.pids("courier") not in ([pid], [])
    until = time.monotonic() + PATIENCE_S
    while (found := estate.online()[1]) and "dependency-vulnerable-click-GHSA-x" not in found:
        assert time.monotonic() < until, found
        time.sleep(0.2)


def test_without_destinations_there_is_no_courier(tmp_path):
    running = GatewayProcess("workers: 1\n", folder=tmp_path, workers=1)
    try:
        assert "courier" not in running.status()["pids"] and "courier" not in running.status()["confinement"]
        assert not list((running.data / "run" / "courier").iterdir())
        assert not (tmp_path / "courier.key").exists()
        done = running.cli("doctor", "--online", check=False)
        assert done.returncode not in {0, 3} and "osv" in done.stderr and "api.osv.dev" in done.stderr
    finally:
        running.stop()


def test_a_destination_that_is_away_is_a_hint(tmp_path):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # nobody listens
        port = reserved.getsockname()[1]
        config = f'workers: 1\ncourier: {{destinations: {{osv: {{url: "https://127.0.0.1:{port}", allow_private: true}}}}}}\n'
        running = GatewayProcess(config, folder=tmp_path, workers=1)
        try:
            done = running.cli("doctor", "--online", "--json", check=False)
            (hint,) = [one for one in json.loads(done.stdout)["findings"] if one["rule"] == "online"]
            assert hint["severity"] == "low" and "no connection" in hint["title"]
        finally:
            running.stop()


def test_a_missing_variable_of_a_secret_ends_the_start(tmp_path):
    config = 'courier: {destinations: {osv: {url: "https://x.example", auth: bearer, secret: {env: NOT_SET_HERE}}}}\n'
    with pytest.raises(RuntimeError, match="NOT_SET_HERE"):
        GatewayProcess(config, folder=tmp_path, workers=1)
