"""How commands reach control, and what they say when they do not."""

import contextlib
import http.server
import json
import os
import socket
import socketserver
import threading

import pytest

from switchgear.app.layout import Layout
from switchgear.cli import client as clients
from switchgear.cli.client import Client
from switchgear.core.errors import UserError
from switchgear.net import unix
from switchgear.testing.patience import PATIENCE_S

TOKEN = "sgat-" + "0" * 64


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers what the server was told to; keeps what was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("authorization")))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def console(status=200, body=b"{}", **headers):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answer, server.asked = (status, headers, body), []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("SWITCHGEAR_TOKEN", TOKEN)


def refused(url, tmp_path):
    with pytest.raises(UserError) as info:
        Client(tmp_path, url).call("GET", "/status")
    return info.value


def test_a_server_is_asked_with_the_token(tmp_path):
    with console(200, b'{"state": "ready"}') as (url, asked):
        assert Client(tmp_path, url + "/").call("GET", "/status", a="b c", none=None) == {"state": "ready"}
    assert asked == [("/api/v1/status?a=b+c", f"Bearer {TOKEN}")]


def test_the_data_plane_is_recognised(tmp_path):
    body = json.dumps({"error": {"message": "there is nothing at '/api/v1/status'", "type": "x"}}).encode()
    with console(404, body, **{"x-switchgear-error": "not_found"}) as (url, _):
        error = refused(url, tmp_path)
    assert "data plane" in str(error) and "4101" in error.hint and "{" not in str(error)


def test_the_record_of_a_request_that_failed_is_an_answer(tmp_path):
    with console(200, b'{"id": "r", "error": {"code": "upstream_broken", "message": "x"}}') as (url, _):
        assert Client(tmp_path, url).call("GET", "/log/r")["error"]["code"] == "upstream_broken"


def test_a_token_that_is_not_valid_there(tmp_path):
    with console(401, b'{"error": "no valid admin token was sent", "hint": "sign in with a link"}') as (url, _):
        error = refused(url, tmp_path)
    assert "SWITCHGEAR_TOKEN" in str(error) and "token create" in error.hint and "link" not in error.hint


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b"", b"\xff", b"[" * 100_000])
def test_an_answer_of_another_server_is_refused_with_its_status(tmp_path, body):
    with console(502, body) as (url, _):
        assert "502" in str(refused(url, tmp_path))


def test_a_port_where_nothing_listens_is_named_with_a_hint(tmp_path):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        error = refused(f"http://127.0.0.1:{sock.getsockname()[1]}", tmp_path)
    assert "nothing listens" in str(error) and "serve --data" not in error.hint and "ssh -L" in error.hint


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:4101", "http://", "http://x:port", "http://x/console", "http://me:pw@x"]
)
def test_a_malformed_console_url_is_refused_with_exit_2(tmp_path, url):
    assert refused(url, tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("value", "said"), [(None, "not set"), ("", "not set"), ("sk-sg-abc", "virtual key"), ("sgat-\u00e9", "no admin token"), ("x\ny", "no admin token")]
)  # fmt: skip
def test_a_text_that_is_no_admin_token_is_refused_before_it_is_sent(tmp_path, monkeypatch, value, said):
    if value is None:
        monkeypatch.delenv("SWITCHGEAR_TOKEN")
    else:
        monkeypatch.setenv("SWITCHGEAR_TOKEN", value)
    error = refused("http://127.0.0.1:1", tmp_path)
    assert said in str(error) and error.exit_code == 2


def test_errors_keep_their_hint_and_say_whether_the_use_was_wrong(tmp_path):
    body = b'{"error": "no", "hint": "so", "wrong_use": true}'
    with console(400, body) as (url, _):
        error = refused(url, tmp_path)
    assert (str(error), error.hint, error.exit_code) == ("no", "so", 2)


