"""This machine: who listens, what runs, what is installed, which units and containers exist. Level 5. Sends nothing.

Reads /proc, package metadata, unit files and container stores, as far as this user may. Settings and histories of people
are read only when asked (--users).
"""

import functools
import json
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from switchgear.core.text import file_name, without_secrets
from switchgear.detect import clients, packages
from switchgear.detect.finding import Finding, Severity, plain_identity
from switchgear.detect.rules import Product
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.files import FileSource
from switchgear.discover.text_scanner import TextScanner

LISTEN = "0A"
COMMAND_MAX = 4_096
FOLDERS_MAX = 200_000
PACKAGE_ROOTS = ("usr/lib/python3", "usr/lib/node_modules", "usr/local/lib", "opt", "srv", "var/lib/litellm", "app")
PACKAGE_FOLDERS = frozenset({"site-packages", "dist-packages", "node_modules"})
UNIT_FOLDERS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system", "run/systemd/system")
CONFIG_FOLDERS = ("etc/litellm", "etc/switchgear", "etc/ollama", "etc/open-webui", "etc/claude-code", "app")
MALICIOUS_FILES = {"litellm_init.pth": "the credential stealer of LiteLLM 1.82.7 and 1.82.8 starts with every Python"}
_CONTAINER = re.compile(r"(?:docker[-/]|libpod-|cri-containerd-|containerd[-/])([0-9a-f]{12,64})")
_DEPTH_MAX = 9


class Listener(msgspec.Struct, frozen=True):
    """A listening TCP socket."""

    address: str
    port: int
    inode: int

    @property
    def beyond_loopback(self) -> bool:
        """True when other machines can reach it."""
        return not (self.address.startswith("127.") or self.address == "::1" or self.address.startswith("::ffff:127."))


class Process(msgspec.Struct, frozen=True):
    """A process, with its arguments as they are: not to be shown before `redacted`."""

    pid: int
    command: str
    user: str
    container: str | None
    age_s: float


