"""Configurations of running gateways, from outside: included files, reloads, exports, history, proxies in front."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2 as httpx
import pytest
import yaml
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S


def made_key():
    command = [sys.executable, "-m", "switchgear.cli", "key", "generate", "--offline", "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def with_model(provider, line):
    return config(provider.port).replace("models:\n", f"models:\n  {line}\n", 1)


def ask(gateway, token, model="fake/echo", **headers):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return httpx.post(
        f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {token}", **headers}
    )


def wait_until(holds, what):
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def reload(gateway):
    """Send SIGHUP and wait until the command that it starts has ended."""
    before = gateway.log.read_text()
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: len(gateway.log.read_text()) > len(before), "nothing was said of a reload")


@pytest.fixture
def fresh(provider, tmp_path):
    running = []

    def start(text, **options):
        gateway = GatewayProcess(text, folder=tmp_path, environ=ENVIRON, workers=1, **options)
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        if gateway.process is not None:
            gateway.stop()


def test_a_missing_include_changes_nothing_and_its_keys_still_hold(fresh, provider, tmp_path):
    tokens = [made_key() for _ in range(2)]
    part = tmp_path / "keys.yaml"
    part.write_text("keys:\n" + "".join(f"  k{n}: {{sha256: {t['sha256']}}}\n" for n, t in enumerate(tokens)))
    gateway = fresh(config(provider.port) + "include: [keys.yaml]\n")
    assert ask(gateway, tokens[0]["key"]).status_code == 200
    part.rename(tmp_path / "gone.yaml")
    checked = gateway.cli("config", "apply", str(gateway.config), check=False)
    assert checked.returncode == 2
    line = gateway.config.read_text().splitlines().index("include: [keys.yaml]") + 1
    assert f"config.yaml:{line}: include[0]" in checked.stderr
    assert "does not exist" in checked.stderr
    reload(gateway)
    wait_until(lambda: "does not exist" in gateway.log.read_text(), "the reload said nothing of the missing file")
    assert ask(gateway, tokens[0]["key"]).status_code == 200
    assert ask(gateway, tokens[1]["key"]).status_code == 200


def test_a_change_of_an_included_file_is_a_drift(fresh, provider, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.yaml").write_text("models: {one: fake/echo}\n")
    gateway = fresh(config(provider.port) + "include: [parts/*.yaml]\n")

    def problems():
        return "\n".join(gateway.json("status", check=False)["problems"])

    assert problems() == ""
    (tmp_path / "parts" / "a.yaml").write_text("models: {one: fake/other}\n")
    wait_until(lambda: "differs from the configuration in force" in problems(), "an edit was not noticed")
    gateway.cli("config", "apply", str(gateway.config))
    wait_until(lambda: problems() == "", "after applying it still differs")
    (tmp_path / "parts" / "b.yaml").write_text("models: {two: fake/echo}\n")
    wait_until(lambda: "differs from the configuration in force" in problems(), "a new file was not noticed")


def test_keys_that_would_vanish_with_a_file_are_not_revoked_by_accident(fresh, provider, tmp_path):
    tokens = [made_key() for _ in range(12)]
    for round_ in range(2):  # the second time many revoked rows stand beside those that hold
        lines = "".join(f"  r{round_}-{n}: {{sha256: {t['sha256']}}}\n" for n, t in enumerate(tokens))
        if round_ == 0:
            gateway = fresh(config(provider.port) + "keys:\n" + lines)
        else:
            gateway.config.write_text(config(provider.port) + "keys:\n" + lines)
            gateway.cli("config", "apply", str(gateway.config), "--drop-keys")
        assert ask(gateway, tokens[3]["key"]).status_code == 200
    gateway.config.write_text(config(provider.port))
    done = gateway.cli("config", "apply", str(gateway.config), check=False)
    assert done.returncode != 0
    assert "12 keys would be revoked" in done.stderr
    assert ask(gateway, tokens[3]["key"]).status_code == 200
    gateway.stop(keep=True)
    gateway.start(wait=False)  # the file says so at a start, too: the keys still hold, and the status tells of it
    wait_until(lambda: "still hold" in gateway.cli("status", "--json", check=False).stdout, "not told")
    assert ask(gateway, tokens[3]["key"]).status_code == 200
    gateway.cli("config", "apply", str(gateway.config), "--drop-keys")
    assert ask(gateway, tokens[3]["key"]).status_code == 401


def test_a_reload_keeps_sealed_secrets_whose_variables_are_gone(fresh, provider):
    gateway = fresh(config(provider.port))
    token = gateway.key("app")
    gateway.config.write_text(with_model(provider, "again: fake/echo"))
    reload(gateway)
    wait_until(lambda: ask(gateway, token, "again").status_code == 200, "the reload did not apply")
    said = "the secret that is sealed already stays"
    wait_until(lambda: said in gateway.log.read_text(), "the reload said nothing of what stays")
    text = gateway.config.read_text().replace("{env: FAKE_KEY}", "{env: FAKE_KEY_2}")
    assert text != gateway.config.read_text()
    gateway.config.write_text(text.replace("again", "third"))
    reload(gateway)
    wait_until(lambda: "restart it with this one set" in gateway.log.read_text(), "a new variable was not named")
    assert ask(gateway, token, "again").status_code == 200
    assert ask(gateway, token, "third").status_code == 404


def document(gateway):
    return yaml.safe_load(gateway.cli("config", "export").stdout)


def walk(value, path=()):
    """Return every leaf of a document by its path: a second way to compare, which knows nothing of how it was made."""
    if isinstance(value, dict):
        return {k: v for name, inner in value.items() for k, v in walk(inner, (*path, name)).items()}
    if isinstance(value, list):
        return {k: v for number, inner in enumerate(value) for k, v in walk(inner, (*path, number)).items()}
    return {path: value}


def test_an_export_is_a_configuration_of_everything(fresh, provider, tmp_path):
    gateway = fresh(config(provider.port, "keys: {by-hash: {sha256: %s, models: [fast]}}" % ("ab" * 32)))
    token = gateway.key("app", "--team", "research", "--models", "own", "--expires", "90d")
    gateway.cli("credential", "add", "openai", "--from-stdin", stdin="sk-test-0123456789abcdef")
    gateway.cli("model", "add", "own", "fake/echo", "openai/gpt-4o-mini")
    gateway.cli("model", "add", "wild", "fake/echo")
    exported = tmp_path / "exported.yaml"
    exported.write_text(gateway.cli("config", "export").stdout)
    command = [sys.executable, "-m", "switchgear.cli", "config", "check", str(exported)]
    subprocess.run(command, check=True, env={k: v for k, v in os.environ.items() if k not in ENVIRON})
    text = gateway.cli("config", "export", "--references").stdout
    assert "sk-test" not in text + exported.read_text()
    found = document(gateway)
    assert {"openai", "fake"} <= set(found["providers"])
    assert {"own", "wild", "fast"} <= set(found["models"])
    assert {"by-hash", "app"} <= set(found["keys"])
    models, providers = gateway.json("model", "list")["models"], gateway.json("provider", "list")["providers"]
    pepper = (gateway.data / "pepper").read_text()
    gateway.stop(keep=True)

    other_folder = tmp_path / "other"
    other_folder.mkdir()
    (other_folder / "data").mkdir(mode=0o700)
    (other_folder / "data" / "pepper").write_text(pepper)
    (other_folder / "data" / "pepper").chmod(0o600)
    other = GatewayProcess(text, folder=other_folder, environ=ENVIRON, workers=1)
    try:
        assert walk(document(other)) == walk(found)
        strip = ("source", "spec", "credentials")
        mine = [{k: v for k, v in row.items() if k not in strip} for row in other.json("provider", "list")["providers"]]
        theirs = [{k: v for k, v in row.items() if k not in strip} for row in providers]
        assert mine == theirs
        named = {row["name"]: {**row, "source": ""} for row in models}
        assert {row["name"]: {**row, "source": ""} for row in other.json("model", "list")["models"]} == named
        assert ask(other, token, "own").status_code == 200  # the key holds: the pepper came along
        assert ask(other, token, "wild").status_code == 404
    finally:
        other.stop()


def test_history_and_rollback_bring_back_file_and_store(fresh, provider, tmp_path):
    gateway = fresh(config(provider.port))
    token = gateway.key("app")
    gateway.cli("model", "add", "mine", "fake/echo")
    gateway.config.write_text(with_model(provider, "second: fake/echo"))
    planned = gateway.cli("config", "apply", "--dry-run", str(gateway.config)).stdout
    assert "models.second: added (fake/echo)" in planned
    assert ask(gateway, token, "second").status_code == 404
    gateway.cli("config", "apply", str(gateway.config))
    gateway.cli("model", "remove", "mine", "--yes")
    versions = gateway.json("config", "history")["versions"]
    assert [v["number"] for v in versions] == [4, 3, 2, 1]
    assert "models -1" in versions[0]["summary"]
    assert ask(gateway, token, "second").status_code == 200
    assert ask(gateway, token, "mine").status_code == 404
    done = gateway.cli("config", "rollback", "2", "--yes").stdout
    assert "models.mine: added" in done
    assert "models.second: removed" in done
    assert f"the file {gateway.config}" in done
    assert ask(gateway, token, "mine").status_code == 200
    assert ask(gateway, token, "second").status_code == 404
    assert gateway.json("config", "history")["versions"][0]["action"] == "rollback to 2"
    gateway.cli("config", "rollback", "previous", "--yes")
    assert ask(gateway, token, "second").status_code == 200
    assert gateway.cli("config", "rollback", "99", "--yes", check=False).returncode != 0


def test_an_applied_configuration_survives_the_death_of_control(fresh, provider):
    gateway = fresh(config(provider.port))
    token = gateway.key("app")
    gateway.config.write_text(with_model(provider, "second: fake/echo"))
    gateway.cli("config", "apply", str(gateway.config))
    [control] = gateway.pids("control")
    os.kill(control, signal.SIGKILL)
    wait_until(lambda: gateway.pids("control") not in ([], [control]), "control did not come back")
    wait_until(lambda: gateway.cli("model", "list", check=False).returncode == 0, "control does not answer")
    assert "second" in gateway.cli("model", "list").stdout
    assert ask(gateway, token, "second").status_code == 200


def test_settings_of_processes_hold_from_the_next_start_on_and_that_is_said(fresh, provider):
    gateway = fresh(config(provider.port))
    gateway.config.write_text(config(provider.port) + "limits: {head_s: 20}\n")
    done = gateway.json("config", "apply", str(gateway.config))
    assert done["restart"] == ["limits.head_s"]
    assert gateway.json("status", check=False)["config"]["restart"] == ["limits.head_s"]


def test_a_file_that_names_what_the_store_has_starts_again(fresh, provider):
    gateway = fresh(config(provider.port))
    gateway.cli("provider", "add", "second", "--dialect", "openai", "--base-url", f"http://127.0.0.1:{provider.port}/v1",
                "--allow-private", "--auth", "none")  # fmt: skip
    token = gateway.key("app")
    gateway.config.write_text(with_model(provider, "via: second/echo"))
    gateway.cli("config", "apply", str(gateway.config))
    gateway.stop(keep=True)
    gateway.start()
    assert ask(gateway, token, "via").status_code == 200
    gateway.stop(keep=True)
    gateway.config.write_text(with_model(provider, "via: secnod/echo"))
    with pytest.raises(RuntimeError, match="there is no provider 'secnod'; did you mean 'second'"):
        gateway.start()
    gateway.process = None


def test_clients_behind_a_proxy_are_who_the_proxy_says(fresh, provider):
    gateway = fresh(config(provider.port) + "listen: {trusted_proxies: [127.0.0.1/32, 10.0.0.0/8]}\n")
    office = gateway.key("office", "--cidr", "203.0.113.0/24")
    anyone = gateway.key("anyone")
    assert ask(gateway, office, **{"x-forwarded-for": "203.0.113.7"}).status_code == 200
    assert ask(gateway, office, **{"x-forwarded-for": "203.0.113.7, 198.51.100.1"}).status_code == 403
    assert ask(gateway, office, **{"x-forwarded-for": "198.51.100.1, 203.0.113.7, 10.1.2.3"}).status_code == 200
    assert ask(gateway, office, **{"x-forwarded-for": "203.0.113.7, nonsense"}).status_code == 403
    assert ask(gateway, office).status_code == 403
    ask(gateway, anyone, **{"x-forwarded-for": "2001:db8::9, 10.1.2.3"})
    ask(gateway, anyone, **{"x-forwarded-for": "203.0.113.8, nonsense, 10.9.9.9"})
    records = gateway.records("--key", "anyone", count=2)
    shown = [gateway.json("log", "show", record["id"])["client_ip"] for record in records]
    assert sorted(shown) == ["10.9.9.9", "2001:db8::9"]
    text = httpx.get(f"{gateway.url}/connect/codex", headers={"x-forwarded-proto": "https"}).text
    assert "https://" in text
    assert "http://127" not in text


def test_forwarding_headers_of_an_untrusted_peer_are_ignored(gateway):
    office = gateway.key("spoofed", "--cidr", "203.0.113.0/24")
    assert ask(gateway, office, "fake/echo", **{"x-forwarded-for": "203.0.113.7"}).status_code == 403
    assert "https://127" not in httpx.get(f"{gateway.url}/connect/codex", headers={"x-forwarded-proto": "https"}).text


class Proxy:
    """An HTTP proxy that connects where it is asked to (RFC 9110 §9.3.6) and notes it."""

    def __init__(self):
        self.asked = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        method, where, _ = head.split(b" ", 2)
        self.asked.append((method, where))
        host, _, port = where.rpartition(b":")
        server = socket.create_connection((host.decode(), int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    def _copy(self, source, target):
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        target.close()

    def close(self):
        self._listener.close()


def test_a_provider_is_reached_through_its_proxy_and_with_its_headers(provider, tmp_path):
    proxy = Proxy()
    lines = f"proxy: 'http://127.0.0.1:{proxy.port}', headers: {{HTTP-Referer: 'https://app.example', x-team: ml}}"
    text = config(provider.port).replace("providers:\n", f"providers:\n  behind: {{dialect: openai, base_url: 'http://127.0.0.1:{provider.port}/v1', allow_private: true, auth: none, {lines}}}\n", 1)  # fmt: skip
    gateway = GatewayProcess(text, folder=tmp_path, environ=ENVIRON, workers=1)
    try:
        token = gateway.key("k")
        assert ask(gateway, token, "behind/echo").status_code == 200
        assert proxy.asked == [(b"CONNECT", f"127.0.0.1:{provider.port}".encode())]
        sent = [head for head in provider.headers() if "x-team" in head][-1]
        assert (sent["x-team"], sent["http-referer"]) == ("ml", "https://app.example")
        proxy.close()
        assert ask(gateway, token, "fake/echo").status_code == 200, "others do not go through it"
        assert len(proxy.asked) == 1
    finally:
        gateway.stop()


def test_pages_of_named_origins_may_ask_and_read_and_no_others(provider, tmp_path):
    gateway = GatewayProcess(f"listen: {{cors: ['https://app.example']}}\n{config(provider.port)}", folder=tmp_path, environ=ENVIRON, workers=1)  # fmt: skip
    try:
        token = gateway.key("k")
        url = f"{gateway.url}/v1/chat/completions"
        asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
        good = httpx.options(url, headers={"origin": "https://app.example", **asks})
        assert good.status_code == 200 and good.headers["access-control-allow-origin"] == "https://app.example"
        assert good.headers["access-control-allow-headers"] == "authorization,content-type"
        bad = httpx.options(url, headers={"origin": "https://evil.example", **asks})
        assert bad.status_code >= 400 and "access-control-allow-origin" not in bad.headers
        plain = ask(gateway, token, origin="https://app.example")
        assert plain.status_code == 200 and plain.headers["access-control-allow-origin"] == "https://app.example"
        body = {"model": "fake/echo", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        heads = {"authorization": f"Bearer {token}", "origin": "https://app.example"}
        streamed = httpx.post(url, json=body, headers=heads)
        assert "[DONE]" in streamed.text and streamed.headers["access-control-allow-origin"] == "https://app.example"
        refused = httpx.post(url, json=body, headers={"origin": "https://app.example"})
        assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == "https://app.example"
    finally:
        gateway.stop()
