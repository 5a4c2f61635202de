"""What floods cost: the memory of a process under each, what others see meanwhile, and what is given back.

    python -m tests.end_to_end.floods [NAME…] [--back SECONDS]

Each flood meets a gateway of its own with one edge. Per flood: the most that the process held (resident), what an honest client saw
(its requests and the longest it waited), how long a revocation and a freeze took meanwhile (until they held, until the command had
answered), and what the process holds a minute after the attacker left. docs/operations.md, "What is bounded", says what each runs
into. `hung_vault`, `hung_edge` and `hung_control` stop a process instead, and somebody is revoked and frozen.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import trustme
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

MB = 1_000_000
BOUND_BYTES = 600 * MB
BACK_S = 60.0
NEAR_BYTES = 60 * MB
"""Given back: a process holds hardly more than before. Between what lives the C library and Python keep some pages."""
BODY_BYTES = 31_500_000


def resident(pid):
    """Bytes that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def post(key, model, length, body=b"", more=""):
    text = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{more}"
    return f"{text}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode() + body


def chat(model, text="hello", **more):
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


async def connect(gateway, tls=None):
    return await asyncio.open_connection("127.0.0.1", gateway.port, ssl=tls, limit=65_536)


async def many(count, make, at_once=200):
    """Make many of something, some at a time; those that cannot be made are left out."""
    found, gate = [], asyncio.Semaphore(at_once)

    async def one(number):
        async with gate:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                found.append(await make(number))

    await asyncio.gather(*(one(number) for number in range(count)))
    return found


# Each flood: (gateway, keys, scale) → what keeps it up until it is closed.


