"""What survives the supervisor's re-exec. Level 6."""

import msgspec

from switchgear.config.schema import Limits
from switchgear.config_files.sources import Sources
from switchgear.core.log_line import Settings


class SupervisorState(msgspec.Struct, kw_only=True):
    """What survives the re-exec: everything that children are told, and no secret but link tokens made here."""

    data: str
    workers: int
    data_fds: list[int]
    console_fds: list[int]
    demo_fds: list[int] = []
    data_url: str
    console_url: str
    lock_fd: int
    kek_path: str = ""
    kek_fd: int = -1
    identity_dir: str = ""
    identity_hosts: list[str] = []
    configuration: msgspec.Raw = msgspec.Raw(b"null")
    limits: Limits = msgspec.field(default_factory=Limits)
    log: Settings = msgspec.field(default_factory=Settings)
    trusted_proxies: list[str] = []
    cors: list[str] = []
    durability: str = "process"
    drain_grace_s: float = 5.0
    drain_s: float = 30.0
    tls_cert: str = ""
    tls_key: str = ""
    config_path: str = ""
    config_sources: Sources = msgspec.field(default_factory=lambda: Sources([], [], ""))
    segment_bytes: int = 16 * 1024 * 1024
    started_s: float = 0.0
    banner: bool = True
    demo: bool = False
    destinations: msgspec.Raw = msgspec.Raw(b"[]")
    """What the courier reaches, sealed; without any there is no courier."""
    courier_key: str = ""
    """The file of the courier's key; empty without a courier."""
    notify_socket: str = ""
    """Where the service manager listens (sd_notify)."""
    uid_base: int = 0
    """First of the user ids of the children; 0 where this is not root."""
    must_confine: bool = False
