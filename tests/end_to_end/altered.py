"""A gateway of which something is altered: its clock, its protocol, its limits.

`python -I altered.py serve SPEC ARGUMENTS…` is `switchgear serve ARGUMENTS…` with, in SPEC (JSON), any of:

    clock     [[t, offset_s], …]   from the time t of CLOCK_BOOTTIME on, every wall clock shows that much more
    protocol  [role, version, t]   children of that role that start before t speak another version of the link's protocol
    segment   bytes                of a spool's segments
    backlog   bytes                of spools at most
    files     [role, count]        descriptors that children of that role may open beyond those they begin with
    silence   seconds              that a child may give no sign of life
    throw     path                 a file, mapped into memory: while its first byte is 1, the next door that the rest names
                                   ("ROLE before|after MODULE:CLASS.METHOD") raises, once

Nothing of this is in the product: functions are replaced from here, in each child before its cell closes.
"""

import importlib.util
import json
import mmap
import os
import resource
import sys
import time
from pathlib import Path

HERE = str(Path(__file__).resolve())
THROW_BYTES = 256


class OddError(Exception):
    """What nobody expects."""


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def rig_all(path, role):
    """Make every guarded door of what this process has loaded throw when it is told to."""
    with Path(path).open("r+b") as file:
        memory = mmap.mmap(file.fileno(), THROW_BYTES)
    found = importlib.util.spec_from_file_location("doors", Path(HERE).parent.parent / "doors.py")
    doors = importlib.util.module_from_spec(found)
    sys.modules["doors"] = doors
    found.loader.exec_module(doors)
    from switchgear.core import log_line

    log_line.SAME_PER_MINUTE = 10_000  # all that is thrown comes from one place

    def thrower(text):
        size = len(text) + 2

        def throw(*_):
            if memory[0] == 1 and memory[1:size] == text + b"\0":
                memory[0] = 2
                raise OddError("CANARY-words-of-a-prompt")

        return throw

    for module, name in doors.guarded_functions("edge", "net", "vault", "spool"):
        if module in sys.modules:
            before, after = (f"{role} {when} {module}:{name}".encode() for when in ("before", "after"))
            doors.Rig((module, name), thrower(before), thrower(after))


def alter(spec, role):
    if "throw" in spec and role in {"edge", "vault"}:
        rig_all(spec["throw"], role)
    from switchgear.net.clock import SystemClock
    from switchgear.spool import writer
    from switchgear.wire import frames

    if "clock" in spec:
        steps = [(t, int(offset_s * 1000)) for t, offset_s in spec["clock"]]

        def wall_ms(self):
            now = boottime()
            return time.time_ns() // 1_000_000 + next((ms for t, ms in reversed(steps) if now >= t), 0)

        SystemClock.wall_ms = wall_ms
    if "protocol" in spec:
        wanted, version, until = spec["protocol"]
        if role == wanted and boottime() < until:
            frames.PROTOCOL_VERSION = version
    if "files" in spec and spec["files"][0] == role:
        most = len(os.listdir("/proc/self/fd")) + spec["files"][1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if "backlog" in spec:
        writer.BACKLOG_BYTES_MAX = spec["backlog"]


def child(text, role, fd):
    from switchgear.app import __main__ as entry

    lock = entry.cell.lock

    def alter_and_lock(*arguments):
        alter(json.loads(text), role)
        return lock(*arguments)

    entry.cell.lock = alter_and_lock
    sys.argv = ["switchgear.app", role, fd]
    return entry.main()


def supervise(text, fd):
    from switchgear.app import lifesign, supervisor

    spec = json.loads(text)
    if "silence" in spec:
        lifesign.SILENCE_S = lifesign.CONTROL_SILENCE_S = spec["silence"]
    popen = supervisor.subprocess.Popen

    def start(command, **more):
        if "switchgear.app" in command:
            command = [sys.executable, "-I", HERE, "child", text, *command[-2:]]
        return popen(command, **more)

    supervisor.subprocess.Popen = start
    sys.argv = ["switchgear.app.supervisor", fd]
    return supervisor.main()


def serve(text, *arguments):
    from switchgear.app import supervisor
    from switchgear.cli import __main__ as cli

    def re_exec(state, environ):
        state.segment_bytes = json.loads(text).get("segment", state.segment_bytes)
        fd = supervisor.boots.to_fd(state)
        for keep in (fd, state.lock_fd, *state.data_fds, *state.console_fds):
            os.set_inheritable(keep, True)
        command = [sys.executable, "-I", HERE, "supervise", text, str(fd)]
        os.execve(sys.executable, command, supervisor.clean_environment(environ))

    supervisor.re_exec = re_exec
    sys.argv = ["switchgear", *arguments]
    cli.main()


if __name__ == "__main__":
    sys.exit({"serve": serve, "supervise": supervise, "child": child}[sys.argv[1]](*sys.argv[2:]))
