"""Constructs control. Level 6."""

import asyncio
import contextlib
import functools
import importlib
import itertools
import os
import shlex
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import uvicorn
import uvicorn.lifespan.off
from sqlalchemy.exc import DatabaseError

from switchgear import __version__
from switchgear.app import child
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout, PriceFiles, price_snapshot, read_peppers
from switchgear.app.report import fault
from switchgear.config.compile import Compiled
from switchgear.control import server
from switchgear.control.absorber import Absorber
from switchgear.control.api import Api
from switchgear.control.checkup import Checkup
from switchgear.control.connections import CONSOLE_MAX, LOCAL_MAX, Bounds, bounded
from switchgear.control.courier import Courier
from switchgear.control.double_entry import DoubleEntry
from switchgear.control.faults import Faults
from switchgear.control.handle import Control
from switchgear.control.housekeeping import Housekeeper
from switchgear.control.jobs import Jobs
from switchgear.control.observers import Claims, StoredPublisher
from switchgear.control.prices import PriceBook
from switchgear.control.services import Services
from switchgear.control.spend import SpendBoard
from switchgear.control.traffic import NO_PROVIDER
from switchgear.core.errors import UserError
from switchgear.core.guard import guarded, place_of
from switchgear.detect.advisories import AdvisoryFile
from switchgear.discover import integrity, toolbox
from switchgear.net import unix
from switchgear.net.clock import SystemClock
from switchgear.net.link import VaultLink
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
    started_ms: int = 0
    """When the supervisor read it."""


DRAIN_S = 10.0
FILES_MAX = 2_000
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
    prices: PriceFiles
    snapshot: str
    advisories: AdvisoryFile
    packages: list[tuple[str, str]]


def prepare(boot: Boot) -> Prepared:
    """Read the pepper and the prices, and what a migration would import."""
    layout = Layout(Path(boot.data))
    if not os.path.lexists(layout.schema_marker(SCHEMA_VERSION)):
        importlib.import_module("switchgear.store.migrate")
    advisories = toolbox.shipped_advisories()
    return Prepared(read_peppers(layout.pepper), PriceFiles(), price_snapshot(), advisories, integrity.installed())


