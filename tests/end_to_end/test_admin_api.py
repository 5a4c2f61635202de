"""The admin API from outside: tokens and roles, metrics, the document that describes it, and Schemathesis against it."""

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.end_to_end.calls import call
from tests.end_to_end.setups import ENVIRON, SECRET, config

from switchgear.control.api import PERMISSIONS
from switchgear.control.routes import ROUTES
from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def gateway(provider):
    made = GatewayProcess(config(provider.port), environ=ENVIRON, workers=1)
    yield made
    made.stop()


def ask(gateway, token, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
    sent = {"host": f"127.0.0.1:{gateway.console_port}", **headers}
    if token:
        sent["authorization"] = f"Bearer {token}"
    connection.request(method, path, json.dumps(body) if body is not None else None, sent)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, data


def token(gateway, name, role, *arguments):
    return gateway.json("token", "create", name, "--role", role, *arguments)["token"]


def test_a_token_does_what_its_role_says_until_it_is_revoked(gateway):
    viewer = token(gateway, "prometheus", "viewer", "--expires", "1d")
    assert ask(gateway, viewer, "/api/v1/status")[0] == 200
    assert ask(gateway, viewer, "/api/v1/log")[0] == 403
    assert ask(gateway, viewer, "/api/v1/tokens", "POST", {"name": "more", "role": "owner"})[0] == 403
    listed = gateway.json("token", "list")["tokens"]
    assert ("prometheus", "viewer") in [(row["name"], row["role"]) for row in listed]
    assert viewer not in json.dumps(listed)
    assert "exists already" in gateway.cli("token", "create", "prometheus", "--role", "viewer", check=False).stderr
    assert "no role" in gateway.cli("token", "create", "other", "--role", "king", check=False).stderr
    gateway.cli("token", "revoke", "prometheus", "--yes")
    assert ask(gateway, viewer, "/api/v1/status")[0] == 401
    assert gateway.cli("token", "revoke", "prometheus", "--yes", check=False).returncode == 2


def test_every_route_refuses_strangers_and_roles_without_its_permission(gateway):
    """From the table itself: a route that forgets to ask would show here."""
    tokens = {role: token(gateway, f"role-{role}", role) for role in PERMISSIONS}
    for route in ROUTES:
        path = route.path.replace("{name:path}", "x").replace("{subject:path}", "x")
        path = path.replace("{name}", "x").replace("{id}", "x").replace("{provider}", "x")
        if route.permission == "public":
            continue
        assert ask(gateway, None, path, route.method)[0] == 401, route
        assert ask(gateway, "sgat-" + "0" * 64, path, route.method)[0] == 401, route
        for role, granted in PERMISSIONS.items():
            if route.permission not in granted:
                assert ask(gateway, tokens[role], path, route.method)[0] == 403, (route, role)
    for role in PERMISSIONS:
        gateway.cli("token", "revoke", f"role-{role}", "--yes")


def test_virtual_keys_and_other_hosts_do_not_work_here(gateway):
    owner = token(gateway, "hosts", "owner")
    assert ask(gateway, gateway.key("not-here"), "/api/v1/status")[0] == 401
    assert ask(gateway, owner, "/api/v1/status", host="evil.example")[0] == 421
    assert ask(gateway, owner, "/api/v1/status", origin="https://evil.example")[0] == 403
    assert ask(gateway, owner, "/metrics", **{"sec-fetch-site": "cross-site"})[0] == 403
    gateway.cli("token", "revoke", "hosts", "--yes")


def test_C8_metrics_show_traffic_and_both_books(gateway):
    viewer = token(gateway, "metrics", "viewer")
    before = _metrics(gateway, viewer)
    key = gateway.key("measured")
    for _ in range(3):
        assert call(gateway, key)[0] == 200
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = _metrics(gateway, viewer)
        if found.get('switchgear_requests_total{provider="fake"}', 0) >= 3 and (
            found["switchgear_double_entry_checked_total"] >= before["switchgear_double_entry_checked_total"] + 3
        ):
            break
        time.sleep(0.1)
    assert found["switchgear_ready"] == 1
    assert found['switchgear_processes{role="edge"}'] == 1
    assert found["switchgear_double_entry_unspooled_total"] == 0
    assert found["switchgear_findings"] == 0
    assert found['switchgear_cost_usd_total{provider="fake"}'] > 0
    assert found["switchgear_ledger_records_total"] >= before["switchgear_ledger_records_total"] + 3
    gateway.cli("token", "revoke", "metrics", "--yes")


def _metrics(gateway, viewer):
    status, data = ask(gateway, viewer, "/metrics")
    assert status == 200
    assert SECRET.encode() not in data
    lines = [line.rsplit(" ", 1) for line in data.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_schemathesis_finds_no_fault(provider, tmp_path):
    """Every operation with edge cases and random input, as an owner: no 5xx, nothing undocumented. On a gateway of its own: it
    also applies configurations and freezes traffic."""
    gateway = GatewayProcess(config(provider.port), environ=ENVIRON, workers=1)
    try:
        _attack(gateway, tmp_path)
    finally:
        gateway.stop()


def _attack(gateway, tmp_path):
    owner = token(gateway, "schemathesis", "owner")
    status, data = ask(gateway, owner, "/api/openapi.json")
    assert status == 200
    document = json.loads(data)
    described = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    assert len(described) == len(ROUTES)
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    program = Path(sys.executable).with_name("st")
    done = subprocess.run(
        [
            *(program, "run", path, "--url", f"http://127.0.0.1:{gateway.console_port}"),
            *("-H", f"Authorization: Bearer {owner}", "--checks", CHECKS, "--max-examples", EXAMPLES),
            *("--phases", "examples,coverage,fuzzing", "--seed", "20261126", "--no-color"),
            *("--generation-database", "none"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE_S,  # thousands of requests
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert gateway.status()["state"] == "ready"
    assert "Traceback" not in gateway.log.read_text()
