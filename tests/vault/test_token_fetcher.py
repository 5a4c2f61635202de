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
from switchgear.vault.box import Item, OpenCredential
from switchgear.vault.seal import SealContext
from switchgear.vault.token_fetcher import TokenFetcher


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
    return OpenCredential(item, secret, b"", "", seal.Redactor(secret), seal.authorizer_of(secret, place))


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
            await test(tokens, TokenFetcher(pool, SystemClock()), sock.getsockname()[1])
        finally:
            pool.close()
            tokens.server.close()
            await asyncio.sleep(0.02)

    asyncio.run(inner())


async def ask(token_fetcher, opened):
    done = asyncio.get_running_loop().create_future()
    token_fetcher.authorize(opened, done.set_result)
    return await asyncio.wait_for(done, 5)


def test_many_wait_for_one_exchange_and_the_token_is_kept():
    async def test(tokens, token_fetcher, port):
        opened = opened_for(port)
        assert await asyncio.gather(*(ask(token_fetcher, opened) for _ in range(20))) == [None] * 20
        assert await ask(token_fetcher, opened) is None
        assert tokens.asked == 1
        assert (
            opened.auth.lines("POST", "h", "/", "", b"", token_fetcher.now_s()) == b"authorization: Bearer token-1\r\n"
        )
        assert opened.redactor.clean(b"x token-1 client-secret-1") == b"x [redacted] [redacted]"

    run(test)


def test_an_aging_token_is_renewed_beside_its_use():
    async def test(tokens, token_fetcher, port):
        tokens.lifetime = 120  # below the time at which renewal begins
        opened = opened_for(port)
        await ask(token_fetcher, opened)
        await ask(token_fetcher, opened)
        for _ in range(100):
            if tokens.asked == 2:
                break
            await asyncio.sleep(0.01)
        assert tokens.asked == 2

    run(test)


@pytest.mark.parametrize("answer", [b"<html>", b'{"error":"invalid_client"}'])
def test_a_refusal_reaches_all_who_wait_and_the_next_asks_again(answer):
    async def test(tokens, token_fetcher, port):
        tokens.answer = answer
        opened = opened_for(port)
        reasons = await asyncio.gather(ask(token_fetcher, opened), ask(token_fetcher, opened))
        assert all("token service" in reason for reason in reasons)
        tokens.answer = None
        assert await ask(token_fetcher, opened) is None

    run(test)


def test_a_token_service_that_is_away():
    async def test(tokens, token_fetcher, port):
        assert "token service" in await ask(token_fetcher, opened_for(1))

    run(test)
