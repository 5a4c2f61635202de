"""Starts what is measured, and reads what it used. Level 7."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ANSWER = (
    '{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"echo","choices":[{"index":0,'
    '"message":{"role":"assistant","content":"The cabinet switches, meters and protects."},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":12,"completion_tokens":9,"total_tokens":21}}'
)
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes {workers}; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000000;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""
PROXY = """location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }"""
UPSTREAM = "location / {{ default_type application/json; return 200 '{answer}'; }}"


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def cpu_ns(pids: list[int]) -> int:
    """Return the CPU time of processes so far, all threads, in nanoseconds."""
    total = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(path.read_text().split()[0])
    return total


def pss_kib(pids: list[int]) -> int:
    """Return the proportional set size of processes in KiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


class Nginx:
    """nginx, as a proxy or as the provider that answers at once."""

    def __init__(self, port: int, upstream: int | None, workers: int) -> None:
        self.port = port
        self._folder = Path(tempfile.mkdtemp(prefix="switchgear-bench-"))
        location = PROXY if upstream is not None else UPSTREAM.format(answer=ANSWER)
        text = NGINX.format(folder=self._folder, workers=workers, upstream=upstream or 9, port=port, location=location)
        (self._folder / "nginx.conf").write_text(text)
        self.process = subprocess.Popen(
            ["nginx", "-c", str(self._folder / "nginx.conf"), "-e", str(self._folder / "error.log")],
            stdin=subprocess.DEVNULL,
        )
        wait_for(port)

    def pids(self) -> list[int]:
        """The whole process tree."""
        return tree(self.process.pid)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)


class Provider:
    """The fake provider in a process of its own, for streams."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, "-m", "switchgear.testing", str(port)], stdin=subprocess.DEVNULL
        )
        wait_for(port)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


class Switchgear:
    """The gateway with everything on, and a key to call it."""

    def __init__(self, providers: dict[str, int], workers: int, keep: Path | None = None) -> None:
        self.folder = keep or Path(tempfile.mkdtemp(prefix="switchgear-bench-"))
        self.port, self.console = free_port(), free_port()
        names = "\n".join(
            f"  {name}: {{dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', allow_private: true, auth: bearer,\n"
            f"    credentials: [{{name: c, secret: {{env: BENCH_SECRET}},"
            " ceilings: {requests_per_s: 1000000, concurrency: 100000}}]}"
            for name, port in providers.items()
        )
        prices = "{input_per_mtok: 0.15, output_per_mtok: 0.60}"
        text = f"providers:\n{names}\npricing:\n  overrides:\n" + "".join(
            f"    {name}/echo: {prices}\n" for name in providers
        )
        (self.folder / "config.yaml").write_text(text)
        self._data = self.folder / "data"
        started = time.monotonic()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "switchgear.cli",
                "serve",
                "--config",
                str(self.folder / "config.yaml"),
                "--data",
                str(self._data),
                "--kek-file",
                str(self.folder / "kek"),
                "--listen",
                f"127.0.0.1:{self.port}",
                "--console",
                f"127.0.0.1:{self.console}",
                "--workers",
                str(workers),
                "--quiet",
                "--drain-grace",
                "0",
            ],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "BENCH_SECRET": "sk-bench-secret-0123456789"},
        )
        while self.status().get("state") != "ready":
            if self.process.poll() is not None:
                raise SystemExit("switchgear did not start")
            time.sleep(0.01)
        self.start_s = time.monotonic() - started
        made = self._cli("key", "create", f"bench-{os.getpid()}-{time.time_ns()}", "--json")
        self.key = str(made["key"])

    def _cli(self, *arguments: str) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-m", "switchgear.cli", *arguments, "--data", str(self._data)],
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def status(self) -> dict[str, object]:
        """What the supervisor says."""
        try:
            found: dict[str, object] = json.loads((self._data / "run" / "status.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def pids(self) -> list[int]:
        """The whole process tree."""
        return tree(self.process.pid)

    def backlog(self) -> int:
        """How many requests the ledger holds: the backlog is absorbed when this stands still at what was sent."""
        total = self._cli("usage", "--by", "", "--json")["total"]
        assert isinstance(total, dict)
        return int(total["requests"])

    def stop(self, keep: bool = False) -> None:
        """Drain and remove the folder."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(port: int, seconds: float = 10.0) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")
