"""Where things lie in a data folder. Level 6. docs/architecture.md has the table of paths, owners and modes."""

import os
from pathlib import Path

import msgspec

from switchgear.core.errors import UserError

ROW_KEY_BYTES = 32


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
    def had_store(self) -> bool:
        """True once a store was made. Only the marker's name counts: a link that control made there is not followed."""
        return os.path.lexists(self.store_marker)

    @property
    def replica(self) -> Path:
        """The LMDB environment that edges map."""
        return self.data / "replica"

    @property
    def counters(self) -> Path:
        """What the edges count of limits."""
        return self.data / "counters"

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
    def shown_key(self) -> Path:
        """A copy of it that control may read: the supervisor's, so that control cannot put another there."""
        return self.run / "vault.pub"

    @property
    def pepper(self) -> Path:
        """The pepper of virtual keys."""
        return self.data / "pepper"

    @property
    def row_key(self) -> Path:
        """What control proves with that a row of the store is its own: read before it becomes its user, never in the store."""
        return self.data / "store.key"

    @property
    def signed_marker(self) -> Path:
        """Exists once the store's rows carried MACs: they are given to a store's rows once only."""
        return self.data / "store" / "signed"

    @property
    def has_signed(self) -> bool:
        """True once the store's rows carried MACs."""
        return os.path.lexists(self.signed_marker)

    @property
    def seen(self) -> Path:
        """What control saw of the store last."""
        return self.data / "store" / "seen"

    @property
    def run(self) -> Path:
        """Sockets and the status of the running gateway."""
        return self.data / "run"

    @property
    def vault_run(self) -> Path:
        """Where the vault binds its socket."""
        return self.run / "vault"

    @property
    def control_run(self) -> Path:
        """Where control binds its socket and leaves the CLI's token."""
        return self.run / "control"

    @property
    def courier_run(self) -> Path:
        """Where the courier binds its socket and its relays."""
        return self.run / "courier"

    def edge_spool(self, number: int) -> Path:
        """The spool of one edge."""
        return self.spool / f"edge-{number}"

    @property
    def status(self) -> Path:
        """What the supervisor says about its children."""
        return self.run / "status.json"

    @property
    def cli_token(self) -> Path:
        """The token that the CLI shows to control."""
        return self.control_run / "cli.token"

    def schema_marker(self, version: str) -> Path:
        """Exists once the store had that schema; else migrations will be needed. Only its name counts: root, who looks before
        it becomes control, opens nothing in control's folder."""
        return self.data / "store" / f"schema-{version}"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for its life."""
        return self.data / "supervisor.lock"

    def folders(self, workers: int = 0) -> tuple[Path, ...]:
        """All folders, outer ones first."""
        below = (self.store.parent, self.replica, self.counters, self.spool, self.vault, self.run)
        sockets = (self.vault_run, self.control_run, self.courier_run)
        return (self.data, *below, *sockets, self.journal, *map(self.edge_spool, range(workers)))

    def make(self, workers: int = 0) -> None:
        """Create the folders, for this user alone."""
        for folder in self.folders(workers):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def kek_stamp(path: Path) -> str:
    """Return what changes when a KEK file is replaced."""
    info = os.stat(path)
    return f"{info.st_ino}:{info.st_mtime_ns}:{info.st_size}"


def data_folder(said: Path | None, environ: dict[str, str]) -> Path:
    """Return the data folder: said, SWITCHGEAR_DATA, ./switchgear-data if it exists, /var/lib/switchgear."""
    if said is not None:
        return said.absolute()
    if environ.get("SWITCHGEAR_DATA"):
        return Path(environ["SWITCHGEAR_DATA"]).absolute()
    here = Path("switchgear-data").absolute()
    return here if here.is_dir() else Path("/var/lib/switchgear")


def default_kek_path(environ: dict[str, str]) -> Path:
    """Return the KEK's place outside the data folder: a backup of the folder must not hold lock and key."""
    if os.geteuid() == 0:
        return Path("/etc/switchgear/kek")
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "switchgear" / "kek"


def read_peppers(path: Path) -> dict[int, bytes]:
    """Read the peppers: one `ID HEX` per line. Raises UserError when the file is damaged."""
    out = {}
    try:
        for line in path.read_text("ascii").splitlines():
            number, _, text = line.partition(" ")
            out[int(number)] = bytes.fromhex(text)
    except ValueError:
        out = {}
    except OSError as exc:
        raise UserError(
            f"the pepper {path} cannot be read: {exc.strerror}", "run as its owner, or give it back", 2
        ) from None
    if not out or not all(out.values()):
        raise UserError(
            f"the pepper {path} is damaged: no key can be recognised without it", "restore it from a backup", 2
        )
    return out


def read_row_key(path: Path) -> bytes:
    """Read the key of the store's rows: 64 hex digits. Raises UserError when the file is damaged or closed."""
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        key = b""
    except OSError as exc:
        raise UserError(
            f"the key {path} cannot be read: {exc.strerror}", "run as its owner, or give it back", 2
        ) from None
    if len(key) != ROW_KEY_BYTES:
        raise UserError(
            f"the key {path} is damaged: no row of the store can be believed without it",
            "restore it from a backup; without one: move it away, start, and look: switchgear store check",
            2,
        )
    return key


class PriceFiles:
    """The shipped price files, opened while that is still possible and read when a provider is used. No name becomes a path."""

    def __init__(self) -> None:
        folder = Path(__file__).parent.parent / "pricing" / "data"
        self._fds = {path.stem: os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in sorted(folder.glob("*.json"))}

    def load(self, provider: str) -> bytes | None:
        """Return a provider's prices; None where none are shipped."""
        fd = self._fds.get(provider)
        return os.pread(fd, os.fstat(fd).st_size, 0) if fd is not None else None


def price_snapshot() -> str:
    """Return the date of the shipped prices."""
    index = Path(__file__).parent.parent / "pricing" / "data" / "index.json"
    return str(msgspec.json.decode(index.read_bytes())["date"])
