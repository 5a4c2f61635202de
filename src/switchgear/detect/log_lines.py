"""Reads lines of DNS, proxy and cloud logs: who asked for which name, when. Level 1.

A format is a name, how to know it from its first lines, and how to read a line. Whether a line is worth reading at all
is decided before (`prefilter`): a log of a gigabyte holds few names of providers.
"""

import datetime
import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

_MONTHS = {
    m: n for n, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


class Entry(msgspec.Struct, frozen=True):
    """Somebody asked for a name. `at`: seconds since the epoch, or None; `count_bytes`: bytes sent back, 0 when unknown."""

    client: str
    host: str
    at: float | None
    count_bytes: int = 0


Read = Callable[[str], Entry | None]


class Format(msgspec.Struct, frozen=True):
    """A log format."""

    name: str
    sample: re.Pattern[str]
    """Matches a line of it."""
    read: Read


@functools.lru_cache(4096)  # lines of one second follow each other
def _iso(text: str) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


@functools.lru_cache(4096)
def _syslog(text: str, year: int) -> float | None:
    # "Aug 24 10:00:00": the year is not in the line; the caller's is taken.
    try:
        month, day, clock = text.split()
        hour, minute, second = (int(part) for part in clock.split(":"))
        return datetime.datetime(year, _MONTHS[month], int(day), hour, minute, second, tzinfo=datetime.UTC).timestamp()
    except (ValueError, KeyError):
        return None


@functools.lru_cache(4096)
def _clf(text: str) -> float | None:
    try:
        return datetime.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        return None


def _url_host(text: str) -> str:
    rest = text.partition("://")[2] or text
    return rest.partition("/")[0].rpartition("@")[2].partition(":")[0]


_DNSMASQ = re.compile(r"(?:(\w{3} +\d+ [\d:]{8}) )?.*?query\[\w+\] (\S+) from (\S+)")
_SQUID = re.compile(r"(\d{9,11}\.\d{3}) +\d+ (\S+) \S+ (\d+) ([A-Z]+) (\S+)")
# Quantifiers are possessive or bounded where an unfinished line could otherwise be read again from each of its places.
_COMMON = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "([A-Z]+) ([^\s"]++)[^"]*+" \d{3} (\d+|-)')
_COREDNS = re.compile(r'\[INFO\] ([0-9a-fA-F.:\[\]]{1,64}):\d{1,5} - \d{1,9} "\w{1,16} IN (\S{1,1024}) ')
_UNBOUND = re.compile(r"(?:\[(\d{9,11})\] )?.*?info: ([0-9a-fA-F.:]+) (\S+) [A-Z]+ IN")
_BIND = re.compile(
    r"(?:(\d\d-\w{3}-\d{4} [\d:.]+) )?.*?client (?:@0x[0-9a-f]+ )?([0-9a-fA-F.:]+)#\d{1,5} \(([^)]{1,1024})\): query:"
)
_GENERIC_HOST = re.compile(r"(?<![\w.@-])((?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24})\.?(?![\w.-])", re.I)
_GENERIC_CLIENT = re.compile(
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|(?<![\w:])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.I
)
_GENERIC_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")


def _dnsmasq(year: int) -> Read:
    def read(line: str) -> Entry | None:
        match = _DNSMASQ.match(line)
        return Entry(match[3], match[2], _syslog(match[1], year) if match[1] else None) if match else None

    return read


def _squid(line: str) -> Entry | None:
    match = _SQUID.match(line)
    return Entry(match[2], _url_host(match[5]), float(match[1]), int(match[3])) if match else None


def _common(line: str) -> Entry | None:
    match = _COMMON.match(line)
    if match is None:
        return None
    return Entry(match[1], _url_host(match[4]), _clf(match[2]), 0 if match[5] == "-" else int(match[5]))


def _coredns(line: str) -> Entry | None:
    match = _COREDNS.search(line)
    if match is None:
        return None
    before = line[: match.start()].split()
    at = _iso(before[-1]) if before and "T" in before[-1] else None
    return Entry(match[1].strip("[]"), match[2], at)


def _unbound(line: str) -> Entry | None:
    match = _UNBOUND.match(line)
    return Entry(match[2], match[3], float(match[1]) if match[1] else None) if match else None


def _bind(line: str) -> Entry | None:
    match = _BIND.match(line)
    if match is None:
        return None
    at = None
    if match[1]:
        try:
            at = datetime.datetime.strptime(match[1][:20], "%d-%b-%Y %H:%M:%S").replace(tzinfo=datetime.UTC).timestamp()
        except ValueError:
            at = None
    return Entry(match[2], match[3], at)


_CLIENTS = (
    "srcaddr",
    "id.orig_h",
    "IP",
    "client",
    "client_ip",
    "clientIp",
    "src_ip",
    "sourceIPAddress",
    "remote_addr",
    "source",
)
_HOSTS = (
    "query_name",
    "query",
    "QH",
    "server_name",
    "host",
    "domain",
    "authority",
    "http_host",
    "dns.rrname",
    "tls.sni",
)
_TIMES = ("query_timestamp", "ts", "T", "timestamp", "time", "eventTime", "@timestamp", "start_time")
_BEDROCK = {
    "bedrock.amazonaws.com": "bedrock-runtime",
    "bedrock-runtime.amazonaws.com": "bedrock-runtime",
    "bedrock-mantle.amazonaws.com": "bedrock-mantle",
}


def _at(record: dict[str, Any], name: str) -> Any:
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _first(record: dict[str, Any], names: Iterable[str]) -> Any:
    return next((found for name in names if (found := _at(record, name)) not in (None, "")), None)


def _record(record: Any) -> Entry | None:
    if not isinstance(record, dict):
        return None
    source = record.get("eventSource")
    moment = _first(record, _TIMES)
    at = float(moment) if isinstance(moment, int | float) else _iso(moment) if isinstance(moment, str) else None
    if isinstance(source, str) and source in _BEDROCK:  # CloudTrail names the caller, not a host
        identity = record.get("userIdentity")
        caller = identity.get("arn") if isinstance(identity, dict) else None
        host = f"{_BEDROCK[source]}.{record.get('awsRegion', 'unknown')}.amazonaws.com"
        if source == "bedrock-mantle.amazonaws.com":
            host = f"bedrock-mantle.{record.get('awsRegion', 'unknown')}.api.aws"
        return Entry(str(caller or record.get("sourceIPAddress") or "?"), host, at)
    client, host = _first(record, _CLIENTS), _first(record, _HOSTS)
    if not isinstance(host, str):
        return None
    return Entry(str(client) if client is not None else "?", host, at)


def _json(line: str) -> Entry | None:
    try:
        return _record(msgspec.json.decode(line))
    except (msgspec.MsgspecError, RecursionError):
        return None


def _generic(line: str) -> Entry | None:
    host = _GENERIC_HOST.search(line)
    if host is None:
        return None
    client, moment = _GENERIC_CLIENT.search(line), _GENERIC_TIME.search(line)
    return Entry(client.group() if client else "?", host.group(1), _iso(moment.group()) if moment else None)


def zeek(fields_line: str) -> Format | None:
    """Return the format of a Zeek log from its `#fields` line (dns.log, ssl.log, http.log), or None."""
    fields = fields_line.rstrip("\n").split("\t")[1:]
    host = next((fields.index(name) for name in ("query", "server_name", "host") if name in fields), None)
    if host is None or "id.orig_h" not in fields:
        return None
    client, moment = fields.index("id.orig_h"), fields.index("ts") if "ts" in fields else None

    def read(line: str) -> Entry | None:
        values = line.split("\t")
        if len(values) != len(fields) or values[host] == "-":
            return None
        try:
            at = float(values[moment]) if moment is not None else None
        except ValueError:
            at = None
        return Entry(values[client], values[host], at)

    return Format("zeek", re.compile(r"\t"), read)


def formats(year: int) -> tuple[Format, ...]:
    """Return all formats, most telling first; `year` is that of logs that do not say it."""
    return (
        Format("json", re.compile(r"\s*\{"), _json),
        Format("dnsmasq", re.compile(r".*query\[\w+\] \S+ from "), _dnsmasq(year)),
        Format("coredns", re.compile(r".*?" + _COREDNS.pattern), _coredns),
        Format("bind", _BIND, _bind),
        Format("unbound", _UNBOUND, _unbound),
        Format("squid", _SQUID, _squid),
        Format("common", _COMMON, _common),
    )


GENERIC = Format("generic", re.compile(r""), _generic)


def detect(lines: list[str], year: int) -> Format:
    """Return the format of a log from its first lines; `generic` looks for a name and an address anywhere."""
    for line in lines:
        if line.startswith("#fields\t"):
            found = zeek(line)
            if found is not None:
                return found
    for kind in formats(year):
        if any(kind.sample.match(line) for line in lines[:200] if line.strip() and not line.startswith("#")):
            return kind
    return GENERIC


def records_of(document: bytes) -> list[Entry]:
    """Return the entries of a CloudTrail file, one JSON document with `Records`. Raises ValueError."""
    try:
        found = msgspec.json.decode(document)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError(str(exc)) from None
    records = found.get("Records", []) if isinstance(found, dict) else []
    return [entry for record in records if (entry := _record(record)) is not None]
