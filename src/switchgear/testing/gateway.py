"""A real gateway and a real provider as processes, for tests and benchmarks. Level 5: it only starts programs."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from switchgear.testing.patience import PATIENCE_S


def free_port() -> int:
    """Return a port for a server that is started later. It stays reserved for this process's life: a socket is bound to it that
    never listens, so that the kernel gives it to nobody else, and one that is bound with SO_REUSEADDR may listen there."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port = int(sock.getsockname()[1])
    sock.detach()
    return port


def wait_for(port: int, process: "subprocess.Popen[bytes] | None" = None, seconds: float = PATIENCE_S) -> None:
    """Wait until somebody listens. Raises TimeoutError, at once when the process that should has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and (process is None or process.poll() is None):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


RECORDS_MAX = 1_000
"""As many as one page of the log has."""


class ProviderProcess:
    """The fake provider in a process of its own."""

    def __init__(self, remember: bool = True, is_strict: bool = False) -> None:
        """`is_strict`: it refuses what the maker of each dialect does (`twins`)."""
        self.port = free_port()
        options = [*(["remember"] if remember else []), *(["strict"] if is_strict else [])]
        command = [sys.executable, "-m", "switchgear.testing", str(self.port), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
        wait_for(self.port, self.process)

    def seen(self) -> dict[str, dict[str, Any]]:
        """What arrived, by attempt id."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_seen", timeout=PATIENCE_S) as answer:
            found: dict[str, dict[str, Any]] = json.load(answer)["seen"]
        return found

    def headers(self) -> list[dict[str, str]]:
        """The heads of the last requests."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_seen", timeout=PATIENCE_S) as answer:
            found: list[dict[str, str]] = json.load(answer)["headers"]
        return found

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


class GatewayProcess:
    """A gateway on a folder of its own."""

    def __init__(
        self,
        config: str,
        *,
        folder: Path | None = None,
        workers: int = 2,
        environ: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "switchgear.cli"),
        start: bool = True,
    ) -> None:
        self.is_own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="switchgear-"))
        self.data = self.folder / "data"
        self.config = self.folder / "config.yaml"
        self.config.write_text(config)
        self.log = self.folder / "gateway.log"
        self.port, self.console_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._workers = workers
        self._environ = environ or {}
        self._arguments = arguments
        self._program = program
        self.start_s = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        if start:
            self.start()

    def use_program(self, *program: str) -> None:
        """Start it through another program from now on."""
        self._program = program

    def use_arguments(self, *arguments: str) -> None:
        """Give it other options from now on; the last of a kind counts."""
        self._arguments = arguments

    def start(self, wait: bool = True) -> None:
        """Start it and wait until it is ready. Raises RuntimeError with its log when it ends instead."""
        command = [
            sys.executable,
            *self._program,
            "serve",
            "--config",
            str(self.config),
            "--data",
            str(self.data),
            "--kek-file",
            str(self.folder / "kek"),
            "--listen",
            f"127.0.0.1:{self.port}",
            "--console",
            f"127.0.0.1:{self.console_port}",
            "--workers",
            str(self._workers),
            "--quiet",
            "--drain-grace",
            "0",
            *self._arguments,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self._environ}
            )
        started = time.monotonic()
        while wait and self.status().get("state") != "ready":
            if self.process.poll() is not None or time.monotonic() - started > PATIENCE_S:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"the gateway did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.01)
        self.start_s = time.monotonic() - started

    def status(self) -> dict[str, Any]:
        """What the supervisor says; empty before it said anything, or when another run said it."""
        try:
            found: dict[str, Any] = json.loads((self.data / "run" / "status.json").read_bytes())
        except (OSError, ValueError):
            return {}
        if self.process is None or found.get("pids", {}).get("supervisor") != self.process.pid:
            return {}
        return found

    def pids(self, role: str) -> list[int]:
        """The process ids of a role."""
        found = self.status().get("pids", {}).get(role)
        return found if isinstance(found, list) else [found] if found else []

    def cli(self, *arguments: str, stdin: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command on this gateway."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "switchgear.cli", *arguments, "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, **self._environ},
            stdin=subprocess.DEVNULL if stdin is None else None,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{arguments}: exit {done.returncode}: {done.stderr}{done.stdout[-2000:]}")
        return done

    def json(self, *arguments: str, **more: Any) -> Any:
        """Run a command with --json and decode its output."""
        return json.loads(self.cli(*arguments, "--json", **more).stdout)

    def key(self, name: str, *arguments: str) -> str:
        """Make a virtual key, and before it the team, user and project that it names."""
        for kind in ("team", "user", "project"):
            if f"--{kind}" in arguments:
                self.cli(kind, "create", arguments[arguments.index(f"--{kind}") + 1], check=False)
        return str(self.json("key", "create", name, *arguments)["key"])

    def records(self, *arguments: str, count: int = 1, seconds: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Return the newest records of the log, RECORDS_MAX at most, waiting until there are `count`."""
        until = time.monotonic() + seconds
        while True:
            found: list[dict[str, Any]] = self.json("log", "list", "--limit", str(RECORDS_MAX), *arguments)["records"]
            if len(found) >= min(count, RECORDS_MAX) or time.monotonic() > until:
                return found
            time.sleep(0.1)

    def total(self) -> int:
        """How many requests the ledger holds."""
        return int(self.json("usage")["total"]["requests"])

    def stop(self, keep: bool = False) -> int:
        """Drain; remove an own folder unless it is to be kept. Returns the exit code."""
        code = 0
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(PATIENCE_S)
        if not keep and self.is_own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        return code
