"""M2: kill -9 of any process at any moment: nothing lost, nothing double, the service back within two seconds.

KILL_ROUNDS sets the number of rounds (40 in `make test`, 300 in `make kill`, 10,000 in `make torture`), KILL_SEED the seed.
"""

import http.client
import json
import os
import random
import signal
import threading
import time

from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess, ProviderProcess

ROUNDS = int(os.environ.get("KILL_ROUNDS", "40"))
SEED = int(os.environ.get("KILL_SEED", str(time.time_ns() % 10**9)))
VICTIMS = ("edge", "edge", "vault", "control", "supervisor")
THREADS = 4


class Load:
    """Plain and streaming requests from a few threads; counts what was answered and how long nothing was."""

    def __init__(self, port, key):
        self._port, self._key = port, key
        self.answered = {}
        self.last_ok = time.monotonic()
        self.longest_gap = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number):
        model = "fake/echo" if number % 2 else "fake/stream-20-0"
        body = {"model": model, "messages": [{"role": "user", "content": "one two three"}], "stream": not number % 2}
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        connection = None
        while not self._stop.is_set():
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
                response = connection.getresponse()
                data = response.read()
                if response.status == 200 and (number % 2 or data.endswith(b"data: [DONE]\n\n")):
                    self.answered[response.headers["x-request-id"]] = response.headers.get("x-switchgear-cost-usd")
                    now = time.monotonic()
                    self.longest_gap = max(self.longest_gap, now - self.last_ok)
                    self.last_ok = now
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.005)
        if connection is not None:
            connection.close()


def kill(gateway, role, chance):
    """Kill one process of a role; a dead supervisor is started again as an operator's service manager would."""
    pids = gateway.pids(role)
    if not pids:
        return
    pid = chance.choice(pids)
    if role == "supervisor":
        os.kill(pid, signal.SIGKILL)
        gateway.process.wait(10)
        until = time.monotonic() + 10
        while (
            time.monotonic() < until
        ):  # the orphans hold the folder's lock and the ports until their lifelines end them
            gateway.start(wait=False)
            while gateway.process.poll() is None:
                if gateway.status():
                    return
                time.sleep(0.01)
        raise AssertionError(gateway.log.read_text()[-1000:])
    os.kill(pid, signal.SIGKILL)


def test_M2_kill_nine(tmp_path):
    chance = random.Random(SEED)
    provider = ProviderProcess()
    more = "    fake/never: {input_per_mtok: 1}\n"
    gateway = GatewayProcess(config(provider.port, more), folder=tmp_path, environ=ENVIRON)
    recoveries = []
    try:
        load = Load(gateway.port, gateway.key("victim"))
        for number in range(ROUNDS):
            time.sleep(chance.uniform(0.05, 0.6))
            role = chance.choice(VICTIMS)
            kill(gateway, role, chance)
            if ROUNDS > 100 and number % 50 == 49:
                print(
                    f"round {number + 1} of {ROUNDS}, {len(load.answered)} answered, longest gap {load.longest_gap:.2f} s",
                    flush=True,
                )
            started = time.monotonic()
            while load.last_ok < started and time.monotonic() - started < 10:
                time.sleep(0.01)
            recoveries.append((time.monotonic() - started, role))
        load.stop()
        until = time.monotonic() + 20
        while gateway.status().get("state") != "ready" and time.monotonic() < until:
            time.sleep(0.05)
        settle(gateway, load)
        check(gateway, provider, load)
        slow = sorted(recoveries)[-3:]
        assert slow[-1][0] <= 2.0, f"service came back too late: {slow} (seed {SEED})"
    finally:
        provider_seen = provider
        gateway.stop(keep=True)
        provider_seen.stop()


def all_records(gateway):
    found, cursor = [], None
    while True:
        answer = gateway.json("log", "list", "--limit", "1000", *(["--cursor", cursor] if cursor else []))
        found += answer["records"]
        cursor = answer["next"]
        if cursor is None:
            return found


def settle(gateway, load):
    """Wait until the ledger stands still and holds at least what was answered."""
    until, before = time.monotonic() + 30, -1
    while time.monotonic() < until:
        try:
            total = gateway.total()
        except RuntimeError:  # control, which was killed last, is still on its way back
            time.sleep(0.5)
            continue
        if total == before and total >= len(load.answered):
            return
        before = total
        time.sleep(1.5)


def check(gateway, provider, load):
    seen = provider.seen()
    records = all_records(gateway)
    attempts = {attempt["id"] for record in records for attempt in record["attempts"]}
    ids = {record["id"] for record in records}
    missing = set(seen) - attempts
    lost = {attempt.rpartition("-")[0] for attempt in missing}
    detail = [record for record in records if record["id"] in lost][:3]
    assert not missing, (
        f"{len(missing)} attempts reached the provider and are not in the ledger (seed {SEED}): {sorted(missing)[:3]}: {detail}"
    )
    assert len(ids) == len(records), "a request stands in the ledger twice"
    assert all(entry["count"] == 1 for entry in seen.values()), "an attempt was sent twice"
    by_id = {record["id"]: record for record in records}
    for request_id, cost in load.answered.items():
        record = by_id[request_id]
        assert record["outcome"] in {"ok", "interrupted"}, record
        if cost is not None:
            assert record["outcome"] == "ok" and f"{record['cost_nanousd'] / 1e9:.9f}" == cost, record
    for record in records:
        if record["outcome"] == "ok":
            attempt = seen[record["attempts"][-1]["id"]]
            assert record["tokens"]["input"] == attempt["prompt_tokens"]
            assert record["tokens"]["output"] == attempt["completion_tokens"]
            assert record["cost_nanousd"] == attempt["prompt_tokens"] * 150 + attempt["completion_tokens"] * 600
        unseen = [a["id"] for a in record["attempts"] if a["id"] not in seen]
        if unseen:
            assert record["outcome"] in {"interrupted", "upstream_error", "not_sent", "denied"}, record
    total = gateway.json("usage", "--by", "")["total"]
    assert total["requests"] == sum(record["count"] for record in records)
    assert total["cost_nanousd"] == sum(record["cost_nanousd"] or 0 for record in records)
    print(
        f"{len(records)} records, {len(seen)} seen by the provider, {sum(r['outcome'] == 'interrupted' for r in records)} interrupted, "
        f"{sum(r['outcome'] == 'not_sent' for r in records)} not sent, longest gap {load.longest_gap:.2f} s"
    )
