"""TLS on both sides: the data plane's certificate, and providers with a private authority."""

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time

import pytest
import trustme
from tests.end_to_end import setups
from tests.end_to_end.setups import ENVIRON, SECRET

from switchgear.confine import cell
from switchgear.net.clock import SystemClock
from switchgear.testing.fake_provider import FakeProvider
from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S


def test_P1_beyond_loopback_only_with_tls_and_in_cells(authority, tmp_path, provider):
    """docs/contract.md §2: the refusal says what is missing; with all of it, other machines are answered."""
    authority.issue_cert("gateway.test", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "both.pem"
    )
    tls = ("--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem"))
    gateway = GatewayProcess(setups.config(provider.port), folder=tmp_path, environ=ENVIRON, start=False)

    def refusal(*arguments):
        gateway.use_arguments(*arguments)
        with pytest.raises(RuntimeError) as caught:
            gateway.start()
        return str(caught.value).rpartition("error: ")[2]

    everywhere = ("--listen", f"0.0.0.0:{gateway.port}")
    assert "must not travel in the clear" in refusal(*everywhere)
    assert "no admin accounts" in refusal(*everywhere, *tls, "--console", f"0.0.0.0:{gateway.console_port}")
    if cell.probe():
        assert "cannot confine" in refusal(*everywhere, *tls)
        return
    gateway.use_arguments(*everywhere, *tls)
    gateway.start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", gateway.port, context=context, timeout=PATIENCE_S)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        found = gateway.json("doctor", check=False)["findings"]
        assert [f for f in found if f["severity"] not in {"low", "info"}] == []
    finally:
        code = gateway.stop(keep=True)
    assert code == 0


BODY = json.dumps({"model": "fake/echo", "messages": [{"role": "user", "content": "hello"}]})


@pytest.fixture
def authority(tmp_path):
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def secure_provider(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    sock.setblocking(False)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve():
        provider = FakeProvider(SystemClock())
        await provider.server.start(sock, tls=context)
        ready.set()
        await stop.wait()
        provider.server.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(PATIENCE_S)
    yield sock.getsockname()[1]
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def ask(gateway, key, context):
    connection = http.client.HTTPSConnection("localhost", gateway.port, timeout=PATIENCE_S, context=context)
    try:
        connection.request(
            "POST", "/v1/chat/completions", BODY, {"authorization": f"Bearer {key}", "content-type": "application/json"}
        )
        with connection.getresponse() as response:
            return response.status, response.read(), connection.sock.getpeercert() if connection.sock else None
    finally:
        connection.close()


def config(port, trust):
    return f"""
providers:
  fake: {{dialect: openai, base_url: "https://localhost:{port}/v1", allow_private: true{trust}, credentials: [{{name: m, secret: {{env: FAKE_KEY}}}}]}}
"""


def test_tls_to_clients_and_to_providers_serves_requests(tmp_path, authority, secure_provider):
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    gateway = GatewayProcess(
        config(secure_provider, ", ca_file: ca.pem"),
        folder=tmp_path,
        environ={"FAKE_KEY": SECRET},
        arguments=("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")),
    )
    try:
        context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        key = gateway.key("tls")
        status, data, _ = ask(gateway, key, context)
        assert status == 200, data
        gateway.config.write_text(config(secure_provider, ""))
        gateway.cli("config", "apply", str(gateway.config))
        status, data, _ = ask(gateway, key, context)
        assert (
            status == 502 and b"the provider cannot be reached (" in data
        )  # why is the operator's affair: the record says it
        [refused, _] = gateway.records(count=2)
        assert "certificate is not valid" in refused["error"]["message"]
    finally:
        gateway.stop(keep=True)


def test_a_bad_pair_is_refused_at_the_start(tmp_path, authority):
    (tmp_path / "cert.pem").write_text("nothing")
    (tmp_path / "key.pem").write_text("nothing")
    with pytest.raises(RuntimeError, match="TLS files"):
        GatewayProcess(
            "",
            folder=tmp_path,
            arguments=("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")),
        )


def test_P6_a_reload_cuts_no_stream_and_new_connections_get_the_new_certificate(tmp_path, authority, provider):
    """SIGHUP with a good pair, the same pair, and a bad one, while a stream runs: nothing of it is lost, no edge is replaced."""
    first, second = authority.issue_cert("localhost"), authority.issue_cert("localhost", "renewed.test")

    def write(leaf):
        leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        leaf.private_key_pem.write_to_path(tmp_path / "key.pem")

    def names(context):
        with (
            socket.create_connection(("localhost", gateway.port), timeout=PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return {name for _, name in secure.getpeercert()["subjectAltName"]}

    write(first)
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    gateway = GatewayProcess(setups.config(provider.port), folder=tmp_path, environ=ENVIRON, arguments=tls)
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        key, edges = gateway.key("app"), gateway.pids("edge")
        connection = http.client.HTTPSConnection("localhost", gateway.port, timeout=PATIENCE_S, context=context)
        body = json.dumps({**json.loads(BODY), "model": "fake/stream-40-50", "stream": True})
        sent = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, sent)
        response = connection.getresponse()
        assert response.status == 200
        response.read(20)
        gateway.process.send_signal(signal.SIGHUP)
        write(second)
        gateway.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE_S
        while "renewed.test" not in names(context) and time.monotonic() < until:
            time.sleep(0.1)
        (tmp_path / "key.pem").write_text("half a renewal")
        gateway.process.send_signal(signal.SIGHUP)
        assert response.read().endswith(b"data: [DONE]\n\n")
        connection.close()
        while "not used" not in gateway.log.read_text() and time.monotonic() < until:
            time.sleep(0.1)
        assert "renewed.test" in names(context)
        assert gateway.pids("edge") == edges
        for pid in edges:  # and a successor gets the pair in force, not what stands on disk
            os.kill(pid, signal.SIGKILL)
        while set(gateway.pids("edge")) & set(edges) and time.monotonic() < until:
            time.sleep(0.1)
        assert "renewed.test" in names(context)
        [record] = gateway.records(count=1)
        assert record["outcome"] == "ok"
    finally:
        gateway.stop()
