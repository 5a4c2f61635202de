"""A real gateway with an attacker inside each process.

`Breached` starts the gateway as an operator does; the only difference is that every child, once its cell is closed, runs a
thread that executes whatever the test sends it: code execution, as a bug in that process would give. Nothing of this is in the
product: the program is started through this file, which wraps its functions.

    python -I implant.py serve IMPLANTS ARGUMENTS…     as `switchgear serve ARGUMENTS…`
    python -I implant.py supervise IMPLANTS FD         as the supervisor
    python -I implant.py child IMPLANT ROLE FD         as one child
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = str(Path(__file__).resolve())
ROLES = ("vault", "control", "courier", "edge-0", "edge-1")


def attack(sock):
    """In the child: execute what comes, as often as it comes."""
    stream = sock.makefile("rb")
    scope = {"__name__": "implant"}
    for line in stream:
        try:
            exec(json.loads(line), scope)
            answer = scope.get("out")
        except BaseException:  # noqa: BLE001  whatever the attacker's code does
            answer = "implant failed: " + traceback.format_exc()
        sock.sendall(json.dumps(answer, default=repr).encode() + b"\n")


def child(implant, role, fd):
    from switchgear.app import __main__ as entry

    lock = entry.cell.lock

    def lock_and_lurk(*arguments):
        held = lock(*arguments)
        sock = socket.socket(fileno=int(implant))
        threading.Thread(target=attack, args=(sock,), daemon=True).start()
        return held

    entry.cell.lock = lock_and_lurk
    if role == "control":
        import vulnerable

        vulnerable.install()
    sys.argv = ["switchgear.app", role, fd]
    return entry.main()


def supervise(implants, fd):
    from switchgear.app import supervisor

    popen = supervisor.subprocess.Popen
    sockets = json.loads(implants)

    def start(command, **more):
        if "switchgear.app" in command:
            role, boot = command[-2:]
            order = os.pread(int(boot), 1 << 24, 0)
            number = json.loads(order)["number"]
            implant = sockets[f"{role}-{number}" if role == "edge" else role]
            os.set_inheritable(implant, True)
            more["pass_fds"] = [*more["pass_fds"], implant]
            command = [sys.executable, "-I", HERE, "child", str(implant), role, boot]
        return popen(command, **more)

    supervisor.subprocess.Popen = start
    sys.argv = ["switchgear.app.supervisor", fd]
    return supervisor.main()


def serve(implants, *arguments):
    from switchgear.app import supervisor
    from switchgear.cli import __main__ as cli

    def re_exec(state, environ):
        fd = supervisor.boots.to_fd(state)
        for keep in (fd, state.lock_fd, *state.data_fds, *state.console_fds, *json.loads(implants).values()):
            os.set_inheritable(keep, True)
        command = [sys.executable, "-I", HERE, "supervise", implants, str(fd)]
        os.execve(sys.executable, command, supervisor.clean_environment(environ))

    supervisor.re_exec = re_exec
    sys.argv = ["switchgear", "serve", *arguments]
    cli.main()


class Breached:
    """From the test's side: start it, run code inside."""

    def __init__(self, folder, config, port, console_port, uid=None, environ=None):
        self.folder, self.uid = folder, uid
        self.data = folder / "data"
        self.port, self.console_port = port, console_port
        (folder / "config.yaml").write_text(config)
        self.log = folder / "gateway.log"
        self._ends = {}
        given = {}
        for role in ROLES:
            mine, theirs = socket.socketpair()
            mine.settimeout(60)
            self._ends[role], given[role] = mine, theirs
        # What a plain user may do with files is tried for real: everything belongs to him.
        self._user = {"user": uid, "group": uid, "extra_groups": []} if uid else {}
        if uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, uid, uid)
        self._environ = {**os.environ, **(environ or {}), "HOME": str(folder)}
        command = [sys.executable, "-I", HERE, "serve", json.dumps({role: s.fileno() for role, s in given.items()})]
        command += [
            "--config",
            str(folder / "config.yaml"),
            "--data",
            str(self.data),
            "--kek-file",
            str(folder / "kek"),
        ]
        command += ["--listen", f"127.0.0.1:{port}", "--console", f"127.0.0.1:{console_port}", "--workers", "2"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--quiet", "--drain-grace", "0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                pass_fds=[s.fileno() for s in given.values()],
                cwd=folder,
                **self._user,
            )
        for theirs in given.values():
            theirs.close()
        until = time.monotonic() + 240
        while self.status().get("state") != "ready":
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise RuntimeError(self.log.read_text()[-3000:])
            time.sleep(0.02)

    def status(self):
        try:
            return json.loads((self.data / "run" / "status.json").read_bytes())
        except (OSError, ValueError):
            return {}

    def pids(self):
        found = self.status()["pids"]
        single = {role: found[role] for role in ("supervisor", "control", "courier")}
        return single | {"vault": found["vault"][0]} | {f"edge-{n}": pid for n, pid in enumerate(found["edge"])}

    def inside(self, role, code, **given):
        """Run code inside a process; it leaves its answer in `out`. What is given are its variables."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        sock = self._ends[role]
        lines = [f"{name} = {value!r}" for name, value in given.items()]
        sock.sendall(json.dumps("\n".join([HELPERS, *lines, code])).encode() + b"\n")
        received = b""
        while not received.endswith(b"\n"):
            piece = sock.recv(1 << 20)
            if not piece:
                raise RuntimeError(f"{role} died of it: {self.log.read_text()[-3000:]}")
            received += piece
        answer = json.loads(received)
        assert not (isinstance(answer, str) and answer.startswith("implant failed")), answer
        return answer

    def cli(self, *arguments, stdin=None):
        done = subprocess.run(
            [sys.executable, "-I", "-m", "switchgear.cli", *arguments, "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env=self._environ,
            cwd=self.folder,
            **self._user,
        )
        assert done.returncode in {0, 1, 3}, done.stderr
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json"))

    def stop(self, keep=False):
        for sock in self._ends.values():
            sock.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        code = self.process.wait(240)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        return code


HELPERS = '''
import ctypes, errno, gc, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(function):
    """The error's name, or what came of it."""
    try:
        found = function()
    except socket.gaierror:
        return "gaierror"
    except OSError as exc:
        return errno.errorcode.get(exc.errno, str(exc))
    return found if isinstance(found, (str, int, bool, type(None))) else "done"
def read(path):
    return attempt(lambda: "read " + str(len(open(path, "rb").read(64))))
def write(path):
    return attempt(lambda: open(path, "ab").write(b"x") and "written")
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "done"
gc.unfreeze()
def live(kind):
    """An object of the gateway's, found in memory by its type's name."""
    return next(o for o in gc.get_objects() if type(o).__name__ == kind)
def linked(peer):
    """The link to a process: control has two."""
    return next(o for o in gc.get_objects() if type(o).__name__ == 'LinkClient' and o._peer == peer)
'''

if __name__ == "__main__":
    sys.path.insert(0, str(Path(HERE).parent))
    sys.exit({"serve": serve, "supervise": supervise, "child": child}[sys.argv[1]](*sys.argv[2:]))
