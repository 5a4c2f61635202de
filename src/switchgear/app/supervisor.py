"""The supervisor: starts the children, watches them, passes signals on, says what state they are in. Level 6.

It holds listening sockets and lifelines, and no secret: whatever it read before, it re-executed itself since (docs/invariants.md
P4–P6). A plain loop on purpose: no asyncio, nothing that could hang.
"""

import contextlib
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from switchgear import __version__
from switchgear.app import boot as boots
from switchgear.app import columns, lifesign
from switchgear.app.boot import Boot
from switchgear.app.children import CRASH_WINDOW_S, Child, status_of
from switchgear.app.config_on_disk import ConfigOnDisk
from switchgear.app.environment import clean_environment
from switchgear.app.layout import Layout
from switchgear.app.lifesign import TICK_S, Watch
from switchgear.app.notify import notify
from switchgear.app.ownership import ProcessUsers
from switchgear.app.reload import Reload
from switchgear.app.report import begin, report
from switchgear.app.state import SupervisorState
from switchgear.app.tls_files import TlsFiles
from switchgear.confine import privileges, seccomp
from switchgear.core.guard import each, place_of
from switchgear.core.text import clean
from switchgear.wire import frames

BACKOFF_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds to wait before the next start, by the number of failed starts in a row. A child that served is started again at once,
however often it is killed: waiting would only make the gap longer."""
STARTS_MAX = 3
"""So many first starts of a child that come to nothing end `serve`: nobody has used it yet, and whoever started it is looking.
Later a child is started again for ever, because the others serve without it."""
STOP_S = 5.0


class Supervisor:
    """Runs until stopped. `run` returns the exit code."""

    def __init__(self, state: SupervisorState) -> None:
        self._state = state
        self._layout = Layout(Path(state.data))
        self._children = [Child("vault"), Child("control"), *(Child("edge", n) for n in range(state.workers))]
        if state.courier_key:
            self._children.insert(1, Child("courier"))
        if state.demo_fds:
            self._children.insert(0, Child("demo"))
        self._selector = selectors.DefaultSelector()
        self._link_key, self._courier_link_key = os.urandom(32), os.urandom(32)
        self._users = ProcessUsers(state.uid_base) if state.uid_base else None
        self._disk = ConfigOnDisk(state.config_path, state.config_sources)
        self._welcomed = False
        self._said = ""
        self._sources = Watch()
        self._looked_s = 0.0
        self._lock_keepers: set[int] = set()
        """Who kept the counters' lock when it was looked at last."""
        self._tls = TlsFiles(state.tls_cert, state.tls_key)
        self._reload: Reload | None = None

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
                    each((key.data,), self._on_ready, self._on_fault)

    def _turn(self) -> int | None:
        each(self._children, self._look_after, self._on_fault)
        for child in self._children:
            if child.final_code is not None:
                return self._stop(child.final_code)
        each((self,), Supervisor._give_up_the_hung, lambda _, exc: report(f"lifesigns: {_place(exc)}", "error"))
        each((self,), Supervisor._write_status, lambda _, exc: report(f"status: {_place(exc)}", "error"))
        each((self,), Supervisor._look_at_reload, lambda _, exc: report(f"a reload: {_place(exc)}", "error"))
        if not self._welcomed and all(child.is_ready for child in self._children):
            self._welcomed = True
            report(
                "ready",
                "info",
                data_url=self._state.data_url,
                console_url=self._state.console_url,
                after_s=round(time.monotonic() - self._state.started_s, 1),
            )
            notify(self._state.notify_socket, "READY=1")
            each((self,), Supervisor._welcome, lambda _, exc: report(f"no welcome: {_place(exc)}"))
        return None

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            self._on_exit(child, now)
        if child.final_code is None and child.process is None and now >= child.start_at_s:
            self._start(child)

    def _on_fault(self, child: Child, exc: Exception) -> None:
        """Something about one child failed that nobody expected (no descriptors, no memory, its files are gone)."""
        why = exc.strerror or str(exc) if isinstance(exc, OSError) else type(exc).__name__
        child.reason = f"{why} ({getattr(exc, 'filename', None) or _place(exc)})"
        if child.process is None:
            self._failed(child, time.monotonic(), "could not be started", 1)

    def _give_up_the_hung(self) -> None:
        """Kill a child whose loop stands still; it is replaced like any that ended."""
        now = time.monotonic()
        if now - self._looked_s < TICK_S * 0.9:
            return
        self._looked_s = now
        self._give_up_the_stuck()
        counts = {
            child.name: (child.role, lifesign.read(child.lifesign_fd))
            for child in self._children
            if child.process is not None and child.lifesign_fd >= 0
        }
        found = self._sources.look(now, counts)
        if found is None:
            return
        name, silent_s = found
        for child in self._children:
            if child.name == name and child.process is not None:
                report(
                    f"{name} gave no sign of life for {silent_s:.0f} s: it is ended and replaced", "error", kind=name
                )
                child.hung_s = [at for at in child.hung_s if now - at < CRASH_WINDOW_S] + [now]
                child.reason = f"it did not move for {silent_s:.0f} s"
                child.process.kill()

    def _give_up_the_stuck(self) -> None:
        """Kill an edge that stands still with the lock of the counters in its hand: the others wait for it."""
        found = columns.stuck(self._layout, self._state.workers)
        before, self._lock_keepers = self._lock_keepers, columns.keepers(self._layout)
        kept = before & self._lock_keepers
        for child in self._children:
            if child.process is not None and (child.name in found or child.process.pid in kept):
                report(f"{child.name} kept the counters' lock for over a second: it is ended and replaced", "error")
                child.reason = "it kept the counters' lock"
                child.process.kill()

    def _timeout_s(self) -> float:
        now = time.monotonic()
        waits = [child.start_at_s - now for child in self._children if child.process is None]
        return max(0.0, min([TICK_S, *waits]))

    def _start(self, child: Child) -> None:
        with contextlib.ExitStack() as undo:
            self._start_in(child, undo)

    def _start_in(self, child: Child, undo: contextlib.ExitStack) -> None:
        """Start a child; `undo` closes what is not needed here, and everything when it fails."""
        ready_r, ready_w = os.pipe()
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        mine.setblocking(False)
        life_w, life_r = mine.detach(), theirs.detach()
        sign = lifesign.make()
        on_failure = undo.enter_context(contextlib.ExitStack())
        for fd in (ready_r, life_w, sign):
            on_failure.callback(os.close, fd)
        for fd in (ready_w, life_r):
            undo.callback(os.close, fd)
        state = self._state
        order = Boot(
            role=child.role,
            number=child.number,
            data=state.data,
            run_id=os.urandom(8).hex(),
            lifeline_fd=life_r,
            ready_fd=ready_w,
            lifesign_fd=sign,
            limits=state.limits,
            log=state.log,
            durability=state.durability,
            drain_grace_s=state.drain_grace_s,
            drain_s=state.drain_s,
            console_url=state.console_url,
            is_first=not self._welcomed,
            segment_bytes=state.segment_bytes,
            user=self._users.of(child.role, child.number) if self._users is not None else None,
            must_confine=state.must_confine,
        )
        if child.role in {"edge", "control"}:
            order.link_token = frames.link_token(self._link_key, child.role, order.run_id)
        opened: list[int] = []
        if child.role == "edge":
            order.listen_fds = state.data_fds
            order.workers = state.workers
            order.trusted_proxies = state.trusted_proxies
            order.cors = state.cors
            if state.tls_cert:
                opened = list(self._tls.opened())
                order.tls_cert_fd, order.tls_key_fd = opened
        elif child.role == "vault":
            order.kek_path, order.kek_fd, order.link_key = state.kek_path, state.kek_fd, self._link_key
            own = {"edge": [os.geteuid()], "control": [os.geteuid()]}
            order.peers = own if self._users is None else self._users.peers(state.workers)
            if state.kek_fd >= 0:
                order.kek_fd = os.open(f"/proc/self/fd/{state.kek_fd}", os.O_RDONLY)
                opened = [order.kek_fd]
            order.identity_hosts = state.identity_hosts
            if state.identity_dir:
                with contextlib.suppress(OSError):  # it is gone: whoever wants a token is told that there is none
                    order.identity_fd = os.open(state.identity_dir, os.O_RDONLY | os.O_DIRECTORY)
                    opened.append(order.identity_fd)
        elif child.role == "control":
            order.listen_fds = state.console_fds
            order.configuration = state.configuration
            if state.courier_key:
                order.courier_token = frames.link_token(self._courier_link_key, child.role, order.run_id)
        elif child.role == "courier":
            order.destinations, order.courier_key = state.destinations, state.courier_key
            order.link_key = self._courier_link_key
            order.peers = {"control": [os.geteuid() if self._users is None else self._users.control.uid]}
        elif child.role == "demo":
            order.listen_fds = state.demo_fds
        for used in opened:
            undo.callback(os.close, used)
        fd = boots.to_fd(order)
        undo.callback(os.close, fd)
        child.process = subprocess.Popen(  # noqa: S603  our own interpreter and module, no shell
            [sys.executable, "-I", "-m", "switchgear.app", child.role, str(fd)],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd, life_r, ready_w, sign, *order.listen_fds, *opened],
            env=clean_environment(os.environ),
            cwd="/",
            start_new_session=True,
        )
        on_failure.pop_all()
        child.is_ready = False
        child.reason = ""
        child.ready_fd, child.lifeline_fd, child.lifesign_fd = ready_r, life_w, sign
        self._selector.register(ready_r, selectors.EVENT_READ, child)
        report(f"{child.name} starts", "debug", pid=child.process.pid)

    def _on_ready(self, child: Child) -> None:
        said = os.read(child.ready_fd, select.PIPE_BUF)
        self._selector.unregister(child.ready_fd)
        os.close(child.ready_fd)
        child.ready_fd = -1
        if not said:
            return
        try:
            told = msgspec.json.decode(said, type=boots.Told)
        except msgspec.DecodeError:
            return  # it ended in the middle of it
        if told.failed is not None:
            child.reason = clean(told.failed, 500)
            return
        child.is_ready = True
        child.held = told.held
        report(f"{child.name} is ready", "info" if child.crashes else "debug")

    def _on_exit(self, child: Child, now: float) -> None:
        assert child.process is not None
        code = child.process.returncode
        child.process = None
        if child.ready_fd >= 0:
            self._on_ready(child)  # what it said last
        for fd in (child.lifeline_fd, child.lifesign_fd):
            if fd >= 0:
                os.close(fd)
        child.lifeline_fd = child.lifesign_fd = -1
        if code == 2 and not self._welcomed:
            child.final_code = 2  # wrong use: it said why; starting it again would say it again
            return
        self._failed(child, now, f"ended ({_ending(code)})", code)

    def _failed(self, child: Child, now: float, what: str, code: int) -> None:
        child.failed_starts = 0 if child.is_ready else child.failed_starts + 1
        child.is_ready = False
        child.crashes = [at for at in child.crashes if now - at < CRASH_WINDOW_S] + [now]
        if child.failed_starts >= STARTS_MAX and not self._welcomed:
            child.final_code = code if code > 0 else 1
            why = f": {child.reason}" if child.reason else f", it {what}"
            report(f"{child.name} cannot start{why}", "error", starts=child.failed_starts)
            return
        child.start_at_s = now + BACKOFF_S[min(child.failed_starts, len(BACKOFF_S) - 1)]
        report(
            f"{child.name} {what}; starting it again",
            "error",
            kind=child.name,
            ended_within_a_minute=len(child.crashes),
        )

    def _on_signal(self, number: int) -> bool:
        if number in {signal.SIGTERM, signal.SIGINT}:
            return True
        if number == signal.SIGHUP:
            each((self,), Supervisor._on_reload, lambda _, exc: report(f"the reload failed: {_place(exc)}", "error"))
        return False

    def _on_reload(self) -> None:
        """Apply the configuration file again, and hand the edges the TLS files as they are now."""
        state = self._state
        report("SIGHUP: reading the configuration and TLS files again", "info", config=state.config_path or None)
        if state.config_path:
            if self._reload is not None:
                self._reload.again = True  # the file may have changed since it was read
            else:
                self._reload = Reload(state.config_path, state.data)
        if state.tls_cert:
            self._tls.read_again()
            for child in self._children:
                if child.role == "edge" and child.process is not None:
                    each((child,), self._hand_over_tls, self._on_tls_fault)

    def _look_at_reload(self) -> None:
        """Tell what became of a reload, and begin the one that was asked for meanwhile."""
        reload = self._reload
        if reload is None or not reload.is_over():
            return
        self._reload = Reload(self._state.config_path, self._state.data) if reload.again else None

    def _hand_over_tls(self, child: Child) -> None:
        """Give a living edge the pair in force: connections that it has stay as they are."""
        with contextlib.ExitStack() as undo:
            fds = self._tls.opened()
            for fd in fds:
                undo.callback(os.close, fd)
            line = undo.enter_context(socket.socket(fileno=os.dup(child.lifeline_fd)))
            socket.send_fds(line, [b"t"], list(fds))

    def _on_tls_fault(self, child: Child, exc: Exception) -> None:
        report(f"{child.name} did not take the new TLS files: {exc}", "error")

    # stopping

    def _stop(self, code: int = 0) -> int:
        """Drain: edges first, then control ingests what they left, then the doors outward."""
        report("draining", "info", grace_s=self._state.drain_grace_s, at_most_s=self._state.drain_s)
        notify(self._state.notify_socket, "STOPPING=1")
        self._write_status("draining")
        patience_s = self._state.drain_grace_s + self._state.drain_s + STOP_S
        bounds_s = {"edge": patience_s, "control": STOP_S * 3, "vault": STOP_S, "courier": STOP_S, "demo": STOP_S}
        for role, wait_s in bounds_s.items():
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
        body = status_of(
            self._state,
            self._children,
            self._disk.digest(),
            is_welcomed=self._welcomed,
            now_s=time.monotonic(),
            forced=forced,
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


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit {code}"


def _place(exc: Exception) -> str:
    return f"{type(exc).__name__} in {place_of(exc)}"


def re_exec(state: SupervisorState, environ: dict[str, str]) -> None:
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
    state = boots.from_fd(int(sys.argv[1]), SupervisorState)
    begin("supervisor", state.log)
    confine()
    for fd in (state.lock_fd, *state.data_fds, *state.console_fds, *state.demo_fds, state.kek_fd):
        if fd >= 0:
            os.set_inheritable(fd, False)
    return Supervisor(state).run()


if __name__ == "__main__":
    sys.exit(main())
