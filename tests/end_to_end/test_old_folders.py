"""A whole data folder of an older program opens: its keys, credentials, freezes and records are there.

`old/0001.tar.xz` was written by the program of 2026-11-24 (9dca51c, schema 0001, before each process was a user of its own), started by root with
`serve --demo`: a key that holds, one that was revoked, one that is frozen, a provider with a credential (`credential add`), a model and one
request that control had not ingested when it was killed. Without its sockets and the space that spools reserve.
"""

import http.client
import json
import tarfile
from pathlib import Path

import pytest

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

OLD = Path(__file__).parent / "old"
KEK = "c768294492fda841e35d514af0a4c27af5bd245a0e29a3cd26b8ca0e62493c07"
KEY = "sk-sg-h2UesS0IkfEP-KHf8XIphOKGXXncAtXw4FGOV9X665fvLndF2yM7lcEf1wwfir"
FROZEN = "sk-sg-bpf4OdUfm8ao-wCPnGG3PO48mP0sf1xLIWZTCLKSggq9rNjr39GeSE5e0AI3g2"


def unpacked(folder):
    with tarfile.open(OLD / "0001.tar.xz") as archive:
        archive.extractall(folder / "data")
    (folder / "data").chmod(0o700)
    (folder / "kek").write_text(KEK + "\n")
    (folder / "kek").chmod(0o600)


def ask(gateway, key):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    body = json.dumps({"model": "demo/echo", "messages": [{"role": "user", "content": "hello"}]})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def gateway(tmp_path):
    tmp_path.chmod(0o755)
    unpacked(tmp_path)
    running = GatewayProcess("models: {fast: demo/echo}\n", folder=tmp_path, workers=1, arguments=("--demo",))
    yield running
    assert running.stop() == 0


def test_a_data_folder_of_the_first_schema_opens_with_everything_that_is_in_it(gateway):
    (record,) = gateway.records(count=1)
    assert (record["key"]["name"], record["outcome"], record["model"]) == ("app", "ok", "demo/echo")
    assert ask(gateway, KEY) == 200 and ask(gateway, FROZEN) == 403
    outcomes = sorted(found["outcome"] for found in gateway.records(count=3))
    assert outcomes == ["denied", "ok", "ok"], "the spool goes on where the old program ended"
    rows = {row["name"]: row for row in gateway.json("key", "list", "--all")["keys"]}
    assert rows["gone"]["revoked_ms"] is not None and rows["stopped"]["team"] == "red"
    credentials = {row["id"]: row for row in gateway.json("credential", "list")["credentials"]}
    assert credentials["local/default"]["opens"] and credentials["local/default"]["last4"] == "6789"
    assert "mine" in gateway.cli("model", "list", "--json").stdout
    status = gateway.json("status")
    assert status["problems"] == [] and status["state"] == "ready", "no credential is closed, no spool stands still"
    assert gateway.json("store", "check")["doubts"] == []
    assert gateway.json("ledger", "verify")["differences"] == []
    gateway.cli("unfreeze", "key", "stopped")
    assert ask(gateway, FROZEN) == 200
    gateway.stop(keep=True)
    gateway.start()
    assert ask(gateway, KEY) == 200 and gateway.json("status")["problems"] == []
