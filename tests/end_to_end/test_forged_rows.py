"""S5: somebody has the database's file and writes into it; nothing of that reaches an edge, everything else goes on, and it is told."""

import contextlib
import hashlib
import http.client
import json
import os
import sqlite3
import time

import pytest
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S


@pytest.fixture
def gateway(provider):
    running = GatewayProcess(config(provider.port), environ=ENVIRON, workers=1)
    yield running
    assert running.stop() == 0


def ask(gateway, key, model="fast"):
    """Return the status and the error's code."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    try:
        connection.request(
            "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
        )
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("x-switchgear-error")
    finally:
        connection.close()


def admin(gateway, token):
    """Ask the console with an admin token; returns the status."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/api/v1/keys", headers={"authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def attack(gateway, statement, parameters=()):
    store = gateway.data / "store" / "store.sqlite"
    with contextlib.closing(sqlite3.connect(store, timeout=PATIENCE_S)) as raw, raw:
        return raw.execute(statement, parameters).fetchall()


def restart_control(gateway):
    (before,) = gateway.pids("control")
    os.kill(before, 9)
    until = time.monotonic() + PATIENCE_S
    while gateway.pids("control") in ([before], []) or gateway.status().get("state") != "ready":
        assert time.monotonic() < until
        time.sleep(0.05)
    while json.loads(gateway.cli("status", "--json", check=False).stdout)["problems"] == []:
        assert time.monotonic() < until, "control has not looked at the database yet"
        time.sleep(0.1)


POLICY = "UPDATE keys SET policy = CAST(? AS BLOB) WHERE name = ?"


def test_S5_nothing_that_somebody_writes_into_the_database_is_published_and_everything_else_goes_on(gateway):
    names = ("narrow", "leaver", "frozen", "one", "two", "changed", "lost")
    keys = {name: gateway.key(name, "--models", "safe" if name == "two" else "fast") for name in names}
    gateway.cli("model", "add", "mine", "fake/echo")
    free = gateway.key("free")
    yesterday = attack(gateway, "SELECT version, policy, updated_ms, mac FROM keys WHERE name = 'changed'")[0]
    gateway.cli("key", "update", "changed", "--models", "safe")
    gateway.cli("key", "revoke", "leaver", "--yes")
    gateway.cli("freeze", "key", "frozen")
    assert gateway.json("store", "check")["doubts"] == []

    def behaviour():
        return {
            "narrow": [ask(gateway, keys["narrow"], model) for model in ("fast", "safe")],
            "leaver": ask(gateway, keys["leaver"]),
            "frozen": ask(gateway, keys["frozen"]),
            "one": [ask(gateway, keys["one"], model) for model in ("fast", "safe")],
            "two": [ask(gateway, keys["two"], model) for model in ("fast", "safe")],
            "changed": [ask(gateway, keys["changed"], model) for model in ("fast", "safe")],
            "lost": ask(gateway, keys["lost"]),
            "mine": ask(gateway, free, "mine"),
            "forged token": admin(gateway, "sgat-evil"),
        }

    before = behaviour()
    assert [before["leaver"][0], before["frozen"][0], before["lost"][0], before["mine"][0]] == [401, 403, 200, 200]
    assert [status for status, _ in before["narrow"]] == [200, 404] and before["forged token"] == 401

    one, two = (attack(gateway, "SELECT policy FROM keys WHERE name = ?", (name,))[0][0] for name in ("one", "two"))
    attack(gateway, POLICY, ("{}", "narrow"))
    attack(gateway, "UPDATE keys SET revoked_ms = NULL WHERE name = 'leaver'")
    attack(gateway, "DELETE FROM freezes")
    attack(gateway, POLICY, (two, "one"))
    attack(gateway, POLICY, (one, "two"))
    columns = "version = ?, policy = ?, updated_ms = ?, mac = ?"
    attack(gateway, f"UPDATE keys SET {columns} WHERE name = 'changed'", yesterday)
    attack(gateway, "DELETE FROM keys WHERE name = 'lost'")
    change = "CAST(replace(CAST(spec AS TEXT), '\"fake\"', '\"dead\"') AS BLOB)"
    attack(gateway, f"UPDATE objects SET spec = {change} WHERE kind = 'model' AND name = 'mine'")
    attack(
        gateway, "INSERT INTO tokens (hash, name, kind, role, created_ms, mac) VALUES (?, 'evil', 'api', 'owner', 1, ?)",
        (hashlib.sha256(b"sgat-evil").digest(), bytes(32)),
    )  # fmt: skip

    expected = {
        ("key", "narrow", "forged"), ("key", "leaver", "forged"), ("key", "one", "forged"), ("key", "two", "forged"),
        ("key", "changed", "older"), ("key", "lost", "missing"), ("freeze", "key:frozen", "missing"),
        ("model", "mine", "forged"), ("token", "evil", "forged"),
    }  # fmt: skip
    checked = gateway.cli("store", "check", "--json", check=False)
    assert checked.returncode == 3
    assert {(d["kind"], d["name"], d["why"]) for d in json.loads(checked.stdout)["doubts"]} == expected
    assert behaviour() == before
    problems = json.loads(gateway.cli("status", "--json", check=False).stdout)["problems"]
    for word in (
        "'leaver', 'narrow', 'one', 'two'",
        "'changed' is older",
        "'lost' is gone",
        "'key:frozen' is gone",
        "'mine'",
    ):
        assert any(word in problem for problem in problems), (word, problems)
    assert "were not written by this gateway" in gateway.log.read_text()
    doctor = json.loads(gateway.cli("doctor", "--json", check=False).stdout)["findings"]
    assert any(finding["id"].startswith("store-row") for finding in doctor)

    restart_control(gateway)
    assert behaviour() == before
    # Everything else goes on, and what is doubted can be ended.
    assert ask(gateway, gateway.key("new"))[0] == 200
    refused = gateway.cli("key", "update", "narrow", "--models", "safe", check=False)
    assert refused.returncode and "was not written by this gateway" in refused.stderr
    gateway.cli("key", "revoke", "narrow", "--yes")
    assert ask(gateway, keys["narrow"])[0] == 401
    gateway.cli("unfreeze", "key", "frozen")
    assert ask(gateway, keys["frozen"])[0] == 200
    # An operator takes it as it is: what is older and what is gone, and what others wrote only where that is said.
    gateway.cli("store", "accept", "--yes", check=False)
    assert [ask(gateway, keys["changed"], model)[0] for model in ("fast", "safe")] == [200, 404]
    assert ask(gateway, keys["lost"])[0] == 401
    after = behaviour()
    assert (after["one"], after["two"], after["mine"]) == (before["one"], before["two"], before["mine"])
    gateway.cli("token", "revoke", "evil", "--yes")
    gateway.cli("store", "accept", "--unsigned", "--yes")
    assert gateway.json("store", "check")["doubts"] == []
    assert [ask(gateway, keys["one"], model)[0] for model in ("fast", "safe")] == [404, 200]
    assert admin(gateway, "sgat-evil") == 401
    assert ask(gateway, keys["leaver"])[0] == 401, "what was revoked stays so"


def test_S5_a_database_that_is_made_to_look_old_has_its_rows_not_signed_again(gateway):
    key = gateway.key("narrow", "--models", "fast")
    gateway.stop(keep=True)
    for table in ("objects", "keys", "freezes", "tokens"):
        attack(gateway, f"ALTER TABLE {table} DROP COLUMN mac")
    attack(gateway, "UPDATE alembic_version SET version_num = '0007'")
    attack(gateway, POLICY, ("{}", "narrow"))
    gateway.start()
    assert [ask(gateway, key, model)[0] for model in ("fast", "safe")] == [200, 404]
    assert "not written by this gateway" in gateway.cli("store", "check", check=False).stdout + gateway.log.read_text()
