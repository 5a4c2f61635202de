"""Fetching tokens from a real server: once for many that wait, early, and with its failures."""

import asyncio
import json

import pytest

from switchgear.core.secret import Secret
from switchgear.net.clock import SystemClock
from switchgear.net.server import HttpServer
from switchgear.net.upstream import Pool
from switchgear.providers import endpoint
from switchgear.testing.faults import LoudGuard
from switchgear.vault import seal
from switchgear.vault.box import Item, Opened
from switchgear.vault.minter import Minter
from switchgear.vault.seal import SealContext


class TokenServer:
    """Gives tokens, or what it is told to."""

    def __init__(self):
        self.server = HttpServer(self, SystemClock(), LoudGuard())
        self.asked = 0
        self.answer = None
        self.lifetime = 3600

    def on_head(self, exchange):
        pass

    on_gone = on_writable = on_head

    def render(self, problem, target):
        return b"", b""

    def on_request(self, exchange):
        exchange.body()
        self.asked += 1
        body = self.answer or json.dumps({"access_token": f"token-{self.asked}", "expires_in": self.lifetime}).encode()
        exchange.send(200, b"content-type: application/json\r\n", body)


def opened_for(port):
    place = endpoint.parse(
        "https://api.example.com",
        auth="oauth",
        allow_private=True,
        auth_parameters={"token_url": f"http://127.0.0.1:{port}/token", "client_id": "c"},
    )
    context = SealContext(provider="p", credential="c", version=1, endpoint=place)
    item = Item(context=context, blob=b"", state="active", last4="", fingerprint="", created_ms=0, changed_ms=0)
    secret = Secret(b"client-secret-1")
    return Opened(item, secret, b"", "", seal.Redactor(secret), seal.authorizer_of(secret, place))


def run(test):
    async def inner():
        import socket

        tokens = TokenServer()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        await tokens.server.start(sock)
        pool = Pool(SystemClock(), LoudGuard())
        pool.start()
        try:
            await test(tokens, Minter(pool, SystemClock()), sock.getsockname()[1])
        finally:
            pool.close()
            tokens.server.close()
            await asyncio.sleep(0.02)

    asyncio.run(inner())


async def ask(minter, opened):
    done = asyncio.get_running_loop().create_future()
    minter.authorize(opened, done.set_result)
    return await asyncio.wait_for(done, 5)


def test_many_wait_for_one_exchange_and_the_token_is_kept():
    async def test(tokens, minter, port):
        opened = opened_for(port)
        assert await asyncio.gather(*(ask(minter, opened) for _ in range(20))) == [None] * 20
        assert await ask(minter, opened) is None
        assert tokens.asked == 1
        assert opened.auth.lines("POST", "h", "/", "", b"", minter.now_s()) == b"authorization: Bearer token-1\r\n"
        assert opened.redactor.clean(b"x token-1 client-secret-1") == b"x [redacted] [redacted]"

    run(test)


def test_an_aging_token_is_renewed_beside_its_use():
    async def test(tokens, minter, port):
        tokens.lifetime = 120  # below the time at which renewal begins
        opened = opened_for(port)
        await ask(minter, opened)
        await ask(minter, opened)
        for _ in range(100):
            if tokens.asked == 2:
                break
            await asyncio.sleep(0.01)
        assert tokens.asked == 2

    run(test)


@pytest.mark.parametrize("answer", [b"<html>", b'{"error":"invalid_client"}'])
def test_a_refusal_reaches_all_who_wait_and_the_next_asks_again(answer):
    async def test(tokens, minter, port):
        tokens.answer = answer
        opened = opened_for(port)
        reasons = await asyncio.gather(ask(minter, opened), ask(minter, opened))
        assert all("token service" in reason for reason in reasons)
        tokens.answer = None
        assert await ask(minter, opened) is None

    run(test)


def test_a_token_service_that_is_away():
    async def test(tokens, minter, port):
        assert "token service" in await ask(minter, opened_for(1))

    run(test)
