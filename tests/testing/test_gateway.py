"""The processes of tests: ports, waiting, and a gateway that is somebody else's."""

import json
import os
import socket
import subprocess
import sys

import pytest

from switchgear.testing.gateway import GatewayProcess, ProviderProcess, free_port, wait_for


def test_free_ports_differ_and_can_be_listened_on():
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", ports[0]))
        sock.listen()
        wait_for(ports[0], seconds=5)


def test_waiting_ends_at_once_when_the_process_ended():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with pytest.raises(TimeoutError, match="nothing listens"):
            wait_for(free_port(), process, seconds=600)


def test_the_status_of_another_run_is_nobodys(tmp_path):
    gateway = GatewayProcess("", folder=tmp_path, start=False)
    assert gateway.status() == {}
    (gateway.data / "run").mkdir(parents=True)
    told = gateway.data / "run" / "status.json"
    told.write_text(json.dumps({"state": "ready", "pids": {"supervisor": os.getpid(), "edge": [1, 2], "control": 3}}))
    assert gateway.status() == {} and gateway.pids("edge") == []
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as gateway.process:
        told.write_text(
            json.dumps({"state": "ready", "pids": {"supervisor": gateway.process.pid, "edge": [1, 2], "control": 3}})
        )
        assert gateway.status()["state"] == "ready"
        assert (gateway.pids("edge"), gateway.pids("control"), gateway.pids("vault")) == ([1, 2], [3], [])
        told.write_text("{")
        assert gateway.status() == {}
        gateway.process.communicate(b"\n")


def test_a_gateway_that_does_not_start_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="no such program"):
        GatewayProcess("", folder=tmp_path, program=("-c", "raise SystemExit('no such program')"))


def test_a_command_that_fails_is_an_error_with_its_words(tmp_path):
    gateway = GatewayProcess("", folder=tmp_path, start=False)
    with pytest.raises(RuntimeError, match="exit 1: error: no gateway runs"):
        gateway.cli("key", "list")
    assert gateway.cli("key", "list", check=False).returncode != 0


def test_a_provider_process_tells_what_arrived_and_ends():
    provider = ProviderProcess()
    assert provider.seen() == {} and provider.headers() == []
    provider.stop()
    assert provider.process.returncode is not None
