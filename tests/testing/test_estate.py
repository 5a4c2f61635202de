from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files
from switchgear.testing import estate


async def ask(host: estate.Host, path: str) -> bytes:
    import asyncio

    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    data = await reader.read()
    writer.close()
    return data


def test_a_product_answers_as_its_sample_says_and_keeps_what_was_asked():
    import asyncio

    products = {p.id: p for p in Library.read(shipped_files()).products}
    host = estate.product(products["ollama"])

    async def main() -> tuple[bytes, bytes]:
        async with estate.listening(host):
            return await ask(host, "/"), await ask(host, "/nothing")

    found, missing = asyncio.run(main())
    assert b"200" in found and found.endswith(b"Ollama is running") and b"404" in missing
    assert host.paths == ["/", "/nothing"] and host.methods == {"GET"}


def test_the_estate_has_at_least_twenty_decoys():
    assert len(estate.DECOYS) >= 20
