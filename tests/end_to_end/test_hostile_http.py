"""H1–H6: requests that have broken other servers, against the parser, against a real gateway, and beside h11 and nginx."""

import shutil
import socket
import subprocess
import threading
import time

import h11
import pytest
from tests.wire.hostile_requests import CASES

from switchgear.testing.gateway import free_port
from switchgear.testing.patience import PATIENCE_S
from switchgear.wire.http_requests import Limits, RejectedError, RequestParser

IDS = [case.name for case in CASES]


class Sink:
    def __init__(self):
        self.heads, self.ends, self.body = [], 0, b""

    def on_head(self, head):
        self.heads.append((head.method, head.target))

    def on_body(self, data):
        self.body += data

    def on_end(self):
        self.ends += 1


def parsed(data, pieces):
    """Return (finished requests, refused?)."""
    sink = Sink()
    parser = RequestParser(sink, Limits())
    try:
        for piece in pieces(data):
            parser.feed(piece)
    except RejectedError as exc:
        assert 400 <= exc.case.status < 500
        return sink, True
    return sink, False


def whole(data):
    return [data]


def bytewise(data):
    return [data[at : at + 1] for at in range(len(data))]


def test_the_corpus_is_large_and_each_case_has_a_reason():
    assert len(CASES) >= 150
    assert len(set(IDS)) == len(IDS)
    assert all(case.reason for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_H1_refused_or_understood_however_the_bytes_are_cut(case):
    for pieces in (whole, bytewise):
        sink, refused = parsed(case.data, pieces)
        if case.good:
            assert not refused and sink.ends == case.good, (sink.heads, sink.ends, refused)
        else:
            # Bytes after a chunked body are refused when they come in one write; alone they are the next request.
            follows = "bytes after the end" in case.name and pieces is bytewise
            assert sink.ends == (2 if follows else 0) or refused, (sink.heads, sink.ends)
            assert not any(target == b"/evil" for _, target in sink.heads) or follows


def h11_reads(data):
    """What h11 makes of the bytes: finished requests as (method, target, body); None where it refuses."""
    connection, found = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), []
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                found.append([event.method, event.target, b"", False])
            elif isinstance(event, h11.Data):
                found[-1][2] += event.data
            elif isinstance(event, h11.EndOfMessage):
                found[-1][3] = True
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    break
                connection.start_next_cycle()
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                break
    except h11.RemoteProtocolError:
        return None
    return [tuple(request[:3]) for request in found if request[3]]


MORE_LENIENT_THAN_H11 = {
    "an empty line before": "RFC 9112 §2.2 asks servers to ignore it",
}


@pytest.mark.parametrize("case", [case for case in CASES if case.good], ids=[c.name for c in CASES if c.good])
def test_H1_a_request_that_is_accepted_is_read_by_h11_in_the_same_way(case):
    theirs = h11_reads(case.data)
    if theirs is None:
        assert case.name in MORE_LENIENT_THAN_H11 or not case.good, "more lenient than h11, without a reason"
        return
    sink, _ = parsed(case.data, whole)
    assert len(theirs) == sink.ends
    assert b"".join(body for _, _, body in theirs) == sink.body
    assert [method for method, _, _ in theirs] == [method for method, _ in sink.heads[: sink.ends]]


def statuses(port, data, seconds=3.0, end=True):
    """Send bytes, end the sending side, and return the statuses of what comes back, and whether it ended."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as sock:
        received = b""
        try:
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        except TimeoutError:
            return [int(line[9:12]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")], False
    return [int(line[9:12]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")], True


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_H1_a_real_gateway_answers_and_closes(gateway, case):
    """No hang, no success for anything that is not a request, no answer to what was smuggled."""
    found, ended = statuses(gateway.port, case.data)
    assert ended, f"hung after {found}"
    if case.good:
        # A refusal may close before the second of two requests; without a key only the root page is a success.
        assert 1 <= len(found) <= case.good, found
        assert all(status in {401, 404, 405, 415} or (status == 200 and b" / " in case.data) for status in found), found
    elif "bytes after the end" not in case.name:
        assert len(found) <= 1 and all(status >= 400 for status in found), found


def test_H1_no_traceback_and_the_gateway_serves_on(gateway, key):
    import http.client

    assert "Traceback" not in gateway.log.read_text()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    connection.request("GET", "/v1/key", headers={"authorization": f"Bearer {key}"})
    assert connection.getresponse().status == 200
    connection.close()


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  large_client_header_buffers 4 16k;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{back}; proxy_http_version 1.1; }} }}
}}
"""

MORE_LENIENT_THAN_NGINX = {
    "line: encoded NUL": "nginx decodes paths; here a path is compared as it came, and this one is unknown (404)",
    "line: dots": "nginx resolves dots and leaves the root; here no such path exists (404)",
    "line: encoded dots": "the same",
}


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    listening = socket.create_server(("127.0.0.1", 0))

    def answer():
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_ok, args=(peer,), daemon=True).start()

    threading.Thread(target=answer, daemon=True).start()
    port = free_port()
    (folder / "conf").write_text(NGINX.format(folder=folder, port=port, back=listening.getsockname()[1]))
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(PATIENCE_S)
    listening.close()


def _ok(peer):
    with peer:
        peer.settimeout(5)
        received = b""
        while b"\r\n\r\n" not in received:
            try:
                piece = peer.recv(65536)
            except OSError:
                return
            if not piece:
                return
            received += piece
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@pytest.mark.parametrize("case", [case for case in CASES if case.good], ids=[c.name for c in CASES if c.good])
def test_H1_a_request_that_is_accepted_is_accepted_by_nginx(nginx, case):
    found, _ = statuses(nginx, case.data, 0.4, end=False)  # nginx gives up when a client ends its side
    good = [status for status in found if status < 400]
    assert len(good) == case.good or case.name in MORE_LENIENT_THAN_NGINX, found
