"""`python -m switchgear.bench`: measure, print ratios, write docs/benchmarks.md. Level 7. Needs nginx and wrk."""

import argparse
import asyncio
import functools
import os
import platform
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import uvloop
from sqlalchemy import Connection

from switchgear import __version__
from switchgear.bench import load, processes
from switchgear.bench.goals import goal
from switchgear.bench.peers import HOME, Peer
from switchgear.bench.peers import wanted as wanted_peers
from switchgear.bench.processes import Nginx, gateway_pids, start_gateway
from switchgear.store import ledger_rows, rollups, tables
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.database import Store
from switchgear.store.sums import SUMS
from switchgear.testing.gateway import GatewayProcess, ProviderProcess, free_port

WORKERS = 2
IDLE_S = 10
CONNECTIONS = 32


class Report:
    """Rows of the result, printed as they come and written at the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def add(self, what: str, figure: str, goal: str = "") -> None:
        """Add and print a row."""
        self.rows.append((what, figure, goal))
        print(f"{what:<62} {figure:<44} {goal}", flush=True)


def ingested(gateway: GatewayProcess, before: int, sent: int) -> None:
    """Wait until the ledger holds what was sent: its CPU time counts (docs/invariants.md M1)."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if gateway.total() - before >= sent:
            return
        time.sleep(0.5)
    raise SystemExit("the spool backlog was not ingested within 60 s")


def plain(report: Report, key: str, nginx: Nginx, gateway: GatewayProcess, seconds: int, rounds: int) -> None:
    """CPU per plain request, alternating."""
    ratios, ours, theirs, rates, their_rates = [], [], [], [], []
    load.wrk(gateway.port, key, "up/echo", CONNECTIONS, 2)
    for _ in range(rounds):
        before = processes.cpu_ns(nginx.pids())
        result = load.wrk(nginx.port, "x", "echo", CONNECTIONS, seconds)
        theirs.append((processes.cpu_ns(nginx.pids()) - before) / result.requests / 1000)
        their_rates.append(result.rate)
        held = gateway.total()
        time.sleep(0.5)
        pids = gateway_pids(gateway)
        before = processes.cpu_ns(pids)
        result = load.wrk(gateway.port, key, "up/echo", CONNECTIONS, seconds)
        if result.errors:
            raise SystemExit(f"{result.errors} errors under load")
        time.sleep(2)
        polled = processes.cpu_ns(pids)
        ingested(gateway, held, result.requests)
        # Asking whether the backlog is gone costs CPU as well; it is asked after the reading unless it was not gone.
        ours.append(
            ((polled if gateway.total() - held >= result.requests else processes.cpu_ns(pids)) - before)
            / result.requests
            / 1000
        )
        rates.append(result.rate)
        ratios.append(ours[-1] / theirs[-1])
    middle = statistics.median
    report.add("CPU per plain request, nginx", f"{middle(theirs):.1f} µs")
    report.add(
        "CPU per plain request, Switchgear, ledger included",
        f"{middle(ours):.1f} µs = {middle(ratios):.2f} × nginx ({min(ratios):.2f}–{max(ratios):.2f})",
        goal("CPU per plain request"),
    )
    report.add(
        "requests/s, nginx / Switchgear (wrk and upstream on the same cores)",
        f"{middle(their_rates):.0f} / {middle(rates):.0f}",
    )


