"""From options, environment and file to a running supervisor. Level 6. Everything is checked before anything changes."""

import errno
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from switchgear.app import outward, ownership, supervisor
from switchgear.app.configuration import Loaded, load_config, store_names, tls_problem
from switchgear.app.layout import Layout, PublicKeyFile, data_folder, default_kek_path, kek_stamp, read_peppers
from switchgear.app.sealing import read_public_key, seal_one
from switchgear.config.compile import Compiled, Process, ProviderSpec, parse_listen
from switchgear.confine import cell
from switchgear.core.errors import ConfigError, UserError
from switchgear.core.log_line import Settings
from switchgear.core.secret import Secret
from switchgear.pricing.price import Price, Rate
from switchgear.providers import endpoint
from switchgear.providers.catalogue import GENERIC
from switchgear.vault.kek import PublicKey
from switchgear.vault.verbs import Put

ORPHANS_S = 2.0
"""How long the ports of a killed predecessor's children are waited for; they end within a second."""
DEMO_MODELS = ("echo", "slow", "stream-20-20", "stream-200-50")


class Options(msgspec.Struct, kw_only=True):
    """What `switchgear serve` was told; None means not said."""

    config: Path | None = None
    data: Path | None = None
    listen: str | None = None
    console: str | None = None
    workers: int | None = None
    demo: bool = False
    kek_file: Path | None = None
    kek_fd: int | None = None
    kek_credential: str | None = None
    identity_dir: Path | None = None
    identity_hosts: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: list[str] = []
    drain_grace_s: float = 5.0
    drain_s: float = 30.0
    banner: bool = True
    log: Settings = msgspec.field(default_factory=Settings)
    segment_bytes: int = 16 * 1024 * 1024


def seal_secrets(loaded: Loaded, public: PublicKey, now_ms: int) -> list[Put]:
    """Seal the file's secrets, and an empty one for each provider without authentication."""
    puts = []
    for spec in loaded.compiled.providers:
        for name in spec.credentials:
            secret = loaded.secrets.get((spec.name, name))
            if secret is None and spec.place(name).auth in endpoint.KEYLESS:
                secret = Secret(b"")
            if secret is not None:
                puts.append(seal_one(spec, name, secret, public, now_ms))
    return puts


