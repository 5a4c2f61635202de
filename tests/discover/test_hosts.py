import asyncio
import socket
import ssl

import pytest
import trustme

from switchgear.detect.finding import Fingerprint
from switchgear.detect.probe_paths import ALLOWED, DENIED
from switchgear.discover import hosts
from switchgear.discover.collector import Collector
from switchgear.discover.detector_set import DetectorSet
from switchgear.discover.hosts import HostSource
from switchgear.discover.scope import Target
from switchgear.testing import estate

TOOLS = DetectorSet.shipped(Fingerprint(b"k" * 32))
PRODUCTS = {p.id: p for p in TOOLS.library.products}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hosts, "PER_S", 5_000)
    monkeypatch.setattr(hosts, "READ_S", 2.0)
    monkeypatch.setattr(hosts, "CONNECT_S", 20.0)


def scan(*found: estate.Host, **more) -> tuple[Collector, HostSource]:
    out = Collector()
    source = HostSource(TOOLS, out, "run1", **more)

    async def main() -> None:
        async with estate.listening(*found):
            await source.scan([Target("127.0.0.1", "127.0.0.1", (host.port,), "team-x") for host in found])

    asyncio.run(main())
    return out, source


def services(out: Collector) -> dict[str, str]:
    return {f.product: f.confidence for f in out.findings() if f.kind == "service"}


@pytest.mark.parametrize("name", ["ollama", "vllm", "open-webui", "litellm", "langflow", "qdrant", "n8n", "flowise"])
def test_a_service_is_found_on_a_port_that_is_not_its_usual_one(name):
    host = estate.product(PRODUCTS[name])
    out, _ = scan(host)
    found = next(f for f in out.findings() if f.kind == "service")
    assert (found.product, found.confidence, found.owner) == (name, "confirmed", "team-x")
    assert found.version is not None


def test_no_decoy_is_confirmed():
    decoys = {name: estate.Host(script) for name, script in estate.DECOYS.items()}
    out, _ = scan(*decoys.values())
    ports = {f"127.0.0.1:{host.port}": name for name, host in decoys.items()}
    confirmed = [(ports[f.where], f.product) for f in out.findings() if f.confidence == "confirmed"]
    assert len(decoys) >= 20 and confirmed == []


def test_nothing_but_harmless_requests_is_sent():
    everyone = [estate.product(p) for p in TOOLS.library.products] + [estate.Host(s) for s in estate.DECOYS.values()]
    _, source = scan(*everyone)
    asked = [path for host in everyone for path in host.paths]
    assert len(asked) == source.receipt.requests > 1_000
    assert set().union(*(host.methods for host in everyone)) == {"GET"}
    for path in asked:
        assert path in ALLOWED or (len(path) == 17 and set(path[1:]) <= set("0123456789abcdef")), path
        assert not any(pattern.fullmatch(path) for pattern, _, _ in DENIED), path
    for host in everyone:
        assert all(len(host.heads[0].split("\r\n")[0].split(" ")[1]) == 17 for _ in [0]), (
            "the control probe comes first"
        )
        for head in host.heads:
            lower = head.lower()
            assert "x-switchgear-scan: run1" in lower and "authorization" not in lower and "cookie" not in lower
            assert not any(
                word in lower.split("user-agent:")[1].split("\r\n")[0] for word in ("bot", "crawler", "spider")
            )
            assert head.endswith("\r\n\r\n")


def test_a_path_that_is_not_on_the_list_is_never_sent():
    host = estate.Host(lambda path: (200, {}, "x"))
    source = HostSource(TOOLS, Collector(), "r")

    async def main() -> None:
        async with estate.listening(host):
            await source._get(Target("127.0.0.1", "x", None, None), host.port, "/health", False)

    with pytest.raises(AssertionError, match="not on the list"):
        asyncio.run(main())
    assert host.heads == []


def test_hosts_that_hang_trickle_or_break_off_are_named_and_the_run_ends():
    hanging = estate.Host(lambda path: None)
    trickling = estate.Host(lambda path: (200, {}, "x" * 1000), trickle_s=0.05)
    breaking = estate.Host(lambda path: b"")
    out, _ = scan(hanging, trickling, breaking)
    assert out.partial
    assert {p.where.rpartition(":")[2] for p in out.problems} == {str(h.port) for h in (hanging, trickling, breaking)}