async def stalled_bodies(gateway, keys, scale):
    """17 bodies of 31.5 MB by one key, then silence."""

    async def one(number):
        _, writer = await connect(gateway)
        writer.write(post(keys[0], "fake/echo", BODY_BYTES + 1))
        for _ in range(int(BODY_BYTES * scale) // 500_000):
            writer.write(b" " * 500_000)
            await asyncio.wait_for(writer.drain(), 20)
        return writer

    return await many(17, one)


async def stalled_bodies_of_many_keys(gateway, keys, scale):
    """The same by eight keys, 40 bodies."""

    async def one(number):
        _, writer = await connect(gateway)
        writer.write(post(keys[number % len(keys)], "fake/echo", BODY_BYTES + 1))
        for _ in range(int(BODY_BYTES * scale) // 500_000):
            writer.write(b" " * 500_000)
            await asyncio.wait_for(writer.drain(), 20)
        return writer

    return await many(40, one)


async def bodies_for_a_slow_provider(gateway, keys, scale):
    """40 whole bodies of 20 MB for a provider that takes its time."""
    body = chat("fake/slow-60000", "word " * int(4_000_000 * scale))

    async def one(number):
        _, writer = await connect(gateway)
        writer.write(post(keys[number % 2], "fake/slow", len(body), body))
        await asyncio.wait_for(writer.drain(), 60)
        return writer

    return await many(40, one, 8)


async def pipelines(gateway, keys, scale):
    """1,000 connections, each with 5,000 requests behind one that waits."""
    waits = chat("fake/slow-60000")
    behind = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 5_000

    async def one(number):
        _, writer = await connect(gateway)
        writer.write(post(keys[0], "", len(waits), waits) + behind)
        return writer

    return await many(int(1_000 * scale), one)


async def handshakes(gateway, keys, scale):
    """21,000 connections that never finish their TLS handshakes."""

    async def one(number):
        _, writer = await connect(gateway)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        return writer

    return await many(int(19_000 * scale), one)


async def slow_heads(gateway, keys, scale):
    """15,000 connections with most of a head of 16 KB."""

    async def one(number):
        _, writer = await connect(gateway)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 16_000)
        return writer

    return await many(int(15_000 * scale), one)


async def idle_tls(gateway, keys, scale):
    """10,000 idle connections with TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def one(number):
        return (await connect(gateway, context))[1]

    return await many(int(10_000 * scale), one, 50)


async def readers_that_stop(gateway, keys, scale):
    """900 streams of 3 MB that nobody reads."""
    body = chat("fake/stream-20000-0", stream=True)

    async def one(number):
        _, writer = await connect(gateway)
        writer.transport.get_extra_info("socket").setsockopt(1, 8, 4096)
        writer.transport.pause_reading()
        writer.write(post(keys[number % 8], "", len(body), body))
        return writer

    return await many(int(900 * scale), one, 100)


async def large_answers(gateway, keys, scale):
    """100 answers of 12 MB at once, for clients that do not read them."""
    body = chat("fake/big-12000")

    async def one(number):
        _, writer = await connect(gateway)
        writer.transport.pause_reading()
        writer.write(post(keys[number % 8], "", len(body), body))
        return writer

    return await many(int(100 * scale), one, 100)


FLOODS = {
    flood.__name__: flood
    for flood in (
        stalled_bodies,
        stalled_bodies_of_many_keys,
        bodies_for_a_slow_provider,
        pipelines,
        handshakes,
        slow_heads,
        idle_tls,
        readers_that_stop,
        large_answers,
    )
}
WITH_TLS = {"handshakes", "idle_tls"}


STOPS = {
    "revoke": (("key", "revoke", "{}", "--yes"), b"401"),
    "freeze": (("freeze", "key", "{}"), b"403"),
}


async def shown(gateway, key, tls=None):
    """Ask for something that no provider answers; returns the status."""
    reader, writer = await connect(gateway, tls)
    try:
        writer.write(f"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        return (await asyncio.wait_for(reader.readuntil(b"\r\n"), 10))[9:12]
    finally:
        writer.transport.abort()


async def stop_somebody(gateway, how, name, key, tls=None):
    """Revoke or freeze a key; returns the seconds until it held and until the command had answered. Raises RuntimeError when the
    command fails, AssertionError when it has answered and the key is let in still."""
    arguments, wanted = STOPS[how]
    began = time.monotonic()
    command = asyncio.ensure_future(asyncio.to_thread(gateway.cli, *(a.format(name) for a in arguments)))
    held_s = answered_s = 0.0
    while not (held_s and answered_s):
        status = b""
        was_answered = command.done()
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            status = await shown(gateway, key, tls)
        if status == wanted:
            held_s = held_s or time.monotonic() - began
        elif was_answered and status:
            await command
            raise AssertionError(f"{how} has answered, and the key gets {status!r}")
        if command.done():
            await command
            answered_s = answered_s or time.monotonic() - began
        await asyncio.sleep(0.02)
    return held_s, answered_s


async def stop_both(gateway, keys, tls=None):
    """Revoke one key and freeze another."""
    return {how: await stop_somebody(gateway, how, f"k{n}", keys[n], tls) for n, how in enumerate(STOPS)}


def measure_hung(role):
    """Stop one process of a role, and revoke and freeze somebody meanwhile, each with a process that has just been stopped."""
    provider = ProviderProcess(remember=False)
    with tempfile.TemporaryDirectory(prefix="switchgear-hung-") as folder:
        gateway = GatewayProcess(config(provider.port), folder=Path(folder), workers=2, environ=ENVIRON)
        try:
            keys = [gateway.key(f"k{number}") for number in range(2)]
            took = {}
            for number, how in enumerate(STOPS):
                until = time.monotonic() + PATIENCE_S
                while not gateway.pids(role) and time.monotonic() < until:
                    time.sleep(0.05)
                pid = gateway.pids(role)[0]
                os.kill(pid, signal.SIGSTOP)
                took[how] = asyncio.run(stop_somebody(gateway, how, f"k{number}", keys[number]))
                with contextlib.suppress(ProcessLookupError):  # it was replaced
                    os.kill(pid, signal.SIGCONT)
            return took
        finally:
            gateway.stop(keep=True)
            provider.stop()


HUNG = {f"hung_{role}": role for role in ("vault", "edge", "control")}


def told(stopped):
    """Return seconds for people: until it held / until the command had answered."""
    return ", ".join(f"{how} {held_s:.2f}/{answered_s:.2f} s" for how, (held_s, answered_s) in stopped.items())


class Honest:
    """A client with a key of its own that asks again and again."""

    def __init__(self, gateway, key, tls):
        self._gateway, self._key, self._tls = gateway, key, tls
        self.good, self.bad, self.longest_s = 0, 0, 0.0
        self._is_over = False
        self._task = asyncio.ensure_future(self._run())

    async def _run(self):
        body = chat("fake/echo", "word " * 20_000)
        while not self._is_over:
            began = time.monotonic()
            try:
                async with asyncio.timeout(60):
                    reader, writer = await connect(self._gateway, self._tls)
                    writer.write(post(self._key, "", len(body), body, "Connection: close\r\n"))
                    answer = await reader.read()
                    writer.close()
                good = answer.startswith(b"HTTP/1.1 200")
            except (OSError, TimeoutError):
                good = False
            self.good, self.bad = self.good + good, self.bad + (not good)
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            await asyncio.sleep(0.2)

    async def stop(self):
        """Wait for the last answer: how long it took counts, too."""
        self._is_over = True
        await self._task


async def run(name, gateway, keys, scale, back_s, hold_s=12):
    """Run a flood; returns what was measured."""
    tls = None
    if name in WITH_TLS:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    roles = {role: gateway.pids(role)[0] for role in ("edge", "vault")}
    before = {role: resident(pid) for role, pid in roles.items()}
    peak, after = dict(before), dict(before)

    async def watch():
        while True:
            for role, pid in roles.items():
                peak[role] = max(peak[role], resident(pid))
            await asyncio.sleep(0.05)

    watching = asyncio.ensure_future(watch())
    honest = Honest(gateway, keys[-1], tls)
    writers = await FLOODS[name](gateway, keys[2:-1], scale)
    stopped = await stop_both(gateway, keys, tls)
    await asyncio.sleep(hold_s)
    for writer in writers:
        writer.transport.abort()
    await honest.stop()
    until = time.monotonic() + back_s
    while time.monotonic() < until:
        after = {role: resident(pid) for role, pid in roles.items()}
        if all(after[role] - before[role] < NEAR_BYTES for role in roles):
            break
        await asyncio.sleep(1)
    back = back_s - max(0.0, until - time.monotonic())
    watching.cancel()
    assert {role: gateway.pids(role)[0] for role in roles} == roles, "a process died"
    found = {"before": before, "peak": peak, "after": after, "back_s": back}
    return found | {"honest": honest, "made": len(writers), "stopped": stopped}


def start(folder, provider, tls):
    more = ()
    if tls:
        made = trustme.CA().issue_cert("gateway.test", "127.0.0.1")
        made.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
        more = ("--tls-cert", str(folder / "both.pem"), "--tls-key", str(folder / "both.pem"))
    gateway = GatewayProcess(config(provider.port), folder=folder, workers=1, environ=ENVIRON, arguments=more)
    return gateway, [gateway.key(f"k{number}") for number in range(11)]


def measure(name, scale=1.0, back_s=BACK_S, hold_s=12):
    """Start a gateway, flood it, stop it; returns what was measured."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    provider = ProviderProcess(remember=False)
    with tempfile.TemporaryDirectory(prefix="switchgear-flood-") as folder:
        gateway, keys = start(Path(folder), provider, name in WITH_TLS)
        try:
            return asyncio.run(run(name, gateway, keys, scale, back_s, hold_s))
        finally:
            gateway.stop(keep=True)
            provider.stop()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# the vault, by an attacker who has the link's token

VAULT = """
import asyncio, os, sys
from pathlib import Path
from switchgear.core.secret import Secret
from switchgear.net import unix
from switchgear.net.clock import SystemClock
from switchgear.net.upstream import Pool
from switchgear.core.guard import Guard
from switchgear.spool.writer import SpoolWriter
from switchgear.vault.box import Box
from switchgear.vault.kek import KeyPair
from switchgear.vault.service import VaultService

async def main():
    folder = Path(sys.argv[1])
    guard = Guard(lambda text, *_, **__: print(text, file=sys.stderr))
    journal = SpoolWriter(folder / "journal", SystemClock(), os.urandom, "run")
    pool = Pool(SystemClock(), guard)
    box = Box(folder, KeyPair(Secret(bytes(32))), guard)
    uids = frozenset({os.geteuid()})
    service = VaultService(box, journal, pool, SystemClock(), "run", b"key", {"edge": uids}, print, guard)
    await service.start(unix.bind(folder, "vault.sock"))
    print("ready", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


def measure_vault(streams=4_000, whole=False, back_s=BACK_S):
    """Open many streams on one link and send bodies, as far as windows allow or beyond; returns (peak, after, bytes sent)."""
    from switchgear.net import unix
    from switchgear.wire import frames
    from switchgear.wire.frames import FrameType

    with tempfile.TemporaryDirectory(prefix="switchgear-flood-") as folder:
        process = subprocess.Popen([sys.executable, "-c", VAULT, folder], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        sock = unix.connect(Path(folder), "vault.sock", 30.0)
        hello = frames.Hello(frames.PROTOCOL_VERSION, "edge", frames.link_token(b"key", "edge", "r"), "", "r")
        sock.sendall(frames.encode(FrameType.HELLO, 0, frames.encode_payload(hello)))
        route = msgspec.Raw(
            frames.encode_payload(frames.UpstreamRoute("p/c", "POST", "/chat/completions", [], 1.0, 1.0, 1.0, 1.0))
        )
        peak, sent = 0, 0
        piece = bytes(61_440)
        with contextlib.suppress(OSError):
            for stream in range(1, streams + 1):
                if sent > 4_000 * MB:
                    break
                message = frames.encode_payload(frames.Open(f"r{stream}-1", 60 * MB, route))
                sock.sendall(frames.encode_with_head(FrameType.OPEN, stream, message, b"", 0))
                for _ in range(1_000 if whole else 4):
                    sock.sendall(frames.encode(FrameType.BODY, stream, piece))
                    sent += len(piece)
                    peak = max(peak, resident(process.pid))
        time.sleep(1)
        peak = max(peak, resident(process.pid))
        sock.close()
        until = time.monotonic() + back_s
        while time.monotonic() < until and resident(process.pid) > 100 * MB:
            time.sleep(1)
        after = resident(process.pid)
        process.terminate()
        process.wait()
        return peak, after, sent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*FLOODS, "vault_windows", "vault_beyond", *HUNG])
    parser.add_argument("--back", type=float, default=BACK_S)
    given = parser.parse_args()
    print(
        f"{'flood':30} {'made':>6} {'edge MB':>18} {'vault MB':>18} {'back s':>7}  honest: good bad longest s",
        flush=True,
    )
    for name in given.names:
        if name in HUNG:
            print(f"{name:30} {told(measure_hung(HUNG[name]))}", flush=True)
            continue
        if name.startswith("vault_"):
            peak, after, sent = measure_vault(whole=name == "vault_beyond", back_s=given.back)
            print(f"{name:30} {sent // MB:6} MB sent {'':10} {peak // MB:8} → {after // MB:<7}", flush=True)
            continue
        found = measure(name, back_s=given.back)
        shown = [
            f"{found['before'][role] // MB}→{found['peak'][role] // MB}→{found['after'][role] // MB}"
            for role in ("edge", "vault")
        ]
        honest = found["honest"]
        mark = "" if max(found["peak"].values()) <= BOUND_BYTES else "  OVER"
        print(
            f"{name:30} {found['made']:6} {shown[0]:>18} {shown[1]:>18} {found['back_s']:7.0f}  "
            f"{honest.good} {honest.bad} {honest.longest_s:.1f}  {told(found['stopped'])}{mark}",
            flush=True,
        )


if __name__ == "__main__":
    main()
