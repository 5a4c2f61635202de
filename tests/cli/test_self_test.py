import http.client
import json
import threading
from http.server import HTTPServer

from switchgear.cli import self_test
from switchgear.testing.patience import PATIENCE_S


def test_the_provider_of_its_own_answers_as_one():
    server = HTTPServer(("127.0.0.1", 0), self_test._Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=PATIENCE_S)
        connection.request("POST", "/v1/chat/completions", b"{}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
    finally:
        server.shutdown()
        server.server_close()
    assert answer["choices"][0]["finish_reason"] == "stop" and answer["usage"]["total_tokens"] == 2
