"""What every child does: harden, run a loop, say ready, end with its supervisor. Level 6."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import uvloop

from switchgear.app import lifesign
from switchgear.app.boot import Boot, Told
from switchgear.app.report import report, what_of
from switchgear.core.guard import Guard, guarded

__all__ = ["Life", "guard", "listening", "report", "run", "tell_failure", "wait_first"]

ORPHAN_S = 0.5

guard = Guard(report)
"""The process's own: what nobody expected is told and counted here."""


def listening(fd: int) -> socket.socket:
    """Take over a listening socket that the supervisor bound."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


class Life:
    """The end of a child: a signal, or the supervisor's death."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self.stopping = asyncio.Event()
        """Set at the first SIGTERM, or when the supervisor is gone."""
        self.orphaned = False
        """True when the supervisor is gone: be quick."""
        self.hurry = asyncio.Event()
        """Set at the second SIGTERM."""
        self._is_ready = False
        self._counted = 0
        self._line = socket.socket(fileno=boot.lifeline_fd)
        self._line.setblocking(False)
        self.on_tls: Callable[[int, int], None] | None = None
        """For edges: called with descriptors of a new certificate and its key, which are closed afterwards."""

    def watch(self) -> None:
        """Begin to watch."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_signal)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal's Ctrl-C is the supervisor's business
        loop.add_reader(self._line, self._on_lifeline)
        self._count()

    def ready(self) -> None:
        """Tell the supervisor that this child serves."""
        self._is_ready = True
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        gc.enable()
        with contextlib.suppress(BrokenPipeError):  # the supervisor died meanwhile: the lifeline says so in a moment
            os.write(self._boot.ready_fd, msgspec.json.encode(Told(held=self._boot.held)))

    def _fault(self, exc: Exception) -> None:
        guard.caught(exc)

    @guarded(_fault)
    def _count(self) -> None:
        """Show that this loop moves."""
        if self._boot.lifesign_fd >= 0:
            asyncio.get_running_loop().call_later(lifesign.TICK_S, self._count)
            self._counted += 1
            lifesign.count(self._boot.lifesign_fd, self._counted)

    @guarded(_fault)
    def _on_signal(self) -> None:
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()

    @guarded(_fault)
    def _on_lifeline(self) -> None:
        try:
            said, fds, _, _ = socket.recv_fds(self._line, 1, 2)
        except BlockingIOError:
            return
        except OSError:
            said, fds = b"", []
        if said:
            self._take_tls(fds)
            for fd in fds:
                os.close(fd)
            return
        asyncio.get_running_loop().remove_reader(self._line)
        if not self._is_ready:
            os._exit(0)  # nothing was served yet: nothing to settle
        self.orphaned = True
        self.hurry.set()
        self.stopping.set()
        # A successor waits for our locks and sockets: whatever still hangs then, hangs for good.
        asyncio.get_running_loop().call_later(ORPHAN_S, os._exit, 0)

    def _refuse_tls(self, exc: Exception) -> None:
        report(f"the new TLS files are not used: {what_of(exc)}", "error")

    @guarded(_refuse_tls)
    def _take_tls(self, fds: list[int]) -> None:
        if self.on_tls is not None and len(fds) == 2:
            self.on_tls(*fds)


def tell_failure(boot: Boot, reason: str) -> None:
    """Tell the supervisor why this child does not serve."""
    with contextlib.suppress(OSError):
        os.write(boot.ready_fd, msgspec.json.encode(Told(failed=reason[:1_000])))


async def wait_first(*awaitables: Coroutine[Any, Any, Any]) -> None:
    """Wait until the first of some waits is over; cancel the others."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _on_loop_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What no guard caught, and what libraries tell their loop."""
    text, error = str(context.get("message", "a callback failed")), context.get("exception")
    if isinstance(error, BaseException):
        trace = "".join(traceback.format_tb(error.__traceback__))
        report(f"{text}: {what_of(error)}\n{trace}", "error", kind=text)
    else:
        report(text)


def run(main: Callable[[Boot, Any], Awaitable[None]], boot: Boot, prepared: Any) -> None:
    """Run a child's coroutine on uvloop."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        report.use_timer(loop.call_later)
        loop.set_exception_handler(_on_loop_fault)
        await main(boot, prepared)
        report.close()

    uvloop.run(body())
