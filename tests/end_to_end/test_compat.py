"""`compat: [litellm]`: its clients and scripts go on working."""

import json
import urllib.error
import urllib.request

import pytest

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

CONFIG = """
compat: [litellm]
providers:
  up: {{dialect: openai, base_url: "http://127.0.0.1:{port}/v1", allow_private: true, auth: none}}
models:
  m: {{deployments: [{{provider: up, model: echo, price: {{input_per_mtok: "1", output_per_mtok: "2"}}}}]}}
"""


@pytest.fixture(scope="module")
def provider():
    running = ProviderProcess()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gateway(provider):
    running = GatewayProcess(CONFIG.format(port=provider.port), workers=1)
    yield running
    running.stop()


def call(gateway, path, key=None, body=None):
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(gateway.url + path, json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, dict(answer.headers), json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, dict(exc.headers), json.load(exc)


BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def test_health_without_a_key_and_without_a_secret(gateway):
    assert call(gateway, "/health/liveliness")[2] == "I'm alive!" == call(gateway, "/health/liveness")[2]
    assert call(gateway, "/health/readiness")[::2] == (200, {"status": "healthy", "db": "connected"})


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "/v1/chat/completions",
        "/engines/m/chat/completions",
        "/openai/deployments/m/chat/completions",
    ],
)
def test_paths_of_litellm_are_served_with_its_headers(gateway, path):
    key = gateway.key(f"k{path.count('/')}{len(path)}")
    status, headers, _ = call(gateway, path, key, BODY)
    assert status == 200
    assert headers["x-litellm-model-group"] == "m" and headers["x-litellm-call-id"] == headers["x-request-id"]
    assert float(headers["x-litellm-response-cost"]) == float(headers["x-switchgear-cost-usd"]) > 0
    assert headers["x-litellm-attempted-retries"] == "0"


def test_a_key_reads_itself_and_no_other(gateway):
    key = gateway.key("reader", "--models", "m")
    assert call(gateway, "/key/info")[0] == 401
    status, _, body = call(gateway, "/key/info", key)
    assert (
        status == 200
        and body["info"]["key_alias"] == "reader"
        and body["info"]["models"] == ["m"]
        and key not in json.dumps(body)
    )
    assert call(gateway, f"/key/info?key={key[:20]}", key)[0] == 403
    assert [m["model_name"] for m in call(gateway, "/model/info", key)[2]["data"]] == ["m"]
    assert call(gateway, "/v1/model/info", key)[0] == 200


@pytest.mark.parametrize(
    "path", ["/key/generate", "/key/delete", "/model/new", "/config/update", "/health/services", "/key/info/x"]
)
def test_other_paths_of_litellm_are_not_found(gateway, path):
    key = gateway.key(f"x{len(path)}{path.count('e')}")
    assert call(gateway, path, key)[0] == 404 and call(gateway, path, key, {"a": 1})[0] == 404


def test_without_compat_nothing_of_it_is_served(provider):
    running = GatewayProcess(CONFIG.format(port=provider.port).replace("compat: [litellm]", ""), workers=1)
    try:
        key = running.key("k")
        for path in ("/health/liveliness", "/key/info", "/model/info"):
            assert call(running, path, key)[0] == 404
        status, headers, _ = call(running, "/chat/completions", key, BODY)
        assert status == 200 and not any(name.lower().startswith("x-litellm") for name in headers)
    finally:
        running.stop()


def test_a_name_that_is_not_known_is_refused(gateway, tmp_path):
    (tmp_path / "c.yaml").write_text("compat: [litelm]\n")
    done = gateway.cli("config", "apply", str(tmp_path / "c.yaml"), check=False)
    assert done.returncode == 2 and "known are litellm" in done.stderr
