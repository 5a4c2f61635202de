"""OSV is asked when told to, and learns names and versions only."""

import http.server
import json
import threading
from typing import ClassVar

import pytest

from switchgear.discover import osv as client


class _Osv(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list] = []
    answer = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).asked.append((dict(self.headers), body))
        results = [{"vulns": [{"id": "GHSA-x"}]} if q["package"]["name"] == "click" else {} for q in body["queries"]]
        raw = type(self).answer or json.dumps({"results": results}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def osv():
    server = http.server.HTTPServer(("127.0.0.1", 0), _Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _Osv.asked.clear()
    _Osv.answer = None
    yield f"http://127.0.0.1:{server.server_port}/v1/querybatch"
    server.shutdown()
    server.server_close()


def test_only_names_and_versions_are_sent(osv):
    found = list(client.ask(osv))
    assert [f.id for f in found] == ["dependency-vulnerable-click-GHSA-x"]
    ((headers, body),) = _Osv.asked
    assert set(body) == {"queries"} and all(
        set(q) == {"package", "version"} and set(q["package"]) == {"name", "ecosystem"} for q in body["queries"]
    )
    assert not {"authorization", "cookie", "user-agent"} & {name.lower() for name in headers}


@pytest.mark.parametrize("answer", [b"{", b"[]", b'{"results": []}', b'{"results": [1]}', b"null"])
def test_an_answer_that_makes_no_sense_is_a_hint(osv, answer):
    _Osv.answer = answer
    assert [f.id for f in client.ask(osv)] == ["online"]


def test_a_source_that_is_away_is_a_hint():
    assert [f.id for f in client.ask("http://127.0.0.1:1/x")] == ["online"]
