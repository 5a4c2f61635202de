"""Processes that stop, disks that fill, clients that mean harm: what L3, L7, P4–P6, H7, S3 and L8 promise.

STOP_S sets how long a process is stopped (2 in `make test`, 30 in `make endure`), SLOW how many slow clients there are.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.end_to_end.altered import HERE
from tests.end_to_end.setups import ENVIRON, config
from tests.end_to_end.test_kill import Load, all_records, settle

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

STOP_S = float(os.environ.get("STOP_S", "2"))
SLOW = int(os.environ.get("SLOW", "100"))
BODY = {"model": "fake/echo", "messages": [{"role": "user", "content": "one two three"}]}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")


@pytest.fixture
def own(provider):
    made = []

    def start(**more):
        gateway = GatewayProcess(config(provider.port), environ=ENVIRON, **more)
        made.append(gateway)
        return gateway

    yield start
    for gateway in made:
        gateway.stop()


def ask(port, key, body=BODY, timeout=PATIENCE_S, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        sent = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), sent)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


# Processes


def go_on(pid):
    with contextlib.suppress(ProcessLookupError):  # stopped for longer than a child may be silent: it was replaced
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("role", ["vault", "edge", "control"])
def test_P5_a_child_that_hangs_is_named_and_replaced_and_nobody_is_kept_from_stopping_a_key(own, role):
    """A stopped process is one that hangs: what it held is gone, what it had booked is not."""
    gateway = own()
    key, stolen = gateway.key("app"), gateway.key("stolen")
    assert ask(gateway.port, key)[0] == 200
    for pid in gateway.pids(role):
        os.kill(pid, signal.SIGSTOP)
    before = set(gateway.pids(role))
    if role != "control":  # that one has to be replaced first
        gateway.cli("key", "revoke", "stolen", "--yes")
        gateway.cli("freeze", "team", "nobody", check=False)
    until = time.monotonic() + 120
    while time.monotonic() < until and set(gateway.pids(role)) & before:
        time.sleep(0.2)
    assert not set(gateway.pids(role)) & before, "it was replaced"
    while time.monotonic() < until and ask_patiently(gateway.port, key) != 200:
        time.sleep(0.2)
    if role == "control":
        while time.monotonic() < until and gateway.cli("key", "revoke", "stolen", "--yes", check=False).returncode:
            time.sleep(0.2)
    assert ask(gateway.port, stolen)[0] == 401
    status = gateway.cli("status", "--json", check=False).stdout
    assert "gave no sign of life" in status, status
    assert gateway.json("ledger", "verify")["differences"] == []


def ask_patiently(port, key):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return ask(port, key)[0]
    return 0


def test_P5_a_start_that_comes_to_nothing_three_times_ends_with_the_reason(own):
    gateway = own()
    gateway.stop(keep=True)
    store = next(gateway.data.rglob("store.sqlite"))
    store.write_bytes(b"no database at all, but a file of some length".ljust(8_192, b"."))
    ended = subprocess.run(
        [*_serve(gateway), "--listen", "127.0.0.1:0"], capture_output=True, text=True, check=False, timeout=PATIENCE_S, env={**os.environ, **ENVIRON}
    )  # fmt: skip
    assert ended.returncode not in {0, None} and "database" in ended.stderr and "Traceback" not in ended.stderr
    gateway.process = None


def test_L1_control_stopped_for_a_while_costs_no_request(own):
    gateway = own()
    key = gateway.key("app")
    [control] = gateway.pids("control")
    os.kill(control, signal.SIGSTOP)
    try:
        until, statuses = time.monotonic() + STOP_S, []
        while time.monotonic() < until:
            statuses.append(ask(gateway.port, key)[0])
    finally:
        go_on(control)
    assert set(statuses) == {200} and len(statuses) > 20
    assert len(gateway.records(count=len(statuses))) >= min(len(statuses), 1000)


@pytest.mark.parametrize("role", ["vault", "edge"])
def test_L1_a_stopped_vault_or_edge_loses_nothing(own, role):
    """Requests wait or are refused meanwhile; afterwards everything is booked once and served again."""
    gateway = own()
    key = gateway.key("app")
    load = Load(gateway.port, key)
    pid = gateway.pids(role)[0]
    time.sleep(0.5)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STOP_S)
    go_on(pid)
    began = time.monotonic()
    while load.last_ok < began and time.monotonic() - began < 10:
        time.sleep(0.02)
    assert load.last_ok > began
    load.stop()
    records = gateway.records(count=min(len(load.answered), 1000))
    until = time.monotonic() + PATIENCE_S
    while gateway.total() < len(load.answered) and time.monotonic() < until:
        time.sleep(0.1)
    assert gateway.total() >= len(load.answered)
    assert len({record["id"] for record in records}) == len(records)
    assert gateway.json("ledger", "verify")["differences"] == []


def test_P4_children_get_a_clean_environment(own):
    os.environ["SSL_CERT_FILE"], os.environ["HTTPS_PROXY"] = "/evil", "http://evil"
    try:
        gateway = own()
    finally:
        del os.environ["SSL_CERT_FILE"], os.environ["HTTPS_PROXY"]
    known = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME", "XDG_CONFIG_HOME", "TMPDIR"}
    for role in ("supervisor", "vault", "control", "edge"):
        for pid in gateway.pids(role):
            try:
                found = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except PermissionError:
                continue  # a plain user may not even look
            names = {entry.partition(b"=")[0].decode() for entry in found if entry}
            assert names <= known | {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}, (role, names)


def test_P5_one_supervisor_per_folder_and_orphans_end(own):
    gateway = own()
    second = subprocess.run(
        [*_serve(gateway), "--listen", "127.0.0.1:0", "--workers", "9"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, **ENVIRON},
    )
    assert second.returncode == 2 and "another gateway runs" in second.stderr
    assert f"kill {gateway.status()['pids']['supervisor']}" in second.stderr
    assert not list(gateway.data.rglob("edge-8*")), "it left nothing there"
    children = [*gateway.pids("vault"), *gateway.pids("control"), *gateway.pids("edge")]
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.wait(PATIENCE_S)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in children):
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in children)
    gateway.start()


def _is_zombie(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    return True


def _serve(gateway):
    import sys

    return [sys.executable, "-m", "switchgear.cli", "serve", "--config", str(gateway.config), "--data", str(gateway.data), "--kek-file", str(gateway.folder / "kek")]  # fmt: skip


def test_P6_a_second_process_cannot_bind_the_port_and_a_workers_death_resets_no_queued_connection(own):
    gateway = own()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError):
            thief.bind(("127.0.0.1", gateway.port))
    key = gateway.key("app")
    for pid in gateway.pids("edge"):
        os.kill(pid, signal.SIGKILL)
    waiting = [socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) for _ in range(50)]
    for sock in waiting:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert all(sock.recv(12) == b"HTTP/1.1 200" for sock in waiting)
    for sock in waiting:
        sock.close()
    assert ask(gateway.port, key)[0] == 200


# Who is asking


def test_H7_a_claimed_address_counts_for_nothing(own):
    gateway = own()
    far = gateway.key("far", "--cidr", "10.0.0.0/8")
    for header in ("x-forwarded-for", "x-real-ip", "forwarded", "x-client-ip", "true-client-ip", "cf-connecting-ip"):
        assert ask(gateway.port, far, **{header: "for=10.0.0.1" if header == "forwarded" else "10.0.0.1"})[0] == 403


def test_S3_a_revocation_lets_running_streams_end(own):
    gateway = own()
    key = gateway.key("app")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    body = json.dumps({**BODY, "model": "fake/stream-20-50", "stream": True})
    connection.request(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    response = connection.getresponse()
    assert response.status == 200
    response.read(20)
    gateway.cli("key", "revoke", "app", "--yes")
    assert ask(gateway.port, key)[0] == 401
    assert response.read().endswith(b"data: [DONE]\n\n")
    connection.close()


def test_L8_a_settled_request_shows_at_once(own):
    gateway = own()
    key = gateway.key("app")
    request_id = ask(gateway.port, key)[2]["x-request-id"]
    until = time.monotonic() + PATIENCE_S  # the promise is one second; how long it took is a benchmark's business
    while time.monotonic() < until:
        if any(record["id"] == request_id for record in gateway.json("log", "list")["records"]):
            return
        time.sleep(0.05)
    raise AssertionError("it never showed")


# Disks


@needs_root
def test_a_start_on_a_full_disk_says_so(own, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=755", "tmpfs", str(folder)], check=True)
    try:
        gateway = own(folder=folder, start=False)
        with pytest.raises(RuntimeError, match="did not start"):
            gateway.start()
        told = gateway.log.read_text()
        assert "No space left on device" in told and "MB are needed there" in told and "Traceback" not in told
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@needs_root
def test_L3_a_full_disk_loses_no_record_and_service_returns_with_room(own, tmp_path, provider):
    """A small disk, filled by somebody else in the middle of the load, then emptied again."""
    folder = tmp_path / "small"
    folder.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=240m,mode=755", "tmpfs", str(folder)], check=True)
    try:
        small = json.dumps({"segment": 1 << 20})  # what is prepared for spools is used up after fewer requests
        gateway = own(folder=folder, program=(HERE, "serve", small))
        key, stolen, suspect = (gateway.key(name) for name in ("app", "stolen", "suspect"))
        load = Load(gateway.port, key)
        time.sleep(0.5)
        with open(folder / "filler", "wb", 0) as filler:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(size))
        deadline, refused = time.monotonic() + PATIENCE_S, 0
        while time.monotonic() < deadline and not refused:
            status, body, headers = ask(gateway.port, key)
            assert status in {200, 503}, (status, body)
            refused += status == 503
            if status == 503:
                assert "retry-after" in headers
        # Nothing may take a byte any more; stopping somebody still works, and holds for the next request.
        gateway.cli("key", "revoke", "stolen", "--yes")
        assert ask(gateway.port, stolen)[0] == 401
        gateway.cli("freeze", "key", "suspect")
        assert ask(gateway.port, suspect)[0] == 403
        (folder / "filler").unlink()
        began = time.monotonic()
        while load.last_ok < began + 0.5 and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.05)
        assert load.last_ok > began, "it serves again by itself"
        load.stop()
        settle(gateway, load)
        records = {record["id"] for record in all_records(gateway)}
        missing = set(load.answered) - records
        status = gateway.cli("status", "--json", check=False).stdout
        assert not missing, f"{len(missing)} answered and not booked: {sorted(missing)[:3]} {status}"
        assert gateway.json("ledger", "verify")["differences"] == []
        gateway.stop(keep=True)
        gateway.process = None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_L7_a_flood_of_bad_keys_writes_no_more_than_a_count_a_second(own):
    gateway = own()
    key = gateway.key("app")
    assert ask(gateway.port, key)[0] == 200
    gateway.records(count=1)

    def written():
        return sum(path.stat().st_blocks for path in gateway.data.rglob("*") if path.is_file()), gateway.total()

    before, log, began = written(), gateway.log.stat().st_size, time.monotonic()
    for number in range(2_000):
        with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
            bad = f"sk-sg-{number:012d}-{'x' * 43}{number:06d}"
            sock.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {bad}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode()
            )
            assert sock.recv(12) == b"HTTP/1.1 401"
    time.sleep(1.0)
    after = written()
    seconds = time.monotonic() - began + 1
    assert after[1] == before[1], "no record"
    assert after[0] <= before[0] + 64 + 2 * 48 * seconds, (
        "a count a second and edge, and the page of the store that says so"
    )
    assert gateway.log.stat().st_size <= log + 2 * 11 * 512 * (1 + seconds / 60), (
        "ten lines a minute and edge, and one that counts"
    )


# Clients that mean harm


def test_H1_slow_clients_are_let_go_and_good_ones_do_not_notice(own):
    """Heads that never end, bodies that trickle, readers that do not read."""
    more = "limits: {head_s: 1, body_grace_s: 1, keep_alive_s: 2, write_stall_s: 2}\n"
    gateway = own(start=False)
    gateway.config.write_text(gateway.config.read_text() + more)
    gateway.start()
    key = gateway.key("app")
    slow = []
    for number in range(SLOW):
        sock = socket.create_connection(("127.0.0.1", gateway.port))
        if number % 3 == 0:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-A: ")
        elif number % 3 == 1:
            sock.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{".encode()
            )
        else:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        slow.append(sock)
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.2):
            for sock in slow:
                with contextlib.suppress(OSError):
                    sock.send(b"a")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        began, statuses = time.monotonic(), set()
        while time.monotonic() - began < 5:
            statuses.add(ask(gateway.port, key)[0])
    finally:
        stop.set()
        thread.join()
    assert statuses == {200}
    closed = 0
    for sock in slow:
        sock.settimeout(2)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass
            closed += 1
        sock.close()
    assert closed >= SLOW * 0.95, "slow clients were let go"


# Databases that are away, older, newer, or damaged


def _stopped(own):
    gateway = own()
    key, stolen = gateway.key("app"), gateway.key("stolen")
    assert ask(gateway.port, key)[0] == 200
    gateway.records(count=1)
    gateway.stop(keep=True)
    return gateway, key, stolen, next(gateway.data.rglob("store.sqlite"))


def _set_version(store, version):
    with sqlite3.connect(store) as connection:
        connection.execute("update alembic_version set version_num = ?", (version,))


def test_S1_a_gateway_started_while_its_database_is_away_serves_and_stops_keys_and_goes_on_when_it_is_back(own):
    gateway, key, stolen, store = _stopped(own)
    hidden = store.with_name("hidden")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            store.with_name(store.name + suffix).rename(hidden.with_name(hidden.name + suffix))
    gateway.start()
    assert ask(gateway.port, key)[0] == 200
    status = json.loads(gateway.cli("status", "--json", check=False).stdout)
    assert status["state"] == "degraded" and any("is missing" in problem for problem in status["problems"])
    gateway.cli("key", "revoke", "stolen", "--yes")
    assert ask(gateway.port, stolen)[0] == 401
    gateway.cli("freeze", "key", "app")
    assert ask(gateway.port, key)[0] == 403
    assert not store.exists(), "no empty database takes its place"
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            hidden.with_name(hidden.name + suffix).rename(store.with_name(store.name + suffix))
    until = time.monotonic() + 60
    while time.monotonic() < until and gateway.cli("status", check=False).returncode:
        time.sleep(0.2)
    assert gateway.total() >= 2
    shown = {row["name"]: row for row in gateway.json("key", "list", "--all")["keys"]}
    while time.monotonic() < until and shown["stolen"]["revoked_ms"] is None:
        time.sleep(0.2)
        shown = {row["name"]: row for row in gateway.json("key", "list", "--all")["keys"]}
    assert shown["stolen"]["revoked_ms"] is not None and ask(gateway.port, stolen)[0] == 401
    gateway.cli("unfreeze", "key", "app")
    assert ask(gateway.port, key)[0] == 200


def test_S1_an_older_database_is_brought_up_and_a_newer_one_is_refused_in_one_line(own):
    gateway, key, _, store = _stopped(own)
    _set_version(store, "0001")
    gateway.start()
    assert ask(gateway.port, key)[0] == 200 and gateway.total() >= 1
    gateway.stop(keep=True)
    _set_version(store, "m9999")
    ended = subprocess.run(
        [*_serve(gateway), "--listen", "127.0.0.1:0"], capture_output=True, text=True, check=False, timeout=PATIENCE_S, env={**os.environ, **ENVIRON}
    )  # fmt: skip
    assert ended.returncode == 2 and "newer than this program" in ended.stderr and "Traceback" not in ended.stderr
    gateway.process = None
