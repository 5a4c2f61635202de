"""Every recorded exchange through a running gateway, and its ledger beside the provider's bill: HTTP in, HTTP out, records read back.

A provider that replays stands behind the gateway. The bill is read by two that share nothing with the product: the provider's own
figure (`usage.cost`), and genai-prices as a library (tests/end_to_end/test_bills.py). `make bills` writes docs/bills.md.
"""

import collections
import datetime
import http.client
import http.server
import json
import os
import threading
import urllib.parse
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.end_to_end import test_bills as oracle

from switchgear.providers.catalogue import PROVIDERS
from switchgear.testing import recordings
from switchgear.testing.gateway import GatewayProcess, free_port
from switchgear.testing.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(recordings.folder() is None, reason="no recordings here")

PAGE = Path(__file__).parents[2] / "docs" / "bills.md"
CLIENT = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "cohere": "/v2/chat",
}
REASONS = {
    "mistral": "`num_cached_tokens` is charged as cached input (docs.mistral.ai, prompt caching); genai-prices does not read it",
    "6bca8b36af55": "the provider reported a usage of zeros for a prompt and two calls: it is estimated",
}
"""Provider or exchange → why what is booked differs from what the oracle says, where that is known."""


def stored_answers():
    """(response id, answer) of the recorded questions for answers that were made in the background."""
    for line in (recordings.folder() / "openai.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["method"] == "GET" and "/responses/resp_" in row["path"]:
            yield row["path"].rsplit("/", 1)[-1], row["response"]["json"]


class Replay(http.server.ThreadingHTTPServer):
    """A provider that gives the recorded answer, and nothing to a path that was not asked when it was recorded."""

    daemon_threads = True
    exchange = None

    def __init__(self):
        self.stored = dict(stored_answers())
        self.port = free_port()
        super().__init__(("127.0.0.1", self.port), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        exchange = self.server.exchange
        asked, was = (urllib.parse.unquote(path.split("?")[0]) for path in (self.path, exchange.path))
        is_same = asked.rsplit("/", 1)[-1].split(":")[-1] == was.rsplit("/", 1)[-1].split(":")[-1]
        body = exchange.body if is_same else b'{"error":{"message":"another path","type":"invalid_request_error"}}'
        self.send_response(200 if is_same else 404)
        self.send_header("content-type", exchange.content_type if is_same else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        answer = self.server.stored.get(self.path.rsplit("/", 1)[-1])
        body = json.dumps(answer or {"error": {"message": "there is none", "type": "invalid_request_error"}}).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def asked(exchange, dialect):
    """(path, body) as a client of the provider's own dialect sends it to the gateway."""
    body = dict(exchange.request)
    if dialect in {"gemini", "bedrock"}:
        model = f"{exchange.provider}/{oracle.MODEL.search(urllib.parse.unquote(exchange.path)).group(1)}"
        if dialect == "bedrock":
            return f"/model/{urllib.parse.quote(model, safe='')}/{exchange.path.rsplit('/', 1)[-1]}", body
        return f"/v1beta/models/{model}:{exchange.path.split(':')[-1].split('?')[0]}" + (
            "?alt=sse" if exchange.is_stream else ""
        ), body
    body["model"] = f"{exchange.provider}/{body['model']}"
    return CLIENT[dialect], body


def wanted():
    """(exchange, dialect) of what can be sent: chat, answered well, at a provider of the catalogue."""
    for exchange in recordings.exchanges():
        dialect = recordings.dialect_of(exchange.path.split("?")[0])
        if dialect is None or exchange.status != 200 or exchange.provider not in PROVIDERS:
            continue
        if dialect in {"gemini", "bedrock"} and not oracle.MODEL.search(urllib.parse.unquote(exchange.path)):
            continue
        yield exchange, dialect


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """(exchange, dialect, request id or None with the refusal's text, record or None)."""
    replay = Replay()
    names = sorted({exchange.provider for exchange, _ in wanted()})
    providers = "\n".join(
        f'  {name}: {{base_url: "http://127.0.0.1:{replay.port}", auth: bearer, allow_private: true, '
        f"credentials: [{{name: main, secret: {{env: FAKE_KEY}}}}]}}"
        for name in names
    )
    environ = {"FAKE_KEY": "sk-provider-credential-0123456789abcdef"}
    gateway = GatewayProcess(
        f"providers:\n{providers}\n", folder=tmp_path_factory.mktemp("bills"), environ=environ, workers=1
    )
    key = gateway.key("bills")
    sent = []
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    for exchange, dialect in wanted():
        replay.exchange = exchange
        path, body = asked(exchange, dialect)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", path, msgspec.json.encode(body), headers)
        answer = connection.getresponse()
        data = answer.read()
        sent.append((exchange, dialect, answer.status, answer.getheader("x-request-id"), data))
    good = [request_id for *_, status, request_id, _ in sent if status == 200]
    plain = [
        json.loads(data) for exchange, dialect, *_, data in sent if dialect == "responses" and not exchange.is_stream
    ]
    queued = [answer["id"] for answer in plain if answer.get("status") == "queued"]
    for response_id in queued:
        connection.request("GET", f"/v1/responses/{response_id}", headers={"authorization": f"Bearer {key}"})
        connection.getresponse().read()
    done = sum(replay.stored[response_id]["status"] == "completed" for response_id in queued)
    gateway.records(count=len(good) + len(queued) + done)
    records, cursor = {}, None
    while True:
        page = gateway.json("log", "list", "--limit", "1000", *(["--cursor", cursor] if cursor else []))
        records |= {record["id"]: record for record in page["records"]}
        cursor = page["next"]
        if cursor is None:
            break
    status = json.loads(gateway.cli("status", "--json", check=False).stdout)
    verdict = gateway.json("ledger", "verify")
    gateway.stop()
    connection.close()
    replay.shutdown()
    replay.server_close()
    assert verdict["differences"] == [] and verdict["gaps"] == []
    return [(*one[:3], one[4], records.get(one[3])) for one in sent], status, records


def priced(rows):
    """(exchange, booked USD or None, bill in USD) of each exchange that one of the readers can price."""
    for exchange, dialect, status, _, record in rows:
        if status != 200:
            continue
        model = oracle.MODEL.search(urllib.parse.unquote(exchange.path))
        model = model.group(1) if model else exchange.request["model"]
        answer = oracle.answer_of(dialect, oracle.objects(exchange))
        if not isinstance(answer, dict):
            continue
        at = datetime.datetime.fromisoformat(record["time"])  # some prices depend on the hour
        right = oracle.bill(dialect, PROVIDERS[exchange.provider], model, answer, at)
        if right is not None:
            cost = record["cost_nanousd"]
            yield exchange, None if cost is None else Decimal(cost) / 10**9, right


def is_far(booked, right):
    return booked is None or abs(booked - right) > max(Decimal("0.000000001"), right / 100)


def page(rows):
    """docs/bills.md."""
    sums = collections.defaultdict(lambda: [0, 0, 0, Decimal(0), Decimal(0), 0])
    for exchange, _, status, _, _ in rows:
        sums[exchange.provider][0] += 1
        sums[exchange.provider][1] += status == 200
    far = []
    for exchange, booked, right in priced(rows):
        row = sums[exchange.provider]
        row[2] += 1
        row[3] += booked or 0
        row[4] += right
        if is_far(booked, right):
            row[5] += 1
            far.append((exchange, booked, right))
    lines = [
        "# Booked beside billed",
        "",
        "Written by `make bills`: recorded exchanges with real providers, sent again through a running gateway before a provider that",
        "replays them, and what its ledger holds beside what the provider charges: by its own words (`usage.cost`), else by genai-prices",
        "with the fees of tools. *Tried* are those that the gateway sends on (others name stored things or take another path).",
        "",
        "| provider | exchanges | tried | priced by a reader | booked USD | bill USD | booked ÷ bill | over 1 % apart |",
        "|---|---|---|---|---|---|---|---|",
    ]
    total = [0, 0, 0, Decimal(0), Decimal(0), 0]
    for name, row in sorted(sums.items()):
        total = [one + more for one, more in zip(total, row, strict=True)]
        lines.append(_line(name, row))
    lines += [_line("**all**", total), "", "## Over 1 % apart", ""]
    if far:
        lines += ["| exchange | provider | booked USD | bill USD | why |", "|---|---|---|---|---|"]
    for exchange, booked, right in far:
        why = REASONS.get(exchange.id) or REASONS.get(exchange.provider) or "not known"
        lines.append(f"| {exchange.id} | {exchange.provider} | {booked} | {right:f} | {why} |")
    return "\n".join(lines) + "\n"


def _line(name, row):
    count, tried, known, booked, right, far = row
    ratio = f"{booked / right:.4f}" if right else ""
    shown = f"{booked:.6f} | {right:.6f} | {ratio}" if known else " | | "
    return f"| {name} | {count} | {tried} | {known} | {shown} | {far or ''} |"


def test_what_the_ledger_holds_is_what_the_providers_charge(rows):
    rows, status, _ = rows
    found = list(priced(rows))
    booked, right = sum((one or 0 for _, one, _ in found), Decimal(0)), sum((one for *_, one in found), Decimal(0))
    far = [(exchange.id, exchange.provider, str(one), str(bill)) for exchange, one, bill in found if is_far(one, bill)]
    assert len(found) > 400
    assert Decimal("0.995") <= booked / right <= Decimal("1.005"), (booked, right, far)
    assert [one for one in far if one[0] not in REASONS and one[1] not in REASONS] == []
    assert [text for text in status["problems"] if "spool" in text or "attempt" in text] == []


def test_an_answer_that_was_made_in_the_background_costs_what_its_provider_told_later(rows):
    *_, records = rows
    finished = {
        name: answer for name, answer in stored_answers() if answer["status"] == "completed" and answer["background"]
    }
    firsts = [one for one in records.values() if one["finish_reason"] == "queued" and one["response_id"] in finished]
    assert len(firsts) >= 1
    for first in firsts:
        (correction,) = [one for one in records.values() if one["corrects"] == first["id"]]
        answer = finished[first["response_id"]]
        right = oracle.bill("responses", PROVIDERS["openai"], answer["model"], answer)
        assert Decimal(first["cost_nanousd"] + correction["cost_nanousd"]) / 10**9 == right


def test_all_that_was_answered_is_recorded_once_and_exactly(rows):
    rows, *_ = rows
    answered = [(exchange, record) for exchange, _, status, _, record in rows if status == 200]
    assert len(answered) > 500
    guessed = [
        (exchange.id, exchange.provider, record["estimate_reason"])
        for exchange, record in answered
        if record["cost_estimated"] and record["finish_reason"] != "queued" and exchange.id not in REASONS
    ]
    assert all(record is not None for _, record in answered)
    assert guessed == []


def test_the_page_names_every_provider_and_every_difference(rows):
    rows, *_ = rows
    made = page(rows)
    if os.environ.get("BILLS_WRITE"):
        PAGE.write_text(made)
    names = [line.split("|")[1].strip() for line in made.splitlines() if line.startswith("|")]
    assert names == [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("|")], (
        "make bills"
    )
