"""The supervisor: starts the children, watches them, passes signals on, says what state they are in. Level 6.

It holds listening sockets and lifelines, and no secret: whatever it read before, it re-executed itself since (INVARIANTS
P4–P6). A plain loop on purpose: no asyncio, nothing that could hang.
"""

import contextlib
import fcntl
import hashlib
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from switchgear import __version__
from switchgear.app import boot as boots
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout
from switchgear.app.ownership import People
from switchgear.app.report import begin, report
from switchgear.config.schema import Limits
from switchgear.confine import privileges, seccomp
from switchgear.confine.cell import Held
from switchgear.core.log_line import Settings
from switchgear.wire import frames

BACKOFF_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses before another start, by how many starts in a row came to nothing. A child that served is started again at
once, however often it is killed: waiting would only make the gap longer."""
CRASHES_MAX = 5
CRASH_WINDOW_S = 60.0
STOP_S = 5.0
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME", "XDG_CONFIG_HOME", "TMPDIR")


class State(msgspec.Struct, kw_only=True):
    """What survives the re-exec: everything that children are told, and no secret but link tokens made here."""

    data: str
    workers: int
    data_fds: list[int]
    console_fds: list[int]
    demo_fds: list[int] = []
    data_url: str
    console_url: str
    lock_fd: int
    kek_path: str = ""
    kek_fd: int = -1
    identity_dir: str = ""
    configuration: msgspec.Raw = msgspec.Raw(b"null")
    limits: Limits = msgspec.field(default_factory=Limits)
    log: Settings = msgspec.field(default_factory=Settings)
    durability: str = "process"
    drain_grace_s: float = 5.0
    drain_s: float = 30.0
    tls_cert: str = ""
    tls_key: str = ""
    config_path: str = ""
    segment_bytes: int = 16 * 1024 * 1024
    started_s: float = 0.0
    banner: bool = True
    demo: bool = False
    uid_base: int = 0
    """First of the user ids of the children; 0 where this is not root."""
    must_confine: bool = False


class Child:
    """One slot: a role, and the process that fills it at the moment."""

    def __init__(self, role: str, number: int = 0) -> None:
        self.role = role
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_fd = -1
        self.lifeline_fd = -1
        self.is_ready = False
        self.crashes: list[float] = []
        self.failed_starts = 0
        self.start_at_s = 0.0
        self.final_code: int | None = None
        self.held: Held | None = None
        """What holds of its confinement, as it said when it was ready."""

    @property
    def name(self) -> str:
        """Role and number."""
        return f"{self.role}-{self.number}" if self.role == "edge" else self.role


MALLOC = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""For glibc: large bodies get pages of their own and give them back. Without these the threshold rises with the largest body
ever freed, and processes keep what their busiest moment took (measured: 100 MiB an edge after eight 10 MB bodies)."""


