"""Constructs control. Level 6."""

import asyncio
import contextlib
import functools
import importlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import uvicorn
import uvicorn.lifespan.off
from sqlalchemy.exc import DatabaseError

from switchgear.app import child, columns
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout, PriceFiles, price_snapshot, read_peppers, read_row_key
from switchgear.app.report import fault
from switchgear.config.compile import Compiled
from switchgear.control import server
from switchgear.control.api import Api
from switchgear.control.connections import CONSOLE_MAX, LOCAL_MAX, Bounds, bounded
from switchgear.control.courier import Courier
from switchgear.control.handle import Control
from switchgear.control.jobs import Job, Next
from switchgear.control.services import Paths, Services, Shipped
from switchgear.core.errors import UserError
from switchgear.core.guard import guarded, place_of
from switchgear.discover import detector_set, integrity
from switchgear.net import unix
from switchgear.net.clock import SystemClock
from switchgear.net.link import LinkClient
from switchgear.replica.publisher import Publisher
from switchgear.store.backends.sqlite import SqliteBackend
from switchgear.store.ballast import Ballast
from switchgear.store.database import SCHEMA_VERSION, Store, StoreGoneError
from switchgear.vault.verbs import Put
from switchgear.wire import frames


class Configuration(msgspec.Struct):
    """What the supervisor read at the start: the compiled file and its credentials, sealed."""

    compiled: Compiled = Compiled()
    puts: list[Put] = []
    refused: list[str] = []
    """What could not be sealed, and why."""
    unset: dict[str, str] = {}
    """Credentials whose secret was not there, by `provider/credential`, each with a sentence."""
    started_ms: int = 0
    """When the supervisor read it."""


