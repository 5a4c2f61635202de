"""Load: wrk for throughput, an own client for fixed rates and streams. Level 7. Bounded in count and time."""

import asyncio
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BODY = (
    '{"model":"%s","messages":[{"role":"system","content":"You are a helpful assistant in a switching cabinet."},'
    '{"role":"user","content":"Say in one short sentence what a switchgear does, and why it is named so."}],'
    '"temperature":0.2,"max_tokens":64%s}'
)


class Result:
    """What wrk reported."""

    def __init__(self, requests: int, rate: float, errors: int) -> None:
        self.requests = requests
        self.rate = rate
        self.errors = errors


def wrk(
    port: int, key: str, model: str, connections: int, seconds: int, headers: dict[str, str] | None = None
) -> Result:
    """Send as fast as answers come. `headers` are sent besides the usual ones."""
    more = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in (headers or {}).items())
    script = (
        'wrk.method = "POST"\nwrk.path = "/v1/chat/completions"\n'
        f'wrk.headers["Authorization"] = "Bearer {key}"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"{more}wrk.body = [[{BODY % (model, '')}]]\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "post.lua"
        path.write_text(script)
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(path), f"http://127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            check=True,
        )
    requests = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout)
    assert requests is not None
    assert rate is not None
    errors = (int(bad.group(1)) if bad else 0) + (sum(map(int, socket_errors.groups())) if socket_errors else 0)
    return Result(int(requests.group(1)), float(rate.group(1)), errors)


def _request(key: str, model: str, stream: bool) -> bytes:
    body = (BODY % (model, ',"stream":true' if stream else "")).encode()
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the benchmark got {head[:100]!r}")
    match = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    if match is not None:
        await reader.readexactly(int(match.group(1)))
    else:
        while (size := int(await reader.readline(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readexactly(2)


async def fixed_rate(port: int, key: str, model: str, rate: int, seconds: float) -> list[float]:
    """Send at a fixed rate over 64 connections; returns the latencies in ms, counted from when each was due."""
    latencies: list[float] = []
    request = _request(key, model, False)
    queue: asyncio.Queue[float | None] = asyncio.Queue()

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (due := await queue.get()) is not None:
            await _one(reader, writer, request)
            latencies.append((time.perf_counter() - due) * 1000)
        writer.close()

    workers = [asyncio.create_task(worker()) for _ in range(64)]
    await asyncio.sleep(0.2)
    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        pause = due - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        queue.put_nowait(time.perf_counter())
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    return latencies


class _Stream(asyncio.Protocol):
    """Reads one stream and counts events; cheap, so that the client is not the bottleneck."""

    def __init__(self, request: bytes, done: asyncio.Future[int]) -> None:
        self._request = request
        self._done = done
        self.events = 0
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: send."""
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Count events; the terminator ends the stream."""
        self.events += data.count(b"\n\n")
        self._tail = (self._tail + data)[-64:]
        if self._tail.endswith(b"\r\n0\r\n\r\n"):
            self._transport.close()
            if not self._done.done():
                self._done.set_result(self.events)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ended early."""
        if not self._done.done():
            self._done.set_exception(ConnectionError("a stream was cut"))


async def streams(port: int, key: str, model: str, count: int) -> int:
    """Run that many streams at once; returns how many events came."""
    loop = asyncio.get_running_loop()
    request = _request(key, model, True)
    futures: list[asyncio.Future[int]] = []
    for number in range(count):
        done: asyncio.Future[int] = loop.create_future()
        futures.append(done)
        await loop.create_connection(lambda f=done: _Stream(request, f), "127.0.0.1", port)  # type: ignore[misc]
        if number % 20 == 0:
            await asyncio.sleep(0.005)
    return sum(await asyncio.gather(*futures))


def picture(model: str, size: int) -> tuple[str, str, bytes]:
    """Return (path, content type, body) of a chat with a picture of `size` bytes."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * size}}
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": [part]}]}).encode()
    return "/v1/chat/completions", "application/json", body


def upload(model: str, size: int) -> tuple[str, str, bytes]:
    """Return (path, content type, body) of a transcription of `size` bytes of sound."""
    fields = (
        b'--cut\r\ncontent-disposition: form-data; name="model"\r\n\r\n%b\r\n'
        b'--cut\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' % model.encode()
    )
    return "/v1/audio/transcriptions", "multipart/form-data; boundary=cut", fields + bytes(size) + b"\r\n--cut--\r\n"


async def large(port: int, key: str, asked: tuple[str, str, bytes], at_once: int, measure: Callable[[], int]) -> int:
    """Send the same large request several times at once; returns the highest measure while they are in flight."""
    path, kind, body = asked
    request = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    highest = 0

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await _one(reader, writer, request)
        finally:
            writer.close()

    waiting = {asyncio.ensure_future(one()) for _ in range(at_once)}
    while waiting:
        done, waiting = await asyncio.wait(waiting, timeout=0.02)
        for task in done:
            task.result()
        highest = max(highest, measure())
    return highest
