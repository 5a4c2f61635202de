"""Which hosts may be asked: what the command line or a scope file names, and nothing else. Level 5.

A scope file is YAML: `targets: [{hosts: [10.0.0.0/24, gpu-1.internal:8000], ports: [8000], owner: ml-platform}]`. Names
are resolved once, and the address stays (no rebinding). Public addresses count only where they are listed singly.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from switchgear.core.errors import UserError

ADDRESSES_MAX = 4_096
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(msgspec.Struct, frozen=True):
    """One address to ask."""

    address: str
    name: str
    """How it was named: goes into the Host header."""
    ports: tuple[int, ...] | None
    """None: the usual ports of all products."""
    owner: str | None
    more_ports: tuple[int, ...] = ()
    """Asked besides the usual ones: where this machine is seen to listen."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hosts: list[str]
    owner: str
    ports: list[int] | None = None


class _Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    targets: list[_Entry]


def read(path: Path) -> list[Target]:
    """Read a scope file. Raises UserError with its line."""
    import yaml  # noqa: PLC0415 - few runs have a scope file

    try:
        text = path.read_text()
        raw: Any = yaml.load(text, Loader=yaml.CSafeLoader)
        found = msgspec.convert(raw, _Scope)
    except OSError as exc:
        raise UserError(f"{path}: {exc.strerror}", "", 2) from None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else 0
        raise UserError(f"{path}:{line}: not YAML: {exc.problem}", "", 2) from None
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as exc:
        wanted = re.search(r"field `([^`]+)`", str(exc))
        lines = [n for n, line in enumerate(text.splitlines(), 1) if wanted and wanted.group(1) in line]
        hint = "targets: [{hosts: [10.0.0.0/24], owner: ml-platform}]"
        raise UserError(f"{path}:{lines[0] if lines else 1}: {exc}", hint, 2) from None
    targets: list[Target] = []
    for entry in found.targets:
        if not entry.owner.strip():
            raise UserError(f"{path}: a target needs an owner: whose machines are they?", "", 2)
        targets += targets_of(entry.hosts, entry.ports, entry.owner)
    return _bounded(targets)


def targets_of(
    hosts: Iterable[str],
    ports: Iterable[int] | None = None,
    owner: str | None = None,
    resolve: Callable[[str], str] | None = None,
) -> list[Target]:
    """Return the addresses of networks, names and addresses, each with an optional port. Raises UserError."""
    found = []
    for text in hosts:
        host, port = _split(text.strip())
        chosen = (port,) if port is not None else tuple(ports) if ports is not None else None
        if any(not 0 < p < 65536 for p in chosen or ()):
            raise UserError(f"{text!r}: a port lies between 1 and 65535", "", 2)
        if "/" in host:
            found += [Target(str(a), str(a), chosen, owner) for a in _network(text, host)]
            continue
        try:
            address: Address = ipaddress.ip_address(host)
        except ValueError:
            address = ipaddress.ip_address((resolve or _resolve)(host))
        found.append(Target(str(address), host, chosen, owner))
    return _bounded(found)


def _network(text: str, host: str) -> list[Address]:
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        raise UserError(f"{text!r} is not a network", "e.g. 10.0.0.0/24", 2) from None
    if network.num_addresses > ADDRESSES_MAX:
        raise UserError(f"{text!r} has {network.num_addresses:,} addresses; at most {ADDRESSES_MAX:,} are asked", "", 2)
    if not (network.is_private or network.is_loopback or network.is_link_local):
        raise UserError(f"{text!r} is public: public addresses are asked only when each is listed singly", "", 2)
    addresses: list[Address] = list(network.hosts()) or [network.network_address]
    return addresses


def _split(text: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([0-9a-fA-F:]+)\](?::(\d{1,5}))?", text)
    if bracketed is not None:
        return bracketed.group(1), int(bracketed.group(2)) if bracketed.group(2) else None
    if text.count(":") == 1 and "/" not in text:
        host, _, port = text.partition(":")
        if port.isdigit():
            return host, int(port)
    if "://" in text or not text or not re.fullmatch(r"[A-Za-z0-9._:/-]+", text):
        raise UserError(
            f"{text!r} is not a host, host:port or network", "e.g. 10.0.0.5, gpu-1.internal:8000, 10.0.0.0/24", 2
        )
    return text, None


def _resolve(name: str) -> str:
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as exc:
        raise UserError(f"{name!r} cannot be resolved: {exc.strerror}", "", 2) from None


def _bounded(targets: list[Target]) -> list[Target]:
    if len(targets) > ADDRESSES_MAX:
        raise UserError(
            f"{len(targets):,} addresses; at most {ADDRESSES_MAX:,} are asked in one run", "split the scope", 2
        )
    return targets
