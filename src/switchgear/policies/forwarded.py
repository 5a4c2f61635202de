"""Who a client is behind proxies: X-Forwarded-For, believed from named networks only. Level 1 (docs/invariants.md H7).

A proxy appends the address of its own peer, so the list is read from the right: hops within the trusted networks are proxies,
the first that is not is the client, and what stands left of it is the client's own claim. A hop that cannot be read ends the
search: records then name the last good one, and rules about addresses get nothing to go by, so they deny.
"""

import ipaddress
from collections.abc import Iterable

HOPS_MAX = 64
"""More proxies in a row than anybody has."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The networks whose word is taken."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks` are CIDR texts. Raises ValueError."""
        self._networks = [ipaddress.ip_network(text) for text in networks]

    def trusts(self, address: str | None) -> bool:
        """Tell whether an address is a proxy's. False for None (a Unix socket) and for what is no address."""
        read = _read(address or "")
        return read is not None and self._is_trusted(read)

    def client(self, peer: str | None, forwarded_for: bytes | None) -> tuple[str | None, bool]:
        """Return the client's address behind a trusted peer, and whether it is certain.

        `forwarded_for` is the header's value, several headers joined with commas in their order; None when there is none.
        """
        if forwarded_for is None:
            return peer, True
        good = peer
        for count, raw in enumerate(reversed(forwarded_for.decode("latin-1").split(","))):
            hop = _read(_without_port(raw.strip(" \t")))
            if hop is None or count >= HOPS_MAX:
                return good, False
            good = str(hop)
            if not self._is_trusted(hop):
                return good, True
        return good, True

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _read(text: str) -> _Address | None:
    """Read an address; one of IPv4 within IPv6 is that of IPv4. No zones: they mean something on one machine only."""
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(hop: str) -> str:
    """Some proxies write a port: 192.0.2.1:4711, [2001:db8::1]:4711."""
    if hop.startswith("["):
        address, bracket, port = hop[1:].partition("]")
        is_port = not port or (port[0] == ":" and port[1:].isascii() and port[1:].isdigit())
        return address if bracket and is_port and ":" in address else ""
    if hop.count(":") == 1:
        address, _, port = hop.partition(":")
        return address if port.isascii() and port.isdigit() else ""
    return hop
