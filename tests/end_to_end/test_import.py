# switchgear:allow-file: samples of what it finds
"""A LiteLLM of 40 models, with its PostgreSQL and its keys, taken over: every model answers, with the keys that clients hold."""

import hashlib
import json
import time
import urllib.error
import urllib.request

import pytest
import yaml
from tests.importers.test_litellm_cipher import all_formats
from tests.store.test_litellm import fill

from switchgear.testing import postgres
from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(
    postgres.binaries() is None, reason="PostgreSQL is not installed: apt-get install postgresql"
)
SALT = "sk-salt-of-litellm-0123456789"
LITERAL = "sk-literal-key-in-the-file-0001"
STORED = [f"sk-stored-in-the-database-{n:04}" for n in range(3)]
KEYS = [f"sk-litellm-key-of-client-{n}-abcdefgh" for n in range(6)]


def sha(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def configuration(port: int) -> dict:
    base = f"http://127.0.0.1:{port}/v1"
    models = []
    for n in range(30):
        key = LITERAL if n % 3 == 0 else f"os.environ/UPSTREAM_{n % 3}"
        models.append(
            {
                "model_name": f"model-{n}",
                "litellm_params": {
                    "model": "openai/echo",
                    "api_base": base,
                    "api_key": key,
                    "input_cost_per_token": 0.000001,
                    "output_cost_per_token": 0.000002,
                },
            }
        )
    models.append(
        {
            "model_name": "model-0",
            "litellm_params": {"model": "openai/echo", "api_base": base, "api_key": LITERAL, "order": 2},
        }
    )
    models.append(
        {"model_name": "wild/*", "litellm_params": {"model": "openai/*", "api_base": base, "api_key": LITERAL}}
    )
    return {
        "model_list": models,
        "litellm_settings": {"num_retries": 1, "fallbacks": [{"model-1": ["model-2"]}]},
        "router_settings": {"model_group_alias": {f"alias-{n}": f"model-{n}" for n in range(6)}},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


@pytest.fixture(scope="module")
def provider():
    running = ProviderProcess()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def estate(tmp_path_factory, provider):
    folder = tmp_path_factory.mktemp("import")
    server = postgres.Postgres(folder)
    values = list(all_formats(STORED[0].encode(), SALT.encode()).values())
    base = f"http://127.0.0.1:{provider.port}/v1"
    fill(
        server.url,
        keys=[
            {
                "token": sha(key),
                "key_alias": f"client {n}",
                "spend": 0.5 * n,
                "models": [] if n else ["model-1", "alias-0"],
                "team_id": "t1" if n == 1 else None,
            }
            for n, key in enumerate(KEYS)
        ],
        teams=[{"team_id": "t1", "team_alias": "Research", "models": []}],
        models=[
            {
                "model_id": str(n),
                "model_name": f"stored-{n}",
                "litellm_params": {"model": "openai/echo", "api_base": base, "api_key": value},
            }
            for n, value in enumerate(values)
        ],
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(provider.port)))
    (folder / "salt").write_text(SALT + "\n")
    yield folder, server.url
    server.stop()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = GatewayProcess(
        "workers: 1\n",
        folder=tmp_path_factory.mktemp("g"),
        workers=1,
        environ={"UPSTREAM_1": "sk-one-one-one-one-one", "UPSTREAM_2": "sk-two-two-two-two"},
    )
    yield running
    running.stop()


def ask(gateway, key: str, model: str) -> tuple[int, dict]:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]}).encode()
    request = urllib.request.Request(
        f"{gateway.url}/v1/chat/completions",
        body,
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


@pytest.fixture(scope="module")
def imported(estate, gateway):
    folder, url = estate
    dry = gateway.cli("import", "litellm", str(folder / "config.yaml"), "--json", check=False)
    assert json.loads(dry.stdout)["applied"] == [] and gateway.json("model", "list")["models"] == []
    arguments = (
        *("import", "litellm", str(folder / "config.yaml"), "--database", url),
        *("--salt-key-file", str(folder / "salt"), "--apply", "--json"),
    )
    return arguments, gateway.cli(*arguments, check=False)


def test_an_import_adds_every_object_and_shows_no_secret(imported):
    _, done = imported
    report = json.loads(done.stdout)
    assert done.returncode == 0, "everything has a counterpart"
    assert [line for line in report["applied"] if line["status"] != "imported"] == [], done.stderr
    written = done.stdout + done.stderr
    assert not any(secret in written for secret in (*STORED, *KEYS, LITERAL, SALT))


def test_imported_keys_and_models_answer_and_spend_goes_on(imported, gateway):
    # 30 names of the file, 3 of the database, 6 aliases and a pattern
    names = (
        [f"model-{n}" for n in range(30)]
        + [f"stored-{n}" for n in range(3)]
        + [f"alias-{n}" for n in range(6)]
        + ["wild/echo"]
    )
    assert len(names) == 40
    for number, name in enumerate(names):
        status, body = ask(gateway, KEYS[1 + number % 4], name)
        assert status == 200, (name, body)
    assert ask(gateway, KEYS[0], "model-1")[0] == 200 and ask(gateway, KEYS[0], "alias-0")[0] == 200
    assert ask(gateway, KEYS[0], "model-2")[0] in {403, 404} and ask(gateway, KEYS[0] + "x", "model-1")[0] == 401
    gateway.records(count=42)
    record = gateway.records("--key", "client-1", count=1)[0]
    assert record["key"]["name"] == "client-1" and record["team"]["name"] == "Research"
    for _ in range(40):
        asked = urllib.request.Request(f"{gateway.url}/v1/key", headers={"x-api-key": KEYS[2]})
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            told = json.load(answer)
        if told["spend_today"]["cost_nanousd"]:
            break
        time.sleep(0.25)
    assert told["spent_before_today_nanousd"] == 1_000_000_000 and told["spend_today"]["cost_nanousd"] > 0
    shown = gateway.json("key", "show", "client-3")
    assert shown["spent_before_nanousd"] == 1_500_000_000 and shown["spent_nanousd"] > 1_500_000_000


def test_a_repetition_adds_nothing_and_breaks_nothing(imported, gateway):
    arguments, _ = imported
    again = json.loads(gateway.cli(*arguments, check=False).stdout)["applied"]
    assert {line["status"] for line in again if line["path"].startswith(("model", "key"))} == {"changed"}
    assert ask(gateway, KEYS[2], "stored-2")[0] == 200


def test_no_secret_is_on_disk(imported, gateway):
    import subprocess

    for secret in (STORED[0], LITERAL, KEYS[1], SALT):
        found = subprocess.run(["grep", "-rlF", secret, str(gateway.data)], capture_output=True, text=True, check=False)
        assert found.stdout == "", secret


def test_an_imported_key_is_rotated_and_revoked_like_any_key(imported, gateway):
    new = gateway.json("key", "rotate", "client-5", "--overlap", "1h")["key"]
    assert ask(gateway, new, "model-3")[0] == 200 and ask(gateway, KEYS[5], "model-3")[0] == 200
    gateway.stop(keep=True)
    gateway.start()  # control publishes every key anew
    assert ask(gateway, new, "model-3")[0] == 200 and ask(gateway, KEYS[5], "model-3")[0] == 200
    gateway.cli("key", "revoke", "client-5", "--yes")
    assert ask(gateway, new, "model-3")[0] == 401 and ask(gateway, KEYS[5], "model-3")[0] == 401


def test_a_gateway_serves_from_a_written_configuration(estate, provider, tmp_path):
    folder, _ = estate
    out = tmp_path / "switchgear.yaml"

    class Nobody:
        data = tmp_path / "none"

    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "switchgear.cli",
        "import",
        "litellm",
        str(folder / "config.yaml"),
        "--out",
        str(out),
        "--data",
        str(Nobody.data),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and out.stat().st_mode & 0o777 == 0o600
    assert LITERAL not in out.read_text() and "env: UPSTREAM_1" in out.read_text()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "exists already" in again.stderr
    running = GatewayProcess(
        out.read_text(),
        folder=tmp_path,
        workers=1,
        environ={"UPSTREAM_1": "sk-one-one-one", "UPSTREAM_2": "sk-two-two-two"},
    )
    try:
        assert ask(running, running.key("k"), "model-1")[0] == 200
    finally:
        running.stop()
