"""A tiny request through the gateway, to a model and to each of its deployments: `model test`. Level 7."""

import http.client
import json
import os
import shlex
import time
from typing import Any
from urllib.parse import urlsplit

from switchgear.cli.base import Column, expiry
from switchgear.cli.client import Client, segment
from switchgear.core.errors import UserError
from switchgear.core.key_policy import DEPLOYMENT

ANSWER_S = 120.0
COLUMNS = (
    Column("TARGET", "target", "id"),
    Column("OK", "ok"),
    Column("STATUS", "status", "number"),
    Column("DEPLOYMENT", "deployment"),
    Column("MS", "ms", "number", drop=2),
    Column("COST", "cost_usd", drop=3),
    Column("REQUEST", "request_id", "id", drop=1),
    Column("ERROR", "error", wide=True),
)
_BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Say OK."}], "max_tokens": 16}),
    "embeddings": ("/v1/embeddings", {"input": "OK"}),
}


def deployments_of(explained: dict[str, Any]) -> list[str]:
    """Return the deployments that are asked one by one (`provider/model@credential`); none where the name says which one it is."""
    found = list(dict.fromkeys(one["deployment"] for one in explained["candidates"]))
    return found if len(found) > 1 else []


def targets_of(name: str, explained: dict[str, Any]) -> list[str]:
    """Return what to ask for with a key that somebody holds: the name itself, and each deployment as provider/model."""
    found = [f"{c['credential'].partition('/')[0]}/{c['upstream_model']}" for c in explained["candidates"]]
    return list(dict.fromkeys([name, *(found if len(found) > 1 else [])]))


def run(client: Client, name: str, key: str | None, url: str | None, kind: str) -> list[dict[str, Any]]:
    """Ask for each target; returns a row per request. Raises UserError when nothing can be asked."""
    explained = client.call("GET", "/models/explain", model=name)
    if not explained["candidates"]:
        raise UserError(
            f"a request for {name!r} goes nowhere: {explained['steps'][-1] if explained['steps'] else 'no such model'}",
            f"switchgear model explain {shlex.quote(name)}",
            2,
        )
    root = url or client.call("GET", "/status")["data_url"]
    if key is not None:
        return [_ask(root, key, target, kind) for target in targets_of(name, explained)]
    made = f"model-test-{os.urandom(4).hex()}"
    key = str(client.call("POST", "/keys", {"name": made, "models": [name], "expires": expiry("10m")})["key"])
    try:
        rows = [_ask(root, key, name, kind)]
        for deployment in deployments_of(explained):
            # A key that requires a deployment is served there and nowhere else, whatever its conditions.
            client.call("PATCH", f"/keys/{segment(made)}", {"require": {DEPLOYMENT: deployment}})
            rows.append(_ask(root, key, name, kind, deployment))
        return rows
    finally:
        client.call("POST", f"/keys/{segment(made)}/revoke")


def _ask(root: str, key: str, target: str, kind: str, shown: str | None = None) -> dict[str, Any]:
    parts = urlsplit(root)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"--url {root!r} must begin with http:// or https://", "e.g. http://127.0.0.1:4100", 2)
    path, body = _BODIES[kind]
    opener = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = opener(parts.hostname, parts.port, timeout=ANSWER_S)
    began_s = time.monotonic()
    try:
        headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "user-agent": "switchgear-model-test",
        }
        connection.request("POST", path, json.dumps({"model": target, **body}), headers)
        response = connection.getresponse()
        answer = response.read(1 << 20)
    except (OSError, http.client.HTTPException) as exc:
        raise UserError(f"{root} does not answer: {exc}", "give the data plane's address with --url") from None
    except ValueError:
        raise UserError("--key holds no virtual key", "it begins with sk-sg-", 2) from None
    finally:
        connection.close()
    return {
        "target": shown or target,
        "ok": response.status == 200,
        "status": response.status,
        "deployment": response.getheader("x-switchgear-provider"),
        "ms": round((time.monotonic() - began_s) * 1000),
        "cost_usd": response.getheader("x-switchgear-cost-usd"),
        "request_id": response.getheader("x-request-id"),
        "error": None if response.status == 200 else _error(answer),
    }


def _error(answer: bytes) -> str:
    try:
        said = json.loads(answer)["error"]
        text = said["message"] if isinstance(said, dict) else said
    except (ValueError, KeyError, TypeError, RecursionError):
        text = answer.decode("utf-8", "replace")
    return str(text)[:300]
