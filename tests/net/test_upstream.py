"""The vault's HTTP client: which addresses it connects to (docs/invariants.md H2; the answers of a provider are in tests/end_to_end)."""

import asyncio

import pytest

from switchgear.net.upstream import Pool
from switchgear.providers.endpoint import Endpoint
from switchgear.testing.clock import FakeClock
from switchgear.testing.faults import LoudGuard
from switchgear.testing.patience import let_pass, until_it_is


class Resolver:
    """Gives another answer each time it is asked, as the name server of an attacker does."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def endpoint(port, allow_private, host="provider.example"):
    return Endpoint(scheme="http", host=host, port=port, path_prefix="/v1", allow_private=allow_private)


async def connect(pool, to):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    pool.connect("key", to, 2.0, done.set_result, done.set_result)
    return await done


@pytest.fixture
def listened():
    """Count connections to a real listener on loopback."""
    return []


def run(listened, resolver, *, allow_private, times=1):
    async def main():
        server = await asyncio.start_server(lambda r, w: listened.append(w), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        pool = Pool(FakeClock(), LoudGuard(), resolver)
        found = [await connect(pool, endpoint(port, allow_private)) for _ in range(times)]
        count = sum(not hasattr(one, "reason") for one in found)
        await until_it_is(lambda: len(listened) >= count)
        await let_pass()  # so that one too many were seen
        pool.close()
        for writer in listened:
            writer.close()
            await writer.wait_closed()
        server.close()
        await let_pass()
        return found

    return asyncio.run(main())


def test_a_name_is_resolved_once_and_that_very_answer_is_used(listened):
    """A resolver that rebinds between check and connection finds no second question to answer."""
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    [connection] = run(listened, resolver, allow_private=True)
    assert connection.is_open is False  # closed by now; it was one
    assert (resolver.asked, len(listened)) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["0.0.0.0"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
        [],
    ],
)
def test_a_public_provider_never_resolves_to_this_machine(listened, answer):
    [failure] = run(listened, Resolver(answer), allow_private=False)
    assert (failure.reason, failure.dispatched) == ("connect", False)
    assert "not allowed" in failure.message
    assert listened == []


def test_each_new_connection_is_checked_anew(listened):
    """The first answer was good; after a rebinding the next connection is refused."""
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])
    first, second = run(listened, resolver, allow_private=True, times=2)
    assert not hasattr(first, "reason")
    assert second.reason == "connect" and "not allowed" in second.message
    assert len(listened) == 1
