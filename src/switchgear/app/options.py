"""What `switchgear serve` was told. Level 6."""

from pathlib import Path

import msgspec

from switchgear.core.log_line import Settings


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
