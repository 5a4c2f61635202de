"""Networks as people write them, in CIDR notation. Level 0."""

import ipaddress

from switchgear.core.text import shown


def check_network(text: str) -> str | None:
    """Return what is wrong with a network, with what is probably meant, or None."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            hint = f"; write {ipaddress.ip_network(text, strict=False)}"
        except ValueError:
            hint = ", e.g. 10.0.0.0/8 or 2001:db8::/32"
        return f"{shown(text)} is not a network{hint}"
    return None
