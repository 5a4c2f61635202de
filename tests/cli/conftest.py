"""The admin API itself, on a port of this machine: commands are refused what the real one refuses."""

import asyncio
import socket
import threading

import pytest
import uvicorn
from click.testing import CliRunner
from tests.control.conftest import KEYS, Desk

from switchgear.cli.__main__ import cli
from switchgear.control import server
from switchgear.control.api import Api
from switchgear.testing import patience


class Served:
    """Control's services behind their real API, and commands that ask it."""

    def __init__(self, desk, url, token):
        self.desk, self.url, self.token = desk, url, token

    def run(self, *arguments, **environ):
        """Run a command as an administrator; returns click's result."""
        return run(*arguments, **{"SWITCHGEAR_SERVER": self.url, "SWITCHGEAR_TOKEN": self.token, **environ})


def run(*arguments, **environ):
    """Run a command; `exit_code` is the one that a command returns, an error is in `exception`."""
    done = CliRunner().invoke(cli, arguments, env=environ, standalone_mode=False)
    if done.exception is None:
        done.exit_code = done.return_value or 0
    return done


@pytest.fixture
def served(tmp_path, clock, monkeypatch):
    """A console with an owner's token."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    desk = Desk(tmp_path, clock)
    desk.run(desk.services.publication.publish)
    token = desk.run(lambda: desk.services.access.create_token("tests", "owner", None, "tests"))
    api = Api(desk.services)
    api.vault_key = KEYS.public.raw
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{sock.getsockname()[1]}"
        app = server.build(api, None, frozenset({host}), desk.reports.append, desk.reports.append)
        running = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([sock])))
        thread.start()
        patience.until(lambda: running.started)
        yield Served(desk, f"http://{host}", token)
        running.should_exit = True
        thread.join()
    desk.publisher.close()
    desk.store.close()
