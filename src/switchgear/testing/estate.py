"""A small estate on loopback for tests of `discover`: services as they answer, decoys, and hosts that misbehave. Level 5.

Every request that arrives is kept, so that a test can say what was asked and, above all, what was not.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping

from switchgear.detect.rules import Product

Answer = tuple[int, dict[str, str], str]
Script = Callable[[str], "Answer | bytes | None"]
"""Path → answer; bytes are sent as they are; None hangs."""


class Host:
    """One listener."""

    def __init__(self, script: Script, trickle_s: float = 0.0) -> None:
        self._script = script
        self._trickle_s = trickle_s
        self.port = 0
        self.heads: list[str] = []

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [head.split(" ")[1] for head in self.heads if head.count(" ") >= 2]

    @property
    def methods(self) -> set[str]:
        """The methods that were used."""
        return {head.split(" ")[0] for head in self.heads}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            answer = self._script(head.split(" ")[1])
            if answer is None:
                await asyncio.sleep(30)
                return
            if isinstance(answer, tuple):
                status, headers, body = answer
                raw = body.encode()
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                answer = f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(raw)}\r\n\r\n".encode() + raw
            if self._trickle_s:
                for byte in answer:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(self._trickle_s)
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def listening(*hosts: Host) -> AsyncIterator[None]:
    """Serve hosts on loopback ports of their own."""
    servers = []
    for host in hosts:
        server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
        host.port = server.sockets[0].getsockname()[1]
        servers.append(server)
    try:
        yield
    finally:
        for server in servers:
            server.close()


def product(found: Product) -> Host:
    """Return a host that answers as a product's first positive sample says, and 404 otherwise."""
    answers = {r.path: (r.status, r.headers, r.body) for r in found.positive[0].response}
    return Host(lambda path: answers.get(path, (404, {}, '{"detail":"Not Found"}')))


def _page(title: str, text: str = "") -> str:
    return f"<!doctype html><html><head><title>{title}</title></head><body>{text}</body></html>"


def _json(**fields: object) -> str:
    return json.dumps(fields)


def _fixed(answers: Mapping[str, str], otherwise: int = 404) -> Script:
    return lambda path: (200, {}, answers[path]) if path in answers else (otherwise, {}, "not here")


EVERY_NAME = "LiteLLM Ollama is running vLLM Open WebUI Langflow n8n Flowise LibreChat I'm alive! AI Gateway says hey! healthy :)"
DECOYS: dict[str, Script] = {
    # Name → what it answers. None of them may ever be confirmed.
    "default page": _fixed({"/": _page("Welcome to nginx!")}),
    "app of one page": lambda path: (200, {}, _page("Shop")),
    "app that names everything": lambda path: (200, {}, _page(EVERY_NAME, EVERY_NAME)),
    "echo": lambda path: (200, {}, path),
    "echo in JSON": lambda path: (200, {}, _json(path=path, status="ok", version="1.0", message="OK")),
    "health only": _fixed({"/health": _json(status="ok"), "/status": _json(status="ok", version="1.2")}),
    "alive": _fixed({"/health/liveliness": '"I\'m alive!"'}),
    "blog about Ollama": _fixed({"/": _page("Ollama is running on my laptop")}),
    "page about LiteLLM": _fixed({"/": _page("LiteLLM compared", "LiteLLM API, litellm_version")}),
    "ping pong": _fixed({"/api/v1/ping": "pong", "/": _page("Ping")}),
    "version only": _fixed({"/version": _json(version="0.22.1"), "/api/version": _json(version="0.16.0")}),
    "metrics only": _fixed({"/metrics": "go_gc_duration_seconds 1\nprocess_cpu_seconds 2\n"}),
    "model list of nobody": _fixed(
        {"/v1/models": _json(object="list", data=[{"id": "m", "object": "model", "owned_by": "me"}])}
    ),
    "login wall": lambda path: (401, {"www-authenticate": "Basic"}, "no"),
    "redirects away": lambda path: (302, {"location": "http://127.0.0.1:1/"}, ""),
    "errors": lambda path: (500, {}, "litellm_version use_aiohttp_transport success_callbacks"),
    "banner in a header": lambda path: (200, {"server": "Ollama LiteLLM vLLM"}, "hello"),
    "config of something": _fixed({"/api/config": _json(name="Webmail", version="3", features={})}),
    "everything is true": lambda path: (200, {}, "true"),
    "deep JSON": lambda path: (200, {}, "[" * 30_000),
    "ssh": lambda path: b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "garbage": lambda path: bytes(range(256)) * 4,
}
