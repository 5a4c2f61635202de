"""Golden requests: a folder holds one client's body and what each provider's dialect is sent for it.

A new case is a folder with `DIALECT.client.json`; `WRITE_GOLDEN=1` writes what is missing, to be read before it is kept.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.shape import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("provider", BY_NAME)
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_golden_request(case, provider):
    source = next(case.glob("*.client.json"))
    client = source.name.partition(".")[0]
    if client == provider:
        return
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


def test_a_dialect_is_one_module_and_a_line_in_the_registry():
    folder = Path(__file__).parent / "toy"
    done = subprocess.run([sys.executable, folder / "walk.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
