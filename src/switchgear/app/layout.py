"""Where things lie in a data folder. Level 6. docs/architecture.md has the table of paths, owners and modes."""

import os
from pathlib import Path

import msgspec


class Layout(msgspec.Struct, frozen=True):
    """Paths below one data folder."""

    data: Path

    @property
    def store(self) -> Path:
        """The SQLite database."""
        return self.data / "store" / "store.sqlite"

    @property
    def store_marker(self) -> Path:
        """Exists once a store was made: later starts never make another."""
        return self.data / "store" / "created"

    @property
    def replica(self) -> Path:
        """The LMDB environment that edges map."""
        return self.data / "replica"

    @property
    def spool(self) -> Path:
        """Spools of the edges and the vault's journal."""
        return self.data / "spool"

    @property
    def journal(self) -> Path:
        """The vault's journal."""
        return self.spool / "vault"

    @property
    def vault(self) -> Path:
        """The vault's box and its public key."""
        return self.data / "vault"

    @property
    def public_key(self) -> Path:
        """The vault's public key: what `credential add` seals with."""
        return self.vault / "public.json"

    @property
    def pepper(self) -> Path:
        """The pepper of virtual keys."""
        return self.data / "pepper"

    @property
    def run(self) -> Path:
        """Sockets and the status of the running gateway."""
        return self.data / "run"

    @property
    def status(self) -> Path:
        """What the supervisor says about its children."""
        return self.run / "status.json"

    @property
    def cli_token(self) -> Path:
        """The token that the CLI shows to control."""
        return self.run / "cli.token"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for its life."""
        return self.data / "supervisor.lock"

    def make(self) -> None:
        """Create the folders, for this user alone."""
        for folder in (self.data, self.store.parent, self.replica, self.spool, self.vault, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


class PublicKeyFile(msgspec.Struct):
    """Content of `public.json`."""

    kek_id: str
    public_key: bytes
    kek_path: str
    kek_stamp: str
    """Identity of the KEK file that it was derived from."""


def kek_stamp(path: Path) -> str:
    """Return what changes when a KEK file is replaced."""
    info = os.stat(path)
    return f"{info.st_ino}:{info.st_mtime_ns}:{info.st_size}"


def default_kek_path(environ: dict[str, str]) -> Path:
    """Return the KEK's place outside the data folder: a backup of the folder must not hold lock and key."""
    if os.geteuid() == 0:
        return Path("/etc/switchgear/kek")
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "switchgear" / "kek"


def read_peppers(path: Path) -> dict[int, bytes]:
    """Read the peppers: one `ID HEX` per line."""
    out = {}
    for line in path.read_text("ascii").splitlines():
        number, _, text = line.partition(" ")
        out[int(number)] = bytes.fromhex(text)
    return out


def load_prices(provider: str) -> bytes | None:
    """Read a provider's shipped price file; the name comes from the catalogue and is checked all the same."""
    if not provider.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return None
    path = Path(__file__).parent.parent / "pricing" / "data" / f"{provider}.json"
    return path.read_bytes() if path.is_file() else None


def price_snapshot() -> str:
    """Return the date of the shipped prices."""
    index = Path(__file__).parent.parent / "pricing" / "data" / "index.json"
    return str(msgspec.json.decode(index.read_bytes())["date"])