def clean_environment(environ: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """Return the few variables that children get: never LD_*, PYTHON*, SSL_* or a proxy's."""
    return {name: environ[name] for name in ENVIRONMENT if name in environ} | MALLOC


class Supervisor:
    """Runs until stopped. `run` returns the exit code."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._layout = Layout(Path(state.data))
        self._children = [Child("vault"), Child("control"), *(Child("edge", n) for n in range(state.workers))]
        if state.demo_fds:
            self._children.insert(0, Child("demo"))
        self._selector = selectors.DefaultSelector()
        self._link_key = os.urandom(32)
        self._people = People(state.uid_base) if state.uid_base else None
        self._disk = ConfigOnDisk(state.config_path)
        self._stopping = False
        self._welcomed = False
        self._said = ""
        self._reload: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start everything and watch."""
        state = self._state
        report("starting", "info", version=__version__, data=state.data, edges=state.workers, pid=os.getpid())
        wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        for watched in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(watched, lambda *_: None)
        self._selector.register(wake_r, selectors.EVENT_READ, "signals")
        while True:
            code = self._turn()
            if code is not None:
                return code
            for key, _ in self._selector.select(self._timeout_s()):
                if key.data == "signals":
                    with contextlib.suppress(BlockingIOError):
                        for number in os.read(wake_r, 64):
                            if self._on_signal(number):
                                return self._stop()
                else:
                    self._on_ready(key.data)

    def _turn(self) -> int | None:
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._on_exit(child, now)
            if child.final_code is not None:
                return self._stop(child.final_code)
            if child.process is None and now >= child.start_at_s:
                self._start(child)
        self._write_status()
        if not self._welcomed and all(child.is_ready for child in self._children):
            self._welcomed = True
            report(
                "ready",
                "info",
                data_url=self._state.data_url,
                console_url=self._state.console_url,
                after_s=round(time.monotonic() - self._state.started_s, 1),
            )
            self._welcome()
        return None

    def _timeout_s(self) -> float:
        now = time.monotonic()
        waits = [child.start_at_s - now for child in self._children if child.process is None]
        return max(0.0, min(waits)) if waits else 5.0

    def _start(self, child: Child) -> None:
        ready_r, ready_w = os.pipe()
        life_r, life_w = os.pipe()
        state = self._state
        order = Boot(
            role=child.role,
            number=child.number,
            data=state.data,
            run_id=os.urandom(8).hex(),
            lifeline_fd=life_r,
            ready_fd=ready_w,
            limits=state.limits,
            log=state.log,
            durability=state.durability,
            drain_grace_s=state.drain_grace_s,
            drain_s=state.drain_s,
            console_url=state.console_url,
            segment_bytes=state.segment_bytes,
            person=self._people.of(child.role, child.number) if self._people is not None else None,
            must_confine=state.must_confine,
        )
        order.link_token = frames.link_token(self._link_key, child.role, order.run_id)
        opened: list[int] = []
        if child.role == "edge":
            order.listen_fds = state.data_fds
            if state.tls_cert:
                order.tls_cert_fd, order.tls_key_fd = (os.open(p, os.O_RDONLY) for p in (state.tls_cert, state.tls_key))
                opened = [order.tls_cert_fd, order.tls_key_fd]
        elif child.role == "vault":
            order.kek_path, order.kek_fd, order.link_key = state.kek_path, state.kek_fd, self._link_key
            own = {"edge": [os.geteuid()], "control": [os.geteuid()]}
            order.peers = own if self._people is None else self._people.peers(state.workers)
            if state.kek_fd >= 0:
                order.kek_fd = os.open(f"/proc/self/fd/{state.kek_fd}", os.O_RDONLY)
                opened = [order.kek_fd]
            if state.identity_dir:
                with contextlib.suppress(OSError):  # it is gone: whoever wants a token is told that there is none
                    order.identity_fd = os.open(state.identity_dir, os.O_RDONLY | os.O_DIRECTORY)
                    opened.append(order.identity_fd)
        elif child.role == "control":
            order.listen_fds = state.console_fds
            order.configuration = state.configuration
        elif child.role == "demo":
            order.listen_fds = state.demo_fds
        fd = boots.to_fd(order)
        child.process = subprocess.Popen(  # noqa: S603  our own interpreter and module, no shell
            [sys.executable, "-I", "-m", "switchgear.app", child.role, str(fd)],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd, life_r, ready_w, *order.listen_fds, *opened],
            env=clean_environment(os.environ),
            cwd="/",
            start_new_session=True,
        )
        for used in (fd, life_r, ready_w, *opened):
            os.close(used)
        child.is_ready = False
        child.ready_fd, child.lifeline_fd = ready_r, life_w
        self._selector.register(ready_r, selectors.EVENT_READ, child)
        report(f"{child.name} starts", "debug", pid=child.process.pid)

    def _on_ready(self, child: Child) -> None:
        said = os.read(child.ready_fd, select.PIPE_BUF)
        if said:
            child.is_ready = True
            report(f"{child.name} is ready", "info" if child.crashes else "debug")
            child.held = msgspec.json.decode(said, type=Held)
        self._selector.unregister(child.ready_fd)
        os.close(child.ready_fd)
        child.ready_fd = -1

    def _on_exit(self, child: Child, now: float) -> None:
        assert child.process is not None
        code = child.process.returncode
        child.process = None
        if child.ready_fd >= 0:
            self._selector.unregister(child.ready_fd)
            os.close(child.ready_fd)
            child.ready_fd = -1
        os.close(child.lifeline_fd)
        if code == 2 and not self._welcomed:
            child.final_code = 2  # wrong use: it said why; starting it again would say it again
            return
        child.failed_starts = 0 if child.is_ready else child.failed_starts + 1
        child.is_ready = False
        child.crashes = [at for at in child.crashes if now - at < CRASH_WINDOW_S] + [now]
        child.start_at_s = now + BACKOFF_S[min(child.failed_starts, len(BACKOFF_S) - 1)]
        report(
            f"{child.name} ended ({_ending(code)}); starting it again",
            "error",
            kind=child.name,
            ended_within_a_minute=len(child.crashes),
        )

    def _on_signal(self, number: int) -> bool:
        if number in {signal.SIGTERM, signal.SIGINT}:
            return True
        if number == signal.SIGHUP:
            self._on_reload()
        return False

    def _on_reload(self) -> None:
        """Apply the configuration file again; replace the edges where TLS is used, so that they load the new files."""
        state = self._state
        report("SIGHUP: reading the configuration and TLS files again", "info", config=state.config_path or None)
        if state.config_path:
            command = [
                sys.executable,
                "-I",
                "-m",
                "switchgear.cli",
                "config",
                "apply",
                state.config_path,
                "--data",
                state.data,
            ]
            self._reload = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=clean_environment(os.environ))  # noqa: S603
        if state.tls_cert and _tls_is_good(state.tls_cert, state.tls_key):
            for child in self._children:
                if child.role == "edge" and child.process is not None:
                    child.process.terminate()

    # stopping

    def _stop(self, code: int = 0) -> int:
        """Drain: edges first, then control absorbs what they left, the vault last."""
        self._stopping = True
        report("draining", "info", grace_s=self._state.drain_grace_s, at_most_s=self._state.drain_s)
        self._write_status("draining")
        patience_s = self._state.drain_grace_s + self._state.drain_s + STOP_S
        for role, wait_s in (("edge", patience_s), ("control", STOP_S * 3), ("vault", STOP_S), ("demo", STOP_S)):
            self._end([c for c in self._children if c.role == role and c.process is not None], wait_s)
        self._write_status("stopped")
        with contextlib.suppress(OSError):
            self._layout.cli_token.unlink()
        report("stopped", "info", exit_code=code)
        report.close()
        return code

    def _end(self, children: list[Child], wait_s: float) -> None:
        for child in children:
            assert child.process is not None
            child.process.terminate()
        until = time.monotonic() + wait_s
        hurried = False
        for child in children:
            assert child.process is not None
            while child.process.poll() is None:
                if time.monotonic() > until:
                    report(f"{child.name} did not end within {wait_s:g} s and is killed", "error")
                    child.process.kill()
                    child.process.wait()
                elif not hurried and self._asked_twice():
                    hurried = True
                    for other in children:
                        assert other.process is not None
                        other.process.terminate()
                time.sleep(0.01)

    def _asked_twice(self) -> bool:
        for key, _ in self._selector.select(0):
            if key.data == "signals":
                with contextlib.suppress(BlockingIOError):
                    return any(n in {signal.SIGTERM, signal.SIGINT} for n in os.read(int(key.fd), 64))
        return False

    # telling

    def _write_status(self, forced: str | None = None) -> None:
        now = time.monotonic()
        troubled = [
            f"{child.name} ended {len(child.crashes)} times within a minute"
            for child in self._children
            if len([at for at in child.crashes if now - at < CRASH_WINDOW_S]) > CRASHES_MAX
        ]
        ready = all(child.is_ready for child in self._children)
        state = forced or (
            "degraded" if troubled else "ready" if ready else "starting" if not self._welcomed else "degraded"
        )
        pids: dict[str, object] = {"supervisor": os.getpid(), "vault": [], "control": None, "edge": []}
        for child in self._children:
            if child.process is None:
                continue
            if child.role in {"vault", "edge"}:
                pids[child.role] = [*pids[child.role], child.process.pid]  # type: ignore[misc]
            else:
                pids[child.role] = child.process.pid
        body = msgspec.json.encode(
            {
                "version": __version__,
                "state": state,
                "data_url": self._state.data_url,
                "console_url": self._state.console_url,
                "pids": pids,
                "problems": troubled,
                "data": self._state.data,
                "confinement": {child.name: child.held for child in self._children},
                "kek": self._state.kek_path,
                "config_on_disk": [self._state.config_path, self._disk.digest()],
            }
        )
        if body.decode() == self._said:
            return
        temporary = self._layout.status.with_name("status.new")
        with contextlib.suppress(OSError):  # on a full disk the last status stays, and is tried again
            temporary.write_bytes(body)
            temporary.chmod(0o640)  # its group is control's, which shows it (app/ownership)
            temporary.rename(self._layout.status)
            self._said = body.decode()

    def _welcome(self) -> None:
        if not self._state.banner:
            return
        state = self._state
        took = f"{time.monotonic() - state.started_s:.1f}"
        command = [
            sys.executable,
            "-I",
            "-m",
            "switchgear.cli.welcome",
            state.data,
            took,
            str(state.workers),
            "demo" if state.demo else "-",
            state.kek_path or "-",
        ]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, env=clean_environment(os.environ))  # noqa: S603


