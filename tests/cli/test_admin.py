"""`switchgear admin link`, asked of a fake server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from switchgear.cli.admin import admin


@pytest.fixture
def server():
    """An admin API that gives one token; yields (URL, what was asked)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers["authorization"]))
            data = b'{"token":"once"}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


def test_a_link_leads_to_the_server_that_was_asked(server):
    url, asked = server
    answer = CliRunner().invoke(admin, ["link", "--server", url, "--json"], env={"SWITCHGEAR_TOKEN": "sgat-x"})
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.output) == {"url": f"{url}/setup#once"}
    assert asked == [("/api/v1/admin/link", "Bearer sgat-x")]


def test_without_a_gateway_there_is_no_link(tmp_path):
    answer = CliRunner().invoke(admin, ["link", "--data", str(tmp_path)])
    assert answer.exit_code != 0 and "setup#" not in answer.output