def test_texts_of_an_answer_are_harmless_where_people_read_them_and_exact_where_they_are_sent_back(tmp_path):
    body = json.dumps({"name": "a\x1b[31m\nb", "list": ["\u202ex"]}).encode()
    with console(200, body) as (url, _):
        client = Client(tmp_path, url, tidied=True)
        assert client.call("GET", "/x") == {"name": "a[31m b", "list": ["x"]}
        assert client.exact("GET", "/x") == json.loads(body)


# a gateway on this machine


def test_where_no_gateway_runs(tmp_path):
    with pytest.raises(UserError, match="no gateway runs") as info:
        Client(tmp_path, None).call("GET", "/status")
    assert f"--data {tmp_path}" in info.value.hint


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A folder that a supervisor holds, with a token: what a command finds of a gateway."""
    import fcntl

    layout = Layout(tmp_path / "data")
    layout.make()
    layout.cli_token.write_text("t" * 64)
    fd = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    monkeypatch.setattr(clients, "PATIENCE_S", 0.2)
    yield layout
    os.close(fd)


def test_a_control_that_hangs_is_given_up_and_said_so(running, capsys):
    sock = unix.bind(
        running.control_run, "control.sock"
    )  # accepts, as the kernel does for a stopped process, and never answers
    try:
        with pytest.raises(UserError, match="did not answer") as info:
            Client(running.data, None).call("GET", "/keys", give_up_s=2.0)
    finally:
        sock.close()
    assert info.value.exit_code == 1 and "switchgear status" in info.value.hint
    assert "does not answer since" in capsys.readouterr().err


def test_a_control_that_is_being_replaced_is_waited_for(running, monkeypatch):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    said = threading.Event()
    monkeypatch.setattr(clients, "note", lambda text: said.set() if "does not answer since" in text else None)

    def later():
        assert said.wait(PATIENCE_S)
        with Server(str(running.control_run / "control.sock"), Handler) as server:
            server.handle_request()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        assert Client(running.data, None).call("GET", "/keys", give_up_s=60.0) == {}
    finally:
        thread.join()


def test_an_answer_that_takes_long_is_waited_for_while_control_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "PATIENCE_S", 0.5)

    was_asked_whether_it_lives = threading.Event()

    class Slow(Answers):
        def do_GET(self):
            if self.path == "/api/v1/":
                was_asked_whether_it_lives.set()
            else:
                assert was_asked_whether_it_lives.wait(PATIENCE_S)
            super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.answer, server.asked = (200, {}, b'{"done": true}'), []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        client = Client(tmp_path, f"http://127.0.0.1:{server.server_port}")
        assert client.call("POST", "/x", {}, give_up_s=60.0) == {"done": True}
    finally:
        server.shutdown()
        server.server_close()
    assert [path for path, _ in server.asked].count("/api/v1/x") == 1  # what changes something is asked for once


def test_an_urgent_request_that_a_control_did_not_answer_is_sent_to_the_next_control(running):
    asked = []

    def serve():
        for answer in (b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"):
            sock = unix.bind(running.control_run, "control.sock")
            sock.setblocking(True)
            peer, _ = sock.accept()
            said = b""
            while not said.endswith(b"\r\n\r\n{}"):
                said += peer.recv(65_536)
            asked.append(said)
            peer.sendall(answer)
            peer.close()
            sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert Client(running.data, None).call("POST", "/freezes", {}) == {}
    finally:
        thread.join()
    assert len(asked) == 2 and asked[0].startswith(b"POST /api/v1/freezes")


def test_a_folder_is_held_while_a_supervisor_lives(running, tmp_path):
    assert clients.is_running(running)
    assert not clients.is_running(Layout(tmp_path / "none"))


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", "/keys", True),
        ("POST", "/keys/app/revoke", True),
        ("POST", "/freezes", True),
        ("POST", "/keys", False),
        ("POST", "/keys/app/rotate", False),
        ("DELETE", "/freezes/all", False),
        ("PUT", "/credentials", False),
    ],
)
def test_only_what_is_as_good_twice_as_once_is_asked_again(method, path, may):
    assert clients._may_repeat(method, path) is may
