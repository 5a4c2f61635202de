"""The server on real sockets: its timer, and how it ends."""

from tests.net.http_server import get, run

from switchgear.net.connection import Connection
from switchgear.testing.patience import until_it_is


def test_a_fault_in_the_timer_ends_one_connection_and_not_the_timer(monkeypatch):
    check = Connection.check

    def odd(connection, now_s):
        if connection._current.head.target == b"/wait1":
            raise LookupError
        check(connection, now_s)

    async def scenario(running):
        first, second = await running.client(), await running.client()
        first.send(get(b"/wait1"))
        second.send(get(b"/wait2"))
        await until_it_is(lambda: len(running.handler.waiting) == 2)
        monkeypatch.setattr(Connection, "check", odd)
        timer = running.server.ticker._timer
        running.after(1)
        assert running.server.ticker._timer is not timer and running.guard.faults == 1
        assert await first.rest() == b""
        running.handler.waiting[b"/wait2"].send(200, b"", b"undisturbed")
        assert await second.answer() == (200, b"undisturbed")

    run(scenario)
