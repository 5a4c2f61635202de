"""Golden requests: a folder holds one client's body and what each provider's dialect is sent for it.

A new case is a folder with `DIALECT.client.json`; `WRITE_GOLDEN=1` writes what is missing, to be read before it is kept.
"""

import json
import os
from pathlib import Path

import msgspec
import pytest

from switchgear.dialects.registry import TRANSLATORS
from switchgear.dialects.shape import InvalidBodyError, Node
from switchgear.providers.quirks import Quirks

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("provider", TRANSLATORS)
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_golden_request(case, provider):
    source = next(case.glob("*.client.json"))
    client = source.name.partition(".")[0]
    if client == provider:
        return
    try:
        asked = TRANSLATORS[client].decode_request(Node(json.loads(source.read_text())), "m", False)
        body = TRANSLATORS[provider].encode_request(asked, "claude-sonnet-4-5", Quirks())
        found = {"body": json.loads(msgspec.json.encode(body)), "dropped": list(dict.fromkeys(asked.dropped))}
    except InvalidBodyError as exc:
        found = {"refused": str(exc), "param": exc.param}
    target = case / f"{provider}.json"
    if os.environ.get("WRITE_GOLDEN"):
        target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(target.read_text())
