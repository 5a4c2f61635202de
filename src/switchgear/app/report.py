"""The log of a process: its standard error. Level 6.

Whoever reports must go on: writing never waits and never fails. A disk may be full, a reader may be stopped or gone; what could
not be written is counted, and told when there is room (docs/decisions/034).
"""

import contextlib
import os
import select
import socket
import stat
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType

from switchgear.core import log_line
from switchgear.core.errors import SwitchgearError
from switchgear.core.log_line import LEVELS, Bound, Level, Settings, Value

STDERR = 2


class Sink:
    """Where lines go, without ever waiting. Descriptor 2 is shared with others (a shell, the other processes), so that its flags
    are not ours to change: a pipe or terminal is opened anew, a socket is told each time, a file does not wait for readers."""

    def __init__(self, fd: int = STDERR) -> None:
        self._fd = fd
        self._socket: socket.socket | None = None
        self._may_wait = False
        with contextlib.suppress(OSError):
            mode = os.fstat(fd).st_mode
            if stat.S_ISSOCK(mode):
                self._socket = socket.socket(fileno=os.dup(fd))
            elif not stat.S_ISREG(mode):
                try:
                    self._fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
                except OSError:
                    self._may_wait = True  # another user's terminal: look first

    def write(self, data: bytes) -> bool:
        """Write a line; False when it could not be."""
        try:
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == len(data)
            if self._may_wait and not select.select((), (self._fd,), (), 0)[1]:
                return False
            return os.write(self._fd, data) == len(data)
        except (OSError, ValueError):
            return False


class Log:
    """Tells what happens, in the style that was asked for. The one of a process is `report`."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.process = "switchgear"
        self.lost = 0
        """Lines that could not be written, in all."""
        self.errors = 0
        """Lines of the level error, in all, written or not."""
        self._untold = 0
        self._sink: Sink | None = None
        self._bound = Bound()
        self._later: Callable[[float, Callable[[], None]], object] | None = None
        self._is_due = False

    def configure(self, process: str, settings: Settings) -> None:
        """Say who speaks and how. Opens the sink: later the cell is closed."""
        self.process, self.settings = process, settings
        self._sink = Sink()

    def use_timer(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        """Have what was left out told at the end of its minute: `later(seconds, function)`."""
        self._later = later

    def __call__(
        self,
        text: str,
        level: Level = "warning",
        *,
        kind: str = "",
        request_id: str | None = None,
        **fields: Value,
    ) -> None:
        """core.log_line.Report."""
        if LEVELS[level] < LEVELS[self.settings.level]:
            return
        if level == "error":
            self.errors += 1

        def again(count: int) -> None:
            self._write(text, level, request_id, {**fields, "left_out": count})

        if self._bound.admit(kind or text[:80], time.monotonic(), again):
            self._write(text, level, request_id, fields)
        elif self._later is not None and not self._is_due:
            self._is_due = True
            self._later(log_line.MINUTE_S, self._tell)

    def access(self, request_id: str | None, fields: dict[str, Value]) -> None:
        """Write the line of one request. Not bounded: it was asked for."""
        self._write("request", "info", request_id, fields)

    def close(self) -> None:
        """Tell what was left out."""
        self._bound.end(time.monotonic(), forced=True)

    def _tell(self) -> None:
        self._is_due = False
        self._bound.end(time.monotonic(), forced=True)

    def _write(self, text: str, level: Level, request_id: str | None, fields: dict[str, Value]) -> None:
        if self._sink is None:
            self._sink = Sink()
        now_s, style = time.time(), self.settings.style
        if self._untold:
            lost = log_line.make(
                "lines of this log could not be written", "warning", self.process, now_s, None, {"lost": self._untold}
            )
            if self._sink.write(log_line.render(lost, style)):
                self._untold = 0
        line = log_line.make(text, level, self.process, now_s, request_id, fields)
        if not self._sink.write(log_line.render(line, style)):
            self.lost += 1
            self._untold += 1


report = Log()
"""The log of this process: as there is one standard error."""


def fault(text: str) -> None:
    """Tell of what a guard caught (core.guard): a line of the level error."""
    report(text, "error")


def on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """sys.excepthook of the processes: what ends one is a line like the others."""
    if issubclass(kind, KeyboardInterrupt):
        return
    told = "".join(traceback.format_tb(trace))
    report(f"ends of an unexpected fault: {what_of(error)}\n{told}", "error")


def what_of(error: BaseException) -> str:
    """Return an exception's type, and its words where they are the system's or our own: others may quote a prompt."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, OSError | ImportError | SwitchgearError) else name


def begin(process: str, settings: Settings) -> None:
    """Begin the log of a process."""
    report.configure(process, settings)
    sys.excepthook = on_uncaught
