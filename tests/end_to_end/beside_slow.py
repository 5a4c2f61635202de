"""Measures good clients beside slow ones and a flood of bad keys: `python -m tests.end_to_end.beside_slow`.

Prints the median and the 99th percentile of a request's time without and with 500 slow clients and 300 bad keys a second, in turns,
and their ratio.
"""

import contextlib
import http.client
import json
import socket
import statistics
import threading
import time

from tests.end_to_end.setups import ENVIRON, config

from switchgear.testing.gateway import GatewayProcess, ProviderProcess
from switchgear.testing.patience import PATIENCE_S

SLOW, FLOOD_PER_S, REQUESTS, PAUSE_S = 500, 300, 600, 0.004
BODY = json.dumps({"model": "fake/echo", "messages": [{"role": "user", "content": "one two three"}]})


def measure(port, key):
    """Times of REQUESTS requests on one connection, in ms."""
    times, connection = [], http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    for _ in range(REQUESTS):
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", BODY, headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE_S)
    connection.close()
    return times


@contextlib.contextmanager
def harm(port):
    """500 heads that never end, a byte each second, and a flood of bad keys."""
    stop = threading.Event()

    def slow():
        socks = []
        while not stop.wait(0.5):
            while len(socks) < SLOW:
                sock = socket.create_connection(("127.0.0.1", port))
                sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-A: ")
                socks.append(sock)
            for sock in list(socks):
                try:
                    sock.send(b"a")
                except OSError:
                    sock.close()
                    socks.remove(sock)
        for sock in socks:
            sock.close()

    def flood():
        number = 0
        while not stop.wait(1 / FLOOD_PER_S):
            number += 1
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(b"GET /v1/key HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-sg-%049d\r\n\r\n" % number)
                sock.recv(64)

    threads = [threading.Thread(target=slow), threading.Thread(target=flood)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def main():
    provider = ProviderProcess()
    gateway = GatewayProcess(config(provider.port), environ=ENVIRON)
    try:
        key = gateway.key("good")
        measure(gateway.port, key)
        alone, beside = [], []
        for _ in range(3):
            alone += measure(gateway.port, key)
            with harm(gateway.port):
                beside += measure(gateway.port, key)
    finally:
        gateway.stop()
        provider.stop()
    found = {}
    for name, times in (("alone", alone), ("beside", beside)):
        times.sort()
        found[name] = {"p50_ms": round(statistics.median(times), 2), "p99_ms": round(times[len(times) * 99 // 100], 2)}
    found["p99_ratio"] = round(found["beside"]["p99_ms"] / found["alone"]["p99_ms"], 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
