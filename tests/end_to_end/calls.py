"""What tests ask a running gateway, and what they read of its processes."""

import contextlib
import http.client
import json
import socket
import sys
from pathlib import Path

from switchgear.testing.patience import PATIENCE_S

CLI = [sys.executable, "-m", "switchgear.cli"]


BODY = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "hello there"}]})


def call(gateway, key, body=BODY, path="/v1/chat/completions", method="POST", **headers):
    sent = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)) as connection:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in sent.items() if value is not None}
        )
        with connection.getresponse() as response:
            data = response.read()
    return response.status, dict(response.getheaders()), data


def raw(gateway, data, wait=5.0):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=wait) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


def read_memory(pid):
    found = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if mode.startswith("rw") and end - start < 1 << 28:
                try:
                    memory.seek(start)
                    found += memory.read(end - start)
                except (OSError, ValueError):
                    continue
    return found