def peers(report: Report, names: list[str], upstream: Nginx, nginx: Nginx, seconds: int) -> None:
    """CPU per plain request of other gateways, next to nginx's."""
    for name in names:
        peer = Peer(name, upstream.port)
        try:
            load.wrk(peer.port, "x", "echo", CONNECTIONS, 2, peer.headers)
            ratios, ours, rates = [], [], []
            for _ in range(2):
                before = processes.cpu_ns(nginx.pids())
                done = load.wrk(nginx.port, "x", "echo", CONNECTIONS, seconds)
                theirs = (processes.cpu_ns(nginx.pids()) - before) / done.requests / 1000
                pids = processes.tree(peer.process.pid)
                before = processes.cpu_ns(pids)
                done = load.wrk(peer.port, "x", "echo", CONNECTIONS, seconds, peer.headers)
                if done.errors or not done.requests:
                    raise SystemExit(f"{name}: {done.errors} errors, {done.requests} answers under load")
                time.sleep(1)
                ours.append((processes.cpu_ns(pids) - before) / done.requests / 1000)
                ratios.append(ours[-1] / theirs)
                rates.append(done.rate)
        finally:
            peer.stop()
        report.add(
            f"CPU per plain request, {name} {peer.version}",
            f"{statistics.median(ours):.0f} µs = {statistics.median(ratios):.0f} × nginx, {max(rates):.0f} requests/s",
        )


