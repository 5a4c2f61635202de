"""The gateway from outside: keys, freezes, hostile clients, secrets, drain, the database."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.end_to_end.setups import ENVIRON, SECRET, config

from switchgear.app import ownership
from switchgear.app.layout import Layout
from switchgear.confine import cell
from switchgear.testing.gateway import GatewayProcess, free_port
from switchgear.testing.patience import PATIENCE_S

CLI = [sys.executable, "-m", "switchgear.cli"]
BODY = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "hello there"}]})


def call(gateway, key, body=BODY, path="/v1/chat/completions", method="POST", **headers):
    sent = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)) as connection:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in sent.items() if value is not None}
        )
        with connection.getresponse() as response:
            data = response.read()
    return response.status, dict(response.getheaders()), data


def raw(gateway, data, wait=5.0):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=wait) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


# Keys


def test_S2_a_revocation_holds_for_the_next_request_on_every_edge(gateway):
    key = gateway.key("short-lived")
    connections = [http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S) for _ in range(16)]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def all_statuses():
        found = set()
        for connection in connections:
            connection.request("POST", "/v1/chat/completions", BODY, headers)
            response = connection.getresponse()
            response.read()
            found.add(response.status)
        return found

    assert all_statuses() == {200}
    gateway.cli("key", "revoke", "short-lived", "--yes")
    assert all_statuses() == {401}
    for connection in connections:
        connection.close()


def test_a_frozen_key_comes_back(gateway):
    key = gateway.key("frosty")
    gateway.cli("freeze", "key", "frosty")
    status, headers, _ = call(gateway, key)
    assert (status, headers["x-switchgear-error"]) == (403, "frozen")
    gateway.cli("unfreeze", "key", "frosty")
    assert call(gateway, key)[0] == 200


def test_a_freeze_of_all_or_of_a_subject_refuses_its_requests(gateway, key):
    for subject in (
        ("all",),
        ("credential", "fake/main"),
        ("provider", "fake"),
        ("model", "fast"),
        ("team", "quality"),
    ):
        gateway.cli("freeze", *subject)
        try:
            assert call(gateway, key)[0] == 403, subject
        finally:
            gateway.cli("unfreeze", *subject)
    assert call(gateway, key)[0] == 200


def test_a_rotated_keys_old_secret_works_until_the_overlap_ends(gateway):
    old = gateway.key("turning")
    new = gateway.json("key", "rotate", "turning", "--overlap", "1h")["key"]
    assert {call(gateway, old)[0], call(gateway, new)[0]} == {200}
    assert gateway.cli("key", "rotate", "turning", check=False).returncode == 1
    last = gateway.json("key", "rotate", "turning", "--overlap", "0s", "--force")["key"]
    assert call(gateway, last)[0] == 200
    assert call(gateway, new)[0] == 401


def test_models_expiry_and_networks_limit_a_key(gateway):
    narrow = gateway.key("narrow", "--models", "fake/*")
    assert call(gateway, narrow)[0] == 404
    assert call(gateway, narrow, BODY.replace("fast", "fake/echo"))[0] == 200
    short = gateway.key("short", "--expires", "2s")
    until = time.monotonic() + 60
    while call(gateway, short)[0] != 401 and time.monotonic() < until:
        time.sleep(0.1)
    assert call(gateway, short)[0] == 401
    assert "is past" in gateway.cli("key", "create", "past", "--expires", "2020-01-01", check=False).stderr
    assert call(gateway, gateway.key("far", "--cidr", "10.0.0.0/8"))[0] == 403
    gateway.cli("key", "update", "narrow", "--models", "fast")
    assert call(gateway, narrow)[0] == 200


def test_H5_a_key_may_stand_in_several_places_if_it_is_the_same(gateway, key):
    assert call(gateway, None, authorization=None, x_api_key=key)[0] == 200
    assert call(gateway, None, authorization=None, api_key=key)[0] == 200
    assert call(gateway, key, x_api_key=key)[0] == 200
    assert call(gateway, key, x_api_key="sk-other")[0] == 400
    assert call(gateway, None, authorization=None)[0] == 401


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/v1/v1/chat/completions", "//v1//chat/completions", "/v1/chat/completions/"]
)
def test_pasted_base_urls_work(gateway, key, path):
    assert call(gateway, key, path=path)[0] == 200


def test_paths_without_a_key(gateway):
    for path in ("/healthz", "/health", "/readyz", "/ready", "/"):
        assert call(gateway, None, None, path, "GET", authorization=None)[0] == 200
    assert call(gateway, None, None, "/nothing/here", "GET", authorization=None)[0] == 404
    assert call(gateway, None, None, "/v1/chat/completions", "GET", authorization=None)[0] == 405


def test_a_key_reads_its_own_name_team_and_spend(gateway, key):
    found = json.loads(call(gateway, key, None, "/v1/key", "GET")[2])
    assert found["name"] == "tests" and found["team"] == "quality"
    assert found["spend_today"]["since_ms"] % 86_400_000 == 0


def test_a_key_sees_what_it_spent_today_by_model(gateway):
    key = gateway.key("spender")
    for _ in range(3):
        assert call(gateway, key)[0] == 200
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        spend = json.loads(call(gateway, key, None, "/v1/key", "GET")[2])["spend_today"]
        if spend["requests"] == 3:
            break
        time.sleep(0.2)
    assert spend["requests"] == 3 and spend["as_of_ms"] >= spend["since_ms"]
    assert spend["cost_nanousd"] == sum(model["cost_nanousd"] for model in spend["models"].values()) > 0
    listed = gateway.json("log", "list", "--key", "spender")["records"]
    assert spend["cost_nanousd"] == sum(record["cost_nanousd"] for record in listed)


# Bad input


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ('{"model":"fast"}', 400),
        ('{"messages":[]}', 400),
        ('{"model":5,"messages":[]}', 400),
        ('{"model":"fast","messages":' + "[" * 200 + "]" * 200 + "}", 400),
        ('{"model":"fast","model":"fast","messages":[]}', 400),
        (b'{"model":"fast","messages":"\xff"}', 400),
        ('{"model":"' + "x" * 600 + '","messages":[]}', 400),
        ('{"model":"a\\r\\nx: y","messages":[]}', 404),
        ('{"model":"fake/a\\r\\nx-evil: 1","messages":[]}', 400),
    ],
)
def test_bad_bodies_are_4xx(gateway, key, body, status):
    got, headers, data = call(gateway, key, body)
    assert got in {status, 404, 200} and got < 500, data
    assert "x-evil" not in headers


def test_a_body_of_another_media_type_or_encoding_is_refused(gateway, key):
    assert call(gateway, key, content_type="text/plain")[0] == 415
    assert call(gateway, key, content_encoding="gzip")[0] == 415


def test_pipelined_requests_are_answered_in_order(gateway, key):
    def one(text, close=False):
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": text}]})
        end = "Connection: close\r\n" if close else ""
        return f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{end}Content-Length: {len(body)}\r\n\r\n{body}"

    bad = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
    received = raw(gateway, (one("first") + bad + one("second") + one("third", True)).encode()).decode()
    places = [
        received.index(text)
        for text in ('"content":"first"', "there is nothing at", '"content":"second"', '"content":"third"')
    ]
    assert places == sorted(places)


def test_a_client_that_expects_100_continue_is_told_to_go_on(gateway, key):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nExpect: 100-continue\r\n"
            f"Connection: close\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
        )
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY.encode())
        received = b""
        while piece := sock.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200")


def test_H5_no_body_is_read_without_a_key(gateway):
    received = raw(
        gateway,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n",
    )
    assert received.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        b"GET / HTTP/1.1\n\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_garbage_gets_an_answer_and_a_close(gateway, data):
    received = raw(gateway, data + b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 4")


def test_a_large_body_travels_whole(gateway, key):
    body = json.dumps({"model": "fake/echo", "messages": [{"role": "user", "content": "x" * 3_000_000}]})
    status, _, data = call(gateway, key, body)
    assert status == 200
    assert len(data) > 3_000_000


def test_a_slow_reader_gets_everything(gateway, key):
    body = json.dumps({"model": "fake/stream-50000-0", "messages": [{"role": "user", "content": "a"}], "stream": True})
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(1.0)
        received = 0
        tail = b""
        while piece := sock.recv(262144):
            received += len(piece)
            tail = (tail + piece)[-40:]
    assert received > 50000 * 100
    assert tail.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_a_client_that_goes_away_is_recorded(gateway, key):
    body = json.dumps(
        {"model": "fake/stream-1000-50", "messages": [{"role": "user", "content": "bye"}], "stream": True}
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as sock:
        sock.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert b"200 OK" in sock.recv(65536)
        time.sleep(0.3)
    records = gateway.records("--outcome", "client_gone", "--model", "fake/stream-1000-50", seconds=12)
    assert records[0]["cost_estimated"]
    assert 5 <= records[0]["tokens"]["output"] <= 500


# The command line


def test_the_cli_says_what_is_wrong_in_one_line(gateway):
    for arguments, code in (
        (("key", "show", "nobody"), 2),
        (("key", "create", "Bad Name"), 2),
        (("usage", "--by", "colour"), 2),
        (("usage", "--team", "nosuch"), 2),
        (("log", "list", "--key", "nosuch"), 2),
        (("log", "list", "--outcome", "nope"), 2),
        (("price", "set", "nosuch/model", "--input", "1"), 2),
        (("log", "list", "--since", "yesterday"), 2),
        (("freeze", "key"), 2),
        (("price", "show", "fake/unknown"), 2),
    ):
        done = gateway.cli(*arguments, check=False)
        assert done.returncode == code, (arguments, done.stderr)
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_status_and_lists_have_the_documented_shape(gateway):
    status = gateway.json("status")
    assert status["state"] == "ready", status
    assert {"version", "state", "data_url", "console_url", "pids"} <= set(status)
    assert set(gateway.json("log", "list")) == {"records", "next"}
    usage = gateway.json("usage", "--by", "team,model")
    assert {
        "group",
        "requests",
        "input_tokens",
        "output_tokens",
        "cost_nanousd",
        "cost_usd",
        "unpriced_requests",
    } <= set(usage["total"])
    for command in (
        ["key", "list"],
        ["provider", "list"],
        ["credential", "list"],
        ["model", "list"],
        ["price", "list"],
    ):
        assert gateway.json(*command)
        assert gateway.cli(*command, "-o", "csv").stdout.count("\n") >= 1
        assert gateway.cli(*command, "-o", "wide").stdout


def test_a_keys_name_is_taken_as_an_argument_or_an_option_and_is_unique(gateway):
    gateway.cli("key", "create", "--name", "by-option")
    assert "by-option" in gateway.cli("key", "ls").stdout
    assert gateway.json("key", "get", "by-option")["name"] == "by-option"
    assert gateway.cli("key", "create", "by-option", check=False).returncode == 1


def test_a_credential_added_by_cli_never_shows(gateway, provider):
    secret = "sk-added-by-cli-secret-987654321"
    gateway.cli(
        "provider",
        "add",
        "second",
        "--dialect",
        "openai",
        "--base-url",
        f"http://127.0.0.1:{provider.port}/v1",
        "--allow-private",
    )
    gateway.cli("credential", "add", "second", "--from-stdin", "--yes", stdin=secret + "\n")
    assert "…4321" in gateway.cli("credential", "list").stdout
    assert json.loads(gateway.cli("credential", "test", "second", "--json").stdout)["ok"]
    assert call(gateway, gateway.key("second-user"), BODY.replace("fast", "second/echo"))[0] == 200
    gateway.cli("credential", "disable", "second/default")
    assert call(gateway, gateway.key("second-user2"), BODY.replace("fast", "second/echo"))[0] == 404
    gateway.cli("credential", "enable", "second/default")
    gateway.cli("credential", "remove", "second/default", "--yes")
    gateway.cli("provider", "remove", "second", "--yes")
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_model_add_explain_and_remove(gateway, key):
    gateway.cli("model", "add", "mine", "dead/x", "fake/echo")
    assert "callable" in gateway.cli("model", "explain", "mine", "--key", "tests").stdout
    assert call(gateway, key, BODY.replace("fast", "mine"))[0] == 200
    gateway.cli("model", "remove", "mine", "--yes")
    assert call(gateway, key, BODY.replace("fast", "mine"))[0] == 404


def test_an_offline_key_works_by_hash(gateway, provider, tmp_path):
    made = json.loads(offline_key())
    text = config(provider.port, f"keys: {{by-hash: {{sha256: {made['sha256']}, models: [fast]}}}}")
    file = tmp_path / "new.yaml"
    file.write_text(text)
    assert (
        "good"
        in subprocess.run(
            [*CLI, "config", "check", str(file)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **ENVIRON},
        ).stdout
    )
    assert gateway.cli("config", "diff", str(file), check=False).returncode == 1
    gateway.cli("config", "apply", str(file))
    assert call(gateway, made["key"])[0] == 200
    assert "differs" in str(gateway.json("status")["problems"]) or gateway.json("status")["state"] == "ready"
    gateway.cli("config", "apply", str(gateway.config))
    assert call(gateway, made["key"])[0] == 401


def offline_key():
    return subprocess.run(
        [*CLI, "key", "generate", "--offline", "--json"], capture_output=True, text=True, check=True
    ).stdout


def test_a_bad_config_changes_nothing(gateway, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("wrokers: 1\nmodels: {a: nothing}\n")
    done = gateway.cli("config", "apply", str(file), check=False)
    assert done.returncode == 2
    assert "bad.yaml:1" in done.stderr and "did you mean 'workers'" in done.stderr


# The console's port


def test_the_console_checks_host_origin_and_token(gateway):
    def get(path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, None, sent)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), data

    assert get("/")[0] == 200
    assert "script-src 'self'" in get("/")[1]["content-security-policy"]
    assert get("/api/v1/status")[0] == 401
    assert get("/api/v1/status", host="evil.example")[0] == 421
    link = gateway.json("admin", "link")["url"]
    token = link.partition("#")[2]

    def setup():
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
        ) as connection:
            connection.request("POST", "/api/v1/setup", json.dumps({"token": token}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    status, body = setup()
    assert status == 200
    assert setup()[0] == 400
    bearer = {"authorization": f"Bearer {body['token']}"}
    assert get("/api/v1/status", **bearer)[0] == 200
    assert get("/api/v1/status", **bearer, origin="https://evil.example")[0] == 403
    assert get("/api/v1/status", **bearer, sec_fetch_site="cross-site")[0] == 403
    virtual = gateway.key("not-an-admin")
    assert get("/api/v1/status", authorization=f"Bearer {virtual}")[0] == 401


# Secrets


def test_M3_no_secret_on_disk_in_memory_or_environment(gateway, key):
    call(gateway, key)
    gateway.records()
    for path in gateway.folder.rglob("*"):
        if path.is_file() and path.name != "kek":
            data = path.read_bytes()
            assert SECRET.encode() not in data, path
            assert key.encode() not in data, path
    kek = (gateway.folder / "kek").read_text().strip()
    pids = gateway.status()["pids"]
    for role, found in pids.items():
        for pid in found if isinstance(found, list) else [found]:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert SECRET.encode() not in command and kek.encode() not in command
            try:
                environ = Path(f"/proc/{pid}/environ").read_bytes()
            except PermissionError:
                # P1: not even its own user reads a process that let go of its dumpability; root does, and looks inside.
                assert os.geteuid() != 0
                continue
            assert SECRET.encode() not in environ and kek.encode() not in environ
            if role != "vault":
                memory = read_memory(pid)
                assert SECRET.encode() not in memory, role
                assert kek.encode() not in memory and bytes.fromhex(kek) not in memory, role
                if role == "supervisor":
                    assert key.encode() not in memory


def read_memory(pid):
    found = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if mode.startswith("rw") and end - start < 1 << 28:
                try:
                    memory.seek(start)
                    found += memory.read(end - start)
                except (OSError, ValueError):
                    continue
    return found


def test_P2_files_are_private_and_each_folder_has_its_owner(gateway):
    for path in gateway.data.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o007 == 0 or path.parent.stat().st_mode & 0o007 == 0, path
    if os.geteuid() != 0:
        assert all(path.stat().st_mode & 0o077 == 0 for path in gateway.data.rglob("*") if path.is_dir())
        return
    layout = Layout(gateway.data)
    for folder, uid, gid, mode in ownership.table(layout, ownership.ProcessUsers(ownership.UID_BASE), 2):
        info = folder.stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (uid, gid, mode), folder
        for file in folder.iterdir() if uid else ():
            assert file.is_dir() or file.stat().st_uid == uid, file


# Processes


def test_P1_every_process_says_what_holds_and_the_kernel_agrees(gateway):
    said = gateway.json("status")["confinement"]
    assert set(said) == {"vault", "control", "edge-0", "edge-1"}
    assert len({held["uid"] for held in said.values()}) == (4 if os.geteuid() == 0 else 1)
    for held in said.values():
        assert tuple(held["missing"]) == cell.probe()
    for role in ("vault", "edge", "control"):
        for pid in gateway.pids(role):
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            assert all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")) or (
                os.geteuid() != 0 and int(status["CapEff"], 16) == 0
            )
            if not cell.probe():
                assert status["Seccomp"].strip() == "2"


def test_P1_every_process_runs_without_new_privileges_and_capabilities(gateway):
    for role in ("vault", "edge", "control"):
        for pid in gateway.pids(role):
            status = Path(f"/proc/{pid}/status").read_text()
            assert "NoNewPrivs:\t1" in status
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert any(line.startswith("Max core file size") and line.split()[4] == "0" for line in limits.splitlines())


@pytest.fixture
def own(provider, tmp_path):
    made = []

    def start(more="", **options):
        running = GatewayProcess(config(provider.port, more), folder=tmp_path, environ=ENVIRON, **options)
        made.append(running)
        return running

    yield start
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.stop()


AWAY_S = float(os.environ.get("AWAY_S", "3"))
"""How long the database is gone; `make away` takes a minute."""


def test_S1_the_database_moved_away_under_load(own):
    gateway = own()
    key = gateway.key("steady")
    statuses, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            statuses.append(call(gateway, key)[::2])

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    store = gateway.data / "store" / "store.sqlite"
    store.rename(store.with_name("moved"))
    time.sleep(AWAY_S)
    assert not store.exists()
    assert json.loads(gateway.cli("status", "--json", check=False).stdout)["state"] == "degraded"
    store.with_name("moved").rename(store)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert {answer for answer in statuses if answer[0] != 200} == set()
    until = time.monotonic() + PATIENCE_S + AWAY_S
    while gateway.total() < len(statuses) and time.monotonic() < until:
        time.sleep(0.2)
    assert gateway.total() == len(statuses)


def test_S2_edges_serve_and_restart_without_a_database(own):
    gateway = own()
    key = gateway.key("static")
    store = gateway.data / "store" / "store.sqlite"
    os.kill(gateway.pids("control")[0], signal.SIGSTOP)
    store.rename(store.with_name("moved"))
    for pid in gateway.pids("edge"):
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if call(gateway, key)[0] == 200:
                break
        except OSError:
            time.sleep(0.05)
    assert call(gateway, key)[0] == 200
    store.with_name("moved").rename(store)
    os.kill(gateway.pids("control")[0], signal.SIGCONT)


def test_a_drain_lets_streams_end_and_refuses_new_connections(own):
    gateway = own()
    key = gateway.key("drainer")
    body = json.dumps({"model": "fake/stream-40-20", "messages": [{"role": "user", "content": "a"}], "stream": True})
    result = {}
    thread = threading.Thread(target=lambda: result.update(answer=call(gateway, key, body)))
    thread.start()
    time.sleep(0.5)
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises(OSError):
        call(gateway, key)
    thread.join()
    assert result["answer"][0] == 200 and b"[DONE]" in result["answer"][2]
    assert gateway.process.wait(PATIENCE_S) == 0
    gateway.start()
    assert gateway.records()[0]["outcome"] == "ok"


def test_a_stream_longer_than_the_drain_is_interrupted_and_recorded(own):
    gateway = own(arguments=("--drain-seconds", "1"))
    key = gateway.key("patient")
    body = json.dumps({"model": "fake/stream-4000-20", "messages": [{"role": "user", "content": "a"}], "stream": True})
    result = {}

    def stream():
        try:
            result["answer"] = call(gateway, key, body)
        except http.client.IncompleteRead as exc:
            result["partial"] = exc.partial

    thread = threading.Thread(target=stream)
    thread.start()
    time.sleep(0.5)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(PATIENCE_S) == 0
    thread.join()
    assert b'"error"' in result["partial"]
    gateway.start()
    record = gateway.records()[0]
    assert record["outcome"] == "interrupted" and record["tokens"]["output"] > 5


@pytest.mark.parametrize("case", ["second", "port", "folder", "kek_missing", "kek_other", "kek_open", "kek_folder", "kek_fd", "exposed", "config", "pepper", "box"])  # fmt: skip
def test_a_start_that_cannot_succeed_is_refused_in_one_line(own, tmp_path, case):
    gateway = own()
    other = free_port()
    arguments = [
        "--data",
        str(tmp_path / "data2"),
        "--kek-file",
        str(tmp_path / "kek"),
        "--listen",
        f"127.0.0.1:{other}",
        "--console",
        f"127.0.0.1:{free_port()}",
    ]
    expected = ""
    if case == "second":
        arguments[1], expected = str(gateway.data), "another gateway runs"
    elif case == "port":
        arguments[5], expected = f"127.0.0.1:{gateway.port}", "cannot listen on"
    elif case == "folder":
        (tmp_path / "file").touch()
        arguments[1], expected = str(tmp_path / "file" / "x"), "data folder"
    elif case == "kek_missing":
        gateway.stop(keep=True)
        arguments[1], arguments[3], expected = str(gateway.data), str(tmp_path / "nokek"), "KEK file"
    elif case == "kek_open":
        gateway.stop(keep=True)
        (tmp_path / "kek").chmod(0o644)
        arguments[1], expected = str(gateway.data), "read by other users"
    elif case == "kek_folder":
        arguments[3], expected = str(tmp_path), "not a plain file"
    elif case == "kek_fd":
        arguments[2:4], expected = ["--kek-fd", "97"], "is not open"
    elif case in {"kek_other", "pepper", "box"}:
        gateway.stop(keep=True)
        (tmp_path / "kek").write_text("ab" * 32)
        (tmp_path / "kek").chmod(0o600)
        arguments[1], expected = str(gateway.data), "sealed for another"
        if case != "kek_other":
            arguments[3] = str(gateway.folder / "kek")
            damaged, expected = gateway.data / {"pepper": "pepper", "box": "vault/box"}[case], "is damaged"
            damaged.write_bytes(b"garbage")
    elif case == "exposed":
        arguments[5], expected = f"0.0.0.0:{other}", "beyond loopback"
    elif case == "config":
        (tmp_path / "bad.yaml").write_text("models: {a: nothing}\nzzz: 1\n")
        arguments += ["--config", str(tmp_path / "bad.yaml")]
        expected = "nothing was changed"
    done = subprocess.run([*CLI, "serve", *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    if case == "kek_missing":
        assert not (tmp_path / "nokek").exists()


def test_sighup_applies_the_file_again(own, provider):
    gateway = own()
    key = gateway.key("reloader")
    assert call(gateway, key, BODY.replace("fast", "renamed"))[0] == 404
    gateway.config.write_text(
        config(provider.port)
        .replace("fast: fake/echo", "renamed: fake/echo")
        .replace("{env: FAKE_KEY}", "{file: secret}")
        .replace("{env: FAKE_AWS}", "{file: aws}")
    )
    (gateway.folder / "secret").write_text(SECRET)
    (gateway.folder / "aws").write_text(ENVIRON["FAKE_AWS"])
    gateway.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + PATIENCE_S
    while call(gateway, key, BODY.replace("fast", "renamed"))[0] != 200:
        assert time.monotonic() < until, gateway.log.read_text()
        time.sleep(0.1)
