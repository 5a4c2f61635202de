"""What the courier does for each verb of control's."""

import asyncio
import base64
import hmac

import msgspec
import pytest
from tests.courier.rig import SECRET, Server, answering, destination, service

from switchgear.courier import perform, verbs
from switchgear.courier.perform import RUNS
from switchgear.net.performer import Performer
from switchgear.wire import frames

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def test_every_verb_is_done_and_no_other():
    assert [row.verb for row in RUNS.values()] == list(verbs.VERBS)


async def ask(made, verb, body):
    answered = asyncio.get_running_loop().create_future()
    question = frames.Question(verb.name, msgspec.Raw(frames.encode_payload(body)))
    Performer(made, RUNS, made.guard, question, 1, answered.set_result).perform()
    ((_, _, _, payload),) = frames.Decoder().feed(await asyncio.wait_for(answered, 10))
    answer = msgspec.msgpack.decode(payload, type=frames.Answer)
    return msgspec.msgpack.decode(answer.body, type=verb.answer) if answer.ok else answer.message


REQUEST = verbs.Request(destination="there", method="POST", path="/", body=b"{}")


def run(scenario, tmp_path, answer=None):
    async def main():
        async with Server(answer or answering(OK)) as server:
            sealed = [destination(server.port), destination(server.port, "db", "relay", auth="none", secret=b"")]
            made = service(sealed, tmp_path)
            made.pool.start()
            await scenario(made)
            made.pool.close()

    asyncio.run(main())


def test_send_answers_with_the_reply_or_with_why_there_is_none(tmp_path):
    async def scenario(made):
        assert (await ask(made, verbs.SEND, REQUEST)).body == b"ok"
        assert "no destination" in await ask(made, verbs.SEND, msgspec.structs.replace(REQUEST, destination="x"))
        assert "plain path" in await ask(made, verbs.SEND, msgspec.structs.replace(REQUEST, path="/../x"))
        assert made.in_progress == 0

    run(scenario, tmp_path)


def test_requests_beyond_the_bound_are_refused_and_those_that_ended_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(perform, "IN_PROGRESS_MAX", 1)

    async def scenario(made):
        first = asyncio.create_task(ask(made, verbs.SEND, REQUEST))
        await asyncio.sleep(0)
        assert "too many" in await ask(made, verbs.SEND, REQUEST)
        assert (await first).status == 200
        assert (await ask(made, verbs.SEND, REQUEST)).status == 200

    run(scenario, tmp_path)


def test_relay_names_a_socket_of_a_relay_only(tmp_path):
    async def scenario(made):
        assert (await ask(made, verbs.RELAY, verbs.DestinationName("db"))).name == "db.relay"
        assert "not for relays" in await ask(made, verbs.RELAY, verbs.DestinationName("there"))

    run(scenario, tmp_path)


@pytest.mark.parametrize("answer", [answering(OK), answering(b"")])
def test_status_counts_and_shows_no_secret(answer, tmp_path):
    async def scenario(made):
        await ask(made, verbs.SEND, REQUEST)
        status = await ask(made, verbs.STATUS, None)
        assert [one.requests for one in status.destinations] == [1, 0]
        assert SECRET.decode() not in repr(status)

    run(scenario, tmp_path, answer)


def test_notify_signs_what_it_sends_with_the_destinations_secret(tmp_path):
    key = b"0123456789abcdef0123456789abcdef"
    notice = verbs.Notice(destination="hooks", id="msg_1", time_s=1_790_000_000, body=b'{"type":"x"}')

    async def main():
        async with Server(answering(OK)) as server:
            secret = b"whsec_" + base64.b64encode(key)
            hook = destination(server.port, "hooks", "webhook", auth="none", secret=secret, path_prefix="/in")
            made = service([hook, destination(server.port)], tmp_path)
            made.pool.start()
            assert (await ask(made, verbs.NOTIFY, notice)).status == 200
            wrong = msgspec.structs.replace(notice, destination="there")
            assert "for requests" in await ask(made, verbs.NOTIFY, wrong)
            made.pool.close()
            return server.heard

    ((head, body),) = asyncio.run(main())
    signed = base64.b64encode(hmac.digest(key, b"msg_1.1790000000." + body, "sha256"))
    assert head.startswith(b"POST /in HTTP/1.1\r\n") and body == notice.body
    assert b"\r\nwebhook-signature: v1," + signed + b"\r\n" in head
