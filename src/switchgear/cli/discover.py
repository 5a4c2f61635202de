"""`switchgear discover`. Level 7. Only what its help needs: the search itself is imported when there is one."""

from pathlib import Path
from typing import Any

import click

from switchgear.cli.base import DATA, Choice, format_options
from switchgear.detect.finding import SEVERITIES

OUTPUTS = ("table", "wide", "json", "csv", "sarif", "cyclonedx", "markdown")
FILE_BYTES_MAX = 1024**3
"""As discover.files'."""
_PATH = click.Path(path_type=Path)


@click.command(
    epilog="""Examples:

\b
  switchgear discover                                    this machine: listeners, packages, units, containers
  switchgear discover .  --history                       a repository, with every version of every file
  switchgear discover --hosts 127.0.0.1                  what answers on this machine
  switchgear discover --scope scope.yaml -o sarif        hosts of a scope file
  switchgear discover --logs /var/log/dnsmasq.log        who talks to which provider
  switchgear discover . --json > base.json;  switchgear discover . --baseline base.json

Exit: 0 clean, 3 findings (of --fail-on and above), 4 partial: something could not be looked at."""
)
@click.argument("paths", nargs=-1, type=_PATH)
@click.option("--machine", is_flag=True, help="This machine too (alone: the default without paths, hosts and logs).")
@click.option("--users", is_flag=True, help="With --machine: settings and histories of people too.")
@click.option(
    "--root", type=_PATH, default=Path("/"), show_default=True, help="With --machine: a mounted image instead."
)
@click.option("--hosts", multiple=True, metavar="HOST", help="Ask a host, host:port or network; repeatable. GET only.")
@click.option("--scope", "scope_file", type=_PATH, help="Ask the hosts of a scope file, with their owners.")
@click.option("--ports", metavar="N,N", help="With --hosts: these ports instead of the usual ones.")
@click.option("--logs", multiple=True, type=_PATH, help="Read a DNS, proxy or cloud log, plain or gzip; repeatable.")
@click.option(
    "--own-client", multiple=True, metavar="ADDRESS", help="With --logs: an address of this gateway; repeatable."
)
@click.option("--pseudonymise", is_flag=True, help="With --logs: hide clients behind keyed pseudonyms.")
@click.option("--year", type=int, help="With --logs: the year of logs that do not say it.")
@click.option("--history", "with_history", is_flag=True, help="Read git history of the paths too.")
@click.option(
    "--gateway", multiple=True, metavar="URL", help="A URL of this gateway (besides a running one's); repeatable."
)
@click.option("--rules", type=_PATH, help="Folder with your own keys/*.toml, products/*.toml, domains.toml.")
@click.option(
    "--max-file-size", type=int, default=FILE_BYTES_MAX, show_default=True, help="Bytes; larger files are named."
)
@click.option("--baseline", type=_PATH, help="An earlier JSON report: show only what is new.")
@click.option("--diff", is_flag=True, help="With --baseline: list what is gone, too.")
@click.option("--record", is_flag=True, help="Store the findings in the gateway (switchgear findings).")
@click.option(
    "--fail-on",
    type=Choice(SEVERITIES, "severity"),
    default="low",
    show_default=True,
    help="Least severity for exit 3.",
)
@click.option("--data", type=DATA, envvar="SWITCHGEAR_DATA", help="Data folder of the gateway.")
@click.option("--server", envvar="SWITCHGEAR_SERVER", help="URL of a gateway's console, with SWITCHGEAR_TOKEN.")
@format_options(OUTPUTS)
def discover(**given: Any) -> int:
    """Find AI gateways, model servers, agents and provider keys that run outside this gateway. Offline; masks secrets."""
    from switchgear.cli import discovery  # noqa: PLC0415 - 150 ms that help and a TAB do without

    return discovery.run(**given)
