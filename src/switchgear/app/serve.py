"""From options, environment and file to a running supervisor. Level 6. Everything is checked before anything changes."""

import os
import shlex
import sys
import time
from pathlib import Path

import msgspec

from switchgear.app import columns, outward, ownership, supervisor
from switchgear.app.data_folder import make_folder, make_pepper, make_row_key, own_config, take_lock
from switchgear.app.demo_configuration import with_demo
from switchgear.app.exposure import check_exposure
from switchgear.app.layout import Layout, data_folder
from switchgear.app.listeners import bind, read_address, shown
from switchgear.app.options import Options
from switchgear.app.state import SupervisorState
from switchgear.app.stopped_store import store_names
from switchgear.app.vault_key import ensure_public_key, find_kek, show_public_key
from switchgear.config.compile import Process
from switchgear.config_files.load import Loaded, load_config
from switchgear.config_files.tls_pair import tls_problem
from switchgear.core.errors import ConfigError, UserError
from switchgear.core.secret import Secret
from switchgear.vault import public_key
from switchgear.vault.sealing import seal_all, seal_one

ORPHANS_S = 2.0
"""How long the ports of a killed predecessor's children are waited for; they end within a second."""


def serve(options: Options, environ: dict[str, str]) -> None:
    """Check everything, then become the supervisor. Raises UserError; does not return otherwise."""
    started_s = time.monotonic()
    data = _choose_data(options, environ)
    layout = Layout(data)
    config_path = options.config or own_config(layout)
    loaded = _load(config_path, environ, layout)
    process = loaded.compiled.process
    data_address = read_address(options.listen or process.data, "--listen")
    console_address = read_address(options.console or process.console, "--console")
    tls_cert, tls_key = _tls_paths(options, process)
    proxies = [*options.behind_tls_proxy, *process.trusted_proxies]
    must_confine = check_exposure(data_address, console_address, bool(tls_cert or proxies))
    workers = options.workers or process.workers or os.cpu_count() or 1
    who = ownership.process_users(environ)
    make_folder(layout)
    lock_fd = take_lock(layout.lock)
    if lock_fd is None:
        raise UserError(
            f"another gateway runs on {data}",
            f"stop it ({_how_to_stop(layout)}), or use another folder: see switchgear status --data {shlex.quote(str(data))}",
            2,
        )
    make_folder(layout, workers)
    kek_path, kek_fd = find_kek(options, layout, environ)
    patience_s = ORPHANS_S if _was_killed(layout) else 0.0
    data_socket = bind(data_address, "the data plane", "--listen", patience_s)
    console_socket = bind(console_address, "the console", "--console", patience_s)
    make_pepper(layout)
    make_row_key(layout)
    ensure_public_key(layout, kek_path, kek_fd)
    public = public_key.read(layout.public_key)
    columns.prepare(layout, workers)
    if who is not None:
        ownership.give(ownership.table(layout, who, workers))
        columns.give(layout, who, workers)
    show_public_key(layout, public)
    now_ms = time.time_ns() // 1_000_000
    puts, refused = seal_all(loaded.compiled.providers, loaded.secrets, public, now_ms)
    compiled = loaded.compiled
    demo_socket = None
    if options.demo:
        demo_socket = bind(("127.0.0.1", 0), "the demo provider", "--demo")
        compiled = with_demo(compiled, demo_socket.getsockname()[1])
        puts.append(seal_one(compiled.providers[-1], "none", Secret(b""), public, now_ms))
    identity_dir = _identity_dir(options.identity_dir)
    courier_key = str(outward.key_path(kek_path, environ)) if process.destinations else ""
    destinations = (
        outward.sealed(process.destinations, loaded.destination_secrets, Path(courier_key), now_ms)
        if courier_key
        else []
    )
    scheme = "https" if tls_cert else "http"
    state = SupervisorState(
        data=str(data),
        workers=workers,
        data_fds=[data_socket.detach()],
        console_fds=[console_socket.detach()],
        demo_fds=[demo_socket.detach()] if demo_socket is not None else [],
        data_url=f"{scheme}://{shown(data_address)}",
        console_url=f"http://{shown(console_address)}",
        lock_fd=lock_fd,
        kek_path=str(kek_path) if kek_path is not None else "",
        kek_fd=kek_fd,
        identity_dir=identity_dir,
        identity_hosts=[host.rstrip(".").lower() for host in options.identity_hosts],
        configuration=msgspec.Raw(
            msgspec.json.encode(
                {
                    "compiled": compiled,
                    "puts": puts,
                    "refused": refused,
                    "unset": loaded.unset,
                    "started_ms": now_ms,
                }
            )
        ),
        destinations=msgspec.Raw(msgspec.json.encode(destinations)),
        courier_key=courier_key,
        limits=process.limits,
        trusted_proxies=proxies,
        cors=list(process.cors),
        durability=process.durability,
        drain_grace_s=options.drain_grace_s,
        drain_s=options.drain_s,
        tls_cert=tls_cert,
        tls_key=tls_key,
        config_path=str(config_path.absolute()) if config_path is not None else "",
        config_sources=loaded.sources,
        started_s=started_s,
        banner=options.banner,
        demo=options.demo,
        segment_bytes=options.segment_bytes,
        log=options.log,
        notify_socket=environ.get("NOTIFY_SOCKET", ""),
        uid_base=who.base if who is not None else 0,
        must_confine=must_confine,
    )
    supervisor.re_exec(state, environ)


