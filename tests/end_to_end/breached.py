"""A breached gateway: confined processes that run an attacker's code, and the table of what held."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.end_to_end.implant import Breached

from switchgear.testing.gateway import ProviderProcess, free_port
from switchgear.testing.patience import PATIENCE_S

SECRET = "sk-provider-credential-breach-0123456789"


HOOK_SECRET = "courier-destination-secret-breach-0123456789"


PLAIN_UID = 59_990


CONFIG = """
providers:
  fake:
    dialect: openai
    base_url: "http://127.0.0.1:{port}/v1"
    allow_private: true
    credentials: [{{name: main, secret: {{env: FAKE_KEY}}, ceilings: {{requests_per_s: 50}}}}]
models: {{fast: fake/echo}}
pricing: {{overrides: {{fake/echo: {{input_per_mtok: 1, output_per_mtok: 1}}}}}}
courier:
  destinations:
    hook: {{url: "http://127.0.0.1:{hook}/v1", allow_private: true, auth: bearer, secret: {{env: HOOK_SECRET}}}}
    database: {{relay: "tcp://127.0.0.1:{hook}", allow_private: true}}
"""


RESULTS = []


def users():
    if os.geteuid() != 0:
        return ["plain"]
    return ["root", "plain"]


class Estate:
    """A breached gateway with a provider, a key, and what an attacker would like to have."""

    def __init__(self, user):
        self.user = user
        self.provider = ProviderProcess()
        self.victim = ProviderProcess()  # a host that no credential names
        folder = Path(tempfile.mkdtemp(prefix="breach-"))
        uid = PLAIN_UID if user == "plain" and os.geteuid() == 0 else None
        if uid is not None and not can_read_the_program(uid):
            shutil.rmtree(folder)
            pytest.skip("the checkout is closed to other users")
        self.hook = ProviderProcess()  # what the courier may reach
        config = CONFIG.format(port=self.provider.port, hook=self.hook.port)
        secrets = {"FAKE_KEY": SECRET, "HOOK_SECRET": HOOK_SECRET}
        self.gateway = Breached(folder, config, free_port(), free_port(), uid, secrets)
        self.key = self.gateway.json("key", "create", "app")["key"]
        self.data = self.gateway.data
        assert self.call(self.key) == 200

    def call(self, key, path="/v1/chat/completions"):
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "hello"}]})
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=PATIENCE_S)
        try:
            connection.request(
                "POST", path, body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
            )
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def stop(self):
        code = self.gateway.stop()
        self.provider.stop()
        self.victim.stop()
        self.hook.stop()
        assert code == 0


def can_read_the_program(uid):
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import switchgear.app"],
        check=False,
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        cwd="/",
    )
    return done.returncode == 0


def holds(estate, attacker, what, claim):
    RESULTS.append((estate.user, attacker, what, bool(claim)))
    return claim
