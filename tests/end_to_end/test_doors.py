"""Exceptions thrown at every door of a running gateway while others are served (decision 020).

Two streams run all the time. For each door in turn an exception is thrown once, before or after what the door does, and requests
of all kinds are made until it was. At most one request may be disturbed by it, nobody hangs, the log says it once, and at the end
the ledger holds everything that reached the provider, once.

`make doors` takes every door; `make test` a few of each process, by the seed that pytest-randomly prints (DOORS says how many).
"""

import asyncio
import contextlib
import json
import mmap
import os
import random
import re
import signal
import time

import pytest
from tests import doors
from tests.end_to_end.altered import HERE, THROW_BYTES
from tests.end_to_end.setups import ENVIRON, config
from tests.end_to_end.test_kill import all_records

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

# Doors whose one thing is the link between edge and vault: its streams end, honestly, and it is made again.
OF_THE_LINK = re.compile(
    r"LinkClient\.(connection_made|connection_lost|data_received|flush|pause_writing|resume_writing|_connect|_keep_connected)"
    r"|VaultSideLink\.\w+|LinkStream\.lose"
)
ONLY_AT_A_NEW_LINK = re.compile(
    r"LinkClient\.(connection_made|connection_lost|_connect|_keep_connected)|VaultSideLink\.connection_\w+|LinkStream\.lose"
)
OF_CONTROL = re.compile(r"_Asked\.")
COUNT = int(os.environ.get("DOORS", "3"))
ROOMS = {
    "edge": (
        "edge",
        "net/server.py",
        "net/acceptor.py",
        "net/connection.py",
        "net/exchange.py",
        "net/link.py",
        "spool",
    ),
    "vault": ("vault", "net/upstream.py", "spool"),
}

NOT_REACHED = {
    "Connection._lose_parser": "only after another fault: tests/net/test_connection.py",
    "Exchange.fault": "only after another fault: tests/net/test_exchange.py",
    "LinkStream.fault": "only after another fault: tests/net/test_link.py",
    "EdgeHandler._note_fault": "only after another fault",
    "Transfer._end_client": "only after another fault",
    "Transfer._settle_barely": "only after another fault: tests/edge/test_transfer.py",
    "Transfer.on_fault": "only after another fault: tests/edge/test_transfer.py",
    "LinkClient._keep_connected": "entered once, when the edge starts: tests/net/test_link.py",
    "LinkClient.pause_writing": "a vault that does not read 64 MB",
    "LinkClient.resume_writing": "a vault that does not read 64 MB",
    "VaultSideLink.connection_lost": "the vault dies with the link here: tests/vault/test_link.py",
    "VaultSideLink.pause_writing": "an edge that does not read 8 MB",
    "VaultSideLink.resume_writing": "an edge that does not read 8 MB",
    "UpstreamConnection._fault": "only after another fault: tests/net/test_upstream.py",
    "UpstreamConnection.pause_writing": "a provider that does not read",
    "UpstreamConnection.resume_writing": "a provider that does not read",
    "_Connecting._fault": "only after another fault: tests/net/test_upstream.py",
    "UpstreamAttempt.on_fault": "only after another fault: tests/vault/test_attempt.py",
    "UpstreamAttempt.not_sent": "a journal that cannot be written",
    "UpstreamAttempt._authorized": "credentials that sign: tests/vault/test_token_fetcher.py",
    "_Exchange.advance": "credentials that are traded for tokens: tests/vault/test_token_fetcher.py",
    "Performer.fault": "only after another fault: tests/net/test_performer.py",
}


class Hole:
    """What is thrown where: memory that the altered processes share."""

    def __init__(self, path):
        path.write_bytes(bytes(THROW_BYTES))
        path.chmod(0o666)
        self._file = path.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), THROW_BYTES)

    def arm(self, role, door, when):
        text = f"{role} {when} {door}".encode()
        self._memory[1:THROW_BYTES] = text.ljust(THROW_BYTES - 1, b"\0")
        self._memory[0] = 1

    @property
    def is_armed(self):
        return self._memory[0] == 1

    def disarm(self):
        self._memory[0] = 0

    def close(self):
        self.disarm()
        self._memory.close()
        self._file.close()


def head(key, body, path="/v1/chat/completions", more=""):
    text = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{more}"
    return f"{text}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chat(model, text="one two three", **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