class ConfigOnDisk:
    """The digest of the configuration file as it is now: control, which tells of a drift, cannot open it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._digest = ""

    def digest(self) -> str:
        """Return it; empty when there is no file that can be read."""
        if not self._path:
            return ""
        try:
            info = os.stat(self._path)
            seen = (info.st_ino, info.st_mtime_ns, info.st_size)
            if seen != self._seen:
                self._seen, self._digest = seen, hashlib.sha256(Path(self._path).read_bytes()).hexdigest()
        except OSError:
            self._seen, self._digest = None, ""
        return self._digest


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit {code}"


def _tls_is_good(cert: str, key: str) -> bool:
    import ssl  # noqa: PLC0415  rarely needed; the supervisor stays small

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as exc:
        report(f"the new TLS files are not used: {exc}", "error")
        return False
    return True


def take_lock(path: Path) -> int | None:
    """Take the data folder's lock; None when another supervisor lives."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def re_exec(state: State, environ: dict[str, str]) -> None:
    """Become a supervisor that never saw a secret."""
    fd = boots.to_fd(state)
    for keep in (fd, state.lock_fd, *state.data_fds, *state.console_fds, *state.demo_fds, state.kek_fd):
        if keep >= 0:
            os.set_inheritable(keep, True)
    sys.stdout.flush()
    os.execve(  # noqa: S606
        sys.executable, [sys.executable, "-I", "-m", "switchgear.app.supervisor", str(fd)], clean_environment(environ)
    )


def confine() -> None:
    """Give up what no supervisor needs; its children give up the rest (app/__main__)."""
    privileges.no_core()
    privileges.bound_capabilities(privileges.SUPERVISORS)
    privileges.drop_capabilities(privileges.SUPERVISORS)
    with contextlib.suppress(OSError):  # an old kernel: `switchgear doctor` says what that means
        privileges.no_new_privileges()
        seccomp.restrict(os.getpid(), frozenset(), is_child=False)


def main() -> int:
    """Entry of the re-executed supervisor."""
    state = boots.from_fd(int(sys.argv[1]), State)
    begin("supervisor", state.log)
    confine()
    for fd in (state.lock_fd, *state.data_fds, *state.console_fds, *state.demo_fds, state.kek_fd):
        if fd >= 0:
            os.set_inheritable(fd, False)
    return Supervisor(state).run()


if __name__ == "__main__":
    sys.exit(main())
