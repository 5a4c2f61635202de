"""A request through every process, for `switchgear doctor --self-test`. Level 7."""

import datetime
import http.client
import http.server
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from switchgear.cli import vault_key
from switchgear.cli.client import Client, segment
from switchgear.cli.provider import build
from switchgear.cli.times import now_ms
from switchgear.config import schema
from switchgear.core.errors import UserError
from switchgear.core.secret import Secret
from switchgear.detect.checks import finding
from switchgear.detect.finding import Finding
from switchgear.vault.sealing import seal_one

SELF_TEST_S = 20.0


class _Upstream(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer as an OpenAI-compatible provider."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        message = {"role": "assistant", "content": "doctor"}
        body = json.dumps(
            {
                "id": "doctor",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": "echo",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def self_test(client: Client, status: dict[str, Any]) -> Iterator[Finding]:
    """Send a request with a key of its own: edge, vault, provider, ledger. The demo provider, else one of this command's."""
    providers = {p["name"] for p in client.call("GET", "/providers")["providers"]}
    for left in (p for p in providers if re.fullmatch(r"doctor-[0-9a-f]{6}", p)):  # of a doctor that was killed
        client.call("DELETE", f"/providers/{segment(left)}")
    name = f"doctor-{os.urandom(3).hex()}"
    server = None
    model = "demo/echo"
    made = []
    try:
        if "demo" not in providers:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/v1"
            spec = build(name, schema.Provider(dialect="openai", base_url=url, allow_private=True, auth="none"))
            client.call("POST", "/providers", msgspec.json.encode(spec))
            made.append(f"/providers/{name}")
            put = seal_one(spec, "none", Secret(b""), vault_key.of(client), now_ms())
            client.call("PUT", "/credentials", msgspec.json.encode({"put": put}))
            model = f"{name}/echo"
        expires = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)).isoformat(timespec="seconds")
        key = client.call("POST", "/keys", {"name": name, "models": [model], "expires": expires})["key"]
        made.append(f"key {name}")
        request_id = _request(status["data_url"], key, model)
        _booked(client, request_id)
    except UserError as exc:
        yield finding(
            "self-test", "critical", f"a request does not go through: {exc}", model, exc.hint or "switchgear status"
        )
    finally:
        for path in reversed(made):
            if path.startswith("key "):
                client.call("POST", f"/keys/{segment(name)}/revoke")
            else:
                client.call("DELETE", path)
        if server is not None:
            server.shutdown()
            server.server_close()


def _request(data_url: str, key: str, model: str) -> str:
    parts = urlsplit(data_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "doctor"}], "max_tokens": 5})
    connection = kind(parts.hostname or "", parts.port, timeout=SELF_TEST_S)
    try:
        connection.request(
            "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
        )
        response = connection.getresponse()
        answer = response.read(65_536)
    except (OSError, http.client.HTTPException) as exc:
        raise UserError(f"{data_url} does not answer: {exc}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise UserError(f"the answer was {response.status}: {answer[:200].decode('utf-8', 'replace')}")
    return response.headers.get("x-request-id") or ""


def _booked(client: Client, request_id: str) -> None:
    until = time.monotonic() + SELF_TEST_S
    while True:
        try:
            record = client.call("GET", f"/log/{segment(request_id)}")
        except UserError:
            if time.monotonic() > until:
                raise UserError(
                    f"request {request_id} was answered and is not in the ledger", "switchgear status"
                ) from None
            time.sleep(0.1)
            continue
        if record["outcome"] != "ok":
            raise UserError(f"request {request_id} was booked as {record['outcome']}")
        return