async def main(boot: Boot, prepared: Prepared) -> None:
    """Serve administrators and move the ledger until told to stop."""
    layout = Layout(Path(boot.data))
    clock = SystemClock()
    life = child.Life(boot)
    life.watch()
    ballast = Ballast(layout.store.parent)
    await asyncio.to_thread(ballast.prepare)
    store = Store(SqliteBackend(layout.store, ballast), not layout.had_store, os.urandom, wait=True)
    link_box: list[VaultLink] = []
    link = VaultLink(
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
    services = Services(control, PriceBook(), prepared.prices.load, prepared.snapshot)
    services.publication.snapshot = await asyncio.to_thread(publisher.current)
    claims = Claims()
    absorber = Absorber(
        store,
        layout.spool,
        link,
        services.prices,
        clock,
        os.urandom,
        child.report,
        participants=(StoredPublisher(publisher.put_stored), services.refusals),
        observers=(services.refusals, services.traffic, services.changed_keys, claims),
    )
    books = DoubleEntry(store, layout.journal, absorber, claims, clock, child.report)
    checkup = Checkup(
        services, prepared.advisories, prepared.packages, lambda: _size(layout.spool), lambda: _free(layout.data)
    )
    jobs = Jobs(fault, clock)
    faults = Faults(link, courier, lambda: child.report.errors, clock)
    api = Api(services, absorber, lambda: status(layout, services, absorber, books, jobs, faults), checkup)
    api.courier = courier
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
        jobs.start("configuration", functools.partial(_begin_later, boot, layout, services, configuration))
    jobs.start("ledger", absorber.run)
    jobs.start("debts", services.stops.pay_debts)
    jobs.start("double entry", books.run)
    jobs.start("spend", SpendBoard(control, services.changed_keys).run)
    jobs.start("housekeeping", Housekeeper(control, services.publication, absorber, layout.journal).run)
    jobs.start("doctor", checkup.run)
    jobs.start("faults", faults.run)
    life.ready()
    await life.stopping.wait()
    await jobs.stop()
    if not life.orphaned and store.is_open:
        await absorber.drain(DRAIN_S)
    for running in (local, console):
        running.should_exit = True
        running.force_exit = True
    link.close()
    await asyncio.to_thread(store.close)
    publisher.close()


def _courier(boot: Boot, layout: Layout) -> Courier:
    """Return control's hand on the courier, where there is one; its link is made until the process ends."""
    if not boot.courier_token:
        return Courier(None)
    hello = frames.Hello(frames.PROTOCOL_VERSION, "control", boot.courier_token, "", boot.run_id)
    link = VaultLink(layout.courier_run, lambda: hello, lambda: None, child.guard, "courier")
    link.start()
    return Courier(link)


async def _begin(boot: Boot, layout: Layout, services: Services, configuration: Configuration) -> bool:
    """Open the store and put the configuration in force; False, and `config.trouble` says why, when that has to wait. Raises
    UserError at a first start that nobody has used yet, whatever is wrong but a database that is away."""
    store, config = services.control.store, services.config
    try:
        if not store.is_open:
            await asyncio.to_thread(_open, store, layout)
        await config.load(configuration.compiled, configuration.puts, configuration.started_ms)
        await services.control.read(services.refusals.load)
    except (StoreGoneError, DatabaseError, OSError, lmdb.Error, UserError) as exc:
        if isinstance(exc, UserError) and (boot.is_first or isinstance(exc, OldSchemaError)):
            raise
        if str(exc) != config.trouble:
            child.report(f"waiting: {exc}", "error")
        config.trouble = str(exc)
        return False
    config.trouble = None
    return True


async def _begin_later(boot: Boot, layout: Layout, services: Services, configuration: Configuration) -> None:
    """Try again until it works, then write what could not be written meanwhile."""
    later = msgspec.structs.replace(boot, is_first=False)
    while services.config.trouble is not None:
        await asyncio.sleep(RETRY_S)
        try:
            await _begin(later, layout, services, configuration)
        except OldSchemaError as exc:
            child.report(str(exc), "warning")
            os._exit(1)  # the next start imports what migrates


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


def status(
    layout: Layout, services: Services, absorber: Absorber, books: DoubleEntry, jobs: Jobs, faults: Faults
) -> dict[str, Any]:
    """Join what the supervisor knows with what control knows."""
    config, publication = services.config, services.publication
    try:
        base: dict[str, Any] = msgspec.json.decode(layout.status.read_bytes())
    except (OSError, msgspec.DecodeError):
        base = {"state": "starting", "pids": {}}
    problems = list(base.get("problems", []))
    problems += [config.trouble] if config.trouble is not None else absorber.problems
    problems += jobs.problems + config.refused_puts + sorted(publication.damaged)
    problems += books.problems + faults.problems
    problems += config.problems
    problems += [f"the KEK does not open credential {c.id}" for c in publication.credentials if not c.opens]
    refused, traffic = services.refusals.current(publication.credentials), services.traffic
    problems += [
        f"the provider refuses credential {name} (status {refusal.status}): switchgear credential test {name}"
        for name, refusal in refused.items()
    ]
    compiled = publication.compiled
    path, digest = base.pop("config_on_disk", ("", ""))
    if (
        config.trouble is None and compiled.source == path and digest != compiled.digest
    ):  # of a file that was applied from elsewhere nothing is known
        problems.append(_drift(path, digest))
    state = base.get("state", "starting")
    if state == "ready" and problems:
        state = "degraded"
    return {
        **base,
        "version": __version__,
        "state": state,
        "problems": problems,
        "ledger": {"absorbed": absorber.absorbed, "spool_bytes": _size(layout.spool)},
        "double_entry": {
            "checked": books.checked,
            "unspooled": books.unspooled,
            "repeated": books.repeated,
            "contradicted": books.contradicted,
            "booked_as_nothing": books.free,
            "booked_as_little": books.thin,
        },
        "refused_requests": {"last_minute": traffic.refused_lately, "total": traffic.refused},
        "faults": faults.counts(traffic.errors),
        "courier": faults.courier,
        "config": {"source": compiled.source, "digest": compiled.digest, "restart": config.needs_restart()},
        "freezes": publication.snapshot.freezes if publication.snapshot is not None else {},
        "prices": publication.price_snapshot,
        "refused": refused,
        "providers": {
            name: {"attempts": sums.attempts, "errors": sums.errors}
            for name, sums in traffic.providers.items()
            if name != NO_PROVIDER
        },
    }


def _free(folder: Path) -> float:
    """Return which part of the disk is free for this user."""
    found = os.statvfs(folder)
    return found.f_bavail / found.f_blocks if found.f_blocks else 1.0


def _drift(source: str, on_disk: str) -> str:
    if not on_disk:
        return f"the configuration file {source} cannot be read any more"
    return f"the file {source} differs from the configuration in force: switchgear config apply {shlex.quote(source)}"


def _size(folder: Path) -> int:
    """Return the bytes of the edges' segments; of a folder that somebody filled with files, those of the first FILES_MAX."""
    total = 0
    for spool in folder.glob("edge-*"):
        with contextlib.suppress(OSError), os.scandir(spool) as entries:
            for entry in itertools.islice(entries, FILES_MAX):
                if entry.name.endswith(".seg"):
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total
