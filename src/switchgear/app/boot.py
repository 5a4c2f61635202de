"""What a child process is told at its start: one JSON message in an anonymous file. Level 6.

None of it is in an environment, in a command line or on disk (docs/invariants.md P4).
"""

import os
from typing import Any

import msgspec

from switchgear.config.schema import Limits
from switchgear.confine.cell import ConfinementReport, ProcessUser
from switchgear.core.log_line import Settings


class Boot(msgspec.Struct, kw_only=True):
    """One child's orders."""

    role: str
    number: int = 0
    data: str
    run_id: str
    lifeline_fd: int
    """One end of a socket pair: its end means the supervisor is gone; what comes through it are new TLS files."""
    lifesign_fd: int = -1
    """An anonymous file to count in (app/lifesign)."""
    ready_fd: int
    """Write end of a pipe: one line when the child serves."""
    listen_fds: list[int] = []
    link_token: str = ""
    """Proves this role and run to the vault."""
    link_key: bytes = b""
    """For the vault, and another for the courier: what the tokens of their links are made with."""
    user: ProcessUser | None = None
    """Whom this child becomes; None where the supervisor is not root."""
    peers: dict[str, list[int]] = {}
    """For the vault and control: the uids that may connect, by role."""
    must_confine: bool = False
    """Beyond loopback: end rather than serve without full confinement."""
    held: ConfinementReport | None = None
    """Filled in by the child itself."""
    limits: Limits = msgspec.field(default_factory=Limits)
    log: Settings = msgspec.field(default_factory=Settings)
    workers: int = 1
    """For edges: how many of them there are."""
    trusted_proxies: list[str] = []
    """For edges: networks of proxies in front."""
    cors: list[str] = []
    """For edges: origins of pages that may read answers."""
    durability: str = "process"
    drain_grace_s: float = 5.0
    drain_s: float = 30.0
    tls_cert_fd: int = -1
    tls_key_fd: int = -1
    kek_path: str = ""
    kek_fd: int = -1
    identity_fd: int = -1
    """For the vault alone: the folder where the platform keeps its tokens."""
    identity_hosts: list[str] = []
    """For the vault alone: hosts beside the clouds' own that may be shown the platform's identity."""
    configuration: msgspec.Raw = msgspec.Raw(b"null")
    """For control alone: Configuration of app.control, undecoded, so that edges need none of its types."""
    is_first: bool = True
    """True until all children served once: then whoever started this is still looking."""
    destinations: msgspec.Raw = msgspec.Raw(b"[]")
    """For the courier alone: what it reaches, sealed; undecoded, so that edges need none of its types."""
    courier_key: str = ""
    """For the courier alone: the file of its key."""
    courier_token: str = ""
    """For control alone: proves to the courier who it is; empty where there is no courier."""
    ports: list[int] = []
    """TCP ports of other machines that may be connected to; filled in by the child itself. Only the courier is so bound."""
    console_url: str = ""
    segment_bytes: int = 16 * 1024 * 1024


class Told(msgspec.Struct, kw_only=True):
    """What a child says once, through `ready_fd`: that it serves, or why it does not."""

    held: ConfinementReport | None = None
    failed: str | None = None


def to_fd(value: Any) -> int:
    """Write a value as JSON into an anonymous file; returns its descriptor, at the start."""
    fd = os.memfd_create("boot", 0)
    os.write(fd, msgspec.json.encode(value))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def from_fd(fd: int, kind: Any) -> Any:
    """Read what `to_fd` wrote, and close it."""
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0)
    os.close(fd)
    return msgspec.json.decode(data, type=kind)
