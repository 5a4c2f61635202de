"""Where a gateway may listen: beyond this machine only encrypted, and confined. Level 6."""

from switchgear.app.listeners import shown
from switchgear.confine import cell
from switchgear.core.errors import UserError


def check_exposure(data: tuple[str, int], console: tuple[str, int], is_encrypted: bool) -> bool:
    """Apply the rule of docs/contract.md §2; returns whether every process must prove its confinement. Raises UserError."""
    if not _is_loopback(console):
        raise UserError(
            f"the console cannot listen on {shown(console)}: there are no admin accounts yet, only one-time links",
            "leave it on 127.0.0.1 and reach it through ssh -L 4101:127.0.0.1:4101 HOST",
            2,
        )
    if _is_loopback(data):
        return False
    if not is_encrypted:
        raise UserError(
            f"{shown(data)} is beyond loopback, where keys and prompts must not travel in the clear",
            "give --tls-cert and --tls-key, or name the proxies in front that end TLS: --behind-tls-proxy 10.0.0.0/8",
            2,
        )
    missing = cell.probe()
    if missing:
        raise UserError(
            f"{shown(data)} is beyond loopback, and this machine cannot confine the processes: {missing[0]}",
            "listen on 127.0.0.1, or use a newer kernel: switchgear doctor says what is missing",
            2,
        )
    return True


def _is_loopback(address: tuple[str, int]) -> bool:
    return address[0].startswith("127.") or address[0] == "::1"
