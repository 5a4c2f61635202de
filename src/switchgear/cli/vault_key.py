"""The vault's public key, for who seals here: from the data folder, or from a server and then remembered. Level 7.

A server's key passes its control process, which must not be able to put its own there unseen. So the first key of a server is
shown and remembered, as ssh does with host keys; another one is refused; `--vault-key` (SWITCHGEAR_VAULT_KEY) trusts one only.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from switchgear.cli.client import Client, is_loopback
from switchgear.cli.output import note
from switchgear.core.errors import UserError

if TYPE_CHECKING:
    from switchgear.vault.kek import PublicKey

option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--vault-key",
    metavar="SHA256:…",
    envvar="SWITCHGEAR_VAULT_KEY",
    help="With --server: seal for this vault only (`switchgear credential vault-key` there).",
)


def of(client: Client, pinned: str | None = None) -> "PublicKey":
    """Return the key to seal for. Raises UserError when it is not the one that is trusted."""
    from switchgear.vault import public_key  # noqa: PLC0415 - cryptography takes 40 ms

    if client.server is None:
        public = public_key.read(client.layout.public_key)
        if pinned and pinned != public_key.fingerprint(public):
            raise _other(str(client.layout.data), public_key.fingerprint(public), "--vault-key")
        return public
    public = asked(client)
    found = public_key.fingerprint(public)
    pinned = pinned or os.environ.get("SWITCHGEAR_VAULT_KEY")
    if pinned:
        if pinned != found:
            raise _other(client.server, found, "--vault-key")
        return public
    parts = urlsplit(client.server)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise UserError(
            f"{client.server} is plain http beyond this machine: whoever is in between could put another vault's key there",
            f"use https or ssh -L; or compare its fingerprint there and give --vault-key {found}",
            2,
        )
    path = known_path(dict(os.environ))
    before = known(path).get(client.server)
    if before is None:
        remember(path, client.server, found)
        note(
            f"the vault of {client.server} is {found}\n"
            f"  seen for the first time, remembered in {path}; compare: switchgear credential vault-key, on its machine"
        )
    elif before != found:
        raise _other(client.server, found, str(path))
    return public


def asked(client: Client) -> "PublicKey":
    """Ask control for the key."""
    from switchgear.vault.kek import PublicKey  # noqa: PLC0415

    try:
        return PublicKey(bytes.fromhex(client.call("GET", "/vault/key")["public_key"]))
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{client.server} does not say its vault's key", "is it of this version?") from None


def _other(where: str, found: str, why: str) -> UserError:
    return UserError(
        f"the vault of {where} is {found}, not the one that {why} says; nothing was sealed",
        "compare it on the gateway's machine: switchgear credential vault-key. Was its KEK replaced? Then give --vault-key"
        + ("" if why == "--vault-key" else ", or remove the line"),
    )


def known_path(environ: dict[str, str]) -> Path:
    """Return where a user's known vaults are remembered."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "switchgear" / "known_vaults"


def known(path: Path) -> dict[str, str]:
    """Read the file: a URL and a fingerprint on each line. Raises UserError when it cannot be read."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise UserError(
            f"{path} cannot be read: {exc}", "it says which vaults are known; or give --vault-key", 1
        ) from None
    return {url: found for url, _, found in (line.partition(" ") for line in lines) if found}


def remember(path: Path, url: str, found: str) -> None:
    """Add a line. Raises UserError when it cannot be written: a key that is not remembered is not trusted either."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(f"{url} {found}\n")
    except OSError as exc:
        raise UserError(
            f"{path}: {exc.strerror}", f"give --vault-key {found} instead, once you compared it", 1
        ) from None
