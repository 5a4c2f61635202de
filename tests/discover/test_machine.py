# switchgear:allow-file: samples of what it finds
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from switchgear.detect.finding import Finding, Fingerprint
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.files import FileSource
from switchgear.discover.machine import MachineSource
from switchgear.discover.text_scanner import TextScanner
from switchgear.testing.corpus import expand

TOOLS = DetectorSet.shipped(Fingerprint(b"k" * 32))
GROQ = expand("gsk_<alnum*52>", random.Random(5))


def source(root: Path, users: bool = False) -> tuple[MachineSource, Collector]:
    out = Collector()
    scanner = TextScanner(TOOLS, out)
    return MachineSource(TOOLS, scanner, FileSource(scanner, out), out, root, users), out


@pytest.fixture
def image(tmp_path):
    """A machine's files, as a mounted image has them."""
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/tcp").write_text(
        "  sl  local_address …\n   0: 00000000:0FA0 00000000:0000 0A 0:0 0:0 0 0 0 4242 1\n"
    )
    (tmp_path / "proc/uptime").write_text("9000000.00 1.00\n")
    process = tmp_path / "proc/77"
    (process / "fd").mkdir(parents=True)
    os.symlink("socket:[4242]", process / "fd/3")
    process.joinpath("cmdline").write_bytes(f"/opt/v/bin/litellm\0--config\0c.yaml\0--api_key\0{GROQ}\0".encode())
    process.joinpath("cgroup").write_text("0::/system.slice/docker-" + "ab12" * 16 + ".scope\n")
    process.joinpath("stat").write_text("77 (litellm x) S " + " ".join(["0"] * 18) + " 100 0\n")
    return tmp_path


def by(out: Collector, kind: str) -> list[Finding]:
    return [f for f in out.findings() if f.kind == kind]


def test_a_forgotten_proxy_is_found_by_its_socket_without_a_packet(image):
    machine, out = source(image)
    machine.scan()
    found = next(f for f in by(out, "process") if f.product == "litellm")
    assert found.where == "0.0.0.0:4000" and found.severity == "high" and found.verdict == "bypass"
    assert "for 104 days" in found.title and found.evidence["container"] == "ab12ab12ab12"
    assert GROQ[4:-4] not in repr(out.findings())
    assert [f.rule for f in by(out, "key")] == ["groq"]


def test_units_packages_containers_and_stolen_machines(image):
    unit = image / "etc/systemd/system/llm.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(
        f"[Service]\nExecStart=/usr/bin/ollama serve\nEnvironment=OLLAMA_HOST=0.0.0.0\nEnvironment=GROQ_API_KEY={GROQ}\n"
    )
    site = image / "opt/app/lib/python3.11/site-packages"
    (site / "litellm-1.82.8.dist-info").mkdir(parents=True)
    (site / "litellm-1.82.8.dist-info/METADATA").write_text("Name: litellm\nVersion: 1.82.8\n")
    (site / "litellm_init.pth").write_text("import os\n")
    node = image / "usr/lib/node_modules/@modelcontextprotocol/inspector"
    node.mkdir(parents=True)
    (node / "package.json").write_text('{"name": "@modelcontextprotocol/inspector", "version": "0.13.0"}')
    container = image / "var/lib/docker/containers/c1"
    container.mkdir(parents=True)
    config = {
        "Name": "/chat",
        "Config": {
            "Image": "ghcr.io/open-webui/open-webui:v0.6.1",
            "Env": ["WEBUI_AUTH=False", f"K={GROQ}"],
            "Labels": {"com.docker.compose.project.config_files": "/srv/chat/compose.yaml,/gone.yaml"},
        },
    }
    (image / "srv/chat").mkdir(parents=True)
    (image / "srv/chat/compose.yaml").write_text("services:\n  db:\n    image: qdrant/qdrant:v1.0\n")
    (container / "config.v2.json").write_text(json.dumps(config))
    machine, out = source(image)
    machine.scan()
    assert {"MAL-2026-LITELLM", "CVE-2025-49596", "CVE-2025-64496", "malicious-file"} <= {
        f.rule for f in by(out, "advisory")
    }
    assert "/srv/chat/compose.yaml:3" in {f.where for f in by(out, "image")}
    assert {"OLLAMA_HOST=0.0.0.0", "WEBUI_AUTH=False"} <= {f.rule for f in by(out, "flag")}
    assert {f.where for f in by(out, "key")} >= {"container chat (environment)", "/etc/systemd/system/llm.service:4"}
    assert any(f.where == "/etc/systemd/system/llm.service" for f in by(out, "process"))


def test_people_are_looked_at_only_when_asked(image):
    home = image / "home/ann"
    (home / ".cursor").mkdir(parents=True)
    (home / ".cursor/mcp.json").write_text('{"mcpServers": {"x": {"url": "http://a.example/mcp"}}}')
    (home / ".codex").mkdir()
    (home / ".codex/auth.json").write_text("{}")
    (home / ".bash_history").write_text(f"export GROQ_API_KEY={GROQ}\nclaude --dangerously-skip-permissions\n")
    machine, out = source(image)
    machine.scan()
    assert not by(out, "mcp") and not by(out, "credential_file") and not by(out, "flag")
    machine, out = source(image, users=True)
    machine.scan()
    assert by(out, "mcp") and by(out, "credential_file") and by(out, "flag")
    assert "/home/ann/.bash_history:1" in {f.where for f in by(out, "key")}