def test_ports_in_other_languages_are_no_problem_unless_they_were_named():
    async def serve(answer: bytes | None) -> asyncio.Server:
        async def handle(reader, writer):
            await reader.read(100)
            if answer is None:
                writer.transport.abort()
                return
            writer.write(answer)
            writer.close()

        return await asyncio.start_server(handle, "127.0.0.1", 0)

    async def main(named: bool) -> Collector:
        out = Collector()
        servers = [
            await serve(answer) for answer in (b"-ERR unknown command\r\n", b"SSH-2.0-x\r\n", b"\x15\x03\x01", None)
        ]
        ports = tuple(server.sockets[0].getsockname()[1] for server in servers)
        source = HostSource(TOOLS, out, "r")
        source.ports = list
        target = (
            Target("127.0.0.1", "127.0.0.1", ports, None)
            if named
            else Target("127.0.0.1", "127.0.0.1", None, None, ports)
        )
        await source.scan([target])
        for server in servers:
            server.close()
        return out

    assert not asyncio.run(main(False)).partial
    assert asyncio.run(main(True)).problem_count >= 3


def test_a_closed_port_is_no_problem():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    out = Collector()
    asyncio.run(HostSource(TOOLS, out, "r").scan([Target("127.0.0.1", "127.0.0.1", (port,), None)]))
    assert not out.partial and out.skipped["closed ports"] == 1


def test_a_host_that_stops_answering_makes_the_run_partial():
    asked = []

    def script(path: str):
        asked.append(path)
        return (404, {}, "") if len(asked) < 5 else None

    out, _ = scan(estate.Host(script))
    assert out.partial and len(asked) < 12


def test_a_body_over_the_bound_is_cut():
    host = estate.Host(lambda path: (200, {}, "x" * 5_000_000))
    out, _ = scan(host)
    assert services(out) == {}


def test_redirects_are_not_followed():
    target = estate.Host(lambda path: (200, {}, "Ollama is running"))
    out = Collector()
    source = HostSource(TOOLS, out, "r")

    async def main() -> None:
        async with estate.listening(target):
            host = estate.Host(lambda path: (302, {"location": f"http://127.0.0.1:{target.port}{path}"}, ""))
            async with estate.listening(host):
                await source.scan([Target("127.0.0.1", "127.0.0.1", (host.port,), None)])

    asyncio.run(main())
    assert target.heads == []


def test_an_upstream_of_this_gateway_is_governed():
    host = estate.product(PRODUCTS["ollama"])
    out = Collector()

    async def main() -> None:
        async with estate.listening(host):
            source = HostSource(TOOLS, out, "r", frozenset({("127.0.0.1", host.port)}))
            await source.scan([Target("127.0.0.1", "127.0.0.1", (host.port,), None)])

    asyncio.run(main())
    assert [f.verdict for f in out.findings() if f.kind == "service"] == ["governed"]


def test_advisories_follow_from_the_version():
    out, _ = scan(estate.product(PRODUCTS["litellm"]))
    assert {f.rule for f in out.findings() if f.kind == "advisory"} >= {"CVE-2026-42271", "CVE-2026-49468"}


def test_a_service_behind_tls_is_found_and_its_certificate_recorded():
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("10.0.0.1").configure_cert(context)
    host = estate.product(PRODUCTS["ollama"])
    out = Collector()

    async def main() -> None:
        server = await asyncio.start_server(host.serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        await HostSource(TOOLS, out, "r").scan([Target("127.0.0.1", "ollama.internal", (port,), None)])
        server.close()

    asyncio.run(main())
    found = next(f for f in out.findings() if f.kind == "service")
    assert (
        found.product == "ollama" and found.evidence["tls"] == "yes" and len(found.evidence["certificate_sha256"]) == 64
    )


def test_a_fault_ends_one_host_and_is_named_without_its_words(monkeypatch):
    good, bad = estate.product(PRODUCTS["ollama"]), estate.product(PRODUCTS["vllm"])
    ask = HostSource._ask

    async def fails(self, target, port, *rest):
        if port == bad.port:
            raise ZeroDivisionError("what it said")
        await ask(self, target, port, *rest)

    monkeypatch.setattr(HostSource, "_ask", fails)
    out, _ = scan(good, bad)
    assert services(out) == {"ollama": "confirmed"}
    (problem,) = out.problems
    assert problem.where == f"127.0.0.1:{bad.port}"
    assert "ZeroDivisionError" in problem.reason and "what it said" not in problem.reason
