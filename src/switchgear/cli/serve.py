"""`switchgear serve`. Level 7."""

import ipaddress
import os
import sys
from pathlib import Path

import click

from switchgear.cli.base import DATA, examples
from switchgear.core.errors import UserError
from switchgear.core.log_line import LEVELS, Level, Settings, Style

PATH = click.Path(path_type=Path)
LOOPBACK = "127.0.0.0/8,::1/128"


def _networks(text: str | None) -> list[str]:
    """Read --behind-tls-proxy; as a variable it may also say yes or no. Raises UserError."""
    found = {"1": LOOPBACK, "true": LOOPBACK, "0": "", "false": ""}.get((text or "").lower(), text or "")
    networks = [part.strip() for part in found.split(",") if part.strip()]
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:
            raise UserError(f"--behind-tls-proxy: {exc}", "networks such as 127.0.0.1/32,10.0.0.0/8", 2) from None
    return networks


@click.command(epilog=examples("switchgear serve --demo", "switchgear serve --config gateway.yaml --workers 4"))
@click.option(
    "--config", type=PATH, envvar="SWITCHGEAR_CONFIG", help="Configuration file; default DATA/switchgear.yaml."
)
@click.option(
    "--data", type=DATA, envvar="SWITCHGEAR_DATA", help="Data folder; default ./switchgear-data or /var/lib/switchgear."
)
@click.option("--listen", envvar="SWITCHGEAR_LISTEN", help="Data plane, HOST:PORT; default 127.0.0.1:4100.")
@click.option(
    "--console", envvar="SWITCHGEAR_CONSOLE", help="Console and admin API, HOST:PORT; default 127.0.0.1:4101."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), envvar="SWITCHGEAR_WORKERS", help="Edge processes; default one per core."
)
@click.option(
    "--demo", is_flag=True, envvar="SWITCHGEAR_DEMO", help="Add a provider that needs no account, in ./switchgear-data."
)
@click.option("--kek-file", type=PATH, envvar="SWITCHGEAR_KEK_FILE", help="File with the key-encryption key.")
@click.option("--kek-fd", type=int, envvar="SWITCHGEAR_KEK_FD", help="Open descriptor to read the KEK from.")
@click.option(
    "--kek-credential", envvar="SWITCHGEAR_KEK_CREDENTIAL", help="Name of the systemd credential with the KEK."
)
@click.option(
    "--identity-dir",
    type=PATH,
    envvar="SWITCHGEAR_IDENTITY_DIR",
    help="Folder with the platform's own tokens (Kubernetes, CI), for web_identity, workload_identity, entra_federated.",
)
@click.option(
    "--identity-host",
    "identity_hosts",
    multiple=True,
    metavar="HOST",
    envvar="SWITCHGEAR_IDENTITY_HOSTS",
    help="A host of your own that may be shown the platform's identity (a proxy before a cloud); may be repeated.",
)
@click.option("--tls-cert", type=PATH, envvar="SWITCHGEAR_TLS_CERT", help="PEM certificate chain of the data plane.")
@click.option("--tls-key", type=PATH, envvar="SWITCHGEAR_TLS_KEY", help="PEM private key of the data plane.")
@click.option(
    "--behind-tls-proxy",
    is_flag=False,
    flag_value=LOOPBACK,
    envvar="SWITCHGEAR_BEHIND_TLS_PROXY",
    metavar="[CIDR,…]",
    help="Believe X-Forwarded-For and -Proto of proxies in these networks; alone: of this machine's.",
)
@click.option(
    "--drain-grace",
    type=float,
    default=5.0,
    envvar="SWITCHGEAR_DRAIN_GRACE",
    show_default=True,
    help="Seconds that requests are still accepted after SIGTERM.",
)
@click.option(
    "--drain-seconds",
    type=float,
    default=30.0,
    envvar="SWITCHGEAR_DRAIN_SECONDS",
    show_default=True,
    help="Seconds that running streams may take to end.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    envvar="SWITCHGEAR_LOG_FORMAT",
    help="Style of the log on stderr; default text on a terminal, json elsewhere.",
)
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    default="info",
    show_default=True,
    envvar="SWITCHGEAR_LOG_LEVEL",
    help="What is worth a line.",
)
@click.option("--access-log", is_flag=True, envvar="SWITCHGEAR_ACCESS_LOG", help="Log one line per request.")
@click.option("--quiet", is_flag=True, envvar="SWITCHGEAR_QUIET", help="Print no welcome.")
def serve(
    config: Path | None,
    data: Path | None,
    listen: str | None,
    console: str | None,
    workers: int | None,
    demo: bool,
    kek_file: Path | None,
    kek_fd: int | None,
    kek_credential: str | None,
    identity_dir: Path | None,
    identity_hosts: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    behind_tls_proxy: str | None,
    drain_grace: float,
    drain_seconds: float,
    log_format: Style | None,
    log_level: Level,
    access_log: bool,
    quiet: bool,
) -> None:
    """Run the gateway in the foreground. SIGTERM drains, SIGHUP reloads the configuration and TLS files."""
    from switchgear.app import serve as starting  # noqa: PLC0415 - a TAB and --help need no gateway
    from switchgear.app.options import Options  # noqa: PLC0415

    options = Options(
        config=config,
        data=data,
        listen=listen,
        console=console,
        workers=workers,
        demo=demo,
        kek_file=kek_file,
        kek_fd=kek_fd,
        kek_credential=kek_credential,
        identity_dir=identity_dir,
        identity_hosts=identity_hosts,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_tls_proxy=_networks(behind_tls_proxy),
        drain_grace_s=drain_grace,
        drain_s=drain_seconds,
        banner=not quiet,
        log=Settings(
            style=log_format or ("text" if sys.stderr.isatty() else "json"), level=log_level, access=access_log
        ),
    )
    starting.serve(options, dict(os.environ))
