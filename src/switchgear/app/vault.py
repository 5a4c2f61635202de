"""Constructs the vault. Level 6."""

import functools
import os
from pathlib import Path

import msgspec

from switchgear.app import child
from switchgear.app.boot import Boot
from switchgear.app.layout import Layout, kek_stamp
from switchgear.core.errors import SealError, UserError
from switchgear.net import unix
from switchgear.net.clock import SystemClock
from switchgear.net.upstream import Pool
from switchgear.spool.files import write_durably
from switchgear.spool.writer import SpoolWriter
from switchgear.vault import kek
from switchgear.vault.box import Box
from switchgear.vault.public_key import PublicKeyFile
from switchgear.vault.service import VaultService


def init(layout: Layout, kek_path: Path) -> None:
    """Make the KEK if there is none, and write the public key. Runs as a short process of its own."""
    if not kek_path.exists():
        kek.create(kek_path, os.urandom)
    keys = kek.KeyPair(kek.read(kek_path))
    write_public(layout, keys, str(kek_path), kek_stamp(kek_path))


def write_public(layout: Layout, keys: kek.KeyPair, path: str, stamp: str) -> None:
    """Write the public key, for whoever seals."""
    file = PublicKeyFile(keys.public.kek_id, keys.public.raw, path, stamp)
    write_durably(layout.public_key, msgspec.json.encode(file), 0o644)


TOKEN_BYTES_MAX = 16_384


def read_token(folder_fd: int, name: str) -> bytes:
    """Read a token of the platform's. Links are followed (Kubernetes renews its tokens by changing one), as far as the cell goes:
    what lies outside of the folder cannot be opened. Raises OSError."""
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder_fd)
    try:
        return os.read(fd, TOKEN_BYTES_MAX)
    finally:
        os.close(fd)


def prepare(boot: Boot) -> kek.KeyPair:
    """Read the key-encryption key: its file is not in the cell."""
    if boot.kek_fd >= 0:
        secret = kek.read_fd(boot.kek_fd, "given")
        os.close(boot.kek_fd)
    else:
        secret = kek.read(Path(boot.kek_path))
    return kek.KeyPair(secret)


def _open(boot: Boot, layout: Layout, keys: kek.KeyPair) -> Box:
    """Open the box. Raises UserError when it is damaged, or when it is another KEK's altogether: new credentials would be sealed
    beside others that nobody opens."""
    try:
        box = Box(layout.vault, keys, child.guard, frozenset(boot.identity_hosts))
    except SealError as exc:
        raise UserError(str(exc), f"restore {layout.vault} from a backup: docs/upgrade.md", 2) from None
    if box.is_foreign:
        raise UserError(
            f"the KEK {boot.kek_path or 'given'} opens nothing in {layout.vault}: it was sealed for another",
            "restore that KEK, or name its place with --kek-file. Where it is lost for good: move that folder away, and add "
            "the credentials again",
            2,
        )
    return box


async def main(boot: Boot, prepared: kek.KeyPair) -> None:
    """Serve edges and control until told to stop."""
    layout = Layout(Path(boot.data))
    clock = SystemClock()
    life = child.Life(boot)
    life.watch()
    box = _open(boot, layout, prepared)
    if box.unopened:
        child.report(f"the KEK does not open these credentials: {', '.join(box.unopened)}")
    journal = SpoolWriter(layout.journal, clock, os.urandom, boot.run_id, segment_bytes=boot.segment_bytes)
    pool = Pool(clock, child.guard)
    peers = {role: frozenset(uids) for role, uids in boot.peers.items()}
    tokens = functools.partial(read_token, boot.identity_fd) if boot.identity_fd >= 0 else None
    service = VaultService(
        box, journal, pool, clock, boot.run_id, boot.link_key, peers, child.report, child.guard, tokens
    )
    await service.start(unix.bind(layout.vault_run, "vault.sock", 0o660))
    life.ready()
    await life.stopping.wait()
    service.stop()
    pool.close()
    journal.close()
