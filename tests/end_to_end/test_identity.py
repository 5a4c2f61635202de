"""Tokens of the platform's: the vault reads them in the folder that the operator gave, anew each time, and nowhere else."""

import http.server
import json
import os
import threading
import time
import urllib.parse

import pytest
from tests.end_to_end.calls import call
from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S


class TokenService(http.server.ThreadingHTTPServer):
    """Trades what it knows; its tokens hold for a minute, so that each new connection of the vault's begins with a fresh one."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class TokenHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        self.server.asked.append(form)
        body = json.dumps({"access_token": f"access-for-{form['client_assertion']}", "expires_in": 60}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def tokens():
    server = TokenService()
    yield server
    server.shutdown()
    server.server_close()


def publish(folder, number, content):
    """Renew the token as Kubernetes does: a new folder, and one link that changes as one step."""
    data = folder / f"..{number}"
    data.mkdir(mode=0o755)
    (data / "azure").write_text(content)
    (data / "azure").chmod(0o644)
    link = folder / "..data.new"
    link.symlink_to(data.name)
    link.rename(folder / "..data")
    if not (folder / "azure").is_symlink():
        (folder / "azure").symlink_to("..data/azure")


def test_C4_the_platforms_token_is_traded_and_a_renewed_one_is_noticed(provider, tokens, tmp_path):
    folder = tmp_path / "identity"
    folder.mkdir(mode=0o755)
    os.chmod(tmp_path, 0o755)
    publish(folder, 1, "jwt-1")
    outside = tmp_path / "outside"
    outside.write_text("a-secret-of-the-operator's")
    outside.chmod(0o644)
    (folder / "escape").symlink_to(outside)
    entry = 'auth: entra_federated, auth_parameters: {{tenant_id: t, client_id: c, token: {name}, token_url: "http://127.0.0.1:{port}/token"}}'
    rows = "".join(
        f'  {name}: {{dialect: openai, base_url: "http://127.0.0.1:{provider.port}/v1", allow_private: true, '
        + entry.format(name=token, port=tokens.server_port)
        + "}\n"
        for name, token in (("good", "azure"), ("bad", "escape"), ("none", "missing"))
    )
    text = config(provider.port).replace("models:\n", rows + "models:\n", 1)
    gateway = GatewayProcess(
        text, environ=ENVIRON, workers=1, arguments=("--identity-dir", str(folder), "--identity-host", "127.0.0.1")
    )
    try:
        key = gateway.key("app")
        ask = json.dumps({"model": "good/echo", "messages": [{"role": "user", "content": "hello"}]})
        status, _, body = call(gateway, key, ask)
        assert status == 200, (body, gateway.log.read_text())
        assert tokens.asked[-1]["client_assertion"] == "jwt-1"
        assert provider.headers()[-1]["authorization"] == "Bearer access-for-jwt-1"
        publish(folder, 2, "jwt-2")
        # The grant ends in a minute, so it is renewed in the background from its first use on.
        until = time.monotonic() + PATIENCE_S
        while tokens.asked[-1]["client_assertion"] != "jwt-2" and time.monotonic() < until:
            assert call(gateway, key, ask)[0] == 200
            time.sleep(0.1)
        assert tokens.asked[-1]["client_assertion"] == "jwt-2"
        for name in ("bad", "none"):
            status, _, body = call(gateway, key, ask.replace("good/", f"{name}/"))
            assert status == 502
            assert b"cannot be read" not in body and b"operator" not in body, "that is for administrators"
            (refused,) = gateway.records("--model", f"{name}/echo")
            assert "cannot be read" in refused["error"]["message"]
        assert all("operator" not in json.dumps(form) for form in tokens.asked), "the cell ends where the folder ends"
        assert "operator" not in gateway.log.read_text()
    finally:
        gateway.stop()


def test_without_a_folder_the_refusal_says_what_to_do(provider, tokens):
    row = f'  good: {{dialect: openai, base_url: "http://127.0.0.1:{provider.port}/v1", allow_private: true, auth: entra_federated, auth_parameters: {{tenant_id: t, client_id: c, token: azure}}}}\n'
    gateway = GatewayProcess(
        config(provider.port).replace("models:\n", row + "models:\n", 1),
        environ=ENVIRON,
        workers=1,
        arguments=("--identity-host", "127.0.0.1"),
    )
    try:
        ask = json.dumps({"model": "good/echo", "messages": [{"role": "user", "content": "hello"}]})
        status, _, body = call(gateway, gateway.key("app"), ask)
        assert status == 502 and b"the provider cannot be reached" in body
        assert "--identity-dir" in gateway.records()[0]["error"]["message"]
    finally:
        gateway.stop()


def test_a_folder_that_is_none_is_refused_at_the_start(provider, tmp_path):
    gateway = GatewayProcess(
        config(provider.port), environ=ENVIRON, arguments=("--identity-dir", str(tmp_path / "nowhere")), start=False
    )
    with pytest.raises(RuntimeError, match="is not a folder"):
        gateway.start()
    gateway.stop()