class Stream:
    """A long stream; it knows whether its words came in order and whether it is still there."""

    def __init__(self, port, key):
        self._port, self._key = port, key
        self.words = 0
        self.end = ""
        self._task = asyncio.ensure_future(self._run())

    async def _run(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(head(self._key, chat("fake/stream-100000-20", stream=True)))
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                self.end = f"refused: {answer[:60]}"
                return
            while True:
                line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
                found = re.search(rb'"content":"w(\d+) "', line)
                if found is not None:
                    assert int(found.group(1)) == self.words, "a word was lost or came twice"
                    self.words += 1
                elif b'"error"' in line:
                    self.end = f"the event {line[:200]!r}"
                elif not line:
                    self.end = self.end or "broken off"
                    return
        except TimeoutError:
            self.end = "HUNG"
        except OSError as exc:
            self.end = f"broken off: {exc}"
        finally:
            writer.close()

    async def goes_on(self):
        """Wait for two more words; False when it has ended instead."""
        before = self.words
        until = time.monotonic() + PATIENCE_S
        while self.words < before + 2 and not self._task.done():
            assert time.monotonic() < until, "a stream hangs"
            await asyncio.sleep(0.02)
        if self._task.done():
            await self._task
            assert self.end and self.end != "HUNG"
            return False
        return True

    def stop(self):
        self._task.cancel()


class Traffic:
    """Requests of every kind, one at a time; each says how many of its own were disturbed."""

    def __init__(self, gateway, key):
        self._gateway, self._port, self._key = gateway, gateway.port, key
        self.answered = set()
        self._kept = None

    async def _open(self):
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def _answer(self, reader):
        """Read one answer; returns its status, 0 when there is none."""
        try:
            lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode("latin-1")
            length = re.search(r"content-length: (\d+)", lines)
            if length is not None:
                body = await asyncio.wait_for(reader.readexactly(int(length.group(1))), PATIENCE_S)
                assert b"OddError" not in body and b"CANARY" not in body
            else:
                while (size := int(await asyncio.wait_for(reader.readline(), PATIENCE_S) or b"-1", 16)) > 0:
                    await asyncio.wait_for(reader.readexactly(size + 2), PATIENCE_S)
                if size < 0:
                    return 0
                await reader.readline()
            status = int(lines[9:12])
            if (
                status == 200
                and (found := re.search(r"x-request-id: (\S+)", lines))
                and "x-switchgear-attempts" in lines
            ):
                self.answered.add(found.group(1))
            return status
        except TimeoutError:
            raise AssertionError("a client hangs") from None
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return 0

    async def _ask(self, data, count=1, good=frozenset({200})):
        """Send on a connection of its own; returns how many of `count` answers were not good."""
        try:
            reader, writer = await self._open()
        except OSError:
            return 1
        try:
            writer.write(data)
            with contextlib.suppress(OSError):
                await writer.drain()
            bad = 0
            for _ in range(count):
                status = await self._answer(reader)
                if status == 0:
                    return bad or 1  # what was not answered on it is part of the same disturbance
                bad += status not in good
            return bad
        finally:
            writer.close()

    async def plain(self):
        return await self._ask(head(self._key, chat("fake/echo")))

    async def pipelined(self):
        one = head(self._key, chat("fake/echo"))
        return await self._ask(one * 24, 24)

    async def refused_in_turn(self):
        """A request that is refused by its head alone, behind one that is still being answered."""
        two = head(self._key, chat("fake/slow-300")) + head("sk-sg-no-key-of-anybody", chat("fake/echo"))
        return await self._ask(two, 2, good=frozenset({200, 401}))

    async def health(self):
        return await self._ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")

    async def streamed(self):
        return await self._ask(head(self._key, chat("fake/stream-20-0", stream=True)))

    async def flaky(self):
        return await self._ask(head(self._key, chat("fake/flaky-1")))

    async def long_head(self):
        return await self._ask(head(self._key, chat("fake/echo"), more=f"Accept: {'application/json, ' * 200}*/*\r\n"))

    async def large(self):
        return await self._ask(head(self._key, chat("fake/echo", "word " * 200_000)))

    async def new_connection(self):
        """A request that the provider answers and then hangs up, so that the next needs another connection."""
        return await self._ask(head(self._key, chat("fake/drop")), good=frozenset({502}))

    async def malformed(self):
        return await self._ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", good=frozenset({400}))

    async def gone(self):
        try:
            _, writer = await self._open()
        except OSError:
            return 1
        writer.write(head(self._key, chat("fake/slow-300")))
        await asyncio.sleep(0.1)
        writer.transport.abort()
        return 0

    async def slow_reader(self):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=4096)
        except OSError:
            return 1
        try:
            writer.write(head(self._key, chat("fake/stream-60000-0", stream=True)))
            await asyncio.sleep(1.5)
            return (await self._answer(reader)) != 200
        finally:
            writer.close()

    async def administer(self):
        for command in (("credential", "test", "fake/main"), ("credential", "disable", "claude/main")):
            done = await asyncio.to_thread(self._gateway.cli, *command, check=False)
            assert "Traceback" not in done.stderr
        return 0

    async def new_link(self):
        before = self._gateway.pids("vault")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + PATIENCE_S
        while self._gateway.pids("vault") == before or await self.plain():
            assert time.monotonic() < until, "it does not serve again"
            await asyncio.sleep(0.05)
        return 0

    def kinds(self, door):
        if ONLY_AT_A_NEW_LINK.search(door):
            return [self.new_link]
        if OF_CONTROL.search(door):
            return [self.administer]
        return [
            self.plain,
            self.health,
            self.pipelined,
            self.refused_in_turn,
            self.streamed,
            self.flaky,
            self.gone,
            self.new_connection,
            self.long_head,
            self.large,
            self.malformed,
            self.slow_reader,
        ]