DRAIN_S = 10.0
RETRY_S = 1.0


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers (the supervisor's orders come through Life), and waking once a second instead of
    ten times."""

    task: "asyncio.Task[None] | None" = None

    async def main_loop(self) -> None:
        """Keep the Date header current until told to stop."""
        while not await self.on_tick(0):
            await asyncio.sleep(1.0)

    def _ended(self, exc: Exception) -> None:
        # Nobody could revoke a key any more: a successor listens within a second.
        child.report(f"the admin API ended: {type(exc).__name__} in {place_of(exc)}", "error")
        os._exit(1)

    @guarded(_ended)
    async def serve_on(self, sockets: list[Any]) -> None:
        """Serve until told to stop."""
        await self.serve(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signals alone."""
        yield


class Prepared(msgspec.Struct):
    """What control reads before its cell closes."""

    peppers: dict[int, bytes]
    row_key: bytes
    shipped: Shipped


def prepare(boot: Boot) -> Prepared:
    """Read the pepper, the key of the store's rows and the prices, and what a migration would import."""
    layout = Layout(Path(boot.data))
    if not os.path.lexists(layout.schema_marker(SCHEMA_VERSION)):
        importlib.import_module("switchgear.store.migrate")
    shipped = Shipped(
        load_prices=PriceFiles().load,
        price_snapshot=price_snapshot(),
        advisories=detector_set.shipped_advisories(),
        packages=integrity.installed(),
    )
    return Prepared(read_peppers(layout.pepper), read_row_key(layout.row_key), shipped)


async def main(boot: Boot, prepared: Prepared) -> None:
    """Serve administrators and move the ledger until told to stop."""
    layout = Layout(Path(boot.data))
    clock = SystemClock()
    life = child.Life(boot)
    life.watch()
    ballast = Ballast(layout.store.parent)
    await asyncio.to_thread(ballast.prepare)
    store = Store(
        SqliteBackend(layout.store, ballast),
        not layout.had_store,
        os.urandom,
        prepared.row_key,
        wait=True,
        may_sign=not layout.has_signed,
    )
    link_box: list[LinkClient] = []
    link = LinkClient(
        layout.vault_run,
        lambda: frames.Hello(frames.PROTOCOL_VERSION, "control", boot.link_token, "", boot.run_id),
        lambda: link_box[0].flush(),  # noqa: PLW0108  the link does not exist yet
        child.guard,
    )
    link_box.append(link)
    link.start()
    courier = _courier(boot, layout)
    publisher = await asyncio.to_thread(Publisher, layout.replica)
    control = Control(
        store=store,
        ballast=ballast,
        publisher=publisher,
        link=link,
        peppers=prepared.peppers,
        clock=clock,
        entropy=os.urandom,
        report=child.report,
    )
    services = Services(
        control,
        courier,
        Paths(data=layout.data, spools=layout.spool, journal=layout.journal, status=layout.status, seen=layout.seen),
        prepared.shipped,
        lambda: child.report.errors,
        fault,
        functools.partial(columns.open_control, layout),
    )
    await asyncio.to_thread(services.seen.load)
    services.publication.snapshot = await asyncio.to_thread(publisher.current)
    api = Api(services)
    with contextlib.suppress(OSError):
        api.vault_key = layout.shown_key.read_bytes()
    token = os.urandom(32).hex()
    fd = os.open(layout.cli_token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, token.encode())
    os.close(fd)
    hosts = frozenset(
        {
            boot.console_url.removeprefix("http://"),
            boot.console_url.removeprefix("http://").replace("127.0.0.1", "localhost"),
        }
    )
    # Administrators are heard first: what follows may have to wait for the database or the vault.
    mine = [unix.bind(layout.control_run, "control.sock")]
    local = _serve(
        server.build(api, token, hosts, child.report, fault), mine, Bounds(LOCAL_MAX, frozenset({0, os.geteuid()}))
    )
    console = _serve(
        server.build(api, None, hosts, child.report, fault),
        [child.listening(fd) for fd in boot.listen_fds],
        Bounds(CONSOLE_MAX),
    )
    configuration = msgspec.json.decode(boot.configuration, type=Configuration | None) or Configuration()
    if not await _begin(boot, layout, services, configuration):
        services.jobs.start([Job("configuration", RETRY_S, _later(boot, layout, services, configuration), RETRY_S)])
    services.jobs.start(services.table())
    life.ready()
    await life.stopping.wait()
    await services.jobs.stop()
    if not life.orphaned and store.is_open:
        await services.ingester.drain(DRAIN_S)
    for running in (local, console):
        running.should_exit = True
        running.force_exit = True
    link.close()
    await asyncio.to_thread(store.close)
    services.holds.close()
    publisher.close()


def _courier(boot: Boot, layout: Layout) -> Courier:
    """Return control's hand on the courier, where there is one; its link is made until the process ends."""
    if not boot.courier_token:
        return Courier(None)
    hello = frames.Hello(frames.PROTOCOL_VERSION, "control", boot.courier_token, "", boot.run_id)
    link = LinkClient(layout.courier_run, lambda: hello, lambda: None, child.guard, "courier")
    link.start()
    return Courier(link)


async def _begin(boot: Boot, layout: Layout, services: Services, configuration: Configuration) -> bool:
    """Open the store and put the configuration in force; False, and `config.trouble` says why, when that has to wait. Raises
    UserError at a first start that nobody has used yet, whatever is wrong but a database that is away."""
    store, config = services.control.store, services.config
    try:
        if not store.is_open:
            await asyncio.to_thread(_open, store, layout)
        await config.load(
            configuration.compiled,
            configuration.puts,
            configuration.started_ms,
            configuration.refused,
            configuration.unset,
        )
        await services.control.read(services.refusals.load)
        await services.control.read(services.deployments.load)
        services.breakers.begin(await asyncio.to_thread(services.control.publisher.health))
    except (StoreGoneError, DatabaseError, OSError, lmdb.Error, UserError) as exc:
        if isinstance(exc, UserError) and (boot.is_first or isinstance(exc, OldSchemaError)):
            raise
        if str(exc) != config.trouble:
            child.report(f"waiting: {exc}", "error")
        config.trouble = str(exc)
        return False
    config.trouble = None
    return True


def _later(
    boot: Boot, layout: Layout, services: Services, configuration: Configuration
) -> Callable[[], Awaitable[Next | None]]:
    """Return the job that tries again until it works."""
    later = msgspec.structs.replace(boot, is_first=False)

    async def turn() -> Next | None:
        try:
            return Next.NEVER if await _begin(later, layout, services, configuration) else None
        except OldSchemaError as exc:
            child.report(str(exc), "warning")
            os._exit(1)  # the next start imports what migrates

    return turn


class OldSchemaError(UserError):
    """The database has an older schema than the last time: the code that migrates it was not imported before the cell closed."""


def _open(store: Store, layout: Layout) -> None:
    first = not layout.had_store
    try:
        store.open()
    except ImportError:
        layout.schema_marker(SCHEMA_VERSION).unlink(missing_ok=True)
        raise OldSchemaError("the database is another than the last time: starting again to migrate it") from None
    if first:
        layout.store_marker.write_text(store.id)
    layout.signed_marker.touch()
    layout.schema_marker(SCHEMA_VERSION).touch()


def _serve(app: Any, sockets: list[Any], bounds: Bounds) -> _Server:
    made = _Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            lifespan="off",
            loop="none",
            http=bounded(bounds),
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    made.task = asyncio.create_task(made.serve_on(sockets))
    return made
