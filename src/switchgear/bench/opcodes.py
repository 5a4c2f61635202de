"""`python -m switchgear.bench.opcodes`: bytecodes and calls of a plain request and of a streamed event, by function. Level 7.

An edge (server, handler, link, spool) and a vault (link, journal, pool, box) run here in one thread, on a loop whose clock stands
still and between transports that only keep what is written. So the counts are the same on every machine, busy or not; what they
do not show is C code and the kernel. They belong to one version of the interpreter: CEILINGS are of CPython 3.11. A test compares
(tests/bench/test_opcodes.py); whoever makes the way cheaper lowers them.
"""

import argparse
import asyncio
import os
import socket
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, cast

import msgspec

from switchgear.core import virtual_key
from switchgear.core.guard import Guard
from switchgear.core.ids import IdSource
from switchgear.core.secret import Secret
from switchgear.edge.handler import EdgeHandler, services_of
from switchgear.edge.resolver import Resolver
from switchgear.edge.turn_commit import TurnCommit
from switchgear.net.connection import Connection
from switchgear.net.link import LinkClient
from switchgear.net.server import HttpServer
from switchgear.net.upstream import Pool, UpstreamConnection
from switchgear.pricing.price import Meter, Price, Rate
from switchgear.providers import endpoint
from switchgear.replica.entries import KeyEntry, SecretHash, Snapshot
from switchgear.replica.publisher import Publisher
from switchgear.replica.reader import ReplicaReader
from switchgear.routing.table import ProviderEntry, RouteTable
from switchgear.spool.writer import SpoolWriter
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.vault import kek, seal
from switchgear.vault.box import Box
from switchgear.vault.link import VaultSideLink
from switchgear.vault.service import VaultService
from switchgear.vault.verbs import CredentialCeilings, Put
from switchgear.wire import frames
from switchgear.wire.http_syntax import encode_chunk

