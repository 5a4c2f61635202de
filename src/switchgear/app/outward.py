"""What `serve` prepares for the courier: its key, and the destinations sealed with it. Level 6."""

import os
from pathlib import Path

from switchgear.app.layout import default_kek_path
from switchgear.config.outward import DestinationSpec
from switchgear.core.secret import Secret
from switchgear.courier.verbs import Sealed
from switchgear.vault import kek, seal
from switchgear.vault.seal import SealContext

OWNER = "courier"
"""Stands where a credential's provider does: no blob of the vault's opens here, or the other way round."""


def key_path(kek_path: Path | None, environ: dict[str, str]) -> Path:
    """Return where the courier's key lies: beside the KEK, outside the data folder."""
    return (kek_path or default_kek_path(environ)).absolute().with_name("courier.key")


def sealed(specs: tuple[DestinationSpec, ...], secrets: dict[str, Secret], path: Path, now_ms: int) -> list[Sealed]:
    """Seal destinations with the courier's key, which is made at the first time. Raises UserError when it cannot be used.

    The caller is about to re-execute itself: the key it read is gone then.
    """
    if not path.exists():
        kek.create(path, os.urandom, kek.COURIER)
    public = kek.KeyPair(kek.read(path, kek.COURIER)).public
    found = []
    for spec in specs:
        context = SealContext(
            provider=OWNER, credential=spec.name, version=now_ms, endpoint=spec.endpoint, purpose=spec.purpose
        )
        found.append(Sealed(context, seal.seal(secrets.get(spec.name, Secret(b"")), context, public)))
    return found