def test_a_machine_whose_sockets_cannot_be_read_is_partial(tmp_path):
    machine, out = source(tmp_path)
    machine.scan()
    assert out.partial and {p.where for p in out.problems} >= {"/proc/net/tcp", "/proc"}


def test_a_process_that_listens_on_this_machine_is_found(tmp_path):
    program = tmp_path / "litellm"
    program.write_text(
        "import socket, time\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n"
        "print(s.getsockname()[1], flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(program), "--port", "1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline())
            machine, out = source(Path("/"))
            assert any(listener.port == port for listener in machine.listeners())
            machine._processes()
            found = next(f for f in by(out, "process") if f.where == f"127.0.0.1:{port}")
            assert found.product == "litellm" and found.evidence["pid"] == str(process.pid)
        finally:
            process.kill()


def test_addresses_of_both_families():
    machine, _ = source(Path("/"))
    with socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        (found,) = [listener for listener in machine.listeners() if listener.port == port]
    assert found.address == "::1" and not found.beyond_loopback


@pytest.mark.parametrize(
    "command",
    [
        "x --api-key hunter2 --port 1",
        "x --password=hunter2",
        "x MASTER_KEY=hunter2",
        "psql postgresql://u:hunter2@db/x",
        "x " + "hunter2" * 6,
    ],
)
def test_command_lines_are_shown_without_secrets(command):
    machine, _ = source(Path("/"))
    assert "hunter2" not in machine.redacted(command)


@pytest.fixture
def closed():
    """A machine that another user looks at: a folder in /tmp, and this process as nobody where it is root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        me = os.geteuid()

        def become(uid):
            if me == 0:
                os.seteuid(uid)

        yield folder, lambda: become(65_534)
        become(0)
        for path in folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)


def test_what_other_users_close_is_named_and_the_rest_is_looked_at(closed):
    folder, become_nobody = closed
    (folder / "proc/net").mkdir(parents=True)
    (folder / "proc/net/tcp").write_text("x\n   0: 00000000:0FA0 00000000:0000 0A 0:0 0:0 0 0 0 4242 1\n")
    (folder / "proc/uptime").write_text("9.0 1.0\n")
    for pid, command in ((7, b"/home/bob/v/bin/x\0"), (8, b"ollama\0serve\0")):
        process = folder / f"proc/{pid}"
        (process / "fd").mkdir(parents=True)
        process.joinpath("cmdline").write_bytes(command)
        process.joinpath("cgroup").write_text("0::/\n")
        process.joinpath("stat").write_text(f"{pid} (x) S " + " ".join(["0"] * 18) + " 100 0\n")
    (folder / "proc/7/fd").chmod(0)
    for path in ("home/bob/v", "etc/litellm", "var/lib/docker/containers", "etc/systemd/system"):
        (folder / path).mkdir(parents=True)
    for path in ("home/bob", "etc/litellm", "var/lib/docker/containers", "etc/systemd/system"):
        (folder / path).chmod(0)
    become_nobody()
    machine, out = source(folder, users=True)
    machine.scan()
    named = {problem.where for problem in out.problems}
    assert {"/home/bob", "/etc/litellm", "/var/lib/docker/containers", "/etc/systemd/system", "processes"} <= named
    assert "4000" in next(p.reason for p in out.problems if p.where == "processes")
    assert {f.product for f in by(out, "process")} == {"ollama"}
    assert not [p for p in out.problems if "fault" in p.reason]


def test_names_that_are_not_utf8_are_looked_at_and_shown(image):
    folder = os.fsencode(image) + b"/etc/litellm"
    os.makedirs(folder)
    with open(folder + b"/\xff\xfe.env", "w") as file:
        file.write(f"GROQ_API_KEY={GROQ}\n")
    machine, out = source(image)
    machine.scan()
    assert "/etc/litellm/\\xff\\xfe.env:1" in {f.where for f in by(out, "key")}


PARTS = ("process", "_unit", "_container", "_package", "_listener", "_running")


@pytest.mark.parametrize("part", PARTS)
def test_a_fault_ends_the_one_thing_that_it_was_about(image, part):
    (image / "etc/systemd/system").mkdir(parents=True)
    (image / "etc/systemd/system/llm.service").write_text(f"[Service]\nExecStart=/opt/litellm\nEnvironment=K={GROQ}\n")
    (image / "var/lib/docker/containers/c").mkdir(parents=True)
    (image / "var/lib/docker/containers/c/config.v2.json").write_text("[]")
    (image / "opt/site-packages/litellm-1.0.dist-info").mkdir(parents=True)
    (image / "etc/litellm").mkdir()
    (image / "etc/litellm/x.env").write_text(f"GROQ_API_KEY={GROQ}\n")
    machine, out = source(image)

    def fails(*_):
        raise ZeroDivisionError("words of a file")

    setattr(machine, part, fails)
    machine.scan()
    assert "/etc/litellm/x.env:1" in {f.where for f in by(out, "key")}
    assert out.partial and "words of a file" not in str(out.problems)
    if part in {"_unit", "_package", "process"}:
        assert [p for p in out.problems if "ZeroDivisionError" in p.reason]
