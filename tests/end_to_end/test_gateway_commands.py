"""The gateway by its commands and its console: what they show, refuse and change."""

import contextlib
import http.client
import json
import os
import subprocess

from tests.end_to_end.calls import BODY, CLI, call
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.patience import PATIENCE_S


def test_the_cli_says_what_is_wrong_in_one_line(gateway):
    for arguments, code in (
        (("key", "show", "nobody"), 2),
        (("key", "create", "Bad Name"), 2),
        (("usage", "--by", "colour"), 2),
        (("usage", "--team", "nosuch"), 2),
        (("log", "list", "--key", "nosuch"), 2),
        (("log", "list", "--outcome", "nope"), 2),
        (("price", "set", "nosuch/model", "--input", "1"), 2),
        (("log", "list", "--since", "yesterday"), 2),
        (("freeze", "key"), 2),
        (("price", "show", "fake/unknown"), 2),
    ):
        done = gateway.cli(*arguments, check=False)
        assert done.returncode == code, (arguments, done.stderr)
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_status_and_lists_have_the_documented_shape(gateway):
    status = gateway.json("status")
    assert status["state"] == "ready", status
    assert {"version", "state", "data_url", "console_url", "pids"} <= set(status)
    assert set(gateway.json("log", "list")) == {"records", "next"}
    usage = gateway.json("usage", "--by", "team,model")
    assert {
        "group",
        "requests",
        "input_tokens",
        "output_tokens",
        "cost_nanousd",
        "cost_usd",
        "unpriced_requests",
    } <= set(usage["total"])
    for command in (
        ["key", "list"],
        ["provider", "list"],
        ["credential", "list"],
        ["model", "list"],
        ["price", "list"],
    ):
        assert gateway.json(*command)
        assert gateway.cli(*command, "-o", "csv").stdout.count("\n") >= 1
        assert gateway.cli(*command, "-o", "wide").stdout


def test_a_keys_name_is_taken_as_an_argument_or_an_option_and_is_unique(gateway):
    gateway.cli("key", "create", "--name", "by-option")
    assert "by-option" in gateway.cli("key", "ls").stdout
    assert gateway.json("key", "get", "by-option")["name"] == "by-option"
    assert gateway.cli("key", "create", "by-option", check=False).returncode == 1


def test_a_credential_added_by_cli_never_shows(gateway, provider):
    secret = "sk-added-by-cli-secret-987654321"
    gateway.cli(
        "provider",
        "add",
        "second",
        "--dialect",
        "openai",
        "--base-url",
        f"http://127.0.0.1:{provider.port}/v1",
        "--allow-private",
    )
    gateway.cli("credential", "add", "second", "--from-stdin", "--yes", stdin=secret + "\n")
    assert "…4321" in gateway.cli("credential", "list").stdout
    assert json.loads(gateway.cli("credential", "test", "second", "--json").stdout)["ok"]
    assert call(gateway, gateway.key("second-user"), BODY.replace("fast", "second/echo"))[0] == 200
    gateway.cli("credential", "disable", "second/default")
    assert call(gateway, gateway.key("second-user2"), BODY.replace("fast", "second/echo"))[0] == 404
    gateway.cli("credential", "enable", "second/default")
    gateway.cli("credential", "remove", "second/default", "--yes")
    gateway.cli("provider", "remove", "second", "--yes")
    for path in gateway.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_model_add_explain_and_remove(gateway, key):
    gateway.cli("model", "add", "mine", "dead/x", "fake/echo")
    assert "callable" in gateway.cli("model", "explain", "mine", "--key", "tests").stdout
    assert call(gateway, key, BODY.replace("fast", "mine"))[0] == 200
    gateway.cli("model", "remove", "mine", "--yes")
    assert call(gateway, key, BODY.replace("fast", "mine"))[0] == 404


def test_an_offline_key_works_by_hash(gateway, provider, tmp_path):
    made = json.loads(offline_key())
    text = config(provider.port, f"keys: {{by-hash: {{sha256: {made['sha256']}, models: [fast]}}}}")
    file = tmp_path / "new.yaml"
    file.write_text(text)
    assert (
        "good"
        in subprocess.run(
            [*CLI, "config", "check", str(file)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **ENVIRON},
        ).stdout
    )
    assert gateway.cli("config", "diff", str(file), check=False).returncode == 1
    gateway.cli("config", "apply", str(file))
    assert call(gateway, made["key"])[0] == 200
    assert "differs" in str(gateway.json("status")["problems"]) or gateway.json("status")["state"] == "ready"
    gateway.cli("config", "apply", str(gateway.config))
    assert call(gateway, made["key"])[0] == 401


def offline_key():
    return subprocess.run(
        [*CLI, "key", "generate", "--offline", "--json"], capture_output=True, text=True, check=True
    ).stdout


def test_a_bad_config_changes_nothing(gateway, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("wrokers: 1\nmodels: {a: nothing}\n")
    done = gateway.cli("config", "apply", str(file), check=False)
    assert done.returncode == 2
    assert "bad.yaml:1" in done.stderr and "did you mean 'workers'" in done.stderr


def test_the_console_checks_host_origin_and_token(gateway):
    def get(path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, None, sent)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, dict(response.getheaders()), data

    assert get("/")[0] == 200
    assert "script-src 'self'" in get("/")[1]["content-security-policy"]
    assert get("/api/v1/status")[0] == 401
    assert get("/api/v1/status", host="evil.example")[0] == 421
    link = gateway.json("admin", "link")["url"]
    token = link.partition("#")[2]

    def setup():
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=PATIENCE_S)
        ) as connection:
            connection.request("POST", "/api/v1/setup", json.dumps({"token": token}))
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    status, body = setup()
    assert status == 200
    assert setup()[0] == 400
    bearer = {"authorization": f"Bearer {body['token']}"}
    assert get("/api/v1/status", **bearer)[0] == 200
    assert get("/api/v1/status", **bearer, origin="https://evil.example")[0] == 403
    assert get("/api/v1/status", **bearer, sec_fetch_site="cross-site")[0] == 403
    virtual = gateway.key("not-an-admin")
    assert get("/api/v1/status", authorization=f"Bearer {virtual}")[0] == 401
