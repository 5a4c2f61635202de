"""What deploy/rootfs.sh makes for the container: a gateway lives in it, not as root, on a read-only root, without a shell.

The container's own tools are not needed: a mount and a chroot show what matters. (Network name spaces are the runtime's affair.)
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from switchgear.testing.gateway import free_port
from switchgear.testing.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
USER = 10001


def can_build():
    """Root, on Debian 12 with a python3 that makes virtual environments."""
    if os.geteuid() != 0 or not Path("/usr/bin/python3.11").exists():
        return False
    return (
        subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False, capture_output=True).returncode == 0
    )


pytestmark = pytest.mark.skipif(not can_build(), reason="needs root and Debian 12's python3 with python3-venv")


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("container") / "rootfs"
    folder.mkdir()
    done = subprocess.run(
        [ROOT / "deploy" / "rootfs.sh", folder], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mounted(rootfs):
    with contextlib.ExitStack() as stack:

        def mount(*arguments):
            run("mount", *arguments)
            stack.callback(run, "umount", "-l", arguments[-1])

        mount("--bind", str(rootfs), str(rootfs))
        for name in ("data", "run/kek", "tmp"):
            mount("-t", "tmpfs", "-o", f"size=300m,uid={USER},gid={USER},mode=700", "tmpfs", str(rootfs / name))
        mount("-t", "proc", "proc", str(rootfs / "proc"))
        mount("-t", "tmpfs", "tmpfs", str(rootfs / "dev"))
        run("mknod", "-m", "666", str(rootfs / "dev" / "null"), "c", "1", "3")
        run("mount", "-o", "remount,ro,bind", str(rootfs))
        yield rootfs


def test_the_image_holds_no_program_but_python(rootfs):
    programs = []
    for path in rootfs.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        assert not path.stat().st_mode & 0o6000, f"{path} is setuid"
        with path.open("rb") as file:
            head = file.read(18)
        if head[:4] == b"\x7fELF" and path.stat().st_mode & 0o111 and ".so" not in path.name:
            programs.append(path.name)
    assert programs == ["python3.11"]
    for name in ("sh", "bash", "dash", "busybox", "pip", "pip3", "apt", "perl", "gcc"):
        assert not list(rootfs.rglob(name)) or all(found.is_dir() for found in rootfs.rglob(name)), name


def test_a_gateway_serves_in_it_as_nobody_in_particular(mounted):
    port, console = free_port(), free_port()
    process = subprocess.Popen(
        [
            *(
                "/usr/sbin/chroot",
                f"--userspec={USER}:{USER}",
                mounted,
                "/usr/bin/python3",
                "-I",
                "-m",
                "switchgear.cli",
            ),
            *(
                "serve",
                "--demo",
                "--listen",
                f"127.0.0.1:{port}",
                "--console",
                f"127.0.0.1:{console}",
                "--workers",
                "1",
            ),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"SWITCHGEAR_DATA": "/data", "SWITCHGEAR_KEK_FILE": "/run/kek/kek", "PATH": "/usr/bin"},
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line or len(lines) > 60:
                break
        text = "".join(lines)
        assert "is ready" in text, text
        secrets = next(
            mounted / found.lstrip("/")
            for found in re.findall(r"(/data/\S+)", text)
            if (mounted / found.lstrip("/")).is_file()
        )
        key = re.search(r"sk-sg-\S+", secrets.read_text()).group()
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": "hello from a container"}]}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(body),
            {"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        response = connection.getresponse()
        answer = response.read().decode()
        connection.close()
        assert "hello from a container" in answer
        status = json.loads((mounted / "data" / "run" / "status.json").read_text())
        pids = [*status["pids"]["edge"], *status["pids"]["vault"], status["pids"]["control"]]
        for pid in pids:
            found = Path(f"/proc/{pid}/status").read_text()
            assert re.search(rf"^Uid:\s+{USER}\s+{USER}\s", found, re.M)
            assert re.search(r"^CapEff:\s+0+$", found, re.M)
            assert re.search(r"^NoNewPrivs:\s+1$", found, re.M)
            assert re.search(r"^Seccomp:\s+2$", found, re.M)
        assert (mounted / "run" / "kek" / "kek").stat().st_mode & 0o077 == 0
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        process.stdout.close()