def listeners(root: Path, out: Collector) -> list[Listener]:
    """Return the listening TCP sockets of a machine (of this network namespace)."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            lines = (root / "proc/net" / name).read_text().splitlines()[1:]
        except OSError as exc:
            if name == "tcp":
                out.failed(f"/proc/net/{name}", exc.strerror)
            continue
        for line in lines:
            parts = line.split()
            if len(parts) > 9 and parts[3] == LISTEN:
                address, _, port = parts[1].partition(":")
                found.append(Listener(_address(address), int(port, 16), int(parts[9])))
    return found


class MachineSource:
    """Looks at the machine it runs on; `root` is "/" (another folder in tests, or a mounted image)."""

    def __init__(
        self, tools: DetectorSet, scanner: TextScanner, files: FileSource, collector: Collector, root: Path, users: bool
    ) -> None:
        self._tools = tools
        self._scanner = scanner
        self._files = files
        self._out = collector
        self._root = root
        self._users = users
        self._named: set[str] = set()
        self._closed = 0
        """Processes of other users, whose descriptors this one may not see."""

    def scan(self) -> None:
        """Look at everything."""
        for part in (self._processes, self._units, self._containers, self._installed, self._settings):
            self._out.item(part.__name__.strip("_"), part)

    # sockets and processes

    def listeners(self) -> list[Listener]:
        """Return the listening TCP sockets of this machine (of this network namespace)."""
        return listeners(self._root, self._out)

    def _holders(self) -> dict[int, int]:
        """Return socket inode → pid, of processes that this user may look into."""
        found: dict[int, int] = {}
        for pid in self._pids():
            folder = self._root / "proc" / str(pid) / "fd"
            try:
                for name in os.listdir(folder):
                    target = str((folder / name).readlink())
                    if target.startswith("socket:["):
                        found.setdefault(int(target[8:-1]), pid)
            except PermissionError:
                self._closed += 1
            except OSError:
                continue  # gone
        return found

    def _pids(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._root / "proc") if name.isdigit()]
        except OSError as exc:
            self._out.failed("/proc", exc.strerror)
            return []

    def process(self, pid: int) -> Process | None:
        """Return a process, or None when it is gone or closed to this user."""
        folder = self._root / "proc" / str(pid)
        try:
            raw = (folder / "cmdline").read_bytes()[:COMMAND_MAX]
            uid = folder.stat().st_uid
            cgroup = (folder / "cgroup").read_text()
            started = float((folder / "stat").read_text().rpartition(")")[2].split()[19])
            uptime = float((self._root / "proc/uptime").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None
        container = _CONTAINER.search(cgroup)
        age = uptime - started / os.sysconf("SC_CLK_TCK")
        command = raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        return Process(pid, command, _user(uid), container.group(1)[:12] if container else None, max(0.0, age))

    def _processes(self) -> None:
        listening: dict[int, list[Listener]] = {}
        holders = self._holders()
        nobodys = []
        for listener in self.listeners():
            pid = holders.get(listener.inode)
            if pid is not None:
                listening.setdefault(pid, []).append(listener)
            else:
                nobodys.append(str(listener.port))
        if nobodys and self._closed:
            ports = ", ".join(sorted(set(nobodys), key=int)[:20])
            self._out.failed(
                "processes", f"{self._closed} of other users are closed to this one; unknown who listens on {ports}"
            )
        reported: set[tuple[str, int]] = set()
        for pid in self._pids():
            self._out.item(f"process {pid}", functools.partial(self._process, pid, listening, reported))

    def _process(self, pid: int, listening: dict[int, list[Listener]], reported: set[tuple[str, int]]) -> None:
        process = self.process(pid)
        if process is None or not process.command or pid == os.getpid():
            return
        self._out.looked_at["processes"] += 1
        sockets = listening.get(pid, [])
        product = self._tools.services.of_command(process.command)
        for socket in sockets:
            if product is None or (product.id, socket.port) in reported:
                continue
            reported.add((product.id, socket.port))
            self._listener(product, process, socket)
        if product is not None and not sockets:
            self._running(product, process)
        where = f"process {pid}"
        self._scanner.flags(process.command, where, f"{where} {product.id if product else ''}")
        self._scanner.keys_in(process.command.encode(), f"command line of process {pid}", lambda _: where)

    def _listener(self, product: Product, process: Process, socket: Listener) -> None:
        own = product.category == "own gateway"
        severity: Severity = "info" if own else "medium" if socket.beyond_loopback else "low"
        age = _age(process.age_s)
        place = "every address" if socket.address in {"0.0.0.0", "::"} else socket.address
        title = f"{product.name} listens on {place}, port {socket.port}, for {age}"
        if socket.beyond_loopback and product.risk and not own:
            severity, title = "high", f"{title}; {product.risk}"
        self._out.add(
            Finding(
                id=plain_identity("process", product.id, str(socket.port)),
                kind="process",
                rule=product.id,
                severity=severity,
                confidence="likely",
                verdict="governed" if own else "bypass" if product.category == "gateway" else "unknown",
                title=title,
                where=f"{socket.address}:{socket.port}",
                fix=""
                if own
                else f"look: switchgear discover --hosts 127.0.0.1:{socket.port}; then move its users here",
                product=product.id,
                owner=process.user,
                evidence=self._evidence(process),
            )
        )

    def _running(self, product: Product, process: Process) -> None:
        if product.category == "own gateway":
            return
        self._out.add(
            Finding(
                id=plain_identity("process", product.id, process.user, self.redacted(process.command)),
                kind="process",
                rule=product.id,
                severity="info",
                confidence="likely",
                title=f"{product.name} runs for {_age(process.age_s)}",
                where=f"process {process.pid}",
                fix="",
                product=product.id,
                owner=process.user,
                evidence=self._evidence(process),
            )
        )

    def _evidence(self, process: Process) -> dict[str, str]:
        found = {"pid": str(process.pid), "command": self.redacted(process.command), "age": _age(process.age_s)}
        return found | ({"container": process.container} if process.container else {})

    def redacted(self, command: str) -> str:
        """Return a command line without what could be secret: keys, and values of options that name one."""
        return without_secrets(command, 300)

    # units, containers

    def _units(self) -> None:
        folders = [self._root / folder for folder in UNIT_FOLDERS]
        folders += [home / ".config/systemd/user" for home in self._homes()]
        for folder in folders:
            for path in self._children(folder, ".service"):
                self._out.item(self._shown(path), functools.partial(self._unit, path))

    def _unit(self, path: Path) -> None:
        text = self._text(path)
        if text is None:
            return
        started = " ".join(re.findall(r"(?m)^ExecStart=[-@:+!]*(.*)$", text))
        product = self._tools.services.of_command(started)
        shown = self._shown(path)
        if product is None:
            if path.name == "sysmon.service" and ".config" in shown:
                self._malicious(shown, "the service that LiteLLM's credential stealer left (sysmon)")
            return
        self._out.add(
            Finding(
                id=plain_identity("unit", shown),
                kind="process",
                rule=product.id,
                severity="info" if product.category == "own gateway" else "low",
                verdict="governed" if product.category == "own gateway" else "unknown",
                title=f"a service starts {product.name}",
                where=shown,
                fix="",
                product=product.id,
                evidence={"command": self.redacted(started)},
            )
        )
        self._files.file(str(path), shown)

    def _containers(self) -> None:
        folder = self._root / "var/lib/docker/containers"
        for entry in self._children(folder, ""):
            self._out.item(self._shown(entry), functools.partial(self._container, entry))
        podman = self._root / "var/lib/containers/storage/overlay-images/images.json"
        text = self._text(podman)
        for image in re.findall(r'"([a-z0-9.:/_-]+/[a-z0-9._/-]+:[A-Za-z0-9._-]+)"', text or ""):
            self._scanner.image(image, f"{self._shown(podman)}:1")

    def _container(self, entry: Path) -> None:
        text = self._text(entry / "config.v2.json")
        if text is None:
            return
        try:
            config = json.loads(text)
        except ValueError:
            self._out.failed(self._shown(entry), "not JSON")
            return
        image = str((config.get("Config") or {}).get("Image", ""))
        where = f"container {str(config.get('Name', entry.name))[:64].lstrip('/')}"
        self._scanner.image(image, f"{where}:{image}")
        environment = (config.get("Config") or {}).get("Env") or []
        block = "\n".join(str(line) for line in environment).encode()
        self._scanner.keys_in(block, where, lambda _: f"{where} (environment)")
        for line in environment:
            self._scanner.flags(str(line), where, where)
        labels = (config.get("Config") or {}).get("Labels") or {}
        for project in str(labels.get("com.docker.compose.project.config_files", "")).split(","):
            if project.startswith("/") and self._is(stat.S_ISREG, self._root / project.lstrip("/")):
                self._files.file(str(self._root / project.lstrip("/")), project)

    # packages

    def _installed(self) -> None:
        roots = {self._root / root for root in PACKAGE_ROOTS}
        roots |= {
            home / part for home in self._homes() for part in (".local", ".venv", "venv", ".npm-global", "node_modules")
        }
        roots |= set(self._environments())
        for root in sorted(roots):
            self._out.item(self._shown(root), functools.partial(self._root_of_packages, root))

    def _root_of_packages(self, root: Path) -> None:
        for path in self._package_folders(root):
            self._packages_in(path)

    def _environments(self) -> Iterator[Path]:
        """Virtual environments that running processes use."""
        for pid in self._pids():
            process = self.process(pid)
            first = process.command.split(" ")[0] if process is not None else ""
            if first.startswith("/") and "/bin/" in first and not first.startswith(("/usr/", "/bin/")):
                folder = self._root / first.lstrip("/").rpartition("/bin/")[0]
                if self._is(stat.S_ISREG, folder / "pyvenv.cfg"):
                    yield folder

    def _package_folders(self, root: Path) -> Iterator[Path]:
        if root.name in PACKAGE_FOLDERS:
            yield from (path for path in [root] if self._is(stat.S_ISDIR, path))
            return
        pending, seen = [(root, 0)], 0
        while pending:
            folder, depth = pending.pop()
            seen += 1
            if seen > FOLDERS_MAX:
                self._out.failed(self._shown(root), f"more than {FOLDERS_MAX:,} folders")
                return
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                continue
            except OSError as exc:
                if folder != root or not isinstance(exc, NotADirectoryError):
                    self._once(self._shown(folder), exc.strerror)
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name in PACKAGE_FOLDERS:
                        yield Path(entry.path)
                    elif depth < _DEPTH_MAX and not entry.name.startswith("__"):
                        pending.append((Path(entry.path), depth + 1))

    def _packages_in(self, folder: Path) -> None:
        try:
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as exc:
            self._out.failed(self._shown(folder), exc.strerror)
            return
        for entry in entries:
            if entry.name in MALICIOUS_FILES:
                self._malicious(self._shown(Path(entry.path)), MALICIOUS_FILES[entry.name])
            if entry.name.endswith(".dist-info"):
                self._out.item(
                    self._shown(Path(entry.path)),
                    functools.partial(self._package, Path(entry.path) / "METADATA", packages.installed_python),
                )
            elif folder.name == "node_modules" and entry.is_dir():
                inner = self._children(Path(entry.path), "") if entry.name.startswith("@") else [Path(entry.path)]
                for package in inner:
                    self._out.item(
                        self._shown(package),
                        functools.partial(self._package, package / "package.json", packages.installed_node),
                    )

    def _package(self, path: Path, read: object) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hold the scan
            with os.fdopen(fd, "rb") as file:
                head = file.read(65_536) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        except FileNotFoundError:
            return
        except OSError as exc:
            self._out.failed(self._shown(path), exc.strerror)
            return
        self._out.looked_at["packages"] += 1
        found = read(head)  # type: ignore[operator]
        if found is not None:
            self._scanner.package(found, self._shown(path.parent), installed=True)

    def _malicious(self, where: str, what: str) -> None:
        self._out.add(
            Finding(
                id=plain_identity("malicious", where),
                kind="advisory",
                rule="malicious-file",
                severity="critical",
                title=what,
                where=where,
                fix="take the machine off the network, replace every secret that it could read, then build it anew",
            )
        )

    # settings

    def _settings(self) -> None:
        for folder in CONFIG_FOLDERS:
            for suffix in (".yaml", ".yml", ".json", ".toml", ".env", ".conf"):
                for path in self._children(self._root / folder, suffix):
                    self._files.file(str(path), self._shown(path))
        for home in self._homes():
            for end in (*clients.MCP_FILES, *clients.CREDENTIAL_FILES):
                for prefix in ("", ".config/", ".codeium/", ".aws/"):
                    path = home / f"{prefix}{end}"
                    if self._is(stat.S_ISREG, path):
                        self._files.file(str(path), self._shown(path))
            for name in (
                ".bash_history",
                ".zsh_history",
                ".bashrc",
                ".zshrc",
                ".profile",
                ".env",
                ".local/share/fish/fish_history",
            ):
                if self._is(stat.S_ISREG, home / name):
                    self._files.file(str(home / name), self._shown(home / name))
            if self._is(stat.S_ISREG, home / ".config/sysmon/sysmon.py"):
                self._malicious(
                    self._shown(home / ".config/sysmon/sysmon.py"), "a file that LiteLLM's credential stealer left"
                )

    def _homes(self) -> list[Path]:
        if not self._users:
            return []
        homes = [*self._children(self._root / "home", ""), self._root / "root"]
        return [path for path in homes if self._is(stat.S_ISDIR, path) and self._is_open(path)]

    def _is_open(self, home: Path) -> bool:
        if os.access(home, os.R_OK | os.X_OK):
            return True
        self._once(self._shown(home), "closed to this user")
        return False

    def _once(self, where: str, reason: object) -> None:
        """Name what could not be looked at, once."""
        if where not in self._named:
            self._named.add(where)
            self._out.failed(where, reason)

    def _is(self, kind: Callable[[int], bool], path: Path) -> bool:
        """Tell whether a path is there and of a kind; what another user's folder hides is named."""
        try:
            return kind(os.stat(path).st_mode)
        except PermissionError as exc:
            self._once(self._shown(path.parent), exc.strerror)
            return False
        except (OSError, ValueError):
            return False  # not there, or no path at all

    def _children(self, folder: Path, suffix: str) -> list[Path]:
        try:
            return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.name.endswith(suffix))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as exc:
            self._once(self._shown(folder), exc.strerror)
            return []

    def _text(self, path: Path) -> str | None:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            with open(path, "rb") as file:
                return file.read(1 << 20).decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as exc:
            self._once(self._shown(path), exc.strerror)
            return None

    def _shown(self, path: Path) -> str:
        return file_name("/" + str(path.relative_to(self._root)) if self._root != Path("/") else str(path))


def _address(text: str) -> str:
    raw = bytes.fromhex(text)
    if len(raw) == 4:
        return ".".join(str(byte) for byte in reversed(raw))
    groups = b"".join(raw[at : at + 4][::-1] for at in range(0, 16, 4))
    if groups[:12] == b"\0" * 10 + b"\xff\xff":
        return "::ffff:" + ".".join(str(byte) for byte in groups[12:])
    return "::" if not any(groups) else "::1" if groups == b"\0" * 15 + b"\1" else groups.hex(":", 2)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _age(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return "a moment"
