"""Golden requests: a folder holds one client's body and what each provider's dialect is sent for it.

A new case is a folder with `DIALECT.client.json`; `WRITE_GOLDEN=1` writes what is missing, to be read before it is kept.
"""

import json
import os
from pathlib import Path

import msgspec

from switchgear.dialects.json_node import InvalidBodyError, Node
from switchgear.dialects.registry import BY_NAME
from switchgear.providers.quirks import Quirks

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path for path in GOLDEN.iterdir() if path.is_dir())


def client_of(case):
    return next(case.glob("*.client.json")).name.partition(".")[0]


def pairs(dialect):
    """Cases and providers with this dialect on one side, and another on the other."""
    every = [(case, provider) for case in CASES for provider in BY_NAME if provider != client_of(case)]
    return [pair for pair in every if dialect in {client_of(pair[0]), pair[1]}]


def check(case, provider):
    client = client_of(case)
    source = case / f"{client}.client.json"
    try:
        asked = BY_NAME[client].translator.decode_request(Node(json.loads(source.read_text())), "m", False)
        body = BY_NAME[provider].translator.encode_request(asked, "claude-sonnet-4-5", Quirks())
        found = {"body": json.loads(msgspec.json.encode(body)), "dropped": list(dict.fromkeys(asked.dropped))}
    except InvalidBodyError as exc:
        found = {"refused": str(exc), "param": exc.param}
    target = case / f"{provider}.json"
    if os.environ.get("WRITE_GOLDEN"):
        target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(target.read_text())