def serve(options: Options, environ: dict[str, str]) -> None:
    """Check everything, then become the supervisor. Raises UserError; does not return otherwise."""
    started_s = time.monotonic()
    data = _choose_data(options, environ)
    layout = Layout(data)
    config_path = options.config or _own_config(layout)
    loaded = _load(config_path, environ, layout)
    process = loaded.compiled.process
    data_address = _address(options.listen or process.data, "--listen")
    console_address = _address(options.console or process.console, "--console")
    tls_cert, tls_key = _tls_paths(options, process)
    proxies = [*options.behind_tls_proxy, *process.trusted_proxies]
    must_confine = _check_exposure(data_address, console_address, bool(tls_cert or proxies))
    workers = options.workers or process.workers or os.cpu_count() or 1
    who = ownership.people(environ)
    _make_folder(layout, workers)
    lock_fd = supervisor.take_lock(layout.lock)
    if lock_fd is None:
        raise UserError(
            f"another gateway runs on {data}",
            f"stop it first, or use another folder: see switchgear status --data {shlex.quote(str(data))}",
            2,
        )
    kek_path, kek_fd = _kek(options, layout, environ)
    patience_s = ORPHANS_S if _was_killed(layout) else 0.0
    data_socket = _bind(data_address, "the data plane", "--listen", patience_s)
    console_socket = _bind(console_address, "the console", "--console", patience_s)
    _make_pepper(layout)
    _ensure_public_key(layout, kek_path, kek_fd)
    public = read_public_key(layout)
    if who is not None:
        ownership.give(ownership.table(layout, who, workers))
    _show_public_key(layout, public)
    now_ms = time.time_ns() // 1_000_000
    puts = seal_secrets(loaded, public, now_ms)
    compiled = loaded.compiled
    demo_socket = None
    if options.demo:
        demo_socket = _bind(("127.0.0.1", 0), "the demo provider", "--demo")
        compiled = _with_demo(compiled, demo_socket.getsockname()[1])
        puts.append(seal_one(compiled.providers[-1], "none", Secret(b""), public, now_ms))
    identity_dir = _identity_dir(options.identity_dir)
    courier_key = str(outward.key_path(kek_path, environ)) if process.destinations else ""
    destinations = (
        outward.sealed(process.destinations, loaded.destination_secrets, Path(courier_key), now_ms)
        if courier_key
        else []
    )
    scheme = "https" if tls_cert else "http"
    state = supervisor.State(
        data=str(data),
        workers=workers,
        data_fds=[data_socket.detach()],
        console_fds=[console_socket.detach()],
        demo_fds=[demo_socket.detach()] if demo_socket is not None else [],
        data_url=f"{scheme}://{_show(data_address)}",
        console_url=f"http://{_show(console_address)}",
        lock_fd=lock_fd,
        kek_path=str(kek_path) if kek_path is not None else "",
        kek_fd=kek_fd,
        identity_dir=identity_dir,
        identity_hosts=[host.rstrip(".").lower() for host in options.identity_hosts],
        configuration=msgspec.Raw(msgspec.json.encode({"compiled": compiled, "puts": puts, "started_ms": now_ms})),
        destinations=msgspec.Raw(msgspec.json.encode(destinations)),
        courier_key=courier_key,
        limits=process.limits,
        trusted_proxies=proxies,
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


def _load(path: Path | None, environ: dict[str, str], layout: Layout) -> Loaded:
    """Read the configuration. Names that it does not declare may be the store's, which is asked only then."""
    now_ms = time.time_ns() // 1_000_000
    try:
        loaded = load_config(path, environ, now_ms=now_ms)
    except ConfigError:
        known = store_names(layout)
        if known is None:
            raise
        loaded = load_config(path, environ, known=known, now_ms=now_ms)
    for warning in loaded.warnings:
        sys.stderr.write(f"{warning}\n")
    return loaded


def _own_config(layout: Layout) -> Path | None:
    path = layout.data / "switchgear.yaml"
    try:
        return path if path.is_file() else None
    except OSError as exc:
        raise _closed(layout.data, exc) from None


def _closed(folder: Path, exc: OSError) -> UserError:
    return UserError(
        f"the data folder {folder} cannot be used: {exc.strerror}",
        "run as its owner, choose another with --data DIR, or make it yours: chown",
        2,
    )


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


def _address(text: str, flag: str) -> tuple[str, int]:
    found = parse_listen(text)
    if found is None:
        raise UserError(f"{text!r} is not HOST:PORT", f"e.g. {flag} 127.0.0.1:4100", 2)
    return found


def _show(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_exposure(data: tuple[str, int], console: tuple[str, int], is_encrypted: bool) -> bool:
    """Apply the rule of docs/contract.md §2; returns whether every process must prove its confinement. Raises UserError."""
    if not _is_loopback(console):
        raise UserError(
            f"the console cannot listen on {_show(console)}: there are no admin accounts yet, only one-time links",
            "leave it on 127.0.0.1 and reach it through ssh -L 4101:127.0.0.1:4101 HOST",
            2,
        )
    if _is_loopback(data):
        return False
    if not is_encrypted:
        raise UserError(
            f"{_show(data)} is beyond loopback, where keys and prompts must not travel in the clear",
            "give --tls-cert and --tls-key, or name the proxies in front that end TLS: --behind-tls-proxy 10.0.0.0/8",
            2,
        )
    missing = cell.probe()
    if missing:
        raise UserError(
            f"{_show(data)} is beyond loopback, and this machine cannot confine the processes: {missing[0]}",
            "listen on 127.0.0.1, or use a newer kernel: switchgear doctor says what is missing",
            2,
        )
    return True


def _is_loopback(address: tuple[str, int]) -> bool:
    return address[0].startswith("127.") or address[0] == "::1"


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


def _make_folder(layout: Layout, workers: int) -> None:
    try:
        layout.make(workers)
        owner = layout.data.stat().st_uid
    except OSError as exc:
        raise _closed(layout.data, exc) from None
    if owner != os.geteuid():
        raise UserError(
            f"the data folder {layout.data} belongs to uid {owner}, not to you (uid {os.geteuid()})",
            "run as that user, or choose another with --data DIR",
            2,
        )
    for folder in layout.folders(workers):
        if os.geteuid() != 0 and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise UserError(f"the folder {folder} is closed to you", f"run: chmod u+rwx {shlex.quote(str(folder))}", 2)
    if os.geteuid() != 0:
        layout.data.chmod(0o700)  # for root, app/ownership has the table


def _kek(options: Options, layout: Layout, environ: dict[str, str]) -> tuple[Path | None, int]:
    if options.kek_credential is not None:
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise UserError("--kek-credential needs a systemd service with LoadCredential", "see docs/operations.md", 2)
        options.kek_file = Path(folder) / options.kek_credential
    if options.kek_fd is not None:
        try:
            os.fstat(options.kek_fd)
        except OSError:
            raise UserError(
                f"--kek-fd {options.kek_fd} is not open", "e.g. switchgear serve --kek-fd 3 3< FILE", 2
            ) from None
        return None, options.kek_fd
    path = (options.kek_file or default_kek_path(environ)).absolute()
    box = layout.vault / "box"
    if not path.exists() and box.exists():
        raise UserError(
            f"the KEK file {path} is missing, and {layout.data} holds credentials that only it can open",
            "restore it from your copy, or name its place with --kek-file",
            2,
        )
    if path.exists():
        from switchgear.vault import kek  # noqa: PLC0415

        kek.read(path)  # says what is wrong with it; the value is dropped, and this process is about to be replaced
    return path, -1


def _was_killed(layout: Layout) -> bool:
    """Tell whether the last supervisor of this folder ended without saying so: its children may still be ending."""
    try:
        return bool(msgspec.json.decode(layout.status.read_bytes())["state"] != "stopped")
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return False


def _bind(address: tuple[str, int], what: str, flag: str, patience_s: float = 0.0) -> socket.socket:
    host, port = address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    until = time.monotonic() + patience_s
    try:
        while True:
            try:
                sock.bind(address)
                break
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        sock.listen(4096)
    except OSError as exc:
        sock.close()
        raise UserError(
            f"{what} cannot listen on {_show(address)}: {(exc.strerror or str(exc)).lower()}",
            f"stop what uses it, or choose another: {flag} {host}:{port + 10}, or SWITCHGEAR_{flag[2:].upper()}={host}:{port + 10}",
            2,
        ) from None
    return sock


def _make_pepper(layout: Layout) -> None:
    try:
        fd = os.open(layout.pepper, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        read_peppers(layout.pepper)  # says what is wrong with it; the value is dropped
        return
    os.write(fd, f"1 {os.urandom(32).hex()}\n".encode())
    os.fsync(fd)
    os.close(fd)


def _ensure_public_key(layout: Layout, path: Path | None, kek_fd: int) -> None:
    """Have the vault's code write the public key, in a process of its own, unless it stands there already."""
    stamp = kek_stamp(path) if path is not None and path.exists() else ""
    if stamp and layout.public_key.exists():
        file = msgspec.json.decode(layout.public_key.read_bytes(), type=PublicKeyFile)
        if file.kek_path == str(path) and file.kek_stamp == stamp:
            return
    arguments = [str(layout.data), str(path) if path is not None else "-", str(kek_fd)]
    command = [sys.executable, "-I", "-m", "switchgear.app.vault_init", *arguments]
    done = subprocess.run(  # noqa: S603  our own interpreter and module, no shell
        command,
        check=False,
        capture_output=True,
        text=True,
        pass_fds=[kek_fd] if kek_fd >= 0 else [],
        env=supervisor.clean_environment(os.environ),
    )
    if done.returncode != 0:
        raise UserError(done.stderr.strip() or "the vault could not be prepared", "", 2)


def _show_public_key(layout: Layout, public: PublicKey) -> None:
    """Leave the vault's public key where control can read it, and not write it: for `credential add --server`."""
    new = layout.shown_key.with_name("vault.pub.new")
    new.write_bytes(public.raw)
    new.chmod(0o640)  # its group is control's, as that of the folder
    new.rename(layout.shown_key)


def _with_demo(compiled: Compiled, port: int) -> Compiled:
    place = endpoint.parse(f"http://127.0.0.1:{port}/v1", auth="none", allow_private=True)
    spec = ProviderSpec(
        name="demo",
        dialects=tuple(GENERIC),
        endpoint=place,
        pricing_id=None,
        credentials=("none",),
    )
    price = {"input": Rate(150_000_000), "output": Rate(600_000_000)}
    overrides = {f"demo/{name}": Price(name, "demo", price) for name in DEMO_MODELS}  # type: ignore[arg-type]
    return msgspec.structs.replace(
        compiled, providers=(*compiled.providers, spec), price_overrides={**overrides, **compiled.price_overrides}
    )
