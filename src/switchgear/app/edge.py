"""Constructs an edge. Level 6. Imports no SQL, no crypto library, no credential code: a test reads sys.modules."""

import asyncio
import functools
import os
import ssl
from pathlib import Path

import lmdb
import msgspec

from switchgear.app import child, edge_counters
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout, PriceFiles, read_peppers
from switchgear.core.ids import IdSource
from switchgear.edge import telling
from switchgear.edge.budget_time import BudgetTime
from switchgear.edge.counter_turns import CounterTurns
from switchgear.edge.handler import EdgeHandler, services_of
from switchgear.edge.resolver import Resolver
from switchgear.edge.services import EdgeServices
from switchgear.edge.turn_commit import TurnCommit
from switchgear.edge.uncertain import UncertainHolds
from switchgear.net.clock import SystemClock
from switchgear.net.exchange import ServerLimits
from switchgear.net.link import LinkClient
from switchgear.net.server import HttpServer
from switchgear.policies.cors import Cors
from switchgear.policies.forwarded import Proxies
from switchgear.replica.reader import ReplicaReader
from switchgear.routing.states import StateBook
from switchgear.spool.writer import SpoolWriter
from switchgear.wire import frames, http_requests


class Prepared(msgspec.Struct):
    """What an edge reads before its cell closes."""

    peppers: dict[int, bytes]
    prices: PriceFiles
    tls: ssl.SSLContext | None


def prepare(boot: Boot) -> Prepared:
    """Read the pepper, the prices and the TLS files."""
    return Prepared(read_peppers(Layout(Path(boot.data)).pepper), PriceFiles(), _tls(boot))


async def main(boot: Boot, prepared: Prepared) -> None:
    """Serve clients until told to stop."""
    layout = Layout(Path(boot.data))
    clock, loop = SystemClock(), asyncio.get_running_loop()
    life = child.Life(boot)
    life.watch()
    if prepared.tls is not None:
        life.on_tls = functools.partial(_renew_tls, prepared.tls)
    spool = SpoolWriter(
        layout.edge_spool(boot.number), clock, os.urandom, boot.run_id, segment_bytes=boot.segment_bytes
    )
    commit = TurnCommit(spool, child.report, child.guard, loop, durable=boot.durability == "power")

    def hello() -> frames.Hello:
        return frames.Hello(frames.PROTOCOL_VERSION, "edge", boot.link_token, spool.spool_id, boot.run_id)

    link = LinkClient(layout.vault_run, hello, commit.schedule, child.guard)
    commit.link = link
    link.start()
    replica = await _open_replica(layout, life)
    if replica is None:
        return
    turns = CounterTurns(loop, child.guard)
    uncertain = UncertainHolds()
    counters = await edge_counters.open_counters(layout, boot.number, boot.workers, turns, uncertain)
    services = services_of(
        replica=replica,
        peppers=prepared.peppers,
        spool=spool,
        link=link,
        commit=commit,
        resolver=Resolver(prepared.prices.load, StateBook(boot.number, boot.workers)),
        ids=IdSource(os.urandom),
        clock=clock,
        loop=loop,
        counters=counters,
        budget_time=BudgetTime(clock, counters.distance_ms, counters.note_distance),
        uncertain=uncertain,
        report=child.report,
        guard=child.guard,
        keeps_contexts=boot.log.access,
        wait_s=boot.limits.wait_s,
    )
    handler = EdgeHandler(services, lambda: (child.report.lost, child.report.errors), boot.number == 0)
    handler.start()
    while not (link.is_up and replica.snapshot() is not None) and not life.stopping.is_set():
        await asyncio.sleep(0.01)
    proxies = Proxies(boot.trusted_proxies) if boot.trusted_proxies else None
    server = HttpServer(handler, clock, child.guard, _limits(boot), proxies)
    server.cors = Cors(boot.cors) if boot.cors else None
    handler.arriving = server.arriving
    handler.connections = lambda: len(server.connections)
    if boot.log.access:
        server.on_done = lambda exchange: child.report.access(*telling.access(clock, exchange))
    await server.start(*(child.listening(fd) for fd in boot.listen_fds), tls=prepared.tls)
    life.ready()
    await life.stopping.wait()
    await _drain(boot, life, services, server)
    handler.stop()
    counters.flush()
    link.close()
    server.close()
    spool.close()


async def _open_replica(layout: Layout, life: child.Life) -> ReplicaReader | None:
    while not life.stopping.is_set():
        try:
            return ReplicaReader(layout.replica)
        except lmdb.Error:
            await asyncio.sleep(0.01)  # the first start: control has not made it yet
    return None


async def _drain(boot: Boot, life: child.Life, services: EdgeServices, server: HttpServer) -> None:
    services.running.is_draining = True
    server.drain()
    if not life.orphaned:
        await child.wait_first(asyncio.sleep(boot.drain_grace_s), life.hurry.wait())
    server.stop_accepting()
    end = 0.0 if life.hurry.is_set() else boot.drain_s
    loop = asyncio.get_running_loop()
    until = loop.time() + end
    while (len(services.running) or len(services.waiting)) and loop.time() < until and not life.hurry.is_set():
        await asyncio.sleep(0.02)
    services.running.interrupt("the gateway is stopping")
    services.waiting.interrupt("the gateway is stopping")
    services.commit.flush()
    await asyncio.sleep(0.05)


def _limits(boot: Boot) -> ServerLimits:
    limits = boot.limits
    return ServerLimits(
        http=http_requests.Limits(
            head_bytes_max=limits.head_bytes_max,
            headers_max=limits.headers_max,
            url_bytes_max=limits.url_bytes_max,
            body_bytes_max=limits.body_bytes_max,
        ),
        head_s=limits.head_s,
        body_grace_s=limits.body_grace_s,
        body_rate_min=limits.body_rate_min,
        keep_alive_s=limits.keep_alive_s,
        write_stall_s=limits.write_stall_s,
        connections_max=limits.connections_max,
        connections_per_address_max=limits.connections_per_address_max,
    )


def _tls(boot: Boot) -> ssl.SSLContext | None:
    if boot.tls_cert_fd < 0:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(f"/proc/self/fd/{boot.tls_cert_fd}", f"/proc/self/fd/{boot.tls_key_fd}")
    return context


def _renew_tls(context: ssl.SSLContext, cert_fd: int, key_fd: int) -> None:
    """Take another pair: for the connections that come; those that are open keep theirs. Raises ssl.SSLError for what is none,
    and then the old one stays."""
    pair = (f"/proc/self/fd/{cert_fd}", f"/proc/self/fd/{key_fd}")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*pair)
    context.load_cert_chain(*pair)
