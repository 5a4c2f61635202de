"""An estate on loopback: products as they answer, 20 decoys, and, with `make estate`, a real LiteLLM in its own environment."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from switchgear.detect.finding import Fingerprint
from switchgear.detect.probe_paths import ALLOWED
from switchgear.discover.detector_set import DetectorSet
from switchgear.testing import estate
from switchgear.testing.patience import PATIENCE_S

LITELLM = os.environ.get("LITELLM_BIN")
REAL = os.environ.get("ESTATE_BIN")
"""Folder with the programs of the products below, for those who have them (`make estate`)."""
GRADIO = "import gradio; gradio.Interface(lambda x: x, 'text', 'text').launch(server_name='127.0.0.1', server_port={port}, quiet=True)"
MCP = "from mcp.server.mcpserver import MCPServer; MCPServer('x').run(transport='streamable-http', port={port})"
PROGRAMS = {
    # Product and what it asks of strangers → how it is started.
    ("jupyter", "auth"): ("jupyter-server", "--allow-root", "--no-browser", "--ip", "127.0.0.1", "--port", "{port}"),
    ("jupyter", "open"): (
        "jupyter-server",
        "--allow-root",
        "--no-browser",
        "--ip",
        "127.0.0.1",
        "--port",
        "{port}",
        "--IdentityProvider.token=",
    ),
    ("gradio", "unknown"): ("python", "-c", GRADIO),
    ("mcp-server", "unknown"): ("python", "-c", MCP),
    ("chroma", "open"): ("chroma", "run", "--host", "127.0.0.1", "--port", "{port}", "--path", "{folder}/chroma"),
    ("mlflow", "unknown"): ("mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
    ("marimo", "unknown"): ("marimo", "edit", "--headless", "--no-token", "--host", "127.0.0.1", "--port", "{port}"),
}
PRODUCTS = {p.id: p for p in DetectorSet.shipped(Fingerprint(b"k" * 32)).library.products}
FAKES = ("ollama", "vllm", "open-webui", "langflow", "n8n", "qdrant", "jupyter", "comfyui")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def discover(folder, ports) -> tuple[int, dict]:
    hosts = [part for port in ports for part in ("--hosts", f"127.0.0.1:{port}")]
    command = [sys.executable, "-m", "switchgear.cli", "discover", *hosts, "--json", "--data", str(folder / "none")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "XDG_CONFIG_HOME": str(folder)}
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def real(tmp_path):
    """Two real LiteLLMs: one with a master key, one open to everyone."""
    if LITELLM is None:
        pytest.skip("make estate brings a real LiteLLM")
    (tmp_path / "c.yaml").write_text(
        "model_list:\n  - model_name: m\n    litellm_params: {model: openai/m, api_base: http://127.0.0.1:9, api_key: x}\n"
    )
    started = {}
    for auth, variables in (
        ("auth", {"LITELLM_MASTER_KEY": "sk-0123456789abcdef"}),
        ("open", {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}),
    ):
        port = free_port()
        command = [LITELLM, "--config", str(tmp_path / "c.yaml"), "--host", "127.0.0.1", "--port", str(port)]
        log = (tmp_path / f"{auth}.log").open("wb")
        started[port] = (auth, subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **variables}), log)
    for port in started:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
    yield {port: auth for port, (auth, _, _) in started.items()}
    for _, process, log in started.values():
        process.terminate()
        process.wait(PATIENCE_S)
        log.close()


def test_fakes_are_found_and_decoys_are_not(tmp_path):
    fakes = {name: estate.product(PRODUCTS[name]) for name in FAKES}
    decoys = {name: estate.Host(script) for name, script in estate.DECOYS.items()}

    async def main():
        async with estate.listening(*fakes.values(), *decoys.values()):
            ports = [host.port for host in (*fakes.values(), *decoys.values())]
            return await asyncio.to_thread(discover, tmp_path, ports)

    code, report = asyncio.run(main())
    found = {f["where"]: f for f in report["findings"] if f["kind"] == "service" and f["confidence"] == "confirmed"}
    assert {f["product"] for f in found.values()} == set(FAKES)
    assert set(found) == {f"127.0.0.1:{host.port}" for host in fakes.values()}
    assert all(f["version"] for f in found.values())
    assert code in {3, 4}
    asked = {path for host in (*fakes.values(), *decoys.values()) for path in host.paths if len(path) != 17}
    assert asked <= ALLOWED


def test_real_litellms_are_found_with_version_and_auth_state(real, tmp_path):
    code, report = discover(tmp_path, real)
    found = {f["where"]: f for f in report["findings"] if f["product"] == "litellm" and f["kind"] == "service"}
    version = subprocess.run(
        [LITELLM, "--version"], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    ).stdout.split()[-1]
    for port, auth in real.items():
        one = found[f"127.0.0.1:{port}"]
        assert (one["confidence"], one["auth"], one["version"]) == ("confirmed", auth, version)
    assert code == 3


def test_a_real_litellm_is_found_by_its_process_without_a_packet(real, tmp_path):
    command = [
        sys.executable,
        "-m",
        "switchgear.cli",
        "discover",
        "--machine",
        "--json",
        "--data",
        str(tmp_path / "none"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    )
    places = {
        f["where"] for f in json.loads(done.stdout)["findings"] if f["kind"] == "process" and f["product"] == "litellm"
    }
    assert {f"127.0.0.1:{port}" for port in real} <= places


@pytest.fixture
def programs(tmp_path):
    if REAL is None:
        pytest.skip("make estate brings real products")
    running = {}
    for found, command in PROGRAMS.items():
        port = free_port()
        arguments = [part.format(port=port, folder=tmp_path) for part in command]
        log = (tmp_path / f"{port}.log").open("wb")
        options = {"stdout": log, "stderr": log, "cwd": tmp_path, "start_new_session": True}
        running[port] = (found, subprocess.Popen([f"{REAL}/{arguments[0]}", *arguments[1:]], **options), log)
    for port in running:
        for _ in range(240):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.5)
    time.sleep(3)
    yield {port: found for port, (found, _, _) in running.items()}
    for _, process, log in running.values():
        os.killpg(process.pid, 15)
        process.wait(PATIENCE_S)
        log.close()


def test_real_products_are_found_with_version_and_auth_state(programs, tmp_path):
    _, report = discover(tmp_path, programs)
    found = {f["where"]: f for f in report["findings"] if f["kind"] == "service"}
    for port, (product, auth) in programs.items():
        one = found[f"127.0.0.1:{port}"]
        assert (one["product"], one["auth"]) == (product, auth)
        assert (one["confidence"] == "confirmed" and one["version"]) or product == "mcp-server"