async def throw(hole, traffic, streams, role, door, when):
    """Throw at one door; returns None when it was not reached, else which requests were disturbed."""
    hole.arm(role, door, when)
    disturbed = []
    for _ in range(2):
        for kind in traffic.kinds(door):
            disturbed += [kind.__name__] * await kind()
            if not hole.is_armed:
                break
        if not hole.is_armed:
            break
    else:
        await asyncio.sleep(1.2)  # timers
    if hole.is_armed:
        hole.disarm()
        assert not disturbed, f"{door} was not reached, and yet"
        return None
    for at, stream in enumerate(streams):
        if not await stream.goes_on():
            disturbed.append(f"a stream with {stream.end}")
            streams[at] = Stream(traffic._port, traffic._key)
    until = time.monotonic() + PATIENCE_S
    while await traffic.plain():  # the link is on its way back, or the spool is tried again in a moment
        assert time.monotonic() < until, f"after {door} nothing is served any more"
        await asyncio.sleep(0.05)
    for at, stream in enumerate(streams):
        if not await stream.goes_on():
            streams[at] = Stream(traffic._port, traffic._key)
    return disturbed


def doors_of(role):
    """Return the doors of a process that are thrown at: at most COUNT, in their order."""
    found = list(doors.guarded_functions(*ROOMS[role]))
    return sorted(random.sample(found, COUNT), key=found.index) if len(found) > COUNT else found


async def throw_everywhere(gateway, hole, key, role, when):
    traffic = Traffic(gateway, key)
    streams = [Stream(gateway.port, key) for _ in range(2)]
    reached, wrong, missed = [], [], []
    for module, name in doors_of(role):
        door = f"{module}:{name}"
        begins = gateway.log.stat().st_size
        disturbed = await throw(hole, traffic, streams, role, door, when)
        if disturbed is None:
            missed.append(name)
            continue
        reached.append(name)
        if len(disturbed) > 1 and not OF_THE_LINK.search(name):
            # The same again: what an earlier door or a busy machine did late is no fault of this one.
            again = await throw(hole, traffic, streams, role, door, when) or []
            said = gateway.log.read_bytes()[begins:].decode(errors="replace")
            print(f"{name}: {disturbed}, then {again} were disturbed\n{said}")
            if len(again) > 1:
                wrong.append(f"{name}: {disturbed} and {again} were disturbed: {said}")
    for stream in streams:
        stream.stop()
    return traffic, reached, wrong, missed


@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("role", ["edge", "vault"])
def test_an_exception_at_any_door_ends_one_thing(role, when, tmp_path):
    hole = Hole(tmp_path / "hole")
    tmp_path.chmod(0o755)
    spec = json.dumps({"throw": str(tmp_path / "hole")})
    provider = ProviderProcess()
    gateway = GatewayProcess(
        config(provider.port), folder=tmp_path, workers=1, environ=ENVIRON, program=("-I", HERE, "serve", spec)
    )
    try:
        pids = gateway.pids("edge")
        key = gateway.key("k", "--parallel", "1000", "--rpm", "1000000")  # limits that count and stop nobody
        traffic, reached, wrong, missed = asyncio.run(throw_everywhere(gateway, hole, key, role, when))
        assert gateway.pids("edge") == pids, "an edge died"
        assert not wrong, "\n".join(wrong)
        assert set(missed) <= set(NOT_REACHED), sorted(set(missed) - set(NOT_REACHED))
        said = gateway.log.read_text()
        assert "CANARY" not in said, "the words of an exception are not told"
        assert "Traceback" not in said
        told = len(re.findall("fault: OddError", said))
        assert told >= len(reached), f"{len(reached)} were thrown and {told} told"
        check_ledger(gateway, provider, traffic)
    finally:
        hole.close()
        gateway.stop(keep=True)
        provider.stop()


def check_ledger(gateway, provider, traffic):
    """Everything that reached the provider, and everything that was answered, stands in the ledger once."""
    until = time.monotonic() + PATIENCE_S
    while True:
        records = all_records(gateway)
        ids = [record["id"] for record in records]
        attempts = {attempt["id"] for record in records for attempt in record["attempts"]}
        requests = {attempt.rpartition("-")[0] for attempt in provider.seen()}
        if (requests | traffic.answered) <= set(ids) or time.monotonic() > until:
            break
        time.sleep(0.5)
    assert len(ids) == len(set(ids)), "a request stands in the ledger twice"
    assert not traffic.answered - set(ids), "an answered request is not in the ledger"
    missing = [attempt for attempt in provider.seen() if attempt not in attempts]
    lost = {attempt.rpartition("-")[0] for attempt in missing} - set(ids)
    assert not lost, f"{len(lost)} requests reached the provider and are not in the ledger"
