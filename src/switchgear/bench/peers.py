"""Other gateways, for `BENCH_PEERS=litellm,portkey make bench`. Level 7.

Each is installed once from its own registry (PyPI, npm) into a folder of its own, runs on loopback with the same upstream
and two workers where it has them, and is asked the same question. No option of theirs is turned on or off to flatter us:
LiteLLM runs without a database and checks only its master key, which makes it cheaper than in production.
"""

import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from switchgear.bench import load
from switchgear.testing.gateway import free_port

HOME = Path(".bench-peers")
START_S = 90.0
LITELLM_KEY = "sk-bench-5f1d8c07a94e4b6e9d32c1a7b8e06f43"
LITELLM = """
model_list:
  - model_name: echo
    litellm_params: {{model: openai/echo, api_base: 'http://127.0.0.1:{upstream}/v1', api_key: sk-bench}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""


def _litellm(home: Path, port: int, upstream: int) -> tuple[list[str], dict[str, str]]:
    binary = home / "bin" / "litellm"
    if not binary.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "litellm[proxy]"]
        _install(pip)
    config = home / "bench.yaml"
    config.write_text(LITELLM.format(upstream=upstream, key=LITELLM_KEY))
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "2"]
    return [str(binary), *arguments], {"Authorization": f"Bearer {LITELLM_KEY}"}


def _portkey(home: Path, port: int, upstream: int) -> tuple[list[str], dict[str, str]]:
    binary = home / "node_modules" / ".bin" / "gateway"
    if not binary.exists():
        home.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-fund", "--no-audit", "--loglevel=error", "@portkey-ai/gateway"]
        _install(install, home)
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"}
    return [str(binary), f"--port={port}", "--headless"], headers


def _install(command: list[str], folder: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise SystemExit(
            f"{command[0]} could not install {command[-1]} ({exc}): install it, or leave the peer out"
        ) from exc


PEERS: dict[str, Callable[[Path, int, int], tuple[list[str], dict[str, str]]]] = {
    "litellm": _litellm,
    "portkey": _portkey,
}
"""Name → installs it into a folder and returns (command, the headers its clients send)."""
_VERSIONS = {
    "litellm": "lib/python*/site-packages/litellm-*.dist-info/METADATA",
    "portkey": "node_modules/@portkey-ai/gateway/package.json",
}


def wanted(text: str) -> list[str]:
    """Read BENCH_PEERS. Ends the program when it names an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise SystemExit(f"BENCH_PEERS: {unknown[0]!r} is not known; choose from {', '.join(PEERS)}")
    return names


class Peer:
    """A running peer."""

    def __init__(self, name: str, upstream: int) -> None:
        self.name = name
        self.port = free_port()
        home = (HOME / name).absolute()
        command, self.headers = PEERS[name](home, self.port, upstream)
        self.version = _version(name, home)
        self._folder = Path(tempfile.mkdtemp(prefix="switchgear-bench-"))
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it asks the internet for prices when it starts
            "NO_PROXY": "*",
        }
        log = (self._folder / "log").open("wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)
        log.close()
        self._wait()

    def stop(self) -> None:
        """End it and remove its folder."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        until = time.monotonic() + START_S
        headers = {"Content-Type": "application/json", "Authorization": "Bearer x", **self.headers}
        while time.monotonic() < until and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("POST", "/v1/chat/completions", load.BODY % ("echo", ""), headers)
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.5)
        tail = (self._folder / "log").read_text(errors="replace")[-1500:]
        self.stop()
        raise SystemExit(f"{self.name} did not answer within {START_S:g} s; its log ends:\n{tail}")


def _version(name: str, home: Path) -> str:
    for path in sorted(home.glob(_VERSIONS[name])):
        found = re.search(r'^(?:Version: |\s*"version": ")([0-9.]+)', path.read_text(), re.MULTILINE)
        if found is not None:
            return found.group(1)
    return "?"