WARM, COUNT = 3, 10
STREAMS, ROUNDS = 16, 8
PEPPER = b"p" * 32
PLACE = "/switchgear/"
BODY = b'{"model":"%b/m","messages":[{"role":"user","content":"What does a switchgear do?"}],"max_tokens":64%b}'
PLAIN_ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1790000000,"model":"m","choices":[{"index":0,"message":{"role":'
    b'"assistant","content":"It switches."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":9,'
    b'"total_tokens":21}}'
)
FIRST = {
    "openai": b'data: {"id":"c1","object":"chat.completion.chunk","created":1790000000,"model":"m","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    "anthropic": b'event: message_start\ndata: {"type":"message_start","message":{"id":"m1","type":"message","role":'
    b'"assistant","model":"m","content":[],"usage":{"input_tokens":12,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
    b'"text":""}}\n\n',
}
EVENT = {
    "openai": b'data: {"id":"c1","object":"chat.completion.chunk","created":1790000000,"model":"m","choices":[{"index":0,'
    b'"delta":{"content":" word"},"finish_reason":null}]}\n\n',
    "anthropic": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    b'"text":" word"}}\n\n',
}
CEILINGS: dict[str, dict[str, float]] = {
    "a plain request": {"edge": 5_439, "vault": 2_491, "calls": 12},
    "an event of a stream that comes alone": {"edge": 386, "vault": 263, "calls": 4},
    "an event of a stream among others": {"edge": 341, "vault": 253, "calls": 2.12},
    "an event that is translated, among others": {"edge": 926, "vault": 253, "calls": 2.12},
}
"""Bytecodes in the edge and in the vault, and calls of the kernel in both, per request or event: what was measured last."""
GROWTH_MAX = 1.03
"""So much more is let pass."""


class StillLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still until it is told to pass."""

    now_s = 1_000.0

    def time(self) -> float:
        """Asyncio: the loop's clock."""
        return self.now_s

    def settle(self) -> None:
        """Run turns until nothing is ready."""
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                return


class Wire(asyncio.Transport):
    """Keeps what is written, and counts it as a call of the kernel."""

    def __init__(self, calls: "Counter[str]", sock: Any = None) -> None:
        super().__init__()
        self._calls = calls
        self._sock = sock
        self.sent: deque[bytes] = deque()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Asyncio: the socket that stands for it, where there is one."""
        return self._sock if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Asyncio: no limits."""

    def get_write_buffer_size(self) -> int:
        """Asyncio: everything is taken at once."""
        return 0

    def write(self, data: Any) -> None:
        """Asyncio: one call."""
        self._calls["send"] += 1
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Asyncio: one call as well."""
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        """Asyncio: never."""
        return False

    def close(self) -> None:
        """Asyncio: nothing to do."""

    def abort(self) -> None:
        """Asyncio: nobody ends it here."""
        raise AssertionError("a connection was broken off")

    def pause_reading(self) -> None:
        """Asyncio: what comes is small."""

    def resume_reading(self) -> None:
        """Asyncio: go on."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self.sent)
        self.sent.clear()
        return data


class Tracer:
    """Counts bytecodes of this program's own functions."""

    def __init__(self) -> None:
        self.counts: Counter[CodeType] = Counter()

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        if PLACE not in frame.f_code.co_filename or frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode":
            self.counts[frame.f_code] += 1
        return self._step

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what runs meanwhile."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)


class Figures(msgspec.Struct):
    """What one request or event took."""

    functions: dict[str, dict[str, float]]
    """Bytecodes by process and function."""
    calls: dict[str, float]
    """Calls of the kernel by kind, both processes."""

    def top(self, what: str) -> dict[str, float]:
        """Return the functions of a process, or the kinds of calls, the most expensive first."""
        return self.functions.get(what, self.calls)

    def total(self, process: str) -> float:
        """Return the bytecodes of a process."""
        return sum(self.functions[process].values())


class Ground:
    """An edge and a vault in this process."""

    def __init__(self, loop: StillLoop, folder: Path) -> None:
        self._loop = loop
        self._calls: Counter[str] = Counter()
        self._tracers = {"edge": Tracer(), "vault": Tracer()}
        clock = self._clock = FakeClock()
        guard = LoudGuard()
        self._publish(folder)
        self._replica = ReplicaReader(folder / "replica")
        self._spool = SpoolWriter(folder / "spool", clock, os.urandom, "run-e")
        self._journal = SpoolWriter(folder / "journal", clock, os.urandom, "run-v")
        commit = TurnCommit(self._spool, print, guard, loop)
        commit.syncer.stop()  # a thread's time is not counted here
        self._link = LinkClient(folder, self._hello, commit.schedule, guard)
        commit.link = self._link
        services = services_of(
            replica=self._replica,
            peppers={0: PEPPER},
            spool=self._spool,
            link=self._link,
            commit=commit,
            resolver=Resolver(lambda name: None),
            ids=IdSource(os.urandom),
            clock=clock,
            loop=loop,
            report=cast(Any, lambda *text, **more: None),
            guard=guard,
        )
        self._server = HttpServer(EdgeHandler(services), clock, guard)
        self._pool = Pool(clock, guard)
        box = self._box(folder, guard)
        uids = frozenset({os.geteuid()})
        service = VaultService(
            box, self._journal, self._pool, clock, "run-v", b"key", {"edge": uids, "control": uids}, print, guard
        )
        service._syncer.stop()
        self._opened = {name: box.find(f"{name}/c") for name in FIRST}
        self._socks = socket.socketpair()
        self._edge_end, self._vault_end = Wire(self._calls), Wire(self._calls, self._socks[0])
        self._vault_link = VaultSideLink(service)
        self._vault_link.connection_made(self._vault_end)
        self._link.connection_made(self._edge_end)
        self._clients: list[tuple[Connection, Wire]] = []
        self._upstreams: dict[str, list[tuple[UpstreamConnection, Wire]]] = {name: [] for name in FIRST}
        for _ in range(STREAMS):
            self._add_client()
            for name in FIRST:
                self._add_upstream(name)

    # making

    def _hello(self) -> frames.Hello:
        token = frames.link_token(b"key", "edge", "run-e")
        return frames.Hello(frames.PROTOCOL_VERSION, "edge", token, self._spool.spool_id, "run-e")

    def _publish(self, folder: Path) -> None:
        key_id, self._token = virtual_key.mint(os.urandom)
        mac = virtual_key.keyed_hash(PEPPER, virtual_key.digest(self._token))
        publisher = Publisher(folder / "replica")
        publisher.put_key(KeyEntry(key_id, "bench", 1, [SecretHash(mac, 0)]))
        providers = {name: ProviderEntry(name=name, dialects=(name,), credentials=("c",)) for name in FIRST}
        rates: dict[Meter, Rate] = {"input": Rate(150_000_000), "output": Rate(600_000_000)}
        prices = {f"{name}/m": Price("m", "override", rates) for name in FIRST}
        table = RouteTable(providers=providers)
        publisher.put_snapshot(Snapshot(store_id="s", epoch=1, table=table, price_overrides=prices))
        publisher.close()  # LMDB opens an environment once in a process

    def _box(self, folder: Path, guard: Guard) -> Box:
        keys = kek.KeyPair(Secret(bytes(32)))
        box = Box(folder, keys, guard)
        for name in FIRST:
            place = endpoint.parse("http://127.0.0.1:1/v1", auth="bearer", allow_private=True)
            context = seal.SealContext(provider=name, credential="c", version=1, endpoint=place)
            blob = seal.seal(Secret(b"sk-secret-0123456789"), context, keys.public)
            box.put(Put(context, blob, CredentialCeilings(requests_per_s=1_000_000)), 1)
        return box

    def _add_client(self) -> None:
        connection, wire = Connection(self._server, "127.0.0.1"), Wire(self._calls)
        connection.connection_made(wire)
        self._clients.append((connection, wire))

    def _add_upstream(self, name: str) -> None:
        connection, wire = UpstreamConnection(self._pool), Wire(self._calls)
        connection.connection_made(wire)
        opened = self._opened[name]
        assert opened is not None
        self._pool.add(connection, (opened.item.id, opened.item.context.version, opened.item.context.endpoint))
        self._pool.release(connection, True)
        self._upstreams[name].append((connection, wire))

    def close(self) -> None:
        """Let go of files and sockets."""
        self._spool.close()
        self._journal.close()
        self._replica.close()
        for sock in self._socks:
            sock.close()

    # moving

    def greet(self) -> None:
        """Let both ends of the link say hello."""
        self._cross()
        assert self._link.is_up

    def _at(self, process: str, act: Callable[..., object], *arguments: object) -> None:
        """Let something happen in one of the two processes, and everything that it brings about there."""
        spools = {"edge": self._spool, "vault": self._journal}
        before = spools[process]._written
        self._loop.call_soon(act, *arguments)
        with self._tracers[process].counting():
            self._loop.settle()
        self._calls["write"] += spools[process]._written != before

    def _cross(self) -> None:
        """Carry what was written on the link, both ways, until nothing is."""
        while self._edge_end.sent or self._vault_end.sent:
            if data := self._edge_end.take():
                self._calls["receive"] += 1
                self._at("vault", self._vault_link.data_received, data)
            if data := self._vault_end.take():
                self._calls["receive"] += 1
                self._at("edge", self._link.data_received, data)

    def _pass(self, seconds: float) -> None:
        """Let time pass in both."""
        self._clock.advance(seconds)
        self._loop.now_s += seconds
        self._pool.now_s = self._clock.monotonic_s()
        self._at("vault", int)
        self._cross()

    def _ask(self, number: int, name: str, stream: bool) -> None:
        body = BODY % (name.encode(), b',"stream":true' if stream else b"")
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self._token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._calls["receive"] += 1
        self._at("edge", self._clients[number][0].data_received, head.encode() + body)
        self._cross()

    def _asked(self, name: str) -> tuple[UpstreamConnection, Wire]:
        """Return the connection on which a request went out."""
        [found] = [(connection, wire) for connection, wire in self._upstreams[name] if wire.sent]
        found[1].take()
        return found

    def _answer(self, connection: UpstreamConnection, data: bytes) -> None:
        self._calls["receive"] += 1
        self._at("vault", connection.data_received, data)

    def _figures(self, count: int) -> Figures:
        functions = {
            process: {
                f"{code.co_filename.rpartition(PLACE)[2]} {code.co_qualname}": number / count
                for code, number in tracer.counts.most_common()
            }
            for process, tracer in self._tracers.items()
        }
        return Figures(functions, {kind: number / count for kind, number in self._calls.items()})

    def _reset(self) -> None:
        self._calls.clear()
        for tracer in self._tracers.values():
            tracer.counts.clear()

    # what is counted

    def plain(self) -> Figures:
        """Count a plain request of a client that has asked before."""
        answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        for number in range(WARM + COUNT):
            if number == WARM:
                self._reset()
            self._ask(0, "openai", False)
            connection, _ = self._asked("openai")
            self._answer(connection, answer % (len(PLAIN_ANSWER), PLAIN_ANSWER))
            self._cross()
            assert self._clients[0][1].take().endswith(PLAIN_ANSWER)
            self._pass(0.01)
        return self._figures(COUNT)

    def events(self, name: str, apart_s: float, together_s: float) -> Figures:
        """Count an event of streams: `apart_s` pass between two events of different streams, `together_s` after one of each."""
        begin = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        streams = []
        for number, (_, client) in enumerate(self._clients):
            self._ask(number, name, True)
            connection, _ = self._asked(name)
            self._answer(connection, begin + encode_chunk(FIRST[name]))
            self._cross()
            streams.append((connection, client))
        self._pass(0.1)
        event = encode_chunk(EVENT[name])
        for number in range(WARM + ROUNDS):
            if number == WARM:
                self._reset()
                for _, client in streams:
                    client.take()
            for connection, _ in streams:
                self._answer(connection, event)
                self._cross()
                if apart_s:
                    self._pass(apart_s)
            if together_s:
                self._pass(together_s)
        figures = self._figures(ROUNDS * len(streams))
        for _, client in streams:
            assert client.take().count(b" word") == ROUNDS
        return figures


def measure(wanted: str = "") -> dict[str, Figures]:
    """Count everything whose name contains a text, by its name."""
    found: dict[str, Figures] = {}
    cases: dict[str, Callable[[Ground], Figures]] = {
        "a plain request": Ground.plain,
        "an event of a stream that comes alone": lambda ground: ground.events("openai", 0.01, 0.0),
        "an event of a stream among others": lambda ground: ground.events("openai", 0.0, 0.005),
        "an event that is translated, among others": lambda ground: ground.events("anthropic", 0.0, 0.005),
    }
    for name, case in cases.items():
        if wanted not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[name] = _counted(Path(folder), case)
    return found


def _counted(folder: Path, case: Callable[[Ground], Figures]) -> Figures:
    loop = StillLoop()

    async def make() -> Ground:
        return Ground(loop, folder)

    ground = loop.run_until_complete(make())
    try:
        ground.greet()
        return case(ground)
    finally:
        ground.close()
        loop.close()


def row(figures: Figures) -> dict[str, float]:
    """Return what the ceilings are about: bytecodes of both processes, calls of the kernel."""
    calls = sum(figures.calls.values())
    return {"edge": figures.total("edge"), "vault": figures.total("vault"), "calls": calls}


def main() -> None:
    """Print what each takes, by function."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="what contains this text")
    parser.add_argument("--top", type=int, default=25, help="functions to print")
    given = parser.parse_args()
    for name, figures in measure(given.only).items():
        counted = row(figures)
        calls = ", ".join(f"{count:.2f} {kind}" for kind, count in sorted(figures.calls.items()))
        print(f"{name}: edge {counted['edge']:.0f}, vault {counted['vault']:.0f} bytecodes; {calls}")
        for process, functions in figures.functions.items():
            for function, count in list(functions.items())[: given.top]:
                print(f"  {process:<6} {count:7.1f}  {function}")


if __name__ == "__main__":
    main()
