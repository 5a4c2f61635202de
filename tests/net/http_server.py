"""A server on a real socket, its handler and its clients: for the tests of `net/server` and of what it is made of."""

import asyncio
import contextlib
import socket

from switchgear.net.exchange import ServerLimits
from switchgear.net.server import HttpServer
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.testing.patience import until_it_is


def get(path=b"/", headers=b""):
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (path, headers)


def post(body, path=b"/", length=None, headers=b""):
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path,
        headers,
        len(body) if length is None else length,
        body,
    )


class Handler:
    """Answers with the path; `/wait…` waits until it is told; `/odd/HOOK` raises in that hook."""

    def __init__(self):
        self.events = []
        self.waiting = {}
        self.refuse_at_head = False
        self.fault_fails = False

    def _odd(self, exchange, hook):
        self.events.append((hook, exchange.head.target))
        if exchange.head.target == b"/odd/" + hook.encode():
            raise LookupError(hook)

    def on_head(self, exchange):
        exchange.id = exchange.head.target.decode()
        exchange.owner = exchange.head.headers.get(b"key", b"").decode() or exchange.owner
        self._odd(exchange, "head")
        if exchange.head.target == b"/discard":
            exchange.discard()
        if self.refuse_at_head:
            exchange.send(401, b"", b"no")

    def on_request(self, exchange):
        self._odd(exchange, "request")
        if exchange.head.target == b"/odd/status":
            exchange.send(600, b"", b"")
        if exchange.head.target.startswith(b"/wait"):
            self.waiting[exchange.head.target] = exchange
            return
        exchange.send(200, b"", exchange.head.target + b" %d" % len(exchange.body()))

    def on_gone(self, exchange):
        self._odd(exchange, "gone")

    def on_writable(self, exchange):
        self._odd(exchange, "writable")

    def on_fault(self, exchange, exc):
        self.events.append(("fault", exchange.head.target))
        exchange.connection.server.guard.caught(exc, exchange.id)
        if self.fault_fails:
            raise LookupError("fault")
        if exchange.is_ended:
            return
        if exchange.is_started:
            exchange.abort()
        else:
            exchange.send(500, b"", b"fault")

    def render(self, problem, target):
        return b"", b"%b at %b" % (problem.case.code.encode(), target)


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def answer(self):
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        return int(head[9:12]), await asyncio.wait_for(self.reader.readexactly(length), 30)

    async def rest(self):
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), 30)

    def close(self):
        self.writer.transport.abort()


class Running:
    def __init__(self, server, handler, guard, clock, port):
        self.server, self.handler, self.guard, self.clock, self.port = server, handler, guard, clock, port
        self.clients = []

    async def client(self, **more):
        found = Client(*await asyncio.open_connection("127.0.0.1", self.port, **more))
        self.clients.append(found)
        return found

    @property
    def reads_none(self):
        """True when the server waits for answers before it reads on, on each connection."""
        return not any(connection.transport.is_reading() for connection in self.server.connections)

    def after(self, seconds):
        """Let time pass, and the timer run."""
        self.clock.advance(seconds)
        self.server.ticker.start()


def run(scenario, proxies=None, **limits):
    async def body():
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        handler, guard, clock = Handler(), LoudGuard(), FakeClock()
        server = HttpServer(handler, clock, guard, ServerLimits(**limits), proxies)
        running = Running(server, handler, guard, clock, sock.getsockname()[1])
        await server.start(sock)
        try:
            await scenario(running)
        finally:
            for client in running.clients:
                client.close()
            await asyncio.sleep(0)
            server.close()
            await until_it_is(lambda: not server.connections and not server.acceptor.accepting)
        assert server.held.total == 0 and server.queued == 0 and server.counted == 0

    asyncio.run(body())
