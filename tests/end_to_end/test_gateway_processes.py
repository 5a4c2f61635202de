"""The gateway as processes: secrets in memory, confinement, starts, drains, the database away."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.end_to_end.calls import BODY, CLI, call, read_memory
from tests.end_to_end.setups import ENVIRON, SECRET, config

from switchgear.app import ownership
from switchgear.app.layout import Layout
from switchgear.confine import cell
from switchgear.testing.gateway import GatewayProcess, free_port
from switchgear.testing.patience import PATIENCE_S


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