def _how_to_stop(layout: Layout) -> str:
    """Return the command that ends the gateway of a folder, as far as that says who it is."""
    try:
        return f"kill {int(msgspec.json.decode(layout.status.read_bytes())['pids']['supervisor'])}"
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        return "Ctrl-C in its terminal"


def _load(path: Path | None, environ: dict[str, str], layout: Layout) -> Loaded:
    """Read the configuration. Names that it does not declare may be the store's, which is asked only then."""
    now_ms = time.time_ns() // 1_000_000
    try:
        loaded = load_config(path, environ, now_ms=now_ms, at_start=True)
    except ConfigError:
        known = store_names(layout)
        if known is None:
            raise
        loaded = load_config(path, environ, known=known, now_ms=now_ms, at_start=True)
    for said in (*loaded.warnings, *loaded.unset.values()):
        sys.stderr.write(f"{said}\n")
    return loaded


def _choose_data(options: Options, environ: dict[str, str]) -> Path:
    if options.demo and options.data is None and not environ.get("SWITCHGEAR_DATA"):
        return Path("switchgear-data").absolute()
    return data_folder(options.data, environ)


def _identity_dir(folder: Path | None) -> str:
    if folder is None:
        return ""
    if not folder.is_dir():
        raise UserError(f"--identity-dir: {folder} is not a folder", "mount the platform's tokens there first", 2)
    return str(folder.resolve())


def _tls_paths(options: Options, process: Process) -> tuple[str, str]:
    cert = str(options.tls_cert.absolute() if options.tls_cert is not None else process.tls_cert)
    key = str(options.tls_key.absolute() if options.tls_key is not None else process.tls_key)
    if bool(cert) != bool(key):
        raise UserError("TLS needs both a certificate and a key", "give --tls-cert and --tls-key", 2)
    wrong = tls_problem(cert, key) if cert else None
    if wrong is not None:
        raise UserError(
            f"the TLS files are not good: {wrong}", "both are PEM files: --tls-cert, --tls-key, or listen.tls", 2
        )
    return cert, key


def _was_killed(layout: Layout) -> bool:
    """Tell whether the last supervisor of this folder ended without saying so: its children may still be ending."""
    try:
        return bool(msgspec.json.decode(layout.status.read_bytes())["state"] != "stopped")
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return False
