"""A courier's service, and destinations that answer as they are told to, with a certificate authority of their own."""

import asyncio
import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from switchgear.core.secret import Secret
from switchgear.courier.destinations import Destinations
from switchgear.courier.service import CourierService
from switchgear.courier.verbs import Sealed
from switchgear.net.dial import Dialer
from switchgear.net.upstream import Pool
from switchgear.providers.endpoint import Endpoint
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.vault import seal
from switchgear.vault.kek import KeyPair
from switchgear.vault.seal import SealContext

KEYS = KeyPair(Secret(b"c" * 32))
SECRET = b"hook-secret-0123456789"
LINK_KEY = b"link key"


def destination(port, name="there", purpose="request", keys=KEYS, secret=SECRET, **place):
    """Return a sealed destination on this machine."""
    fields = {"scheme": "http", "host": "there.example", "allow_private": True, "auth": "bearer", **place}
    endpoint = Endpoint(port=port, **fields)
    context = SealContext(provider="courier", credential=name, version=1, endpoint=endpoint, purpose=purpose)
    return Sealed(context, seal.seal(Secret(secret), context, keys.public))


async def here(host, port):
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


def service(sealed, folder: Path, resolve=here):
    """Return a courier's service that is not started."""
    guard = LoudGuard()
    told = []
    made = CourierService(
        Destinations(sealed, KEYS),
        Pool(FakeClock(), guard, resolve),
        Dialer(resolve),
        "run",
        LINK_KEY,
        [os.geteuid()],
        lambda text, *_, **__: told.append(text),
        guard,
        folder,
    )
    made.told = told
    return made


def certificates(folder: Path, name="there.example"):
    """Make an authority and a certificate for a name; returns (authority as PEM, server's context)."""
    now = datetime.datetime.now(datetime.UTC)

    def signed(subject, key, issuer, issuer_key, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = signed(
        "Test CA",
        authority_key,
        "Test CA",
        authority_key,
        (x509.BasicConstraints(True, None), True),
        (usage, True),
        (identifier, False),
    )
    try:
        other = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        other = x509.DNSName(name)
    leaf = signed(
        name,
        key,
        "Test CA",
        authority_key,
        (x509.SubjectAlternativeName([other]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    )
    pem = serialization.Encoding.PEM
    cert_path, key_path = folder / "leaf.pem", folder / "leaf.key"
    cert_path.write_bytes(leaf.public_bytes(pem))
    key_path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_path, key_path)
    return authority.public_bytes(pem).decode(), context


class Server:
    """Answers every connection with what `answer(reader, writer)` does; keeps what it heard."""

    def __init__(self, answer, tls=None):
        self._answer = answer
        self._tls = tls
        self.heard = []
        self.port = 0
        self._open = []

    async def __aenter__(self):
        async def serve(reader, writer):
            self._open.append(writer.transport)
            try:
                await self._answer(self, reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        self._server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for transport in self._open:
            transport.close()
        await asyncio.sleep(0.1)


async def request_of(server, reader):
    """Read one request, and keep it."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    body = await reader.readexactly(size)
    server.heard.append((head, body))
    return head, body


def answering(response: bytes):
    """Return an answer that is always the same."""

    async def answer(server, reader, writer):
        await request_of(server, reader)
        writer.write(response)
        await writer.drain()

    return answer
