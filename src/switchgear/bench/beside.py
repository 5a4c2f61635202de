"""Two checkouts side by side: the CPU time of a request before and after a change. Level 7.

    .venv/bin/python -m switchgear.bench.beside OTHER [--pairs 10] [--requests 4000] [--streams]

OTHER is a checkout with its own `.venv` (`make install`). Both gateways run at once and take the same load in turn, A B, B A, …:
what the machine does meanwhile meets both. The figure is the median of the pairs' ratios, this checkout over the other. Needs
nginx. Bounded in count: PAIRS × 2 × REQUESTS.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from switchgear.bench import load
from switchgear.bench.processes import Nginx, cpu_ns, tree
from switchgear.testing.gateway import ProviderProcess, free_port

CONNECTIONS = 8
SETTLE_S = 1.5
"""So long the ledger has to take up what a batch left."""
STREAM = "stream-60-20"
# Runs in the other checkout too, which may be older than this module.
RUNNER = """
import json, sys
from switchgear.bench.processes import start_gateway
gateway = start_gateway({"up": int(sys.argv[1]), "st": int(sys.argv[2])}, 1)
print(json.dumps({"port": gateway.port, "key": gateway.key("bench"), "pid": gateway.process.pid}), flush=True)
sys.stdin.read()
gateway.stop()
"""


class Side:
    """A gateway of one checkout."""

    def __init__(self, checkout: Path, plain_port: int, stream_port: int) -> None:
        python = checkout / ".venv" / "bin" / "python"
        self._process = subprocess.Popen(
            [str(python), "-c", RUNNER, str(plain_port), str(stream_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=checkout,
        )
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        self.port, self.key, self.pid = int(said["port"]), str(said["key"]), int(said["pid"])

    def measure(self, count: int, streams: bool) -> float:
        """Return the CPU time of all its processes for one of `count` requests, in µs."""
        pids = tree(self.pid)
        before = cpu_ns(pids)
        asyncio.run(_streams(self, count) if streams else _plain(self, count))
        time.sleep(SETTLE_S)
        return (cpu_ns(pids) - before) / count / 1000

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


async def _send(side: Side, model: str, count: int, stream: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", side.port)
    request = load._request(side.key, model, stream)
    for _ in range(count):
        await load._one(reader, writer, request)
    writer.close()


async def _plain(side: Side, count: int) -> None:
    await asyncio.gather(*(_send(side, "up/echo", count // CONNECTIONS, False) for _ in range(CONNECTIONS)))


async def _streams(side: Side, count: int) -> None:
    await asyncio.gather(*(_send(side, f"st/{STREAM}", 1, True) for _ in range(count)))


def ratio(pairs: list[tuple[float, float]]) -> float:
    """Return the median of the second over the first."""
    return statistics.median(second / first for first, second in pairs)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print each pair and the median."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("other", type=Path, help="a checkout with its own .venv")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--requests", type=int, default=4000, help="in a batch; with --streams, streams of 60 events")
    parser.add_argument("--streams", action="store_true")
    given = parser.parse_args(arguments)
    if not (given.other / ".venv" / "bin" / "python").exists():
        print(f"{given.other} has no .venv: run  make install  there", file=sys.stderr)
        return 2
    upstream, provider = Nginx(free_port(), None, 1), ProviderProcess()
    here = Path(__file__).parents[3]
    sides = [Side(path, upstream.port, provider.port) for path in (given.other.resolve(), here)]
    try:
        for side in sides:
            side.measure(given.requests // 2, given.streams)  # warm
        pairs: list[tuple[float, float]] = []
        for number in range(given.pairs):
            turns = sides if number % 2 == 0 else sides[::-1]
            taken = {side.pid: side.measure(given.requests, given.streams) for side in turns}
            pairs.append((taken[sides[0].pid], taken[sides[1].pid]))
            print(
                f"{number + 1}: {pairs[-1][0]:.1f} and {pairs[-1][1]:.1f} µs, {pairs[-1][1] / pairs[-1][0]:.3f} ×",
                flush=True,
            )
        print(f"median {ratio(pairs):.3f} × the other checkout")
    finally:
        for side in sides:
            side.stop()
        provider.stop()
        upstream.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