def latency(report: Report, key: str, upstream: Nginx, gateway: GatewayProcess, rate: int, seconds: float) -> None:
    """Added latency at a fixed rate. At a low one every process sleeps between two requests: what is measured then is how fast
    a machine wakes six times in a row."""

    async def both() -> tuple[list[float], list[float]]:
        direct = await load.fixed_rate(upstream.port, "x", "echo", rate, seconds)
        through = await load.fixed_rate(gateway.port, key, "up/echo", rate, seconds)
        return sorted(direct), sorted(through)

    p50s, p99s = [], []
    for _ in range(3):
        direct, through = uvloop.run(both())
        p50s.append(through[len(through) // 2] - direct[len(direct) // 2])
        p99s.append(through[len(through) * 99 // 100] - direct[len(direct) * 99 // 100])
    report.add(
        f"added latency at {rate:,} requests/s, p50 / p99",
        f"{statistics.median(p50s):.2f} ms / {statistics.median(p99s):.2f} ms",
        goal(f"added latency at {rate:,} requests/s"),
    )


def streaming(
    report: Report, key: str, gateway: GatewayProcess, nginx: Nginx, count: int, rate: int, seconds: int, goal: str
) -> None:
    """CPU per event, one read per event."""
    model = f"stream-{rate * seconds}-{rate}"
    costs = {}
    for name, target, pids in (
        ("nginx", nginx.port, nginx.pids()),
        ("switchgear", gateway.port, gateway_pids(gateway)),
    ):
        asked = f"st/{model}" if name == "switchgear" else model
        before = processes.cpu_ns(pids)
        started = time.monotonic()
        events = uvloop.run(load.streams(target, key, asked, count))
        took = time.monotonic() - started
        time.sleep(1)
        costs[name] = ((processes.cpu_ns(pids) - before) / events / 1000, events / took)
    ours, theirs = costs["switchgear"], costs["nginx"]
    report.add(
        f"CPU per streamed event, {count} streams × {rate}/s",
        f"{ours[0]:.1f} µs = {ours[0] / theirs[0]:.2f} × nginx ({theirs[0]:.1f} µs), {ours[1]:.0f} events/s",
        goal,
    )


def translated(report: Report, key: str, gateway: GatewayProcess, count: int, rate: int, seconds: int) -> None:
    """CPU per streamed event that is translated, next to one that passes; and what a body with pictures takes."""
    model = f"stream-{rate * seconds}-{rate}"

    def cost(provider: str) -> float:
        before = processes.cpu_ns(gateway_pids(gateway))
        events = uvloop.run(load.streams(gateway.port, key, f"{provider}/{model}", count))
        time.sleep(1)
        return (processes.cpu_ns(gateway_pids(gateway)) - before) / events / 1000

    passed = [cost("st")]
    for provider, dialect in processes.DIALECTS.items():
        found = cost(provider)
        passed.append(cost("st"))
        same = statistics.mean(passed[-2:])
        report.add(
            f"CPU per streamed event, {dialect} translated to OpenAI chat, {count} streams × {rate}/s",
            f"{found:.1f} µs = {found / same:.2f} × the same dialect ({same:.1f} µs)",
            goal("CPU per streamed event that is translated"),
        )


def pictures(report: Report, key: str, gateway: GatewayProcess, megabytes: int, at_once: int) -> None:
    """Memory of all processes while large bodies are in flight."""
    pids = gateway_pids(gateway)
    for what, asked in (
        ("body with a picture", load.picture("st/slow-3000", megabytes << 20)),
        ("upload of sound", load.upload("st/whisper", megabytes << 20)),
    ):
        before = processes.pss_kib(pids)
        peak = uvloop.run(load.large(gateway.port, key, asked, at_once, lambda: processes.pss_kib(pids)))
        each = (peak - before) / 1024 / at_once
        report.add(
            f"memory per {megabytes} MB {what} in flight, {at_once} at once",
            f"{each:.1f} MiB = {each * 1024 * 1024 / (megabytes << 20):.2f} × the body",
            goal("memory per 10 MB"),
        )
        time.sleep(5)  # what was held is given back


def many(report: Report, key: str, gateway: GatewayProcess, idle: int, active: int) -> None:
    """Active streams while connections idle."""

    async def hold() -> tuple[int, float]:
        before = processes.pss_kib(gateway_pids(gateway))
        idlers = []
        for number in range(idle):
            # Loopback has one address per 28,000 ports: spread over several.
            source = (f"127.0.1.{number % 8 + 1}", 0)
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=source)
            idlers.append(writer)
        await asyncio.sleep(1.5)
        after = processes.pss_kib(gateway_pids(gateway))
        events = await load.streams(gateway.port, key, "st/stream-40-4", active)
        for writer in idlers:
            writer.close()
        return events, (after - before) * 1024 / idle

    events, size = uvloop.run(hold())
    report.add(
        f"{active} active streams while {idle} connections idle",
        f"held, {events} events, no errors; {size:.0f} bytes per idle connection",
        "held",
    )


def usage(report: Report) -> None:
    """How long `usage` takes over the sums of ten million records: 90 days, 2,000 keys, 20 models, each in its own hour."""
    folder = Path(tempfile.mkdtemp(prefix="switchgear-bench-"))
    store = Store(SqliteBackend(folder / "store.sqlite"), True, os.urandom, os.urandom(32))
    begin, days, an_hour = 24 * 64 * 312, 90, 4_630
    hours = days * 24
    draw = random.Random(1)  # noqa: S311  a shape, no secret

    def fill(connection: Connection) -> None:
        for hour in range(begin, begin + hours):
            pairs = sorted(draw.sample(range(40_000), an_hour))
            rows = [
                (
                    hour,
                    f"k{n // 20:04}",
                    f"key-{n // 20}",
                    f"team-{n % 50}",
                    "",
                    "",
                    m := f"m{n % 20}",
                    m,
                    p := f"p{n % 4}",
                    p,
                )
                + (1,) * len(SUMS)
                for n in pairs
            ]
            store.backend.insert_many(connection, tables.usage, rows)

    store.write(fill).result()
    while store.write(lambda connection: rollups.roll_day(connection, begin + hours - 2)).result():
        pass
    worst = 0.0
    for by in ([], ["key"], ["team"], ["model"], ["provider"], ["day"], ["day", "provider"], ["key", "model"]):
        started = time.process_time()
        question = functools.partial(
            ledger_rows.sum_usage, by=by, since_hour=begin + 5, until_hour=begin + hours
        )  # part of a day besides
        rows = store.read(question).result()
        worst = max(worst, time.process_time() - started)
        assert sum(int(row["requests"]) for row in rows) == (hours - 5) * an_hour
    store.close()
    shutil.rmtree(folder)
    report.add("`usage` over 10 million records, slowest of eight groupings, CPU", f"{worst:.2f} s", "< 1 s")


def write(report: Report, path: Path, command: str) -> None:
    """Write the report with machine and versions."""
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr.strip().split("/")[-1]
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    lines = [
        "# Benchmarks",
        "",
        "Ratios within one run on one machine; absolute figures differ between machines. Repeat:",
        "",
        f"    {command}",
        "",
        f"Switchgear {__version__}, Python {platform.python_version()}, nginx {nginx}, Linux {platform.release()}, {cpu}, "
        "2 edges. Everything is on: key check, limits of HTTP, two spool records and two journal records a request, the ledger "
        "in SQLite. The CPU time is that of all processes until the ledger holds every request. Load generator and upstream run "
        "on the same cores.",
        "",
        "| measure | figure | goal |",
        "|---|---|---|",
        *(f"| {what} | {figure} | {goal} |" for what, figure, goal in report.rows),
        "",
    ]
    path.write_text("\n".join(lines))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Switchgear beside nginx.")
    parser.add_argument("--seconds", type=int, default=8, help="seconds per round")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds")
    parser.add_argument("--write", type=Path, help="write the report as Markdown")
    parser.add_argument(
        "--only", default="", help="plain, latency, streams, translated, many, start, usage: comma-separated"
    )
    arguments = parser.parse_args()
    if shutil.which("nginx") is None or shutil.which("wrk") is None:
        raise SystemExit("nginx and wrk are needed: sudo apt-get install -y nginx wrk")
    wanted = set(arguments.only.split(",")) - {""} or {
        "plain",
        "latency",
        "streams",
        "translated",
        "many",
        "start",
        "usage",
    }
    others = wanted_peers(os.environ.get("BENCH_PEERS", ""))
    if others:
        print(f"the peers {', '.join(others)} are installed into {HOME}/ when they are not there yet", flush=True)
    report = Report()
    upstream = Nginx(free_port(), None, 1)
    provider = ProviderProcess(remember=False)
    nginx = Nginx(free_port(), upstream.port, WORKERS)
    nginx_stream = Nginx(free_port(), provider.port, WORKERS)
    folder = Path(tempfile.mkdtemp(prefix="switchgear-bench-"))
    ports = {"up": upstream.port, "st": provider.port} | dict.fromkeys(processes.DIALECTS, provider.port)
    gateway = start_gateway(ports, WORKERS, folder)
    key = gateway.key("bench")
    try:
        if "start" in wanted:
            first = gateway.start_s
            gateway.stop(keep=True)
            gateway.start()
            report.add(
                "start to ready, first / warm folder",
                f"{first:.2f} s / {gateway.start_s:.2f} s",
                goal("start to ready"),
            )
            time.sleep(2)
            report.add(
                "memory of all processes, idle (PSS)",
                f"{processes.pss_kib(gateway_pids(gateway)) / 1024:.0f} MiB",
                goal("memory of all processes"),
            )
            before = processes.cpu_ns(gateway_pids(gateway))
            time.sleep(IDLE_S)
            spent = (processes.cpu_ns(gateway_pids(gateway)) - before) / IDLE_S / 1e9
            report.add("CPU of all processes while nobody asks", f"{100 * spent:.1f} % of a core")
        if "plain" in wanted:
            plain(report, key, nginx, gateway, arguments.seconds, arguments.rounds)
        peers(report, others, upstream, nginx, arguments.seconds)
        if "latency" in wanted:
            latency(report, key, upstream, gateway, 100, min(5, arguments.seconds))
            latency(report, key, upstream, gateway, 1_000, min(5, arguments.seconds))
        if "streams" in wanted:
            streaming(report, key, gateway, nginx_stream, 200, 20, 10, goal("CPU per streamed event"))
            streaming(report, key, gateway, nginx_stream, 1000, 4, 10, goal("CPU per streamed event"))
            streaming(report, key, gateway, nginx_stream, 1000, 20, 10, "throughput")
        if "translated" in wanted:
            translated(report, key, gateway, 200, 20, 10)
            pictures(report, key, gateway, 10, 8)
        if "usage" in wanted:
            usage(report)
        if "many" in wanted:
            many(report, key, gateway, 10_000, 2_000)
        if arguments.write is not None:
            names = ",".join(others)
            write(report, arguments.write, f"BENCH_PEERS={names} make bench" if others else "make bench")
    finally:
        for running in (gateway, nginx, nginx_stream, provider, upstream):
            running.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
